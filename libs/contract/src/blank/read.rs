//! Avro's binary encoding, only as far as it takes to find the end of a value. Every read is bounded by the bytes given.
//!
//! Specification: <https://avro.apache.org/docs/1.12.0/specification/#binary-encoding>.

use super::Reason;

/// Bytes of the longest number.
const LONGEST: usize = 10;

/// A zigzag number at `at`, and where it ends. Longer encodings than necessary are read, as every Avro reader does.
#[inline]
pub(super) fn long(bytes: &[u8], at: usize) -> Result<(i64, usize), Reason> {
    match bytes.get(at) {
        Some(&byte) if byte < 0x80 => Ok((unzigzag(u64::from(byte)), at + 1)),
        Some(_) => several(bytes, at),
        None => Err(Reason::Truncated),
    }
}

/// A number of several bytes.
fn several(bytes: &[u8], at: usize) -> Result<(i64, usize), Reason> {
    let mut value = 0_u64;
    let mut shift = 0_u32;
    let bytes = bytes.get(at..).unwrap_or_default();
    for (index, &byte) in bytes.iter().take(LONGEST).enumerate() {
        // The tenth byte has room for one bit.
        if shift == 63 && byte > 1 {
            return Err(Reason::Number);
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok((unzigzag(value), at + index + 1));
        }
        shift += 7;
    }
    Err(if bytes.len() < LONGEST { Reason::Truncated } else { Reason::Number })
}

const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// The encoding of a count, and how many bytes of the array it takes.
pub(super) fn encode(count: usize) -> ([u8; LONGEST], usize) {
    let mut encoded = [0; LONGEST];
    // A count is below 2^63: the zigzag of what is not negative is its double.
    let mut value = (count as u64) << 1;
    let mut length = 0;
    for slot in &mut encoded {
        length += 1;
        *slot = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            break;
        }
        *slot |= 0x80;
    }
    (encoded, length)
}

/// Passes a number, whatever it is.
#[inline]
pub(super) fn any_long(bytes: &[u8], at: usize) -> Result<usize, Reason> {
    match short(bytes, at) {
        Some(length) => Ok(at + length),
        None => Ok(long(bytes, at)?.1),
    }
}

/// Passes a number of 32 bits.
#[inline]
pub(super) fn int(bytes: &[u8], at: usize) -> Result<usize, Reason> {
    match short(bytes, at) {
        // 28 bits at most.
        Some(length @ ..=4) => Ok(at + length),
        _ => match long(bytes, at)? {
            (value, at) if i32::try_from(value).is_ok() => Ok(at),
            _ => Err(Reason::Number),
        },
    }
}

/// How many bytes the number at `at` takes, if no more than eight and if eight are there: found at once, without a branch
/// for each.
#[inline]
fn short(bytes: &[u8], at: usize) -> Option<usize> {
    let word = u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?);
    let last = !word & 0x8080_8080_8080_8080;
    (last != 0).then(|| last.trailing_zeros() as usize / 8 + 1)
}

/// Passes `length` bytes.
#[inline]
pub(super) fn fixed(bytes: &[u8], at: usize, length: usize) -> Result<usize, Reason> {
    match at.checked_add(length) {
        Some(end) if end <= bytes.len() => Ok(end),
        _ => Err(Reason::Truncated),
    }
}

/// A number that is not negative.
pub(super) fn length(bytes: &[u8], at: usize) -> Result<(usize, usize), Reason> {
    let (length, at) = long(bytes, at)?;
    Ok((usize::try_from(length).map_err(|_| Reason::Length)?, at))
}

/// Passes a length and so many bytes.
#[inline]
pub(super) fn prefixed(bytes: &[u8], at: usize) -> Result<usize, Reason> {
    if let Some(&[first, second]) = bytes.get(at..).and_then(<[u8]>::first_chunk)
        && let Some(length) = with_prefix(first, second)
    {
        return fixed(bytes, at, length);
    }
    let (length, at) = length(bytes, at)?;
    fixed(bytes, at, length)
}

/// The length of a value with its prefix, from the first two bytes of that, if the prefix has no more. Which of the two
/// it has cannot be foreseen, so there is no branch between them.
#[inline]
fn with_prefix(first: u8, second: u8) -> Option<usize> {
    let one = first < 0x80;
    let low = usize::from(first & 0x7f) >> 1;
    let length = if one { low + 1 } else { (low | usize::from(second) << 6) + 2 };
    (first & 1 == 0 && (one || second < 0x80)).then_some(length)
}

/// Passes null or bytes, whose branches are encoded as `null` and `value`. Whether a field is there cannot be foreseen, so
/// there is no branch for it either.
#[inline]
pub(super) fn optional(bytes: &[u8], at: usize, null: u8, value: u8) -> Result<usize, Reason> {
    if let Some(&[branch, first, second]) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let there = branch == value;
        let length = with_prefix(first, second);
        if (there && length.is_some()) || branch == null {
            let length = if there { length.unwrap_or(0) + 1 } else { 1 };
            return fixed(bytes, at, length);
        }
    }
    optional_long(bytes, at, null, value)
}

/// Near the end, or encoded longer than necessary, or neither.
fn optional_long(bytes: &[u8], at: usize, null: u8, value: u8) -> Result<usize, Reason> {
    match long(bytes, at)? {
        (branch, at) if branch << 1 == i64::from(value) => prefixed(bytes, at),
        (branch, at) if branch << 1 == i64::from(null) => Ok(at),
        _ => Err(Reason::Branch),
    }
}

/// Passes a boolean.
pub(super) fn boolean(bytes: &[u8], at: usize) -> Result<usize, Reason> {
    match bytes.get(at) {
        Some(0 | 1) => Ok(at + 1),
        Some(_) => Err(Reason::Boolean),
        None => Err(Reason::Truncated),
    }
}

/// Passes one of so many symbols.
#[inline]
pub(super) fn symbol(bytes: &[u8], at: usize, symbols: usize) -> Result<usize, Reason> {
    let (symbol, at) = long(bytes, at)?;
    if usize::try_from(symbol).is_ok_and(|symbol| symbol < symbols) { Ok(at) } else { Err(Reason::Symbol) }
}
