//! gzip (RFC 1952): members one after the other, each a header, a deflate stream and a trailer.
//!
//! The header is read here and not by the library, because only a raw stream's state can be used again for the next
//! batch.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::{Compression, RecordsError, compression::Sink};

const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;
const HEADER_CRC: u8 = 2;
const RESERVED: u8 = 0xe0;

/// First guess and least step of growth, bytes.
const STEP: usize = 64 << 10;

/// A deflate state, 32 KiB window and all.
#[derive(Debug)]
pub(super) struct Gzip {
    inflate: Decompress,
}

impl Gzip {
    pub(super) fn new() -> Self {
        Self { inflate: Decompress::new(false) }
    }

    pub(super) fn decompress(&mut self, mut input: &[u8], sink: &mut Sink<'_>) -> Result<(), RecordsError> {
        loop {
            input = self.member(input, sink)?;
            if input.is_empty() {
                sink.finish();
                return Ok(());
            }
        }
    }

    /// Unpacks one member; answers what follows it.
    fn member<'i>(&mut self, input: &'i [u8], sink: &mut Sink<'_>) -> Result<&'i [u8], RecordsError> {
        let start = sink.filled();
        let rest = header(input).ok_or_else(|| malformed("a broken header"))?;
        let rest = self.inflate(rest, sink)?;
        let (trailer, rest) = rest.split_first_chunk::<8>().ok_or_else(|| malformed("no trailer"))?;
        let mut crc = Crc::new();
        crc.update(sink.room(start, 0).0);
        let [a, b, c, d, ..] = *trailer;
        if crc.sum() != u32::from_le_bytes([a, b, c, d]) {
            return Err(malformed("its checksum does not hold"));
        }
        Ok(rest)
    }

    fn inflate<'i>(&mut self, mut input: &'i [u8], sink: &mut Sink<'_>) -> Result<&'i [u8], RecordsError> {
        self.inflate.reset(false);
        loop {
            let want = STEP.max(input.len().saturating_mul(4));
            let mut beyond = [0; 1];
            let (_, mut room) = sink.room(0, want);
            let full = room.is_empty();
            if full {
                // At the limit: only the end of the stream may come, not one byte.
                room = &mut beyond;
            }
            let (read, written) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self.inflate.decompress(input, room, FlushDecompress::None);
            let status = status.map_err(|_| malformed("a broken stream"))?;
            let read = usize::try_from(self.inflate.total_in() - read).unwrap_or(usize::MAX);
            let written = usize::try_from(self.inflate.total_out() - written).unwrap_or(usize::MAX);
            if full && written > 0 {
                return Err(sink.too_large());
            }
            input = input.get(read..).unwrap_or_default();
            sink.fill(written);
            if status == Status::StreamEnd {
                return Ok(input);
            }
            if read == 0 && written == 0 {
                return Err(malformed("the stream ends early"));
            }
        }
    }
}

/// What follows the member's header.
fn header(input: &[u8]) -> Option<&[u8]> {
    let (&[0x1f, 0x8b, 8, flags, ..], mut rest) = input.split_first_chunk::<10>()? else { return None };
    if flags & RESERVED != 0 {
        return None;
    }
    if flags & EXTRA != 0 {
        let (length, after) = rest.split_first_chunk::<2>()?;
        rest = after.get(usize::from(u16::from_le_bytes(*length))..)?;
    }
    for _ in 0..u32::from(flags & NAME != 0) + u32::from(flags & COMMENT != 0) {
        let zero = rest.iter().position(|&byte| byte == 0)?;
        rest = rest.get(zero + 1..)?;
    }
    if flags & HEADER_CRC != 0 {
        rest = rest.get(2..)?;
    }
    Some(rest)
}

const fn malformed(what: &'static str) -> RecordsError {
    Compression::Gzip.malformed(what)
}
