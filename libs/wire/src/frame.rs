//! Frames: a four-byte big-endian length, then that many bytes. And the head of a request, read without its body.

use crate::{WireError, read::Reader};

/// Bytes of the length prefix.
pub const PREFIX: usize = 4;

/// The length that a prefix announces, if it lies within `cap`.
///
/// Bytes of other protocols fail here at once: a TLS hello (`16 03 01 ..`) announces 369 MB, `GET ` 1.2 GB.
pub fn length(prefix: [u8; PREFIX], cap: usize) -> Result<usize, WireError> {
    let claimed = i32::from_be_bytes(prefix);
    match usize::try_from(claimed) {
        Ok(n) if n <= cap && n >= 4 => Ok(n),
        _ => Err(WireError::FrameSize { claimed: i64::from(claimed), cap }),
    }
}

/// The head of a request frame (without its length prefix).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHead {
    /// Which API.
    pub key: i16,
    /// Which version of it.
    pub version: i16,
    /// Chosen by the client; the answer repeats it.
    pub correlation: i32,
}

impl RequestHead {
    /// Reads the first eight bytes. Says nothing about whether the API is served.
    pub fn peek(frame: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(frame);
        Ok(Self { key: reader.i16()?, version: reader.i16()?, correlation: reader.i32()? })
    }

    /// Where the body begins, having passed the client id and (in flexible versions) the header's tagged fields.
    pub fn body_at(frame: &[u8], flexible: bool) -> Result<usize, WireError> {
        let mut reader = Reader::at(frame, 8);
        // The client id is never compact, not even in flexible headers (KIP-511).
        reader.text_range(false)?;
        if flexible {
            reader.tags(|_, _| ())?;
        }
        Ok(reader.position())
    }
}

/// The correlation id of a response frame (without its length prefix).
pub fn response_correlation(frame: &[u8]) -> Result<i32, WireError> {
    Reader::new(frame).i32()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_protocols_are_too_long() {
        for prefix in [*b"\x16\x03\x01\x02", *b"GET ", *b"\xff\xff\xff\xff", *b"\x00\x00\x00\x03"] {
            assert!(matches!(length(prefix, 1 << 20), Err(WireError::FrameSize { .. })), "{prefix:?}");
        }
        assert_eq!(length([0, 0, 1, 0], 1 << 20), Ok(256));
    }

    #[test]
    fn a_short_head_is_an_error() {
        assert!(RequestHead::peek(&[0, 1, 0]).is_err());
        assert!(RequestHead::body_at(&[0, 18, 0, 3, 0, 0, 0, 1, 0, 9, b'x'], true).is_err());
        assert_eq!(RequestHead::body_at(&[0, 18, 0, 3, 0, 0, 0, 1, 0, 1, b'x', 0, 9], true), Ok(12));
    }
}
