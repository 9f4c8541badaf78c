//! Workbenches, shared by all connections: an answer is rewritten in one go, so there are only as many at work as threads.

use std::sync::{Mutex, PoisonError};

use super::{Workbench, passage::KEEP};

/// Most idle workbenches.
const IDLE: usize = 16;

/// The idle ones.
#[derive(Debug)]
pub(crate) struct Benches {
    limit: usize,
    idle: Mutex<Vec<Workbench>>,
}

impl Benches {
    /// One batch may take `limit` bytes uncompressed.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, idle: Mutex::default() }
    }

    /// One to work at, with nothing on it.
    pub(crate) fn take(&self) -> Workbench {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.pop().unwrap_or_else(|| Workbench::new(self.limit))
    }

    /// Takes it back, unless it has grown large.
    pub(crate) fn put(&self, mut bench: Workbench) {
        bench.out.clear();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if bench.holds() <= KEEP && idle.len() < IDLE {
            idle.push(bench);
        }
    }
}
