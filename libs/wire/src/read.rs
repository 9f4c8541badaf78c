//! A cursor over a slice that never panics and never allocates from a claimed length.

use std::ops::Range;

use crate::WireError;

/// Reads Kafka's primitive types from a slice, keeping count of the position.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the beginning.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Starts at `at` (positions stay relative to the slice's beginning).
    pub const fn at(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// Bytes consumed so far.
    pub const fn position(&self) -> usize {
        self.at
    }

    /// Bytes not yet consumed.
    pub const fn remaining(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], WireError> {
        let end = self.at.checked_add(n).ok_or(WireError::Truncated { at: self.at })?;
        let out = self.bytes.get(self.at..end).ok_or(WireError::Truncated { at: self.at })?;
        self.at = end;
        Ok(out)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let at = self.at;
        self.take(N)?.try_into().map_err(|_| WireError::Truncated { at })
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, WireError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    /// Big-endian 16 bits.
    pub fn i16(&mut self) -> Result<i16, WireError> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    /// Big-endian 32 bits.
    pub fn i32(&mut self) -> Result<i32, WireError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    /// Big-endian 64 bits.
    pub fn i64(&mut self) -> Result<i64, WireError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// Sixteen bytes.
    pub fn uuid(&mut self) -> Result<[u8; 16], WireError> {
        self.array()
    }

    /// An unsigned varint of at most 32 bits.
    pub fn uvarint(&mut self) -> Result<u32, WireError> {
        let start = self.at;
        let mut value = 0u64;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| WireError::Varint { at: start });
            }
        }
        Err(WireError::Varint { at: start })
    }

    /// A count of array elements; `None` is a null array. At most one element per remaining byte is believed.
    pub fn count(&mut self, flexible: bool) -> Result<Option<usize>, WireError> {
        let at = self.at;
        let claimed = if flexible { i64::from(self.uvarint()?) - 1 } else { i64::from(self.i32()?) };
        self.believed(at, claimed)
    }

    /// A length of bytes or of a record set; `None` is null.
    pub fn bytes_len(&mut self, flexible: bool) -> Result<Option<usize>, WireError> {
        self.count(flexible)
    }

    fn believed(&self, at: usize, claimed: i64) -> Result<Option<usize>, WireError> {
        if claimed == -1 {
            return Ok(None);
        }
        match usize::try_from(claimed) {
            Ok(n) if n <= self.remaining() => Ok(Some(n)),
            _ => Err(WireError::Length { at, claimed }),
        }
    }

    /// A nullable string, as its range; not checked for UTF-8.
    pub fn text_range(&mut self, flexible: bool) -> Result<Option<Range<usize>>, WireError> {
        let at = self.at;
        let claimed = if flexible { i64::from(self.uvarint()?) - 1 } else { i64::from(self.i16()?) };
        match self.believed(at, claimed)? {
            None => Ok(None),
            Some(n) => {
                let start = self.at;
                self.take(n)?;
                Ok(Some(start..self.at))
            }
        }
    }

    /// A nullable string.
    pub fn text(&mut self, flexible: bool) -> Result<Option<&'a str>, WireError> {
        let Some(range) = self.text_range(flexible)? else { return Ok(None) };
        let at = range.start;
        let bytes = self.bytes.get(range).ok_or(WireError::Truncated { at })?;
        std::str::from_utf8(bytes).map(Some).map_err(|_| WireError::Utf8 { at })
    }

    /// Skips a tagged-field section (KIP-482), telling each tag and the range of its value to `seen`.
    pub fn tags(&mut self, mut seen: impl FnMut(u32, Range<usize>)) -> Result<(), WireError> {
        let at = self.at;
        let count = self.uvarint()?;
        if usize::try_from(count).map_or(true, |n| n > self.remaining()) {
            return Err(WireError::Length { at, claimed: i64::from(count) });
        }
        for _ in 0..count {
            let tag = self.uvarint()?;
            let at = self.at;
            let size = self.uvarint()?;
            let n = self.believed(at, i64::from(size))?.unwrap_or(0);
            let start = self.at;
            self.take(n)?;
            seen(tag, start..self.at);
        }
        Ok(())
    }
}

/// Appends an unsigned varint.
pub fn put_uvarint(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn claims_beyond_the_slice_are_refused() {
        let mut bomb = vec![0x7f, 0xff, 0xff, 0xff];
        assert!(matches!(Reader::new(&bomb).count(false), Err(WireError::Length { .. })));
        bomb = vec![0xff, 0xff, 0xff, 0xff, 0x0f];
        assert!(matches!(Reader::new(&bomb).count(true), Err(WireError::Length { .. })));
        bomb = vec![0xff; 6];
        assert!(matches!(Reader::new(&bomb).uvarint(), Err(WireError::Varint { .. })));
        assert!(matches!(Reader::new(&[0xff, 0xfe]).text(false), Err(WireError::Length { claimed: -2, .. })));
    }

    proptest! {
        #[test]
        fn varints_go_round(value in any::<u32>()) {
            let mut out = Vec::new();
            put_uvarint(&mut out, value);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.uvarint(), Ok(value));
            prop_assert_eq!(reader.remaining(), 0);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), flexible in any::<bool>()) {
            let mut r = Reader::new(&bytes);
            let _ = r.count(flexible);
            let _ = r.text(flexible);
            let _ = r.tags(|_, _| ());
            let _ = r.uuid();
        }
    }
}
