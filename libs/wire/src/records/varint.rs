//! Kafka's signed varints (zig-zag, little-endian groups of seven bits), as Protocol Buffers has them.

/// Takes a 32-bit one off the front; `None` when the bytes end first or it does not fit.
#[inline]
pub(super) fn take_i32(bytes: &mut &[u8]) -> Option<i32> {
    let value = match short(bytes) {
        Some(value) => value,
        None => u32::try_from(long(bytes, 5)?).ok()?,
    };
    Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
}

/// Takes a 64-bit one off the front; `None` when the bytes end first or it does not fit.
#[inline]
pub(super) fn take_i64(bytes: &mut &[u8]) -> Option<i64> {
    let value = match short(bytes) {
        Some(value) => u64::from(value),
        None => long(bytes, 10)?,
    };
    Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
}

/// One or two bytes: nearly all of them.
#[inline]
fn short(bytes: &mut &[u8]) -> Option<u32> {
    match **bytes {
        [first, ref rest @ ..] if first < 0x80 => {
            *bytes = rest;
            Some(u32::from(first))
        }
        [first, second, ref rest @ ..] if second < 0x80 => {
            *bytes = rest;
            Some(u32::from(first & 0x7f) | u32::from(second) << 7)
        }
        _ => None,
    }
}

#[cold]
fn long(bytes: &mut &[u8], most: usize) -> Option<u64> {
    let mut value = 0u64;
    let mut shift = 0u32;
    for (i, &byte) in bytes.iter().take(most).enumerate() {
        let group = u64::from(byte & 0x7f);
        if shift == 63 && group > 1 {
            return None;
        }
        value |= group << shift;
        if byte < 0x80 {
            *bytes = bytes.get(i + 1..)?;
            return Some(value);
        }
        shift += 7;
    }
    None
}

/// A length as the wire has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Varint {
    bytes: [u8; 5],
    len: usize,
}

impl Varint {
    /// The shortest form; `None` beyond 31 bits.
    #[inline]
    pub(super) fn of(length: usize) -> Option<Self> {
        let mut value = u32::try_from(i32::try_from(length).ok()?).ok()? << 1;
        let mut bytes = [0; 5];
        let mut len = 0;
        for byte in &mut bytes {
            len += 1;
            *byte = (value & 0x7f) as u8;
            value >>= 7;
            if value == 0 {
                break;
            }
            *byte |= 0x80;
        }
        Some(Self { bytes, len })
    }

    #[inline]
    pub(super) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn zigzag(value: i64) -> Vec<u8> {
        let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
        let mut out = Vec::new();
        while rest >= 0x80 {
            out.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        out.push((rest & 0x7f) as u8);
        out
    }

    #[test]
    fn what_protocol_buffers_says() {
        for (value, bytes) in [
            (0, &[0][..]),
            (-1, &[1]),
            (1, &[2]),
            (63, &[0x7e]),
            (-64, &[0x7f]),
            (64, &[0x80, 1]),
            (8191, &[0xfe, 0x7f]),
            (8192, &[0x80, 0x80, 1]),
            (i32::MAX, &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
            (i32::MIN, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        ] {
            let mut rest = bytes;
            assert_eq!(take_i32(&mut rest), Some(value));
            assert!(rest.is_empty());
            if let Ok(length) = usize::try_from(value) {
                assert_eq!(Varint::of(length).unwrap().as_slice(), bytes);
            }
        }
        assert_eq!(Varint::of(1 << 31), None);
    }

    #[test]
    fn too_long_too_short_too_large() {
        for bad in [&[][..], &[0x80], &[0xff; 4], &[0xff; 5], &[0xff, 0xff, 0xff, 0xff, 0x10], &[0x80; 9]] {
            let mut rest = bad;
            assert_eq!(take_i32(&mut rest), None);
        }
        for bad in [&[0xff; 10][..], &[0xff; 9], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]] {
            let mut rest = bad;
            assert_eq!(take_i64(&mut rest), None);
        }
        // A length may be written longer than it needs to be, as Java's reader allows.
        assert_eq!(take_i32(&mut &[0x82, 0x80, 0][..]), Some(1));
    }

    proptest! {
        #[test]
        fn they_go_round(narrow in any::<i32>(), wide in any::<i64>(), tail in proptest::collection::vec(any::<u8>(), 0..5)) {
            let bytes = [zigzag(narrow.into()), zigzag(wide), tail.clone()].concat();
            let mut rest = bytes.as_slice();
            prop_assert_eq!(take_i32(&mut rest), Some(narrow));
            prop_assert_eq!(take_i64(&mut rest), Some(wide));
            prop_assert_eq!(rest, tail.as_slice());
        }
    }
}
