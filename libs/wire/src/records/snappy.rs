//! Snappy as Kafka meets it: a raw block (librdkafka, Go), or the framing of Java's snappy library (Java, and most
//! others): a header of 16 bytes, then blocks behind their lengths, and again.

use super::{Compression, RecordsError, compression::Sink};

/// The framing's magic; two version numbers of four bytes each follow it.
const MAGIC: &[u8] = b"\x82SNAPPY\0";
const VERSIONS: usize = 8;

/// A block can hold that many times its size at most: the densest element is 64 bytes of copy in three.
const DENSEST: usize = 22;

pub(super) fn decompress(input: &[u8], sink: &mut Sink<'_>) -> Result<(), RecordsError> {
    if !input.starts_with(MAGIC) {
        block(input, sink)?;
        sink.finish();
        return Ok(());
    }
    let mut rest = input;
    while !rest.is_empty() {
        // Streams may have been put one behind the other: what looks like a huge length is then a header.
        if let Some(after) = rest.strip_prefix(MAGIC) {
            rest = after.get(VERSIONS..).ok_or_else(|| malformed("a header cut short"))?;
            continue;
        }
        let (length, after) = rest.split_first_chunk::<4>().ok_or_else(|| malformed("a length cut short"))?;
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let (one, after) = after.split_at_checked(length).ok_or_else(|| malformed("a block cut short"))?;
        block(one, sink)?;
        rest = after;
    }
    sink.finish();
    Ok(())
}

fn block(block: &[u8], sink: &mut Sink<'_>) -> Result<(), RecordsError> {
    let length = snap::raw::decompress_len(block).map_err(|_| malformed("a broken length"))?;
    if length > block.len().saturating_mul(DENSEST) {
        return Err(malformed("a length that the block cannot hold"));
    }
    let (_, room) = sink.room(0, length);
    if room.len() < length {
        return Err(sink.too_large());
    }
    let written = snap::raw::Decoder::new().decompress(block, room).map_err(|_| malformed("a broken block"))?;
    sink.fill(written);
    Ok(())
}

const fn malformed(what: &'static str) -> RecordsError {
    Compression::Snappy.malformed(what)
}
