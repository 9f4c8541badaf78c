//! The records inside a batch (magic 2), on slices: read, withheld, replaced, and the batch written anew.
//!
//! One batch at a time, and nothing allocated per record:
//!
//! 1. [`open`] takes the bytes of one whole batch. Compressed records are unpacked into a buffer of the caller's, never
//!    beyond a limit; others stay where they are.
//! 2. [`Body::records`] walks them. Keys, values and headers are slices.
//! 3. [`Body::rewrite`] walks them too and takes a decision for each: keep, withhold, or another value, which the caller
//!    writes where it will stand. Nothing changed means the original bytes; otherwise a new batch is appended to the
//!    caller's output.
//!
//! What a client cannot see from outside must not change: the header is copied verbatim but for count, compression, length
//! and CRC, records that are kept are copied byte for byte, and the offsets still reach to where they reached (see
//! [`rewrite`] for what happens when the last records are withheld).
//!
//! Source: Kafka protocol, "Record Batch"; `DefaultRecordBatch.java`, `DefaultRecord.java`.

mod body;
mod compression;
mod error;
mod filler;
mod gzip;
mod lz4;
mod record;
pub mod rewrite;
mod snappy;
mod varint;
mod zstd;

pub use body::{Body, check_crc, open};
pub use compression::{Compression, Decompressor};
pub use error::RecordsError;
pub use filler::{FILLER, skip};
pub use record::{Header, Headers, Record, Records};
pub use rewrite::{Rewrite, Rewritten};
