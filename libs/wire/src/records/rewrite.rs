//! A batch written anew: some records withheld, some with another value, the others byte for byte.
//!
//! What clients need, by the sources of librdkafka, Java's client, kafka-python, aiokafka, KafkaJS and franz-go:
//!
//! | withheld | written |
//! |---|---|
//! | none, and no value replaced | nothing: send the original bytes |
//! | the first, or some in the middle | a batch with fewer records; every offset as it was, as after compaction |
//! | the last that are there | the batch ends at its last kept record, and a [filler](super::FILLER) stands at its original last offset |
//! | all | the filler only |
//!
//! The third line is needed because KafkaJS asks once more for every offset that a batch claims behind its last record,
//! and the fourth because it never gets past a batch without records. A batch whose last offsets compaction removed
//! keeps claiming them: that is what the broker sends, and nothing of it was withheld. Control batches and empty ones are
//! never written anew.
//!
//! Transactions: an aborted one is told by the response's list and ended by its own marker, both of which pass as they
//! came. Clients compare the list with a batch's first offset or its last; the first does not move, and the last not
//! before it, so that neither falls behind where the transaction began.

use std::{fmt, ops::Range};

use super::{
    Body, FILLER, Record, Records, RecordsError,
    filler::{self, Fields},
    varint::Varint,
};
use crate::batch::{HEADER, field};

/// Takes a decision for each record of a batch, in order.
///
/// Fails closed: a record that no decision was taken on when the next one is asked for, or at the end, is withheld; and
/// a rewrite that is dropped or fails takes back what it wrote.
///
/// ```
/// # fn judge(_: &wire::records::Record<'_>) -> bool { true }
/// # fn example(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), wire::records::RecordsError> {
/// # let mut decompressor = wire::records::Decompressor::new(1 << 20);
/// # let mut buffer = Vec::new();
/// let body = wire::records::open(bytes, &mut decompressor, &mut buffer)?;
/// let mut rewrite = body.rewrite(out);
/// while let Some(record) = rewrite.advance()? {
///     match record.value {
///         None => rewrite.keep(),
///         Some(_) if !judge(&record) => rewrite.withhold(),
///         Some(sealed) => rewrite.replace(sealed),
///     }
/// }
/// let done = rewrite.finish()?;
/// # let _ = done;
/// # Ok(())
/// # }
/// ```
pub struct Rewrite<'a, 'o> {
    body: Body<'a>,
    records: Records<'a>,
    /// The record that waits for a decision.
    current: Option<Record<'a>>,
    failed: Option<RecordsError>,
    out: &'o mut Vec<u8>,
    /// Where in `out` the new batch begins.
    start: usize,
    /// Records kept and not yet copied: neighbours go in one piece, and nothing is copied before something changes.
    run: Range<usize>,
    /// The offset deltas of the last record that goes out and of the last there is.
    last: Option<i32>,
    seen: Option<i32>,
    kept: u32,
    replaced: u32,
    withheld: u32,
    done: bool,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// Where in the output the new bytes are (one batch, one batch and a filler, or a filler); none: nothing changed, and
    /// the original bytes are to be sent.
    pub output: Option<Range<usize>>,
    /// Records that go out as they came.
    pub kept: u32,
    /// Records that go out with another value.
    pub replaced: u32,
    /// Records that do not go out.
    pub withheld: u32,
}

impl<'a, 'o> Rewrite<'a, 'o> {
    pub(super) fn new(body: Body<'a>, out: &'o mut Vec<u8>) -> Self {
        let records = if body.batch.is_control() { Records::new(&[], 0, 0) } else { body.records() };
        let start = out.len();
        Self {
            body,
            records,
            current: None,
            failed: None,
            out,
            start,
            run: 0..0,
            last: None,
            seen: None,
            kept: 0,
            replaced: 0,
            withheld: 0,
            done: false,
        }
    }

