//! What can be wrong with bytes from the wire.

/// Why bytes are not the Kafka message they claim to be. Carries numbers only, never content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The frame's length prefix is negative or beyond the cap in force (TLS and HTTP bytes end here too).
    #[error("a frame claims {claimed} bytes; at most {cap} are allowed here")]
    FrameSize {
        /// The length prefix read as a signed number.
        claimed: i64,
        /// The cap, bytes.
        cap: usize,
    },
    /// The bytes end before the message does.
    #[error("the message ends early, at byte {at}")]
    Truncated {
        /// Where the reader stood.
        at: usize,
    },
    /// A length or count inside the message is negative, or larger than what follows can hold.
    #[error("a length of {claimed} at byte {at} is impossible")]
    Length {
        /// Where it stands.
        at: usize,
        /// What it says.
        claimed: i64,
    },
    /// A variable-length integer is longer than five bytes.
    #[error("a malformed varint at byte {at}")]
    Varint {
        /// Where it stands.
        at: usize,
    },
    /// A string is not UTF-8.
    #[error("a string at byte {at} is not UTF-8")]
    Utf8 {
        /// Where it stands.
        at: usize,
    },
    /// Bytes are left over after the message.
    #[error("{left} bytes are left over after the message")]
    Trailing {
        /// How many.
        left: usize,
    },
    /// An API key or version that the table does not hold.
    #[error("api {key} version {version} is not served")]
    Unserved {
        /// Api key.
        key: i16,
        /// Api version.
        version: i16,
    },
    /// The message codec refused.
    #[error("api {key} version {version} does not decode")]
    Codec {
        /// Api key.
        key: i16,
        /// Api version.
        version: i16,
    },
    /// A record batch's header contradicts itself.
    #[error("a record batch at byte {at} is malformed: {what}")]
    Batch {
        /// Where it starts in the record set.
        at: usize,
        /// Which rule it breaks.
        what: &'static str,
    },
}
