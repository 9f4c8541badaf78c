//! Record batches (magic 2) on slices: headers read, records left alone.
//!
//! Source: Kafka protocol, "Record Batch"; `DefaultRecordBatch.java`. The codec's own batch decoder is not used: it loses
//! lastOffsetDelta, maxTimestamp, LogAppendTime, empty batches and duplicate headers, and fails on a truncated tail.

use std::ops::Range;

use crate::{WireError, read::Reader};

/// Bytes of a batch header, from base offset to record count.
pub const HEADER: usize = 61;
/// Bytes before the part that `batch_length` counts.
pub(crate) const OVERHEAD: usize = 12;

/// Where the fields stand that a batch written anew has of its own.
pub(crate) mod field {
    pub(crate) const LENGTH: usize = 8;
    pub(crate) const CRC: usize = 17;
    /// The checksum covers everything from here on.
    pub(crate) const ATTRIBUTES: usize = 21;
    pub(crate) const LAST_OFFSET_DELTA: usize = 23;
    pub(crate) const BASE_TIMESTAMP: usize = 27;
    pub(crate) const MAX_TIMESTAMP: usize = 35;
    pub(crate) const PRODUCER_ID: usize = 43;
    pub(crate) const PRODUCER_EPOCH: usize = 51;
    pub(crate) const BASE_SEQUENCE: usize = 53;
    pub(crate) const COUNT: usize = 57;
}

pub(crate) const CONTROL: i16 = 0x20;
const TRANSACTIONAL: i16 = 0x10;

/// The header of one batch, and where the batch lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Where the whole batch lies, in the slice that was iterated.
    pub range: Range<usize>,
    /// Offset of the first record (of the batch as it was produced).
    pub base_offset: i64,
    /// Offset of the last record, kept by compaction even when that record is gone.
    pub last_offset: i64,
    /// Compression, timestamp type, transactional, control.
    pub attributes: i16,
    /// Records that are really there.
    pub count: i32,
    /// -1 outside transactions and idempotence.
    pub producer_id: i64,
}

impl Batch {
    /// Commit and abort markers: no application data.
    pub const fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// Whether the batch belongs to a transaction.
    pub const fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Application records in the batch.
    pub fn records(&self) -> u32 {
        if self.is_control() { 0 } else { u32::try_from(self.count).unwrap_or(0) }
    }
}

/// The batches of one partition's record set, in order. A truncated last batch (brokers may cut at `max_bytes`) ends the
/// iteration quietly: see [`Batches::tail`].
#[derive(Debug, Clone)]
pub struct Batches<'a> {
    records: &'a [u8],
    at: usize,
}

/// Starts at the beginning of a record set.
pub const fn batches(records: &[u8]) -> Batches<'_> {
    Batches { records, at: 0 }
}

impl Batches<'_> {
    /// What the iteration has not (or, at its end, could not) read as whole batches.
    pub const fn tail(&self) -> Range<usize> {
        self.at..self.records.len()
    }

    fn read(&mut self) -> Result<Option<Batch>, WireError> {
        let start = self.at;
        if self.records.len() - start < HEADER {
            return Ok(None);
        }
        let malformed = |what| WireError::Batch { at: start, what };
        let mut reader = Reader::at(self.records, start);
        let base_offset = reader.i64()?;
        let length = usize::try_from(reader.i32()?).map_err(|_| malformed("negative length"))?;
        if length < HEADER - OVERHEAD {
            return Err(malformed("length below a header's"));
        }
        let _leader_epoch = reader.i32()?;
        if reader.u8()? != 2 {
            return Err(malformed("magic is not 2"));
        }
        let end = start + OVERHEAD + length;
        if end > self.records.len() {
            return Ok(None);
        }
        let _crc = reader.i32()?;
        let attributes = reader.i16()?;
        let last_delta = reader.i32()?;
        let _base_timestamp = reader.i64()?;
        let _max_timestamp = reader.i64()?;
        let producer_id = reader.i64()?;
        let _producer_epoch = reader.i16()?;
        let _base_sequence = reader.i32()?;
        let count = reader.i32()?;
        if base_offset < 0 || last_delta < 0 || count < 0 || i64::from(count) > i64::from(last_delta) + 1 {
            return Err(malformed("offsets and count do not fit together"));
        }
        let last_offset = base_offset.checked_add(i64::from(last_delta)).ok_or_else(|| malformed("offset overflow"))?;
        self.at = end;
        Ok(Some(Batch { range: start..end, base_offset, last_offset, attributes, count, producer_id }))
    }
}