    /// The next record, which the following decision is about; none at the end (control batches have none to decide on).
    #[inline]
    pub fn advance(&mut self) -> Result<Option<Record<'a>>, RecordsError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.withhold();
        match self.records.next() {
            None => Ok(None),
            Some(Ok(record)) => {
                self.seen = Some(record.offset_delta);
                self.current = Some(record);
                Ok(Some(record))
            }
            Some(Err(error)) => Err(self.fail(error)),
        }
    }

    /// The record goes out as it came.
    #[inline]
    pub fn keep(&mut self) {
        let Some(record) = self.current.take() else { return };
        if self.run.end == record.at && !self.run.is_empty() {
            self.run.end = record.end;
        } else {
            self.flush();
            self.run = record.at..record.end;
        }
        self.last = Some(record.offset_delta);
        self.kept += 1;
    }

    /// The record does not go out.
    #[inline]
    pub fn withhold(&mut self) {
        if self.current.take().is_some() {
            self.withheld += 1;
        }
    }

    /// The record goes out with this value.
    #[inline]
    pub fn replace(&mut self, value: &[u8]) {
        let Some(record) = self.current.take() else { return };
        let known = Varint::of(value.len()).and_then(|width| {
            let body = record.head().len() + width.as_slice().len() + value.len() + record.headers.len();
            Some((Varint::of(body)?, width))
        });
        let Some((length, width)) = known else {
            self.fail(RecordsError::BatchTooLong);
            return;
        };
        self.flush();
        self.begin();
        for part in [length.as_slice(), record.head(), width.as_slice(), value, record.headers] {
            self.out.extend_from_slice(part);
        }
        self.went(&record);
    }

    /// The record goes out with the value that `write` appends to the output: nothing is copied once more, so a sealed
    /// value may be copied there, opened in place, blanked in place and shortened. Bytes before those appended are not
    /// `write`'s to touch.
    ///
    /// After an error what it wrote is taken back, and the record waits for another decision (or is withheld).
    #[inline]
    pub fn replace_with<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        let Some(record) = self.current else { return Ok(()) };
        self.flush();
        let before = self.out.len();
        self.begin();
        // The lengths stand before what they measure: the old ones hold their places, and are nearly always as wide.
        let length_at = self.out.len()..self.out.len() + record.prefix;
        self.out.extend_from_slice(record.lead);
        let width_at = self.out.len() - record.width..self.out.len();
        if let Err(error) = write(self.out) {
            self.out.truncate(before);
            return Err(error);
        }
        self.current = None;
        let Some(value) = self.out.len().checked_sub(width_at.end) else {
            self.fail(RecordsError::Output);
            return Ok(());
        };
        let Some(width) = Varint::of(value) else {
            self.fail(RecordsError::BatchTooLong);
            return Ok(());
        };
        put(self.out, width_at, width.as_slice());
        self.out.extend_from_slice(record.headers);
        let Some(length) = self.out.len().checked_sub(length_at.end).and_then(Varint::of) else {
            self.fail(RecordsError::BatchTooLong);
            return Ok(());
        };
        put(self.out, length_at, length.as_slice());
        self.went(&record);
        Ok(())
    }

    /// Completes the batch. Records not yet asked for are withheld, and read all the same: a batch is right as a whole.
    pub fn finish(mut self) -> Result<Rewritten, RecordsError> {
        while self.advance()?.is_some() {}
        let (kept, replaced, withheld) = (self.kept, self.replaced, self.withheld);
        if replaced == 0 && withheld == 0 {
            // Dropped as it is: where a writer failed, records before it may have been copied already.
            return Ok(Rewritten { output: None, kept, replaced, withheld });
        }
        self.flush();
        if let Some(last) = self.last {
            self.seal(last)?;
        }
        if self.last != self.seen {
            filler::append(self.body.header, self.body.batch.last_offset, self.out)?;
        }
        self.done = true;
        Ok(Rewritten { output: Some(self.start..self.out.len()), kept, replaced, withheld })
    }

    /// Fills in what the new batch's header has of its own.
    fn seal(&mut self, last: i32) -> Result<(), RecordsError> {
        let count = i32::try_from(self.kept + self.replaced).map_err(|_| RecordsError::BatchTooLong)?;
        let mut batch = Fields { bytes: self.out.get_mut(self.start..).unwrap_or_default() };
        batch.put(field::ATTRIBUTES, (self.body.batch.attributes & !7).to_be_bytes());
        batch.put(field::COUNT, count.to_be_bytes());
        if self.last != self.seen {
            batch.put(field::LAST_OFFSET_DELTA, last.to_be_bytes());
        }
        batch.seal()
    }

    fn went(&mut self, record: &Record<'_>) {
        self.last = Some(record.offset_delta);
        self.replaced += 1;
    }

    /// Copies the records kept so far.
    fn flush(&mut self) {
        if !self.run.is_empty() {
            self.begin();
            self.out.extend_from_slice(self.body.records.get(self.run.clone()).unwrap_or_default());
            self.run = 0..0;
        }
    }

    /// Writes the header, if it is not there, and makes room for the batch as large as it is likely to be.
    fn begin(&mut self) {
        if self.out.len() == self.start {
            self.out.reserve(HEADER + self.body.records.len() + FILLER);
            self.out.extend_from_slice(self.body.header);
        }
    }

    #[cold]
    fn fail(&mut self, error: RecordsError) -> RecordsError {
        self.failed = Some(error.clone());
        error
    }
}

/// No content: the output holds opened values.
impl fmt::Debug for Rewrite<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rewrite")
            .field("body", &self.body)
            .field("current", &self.current)
            .field("kept", &self.kept)
            .field("replaced", &self.replaced)
            .field("withheld", &self.withheld)
            .finish_non_exhaustive()
    }
}

impl Drop for Rewrite<'_, '_> {
    fn drop(&mut self) {
        if !self.done {
            self.out.truncate(self.start);
        }
    }
}

/// Puts a length into the place left for it, which is rarely too wide or too narrow.
#[inline]
fn put(out: &mut Vec<u8>, place: Range<usize>, length: &[u8]) {
    if place.len() == length.len()
        && let Some(place) = out.get_mut(place.clone())
    {
        place.copy_from_slice(length);
    } else {
        out.splice(place, length.iter().copied());
    }
}
