//! Free loopback ports that stay ours over a restart.
//!
//! They are taken below the range from which the kernel picks ports for outgoing connections (32768 up), so that
//! while a killed server is down no client socket can land on its port.
use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, TcpListener},
    sync::Mutex,
};

use rand::RngExt as _;

use crate::{Error, Result};

const FROM: u16 = 18_000;
const TO: u16 = 32_000;
const ATTEMPTS: usize = 500;

/// Ports handed out by this process.
static TAKEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// One free port.
///
/// # Errors
/// [`Error::NoPort`] when the range is full.
pub fn free() -> Result<u16> {
    block(1)
}

/// The first of `count` free ports in a row.
///
/// # Errors
/// [`Error::NoPort`] when no such row was found.
pub fn block(count: u16) -> Result<u16> {
    let mut taken = TAKEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for _ in 0..ATTEMPTS {
        let first = rand::rng().random_range(FROM..TO - count);
        let row = first..first + count;
        if row.clone().all(|port| !taken.contains(&port) && is_free(port)) {
            taken.extend(row);
            return Ok(first);
        }
    }
    Err(Error::NoPort { from: FROM, to: TO })
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_free_and_is_not_given_twice() {
        let first = block(4).unwrap();
        let second = block(4).unwrap();
        assert!(first + 4 <= second || second + 4 <= first, "{first} and {second} overlap");
        for port in first..first + 4 {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        }
    }

    #[test]
    fn a_port_in_use_is_not_free() {
        let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(!is_free(held.local_addr().unwrap().port()));
    }
}
