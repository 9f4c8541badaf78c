//! One batch with its records at hand.

use std::fmt;

use super::{Compression, Decompressor, Records, RecordsError, Rewrite};
use crate::batch::{self, Batch, HEADER, field};

/// One batch and its records, uncompressed.
#[derive(Clone)]
pub struct Body<'a> {
    pub(super) header: &'a [u8; HEADER],
    pub(super) batch: Batch,
    pub(super) records: &'a [u8],
}

/// Takes `bytes`, which must be exactly one batch (as [`batch::batches`] finds them). Compressed records are unpacked
/// into `buffer`, whatever it held; otherwise it stays as it is.
///
/// The checksum is not looked at: see [`check_crc`].
pub fn open<'a>(
    bytes: &'a [u8],
    decompressor: &mut Decompressor,
    buffer: &'a mut Vec<u8>,
) -> Result<Body<'a>, RecordsError> {
    let not_one = || RecordsError::NotOneBatch { given: bytes.len() };
    let batch = batch::batches(bytes).next().ok_or_else(not_one)??;
    let (header, rest) = bytes.split_first_chunk::<HEADER>().ok_or_else(not_one)?;
    if batch.range.len() != bytes.len() {
        return Err(not_one());
    }
    let compression = Compression::of(&batch)?;
    let records = match compression {
        // A batch that compaction emptied holds nothing, whatever its attributes say.
        _ if rest.is_empty() => rest,
        Compression::None => rest,
        _ => {
            decompressor.decompress(compression, rest, buffer)?;
            buffer.as_slice()
        }
    };
    Ok(Body { header, batch, records })
}

impl<'a> Body<'a> {
    /// What the header says.
    pub const fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Bytes of all records, uncompressed.
    pub const fn size(&self) -> usize {
        self.records.len()
    }

    /// Walks the records.
    pub fn records(&self) -> Records<'a> {
        let last_delta = self.batch.last_offset - self.batch.base_offset;
        let count = u32::try_from(self.batch.count).unwrap_or(0);
        Records::new(self.records, count, i32::try_from(last_delta).unwrap_or(i32::MAX))
    }

    /// Walks the records and takes a decision for each; a changed batch is appended to `out`.
    pub fn rewrite<'o>(&self, out: &'o mut Vec<u8>) -> Rewrite<'a, 'o> {
        Rewrite::new(self.clone(), out)
    }
}

impl fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("batch", &self.batch).field("size", &self.records.len()).finish_non_exhaustive()
    }
}

/// Whether the checksum of a batch holds. Worth asking before a batch is written anew: its new checksum would hide
/// what happened to the old one's bytes.
pub fn check_crc(bytes: &[u8]) -> Result<(), RecordsError> {
    let truncated = || RecordsError::NotOneBatch { given: bytes.len() };
    let (_, after) = bytes.split_at_checked(field::CRC).ok_or_else(truncated)?;
    let (claimed, covered) = after.split_first_chunk::<4>().ok_or_else(truncated)?;
    let (claimed, found) = (u32::from_be_bytes(*claimed), crc32c::crc32c(covered));
    if claimed == found { Ok(()) } else { Err(RecordsError::Crc { claimed, found }) }
}