impl Iterator for Batches<'_> {
    type Item = Result<Batch, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.read().transpose();
        if matches!(next, Some(Err(_))) {
            self.at = self.records.len();
        }
        next
    }
}

/// What a response delivers of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// First offset of the first batch.
    pub first: i64,
    /// Last offset of the last batch.
    pub last: i64,
    /// Application records, as the headers count them.
    pub records: u64,
}

/// The extent of a record set; `None` when it holds no whole batch with offsets to tell of.
pub fn extent(records: &[u8]) -> Result<Option<Extent>, WireError> {
    let mut extent: Option<Extent> = None;
    for batch in batches(records) {
        let batch = batch?;
        let found = extent.get_or_insert(Extent { first: batch.base_offset, last: batch.last_offset, records: 0 });
        if batch.base_offset < found.first || batch.last_offset < found.last {
            return Err(WireError::Batch { at: batch.range.start, what: "offsets go backwards" });
        }
        found.last = batch.last_offset;
        found.records += u64::from(batch.records());
    }
    Ok(extent)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A batch with a made-up body of `body` bytes.
    pub(crate) fn batch_bytes(base: i64, last_delta: i32, count: i32, attributes: i16, body: usize) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(base.to_be_bytes());
        out.extend(i32::try_from(HEADER - OVERHEAD + body).unwrap().to_be_bytes());
        out.extend(7i32.to_be_bytes());
        out.push(2);
        out.extend(0u32.to_be_bytes());
        out.extend(attributes.to_be_bytes());
        out.extend(last_delta.to_be_bytes());
        out.extend(1i64.to_be_bytes());
        out.extend(2i64.to_be_bytes());
        out.extend((-1i64).to_be_bytes());
        out.extend((-1i16).to_be_bytes());
        out.extend((-1i32).to_be_bytes());
        out.extend(count.to_be_bytes());
        out.extend(std::iter::repeat_n(0xab, body));
        out
    }

    #[test]
    fn extent_spans_compacted_empty_and_control_batches() {
        let mut records = batch_bytes(10, 4, 2, 0, 30); // compacted: 2 of 5 left
        records.extend(batch_bytes(15, 9, 0, 0, 0)); // empty batch
        records.extend(batch_bytes(25, 0, 1, CONTROL | TRANSACTIONAL, 6)); // marker
        let whole = records.len();
        records.extend(batch_bytes(26, 3, 4, 0, 100).get(..80).unwrap()); // cut by max_bytes
        assert_eq!(extent(&records), Ok(Some(Extent { first: 10, last: 25, records: 2 })));
        let mut iter = batches(&records);
        assert_eq!(iter.by_ref().count(), 3);
        assert_eq!(iter.tail(), whole..whole + 80);
        assert_eq!(extent(&[]), Ok(None));
        assert_eq!(extent(&records[whole..]), Ok(None));
    }

    #[test]
    fn contradictions_are_refused() {
        let mut old_magic = batch_bytes(0, 0, 1, 0, 10);
        old_magic[16] = 1;
        let mut short = batch_bytes(0, 0, 1, 0, 10);
        short[8..12].copy_from_slice(&5i32.to_be_bytes());
        let mut negative = batch_bytes(0, 0, 1, 0, 10);
        negative[8..12].copy_from_slice(&(-1i32).to_be_bytes());
        for bad in [
            old_magic,
            short,
            negative,
            batch_bytes(0, 0, 2, 0, 10),
            batch_bytes(-1, 0, 1, 0, 10),
            batch_bytes(0, -1, 0, 0, 10),
            batch_bytes(i64::MAX, 1, 1, 0, 10),
        ] {
            assert!(matches!(extent(&bad), Err(WireError::Batch { .. })));
        }
        let mut backwards = batch_bytes(10, 0, 1, 0, 0);
        backwards.extend(batch_bytes(5, 0, 1, 0, 0));
        assert!(extent(&backwards).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = extent(&bytes);
        }

        #[test]
        fn corrupted_batches_never_panic(at in 0usize..HEADER, byte in any::<u8>(), body in 0usize..50) {
            let mut bytes = batch_bytes(3, 5, 6, 0, body);
            bytes[at] = byte;
            if let Ok(Some(found)) = extent(&bytes) {
                prop_assert!(found.first <= found.last);
            }
        }
    }
}
