//! What can go wrong with an envelope, without what is in it.

/// A value is no envelope that this build can read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// It does not begin with the magic: a plain value on a sealed topic.
    #[error("the value is not sealed")]
    NotSealed,
    /// It begins as an envelope and ends too early.
    #[error("the envelope is truncated: {len} bytes, and header and tag alone take {}", crate::OVERHEAD)]
    Truncated { len: usize },
    /// A newer writer, or damage.
    #[error("the envelope has format version {format}, which this build does not know")]
    UnknownFormat { format: u8 },
    /// A newer writer, or damage.
    #[error("the envelope has flags {flags:#04x}, which this build does not know")]
    UnknownFlags { flags: u8 },
}

/// An envelope does not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The key is another contact's.
    #[error("the key is not of the contact that the envelope names")]
    WrongContact,
    /// The key is another version of the contact's key.
    #[error("the envelope was sealed by version {sealed} of its contact's key, not {given}")]
    WrongKeyVersion { sealed: u32, given: u32 },
    /// The partition was bound, and the reader did not say which one it reads.
    #[error("the envelope is bound to its partition, which was not given")]
    NoPartition,
    /// The reader's buffer has another length than the datum.
    #[error("the datum has {needed} bytes, the buffer for it {given}")]
    Buffer { needed: usize, given: usize },
    /// The tag does not fit: altered, cut, or moved from another topic, partition, key, publisher or kind.
    #[error("the envelope is not authentic: it was altered, cut or moved")]
    NotAuthentic,
    /// Out of memory.
    #[error("the cipher refused the key")]
    Refused,
}

/// A datum could not be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// No nonce, no key.
    #[error("the operating system gives no randomness")]
    Random,
    /// Too long (64 GB), or out of memory.
    #[error("the cipher refused the key or the datum")]
    Refused,
}
