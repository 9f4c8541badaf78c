//! Readers of what is sent: each turns bytes into judged rows, a batch at a time, and never holds a whole file (but for
//! calendars, whose parts refer to each other).

pub mod csv;
pub mod encoding;
pub mod ical;
pub mod json;
pub mod unfold;
pub mod vcard;

use bytes::Bytes;

use crate::judge::Row;

/// Rows that go through the pipeline together.
pub const BATCH: usize = 1_000;

/// What arrives of a body.
#[derive(Debug)]
pub enum Chunk {
    /// Some bytes.
    Data(Bytes),
    /// The body is complete.
    End,
    /// The connection broke: what was begun is not complete.
    Broken,
}

/// Where a reader's bytes come from; blocks until there are some.
pub type Input<'a> = dyn FnMut() -> Chunk + 'a;

/// Where a reader's batches go. `false`: nobody wants them any more.
pub type Output<'a> = dyn FnMut(Vec<Row>) -> bool + 'a;

/// Collects rows into batches.
pub struct Batches<'a> {
    rows: Vec<Row>,
    next: u64,
    output: &'a mut Output<'a>,
}

impl std::fmt::Debug for Batches<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batches").field("next", &self.next).finish_non_exhaustive()
    }
}

impl<'a> Batches<'a> {
    /// Batches for `output`.
    pub fn new(output: &'a mut Output<'a>) -> Self {
        Self { rows: Vec::with_capacity(BATCH), next: 0, output }
    }

    /// The index of the next row.
    pub const fn next_index(&self) -> u64 {
        self.next
    }

    /// Adds a row; `false` when nobody wants any more.
    pub fn push(&mut self, row: Row) -> bool {
        self.next += 1;
        self.rows.push(row);
        self.rows.len() < BATCH || self.flush()
    }

    /// Hands over what is there.
    pub fn flush(&mut self) -> bool {
        if self.rows.is_empty() {
            return true;
        }
        let rows = std::mem::replace(&mut self.rows, Vec::with_capacity(BATCH));
        (self.output)(rows)
    }
}
