//! A changed frame as slices of the old one and new bytes in between, ready for a vectored write: nothing is copied but
//! what changes.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use crate::frame::PREFIX;

/// Replacements in a frame. Ranges are positions in the frame *without* its length prefix and must not overlap.
#[derive(Debug, Default)]
pub struct Patch {
    edits: Vec<(Range<usize>, Bytes)>,
}

impl Patch {
    /// No edit yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts `new` in the place of `range` (an empty range inserts). Edits at one place keep their order.
    pub fn replace(&mut self, range: Range<usize>, new: impl Into<Bytes>) {
        self.edits.push((range, new.into()));
    }

    /// Whether the frame goes out as it came.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// The pieces of the new frame, length prefix first. `frame` has no prefix.
    ///
    /// An edit that overlaps an earlier one is dropped together with the bytes it covers being cut once; callers edit
    /// disjoint fields.
    pub fn pieces(mut self, frame: &Bytes) -> Vec<Bytes> {
        self.edits.sort_by_key(|(range, _)| range.start);
        let mut pieces = Vec::with_capacity(self.edits.len() * 2 + 2);
        pieces.push(Bytes::new());
        let mut at = 0;
        for (range, new) in self.edits {
            let start = range.start.clamp(at, frame.len());
            let end = range.end.clamp(start, frame.len());
            if start > at {
                pieces.push(frame.slice(at..start));
            }
            if !new.is_empty() {
                pieces.push(new);
            }
            at = end;
        }
        if at < frame.len() {
            pieces.push(frame.slice(at..));
        }
        let total: usize = pieces.iter().map(Bytes::len).sum();
        let mut prefix = BytesMut::with_capacity(PREFIX);
        prefix.put_u32(u32::try_from(total).unwrap_or(u32::MAX));
        if let Some(first) = pieces.first_mut() {
            *first = prefix.freeze();
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_and_insertions_in_any_order() {
        let frame = Bytes::from_static(b"0123456789");
        let mut patch = Patch::new();
        patch.replace(8..10, Bytes::from_static(b"end"));
        patch.replace(2..4, Bytes::new());
        patch.replace(5..5, Bytes::from_static(b"<a>"));
        patch.replace(5..5, Bytes::from_static(b"<b>"));
        let out: Vec<u8> = patch.pieces(&frame).concat();
        assert_eq!(&out[4..], b"014<a><b>567end");
        assert_eq!(out[..4], 15u32.to_be_bytes());
    }

    #[test]
    fn no_edit_is_the_same_frame() {
        let out: Vec<u8> = Patch::new().pieces(&Bytes::from_static(b"abcd")).concat();
        assert_eq!(out, b"\0\0\0\x04abcd");
    }
}
