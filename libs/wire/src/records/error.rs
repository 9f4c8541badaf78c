//! What can be wrong with the records of a batch.

use super::Compression;
use crate::WireError;

/// Why a batch's records cannot be read or written. Carries numbers only, never content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordsError {
    /// The batch's header is not readable, or the bytes are not exactly one batch.
    #[error(transparent)]
    Batch(#[from] WireError),
    /// The bytes are not exactly one batch.
    #[error("{given} bytes are not exactly one record batch")]
    NotOneBatch {
        /// How many bytes there are.
        given: usize,
    },
    /// The checksum does not hold.
    #[error("the batch's CRC-32C is {found:#010x}, its header says {claimed:#010x}")]
    Crc {
        /// What the header says.
        claimed: u32,
        /// What the bytes give.
        found: u32,
    },
    /// A compression that Kafka does not know.
    #[error("compression {0} is unknown")]
    UnknownCompression(i16),
    /// The compressed bytes are not what they should be.
    #[error("the {compression} data is malformed: {what}")]
    Compressed {
        /// How they are compressed.
        compression: Compression,
        /// Which rule they break.
        what: &'static str,
    },
    /// The records are larger, uncompressed, than is allowed here.
    #[error("the records take more than {limit} bytes uncompressed")]
    TooLarge {
        /// The most that is allowed, bytes.
        limit: usize,
    },
    /// A record contradicts itself or its batch.
    #[error("the record at byte {at} of the batch's records is malformed: {what}")]
    Record {
        /// Where it starts in the uncompressed records.
        at: usize,
        /// Which rule it breaks.
        what: &'static str,
    },
    /// The batch written anew would be longer than its length field can say.
    #[error("the new batch would be longer than a batch can be")]
    BatchTooLong,
    /// A writer of values removed bytes that were not its own.
    #[error("a value's writer shortened the output below where it began")]
    Output,
}
