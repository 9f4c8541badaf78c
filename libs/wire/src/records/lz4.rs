//! LZ4 frames (lz4_Frame_format.md 1.6), straight into the output: linked blocks find their history there.
//!
//! Checksums of header, blocks and content (xxHash) are passed over: the batch's CRC-32C covers the same bytes, and old
//! clients computed the header's wrongly.

use super::{Compression, RecordsError, compression::Sink};

const MAGIC: u32 = 0x184d_2204;
const SKIPPABLE: u32 = 0x184d_2a50;

const VERSION: u8 = 0xc0;
const INDEPENDENT: u8 = 0x20;
const BLOCK_CHECKSUM: u8 = 0x10;
const CONTENT_SIZE: u8 = 0x08;
const CONTENT_CHECKSUM: u8 = 0x04;
const RESERVED: u8 = 0x02;
const DICTIONARY: u8 = 0x01;

/// How far back a match can reach.
const WINDOW: usize = 64 << 10;

/// A block can hold that many times its size at most: each further length byte stands for 255.
const DENSEST: usize = 255;

pub(super) fn decompress(mut input: &[u8], sink: &mut Sink<'_>) -> Result<(), RecordsError> {
    loop {
        match take_u32(&mut input)? {
            MAGIC => frame(&mut input, sink)?,
            magic if magic & !0xf == SKIPPABLE => {
                let length = take_u32(&mut input)?;
                take(&mut input, usize::try_from(length).unwrap_or(usize::MAX))?;
            }
            _ => return Err(malformed("not a frame")),
        }
        if input.is_empty() {
            sink.finish();
            return Ok(());
        }
    }
}

fn frame(input: &mut &[u8], sink: &mut Sink<'_>) -> Result<(), RecordsError> {
    let [flags, sizes] = take_array(input)?;
    if flags & VERSION != 0x40 || flags & RESERVED != 0 || sizes & 0x8f != 0 {
        return Err(malformed("an unknown version of frames"));
    }
    let most = match sizes >> 4 {
        size @ 4..=7 => 1usize << (2 * size + 8),
        _ => return Err(malformed("an unknown block size")),
    };
    if flags & CONTENT_SIZE != 0 {
        let size = u64::from_le_bytes(take_array(input)?);
        let filled = sink.filled();
        if usize::try_from(size).map_or(true, |size| size > sink.limit.saturating_sub(filled)) {
            return Err(sink.too_large());
        }
    }
    if flags & DICTIONARY != 0 {
        return Err(malformed("a dictionary is asked for"));
    }
    take(input, 1)?; // header checksum
    let start = sink.filled();
    loop {
        let field = take_u32(input)?;
        if field == 0 {
            break;
        }
        let size = usize::try_from(field & 0x7fff_ffff).unwrap_or(usize::MAX);
        if size > most {
            return Err(malformed("a block larger than the frame allows"));
        }
        let block = take(input, size)?;
        if field >> 31 == 1 {
            sink.copy(block)?;
        } else {
            let history =
                if flags & INDEPENDENT == 0 { sink.filled().saturating_sub(WINDOW).max(start) } else { usize::MAX };
            compressed(block, most, history, sink)?;
        }
        if flags & BLOCK_CHECKSUM != 0 {
            take(input, 4)?;
        }
    }
    if flags & CONTENT_CHECKSUM != 0 {
        take(input, 4)?;
    }
    Ok(())
}

/// Unpacks one block; `history` is where in the output the bytes begin that it may refer to.
fn compressed(block: &[u8], most: usize, history: usize, sink: &mut Sink<'_>) -> Result<(), RecordsError> {
    let want = most.min(block.len().saturating_mul(DENSEST));
    let (before, room) = sink.room(history, want);
    let at_limit = room.len() < want;
    let written = if before.is_empty() {
        lz4_flex::block::decompress_into(block, room)
    } else {
        lz4_flex::block::decompress_into_with_dict(block, room, before)
    };
    match written {
        Ok(n) => {
            sink.fill(n);
            Ok(())
        }
        Err(lz4_flex::block::DecompressError::OutputTooSmall { .. }) if at_limit => Err(sink.too_large()),
        Err(_) => Err(malformed("a broken block")),
    }
}

fn take<'a>(input: &mut &'a [u8], n: usize) -> Result<&'a [u8], RecordsError> {
    let (taken, rest) = input.split_at_checked(n).ok_or_else(|| malformed("cut short"))?;
    *input = rest;
    Ok(taken)
}

fn take_array<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], RecordsError> {
    let (taken, rest) = input.split_first_chunk::<N>().ok_or_else(|| malformed("cut short"))?;
    *input = rest;
    Ok(*taken)
}

fn take_u32(input: &mut &[u8]) -> Result<u32, RecordsError> {
    take_array(input).map(u32::from_le_bytes)
}

const fn malformed(what: &'static str) -> RecordsError {
    Compression::Lz4.malformed(what)
}
