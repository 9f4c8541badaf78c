//! The filler: a control batch of one record of a type that no client knows, which moves every client past an offset
//! without giving it anything.

use std::ops::Range;

use super::RecordsError;
use crate::batch::{self, CONTROL, HEADER, OVERHEAD, field};

/// Bytes of a filler.
pub const FILLER: usize = HEADER + RECORD.len();

/// Length 10; attributes and both deltas 0; key of four bytes: version 0, type 0x7fff; an empty value; no header.
const RECORD: [u8; 11] = [20, 0, 0, 0, 8, 0, 0, 0x7f, 0xff, 0, 0];

/// Appends a filler in the place of a whole batch, whose records need not be readable; `bytes` must be exactly one batch.
/// Gives where it stands in `out`.
pub fn skip(bytes: &[u8], out: &mut Vec<u8>) -> Result<Range<usize>, RecordsError> {
    let not_one = || RecordsError::NotOneBatch { given: bytes.len() };
    let batch = batch::batches(bytes).next().ok_or_else(not_one)??;
    let header = bytes.first_chunk::<HEADER>().filter(|_| batch.range.len() == bytes.len()).ok_or_else(not_one)?;
    let start = out.len();
    append(header, batch.last_offset, out)?;
    Ok(start..out.len())
}

/// Appends a filler at `offset`, in the place of records of the batch with this header.
///
/// It belongs to no transaction (producer id -1, not transactional), whatever the batch did: clients that read committed
/// records look for the end of a transaction in the control batches of its producer, and pass over one without. Its leader
/// epoch is the batch's, for clients remember the last they saw; so is its timestamp.
pub(super) fn append(header: &[u8; HEADER], offset: i64, out: &mut Vec<u8>) -> Result<(), RecordsError> {
    let start = out.len();
    out.extend_from_slice(header);
    out.extend_from_slice(&RECORD);
    let mut batch = Fields { bytes: out.get_mut(start..).unwrap_or_default() };
    let max_timestamp = header.get(field::MAX_TIMESTAMP..).and_then(|bytes| bytes.first_chunk::<8>()).copied();
    batch.put(0, offset.to_be_bytes());
    batch.put(field::ATTRIBUTES, CONTROL.to_be_bytes());
    batch.put(field::LAST_OFFSET_DELTA, 0i32.to_be_bytes());
    batch.put(field::BASE_TIMESTAMP, max_timestamp.unwrap_or_default());
    batch.put(field::PRODUCER_ID, (-1i64).to_be_bytes());
    batch.put(field::PRODUCER_EPOCH, (-1i16).to_be_bytes());
    batch.put(field::BASE_SEQUENCE, (-1i32).to_be_bytes());
    batch.put(field::COUNT, 1i32.to_be_bytes());
    batch.seal()
}

/// The fields of a batch that is being written.
pub(super) struct Fields<'a> {
    pub(super) bytes: &'a mut [u8],
}

impl Fields<'_> {
    pub(super) fn put<const N: usize>(&mut self, at: usize, value: [u8; N]) {
        if let Some(place) = self.bytes.get_mut(at..at + N) {
            place.copy_from_slice(&value);
        }
    }

    /// The last two: length and checksum.
    pub(super) fn seal(&mut self) -> Result<(), RecordsError> {
        let length = i32::try_from(self.bytes.len().saturating_sub(OVERHEAD));
        self.put(field::LENGTH, length.map_err(|_| RecordsError::BatchTooLong)?.to_be_bytes());
        let crc = crc32c::crc32c(self.bytes.get(field::ATTRIBUTES..).unwrap_or_default());
        self.put(field::CRC, crc.to_be_bytes());
        Ok(())
    }
}
