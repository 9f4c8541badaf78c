//! Unpacking compressed records into a caller's buffer, never beyond a limit.
//!
//! A few hundred bytes can claim, and with some formats really hold, gigabytes. So no size that a frame *says* is
//! believed beyond the limit, and the buffer grows only with what is written to it (or, where a decoder wants the room
//! first, with what the bytes at hand can make).

use std::fmt;

use super::{RecordsError, gzip::Gzip, lz4, snappy, zstd::Zstd};
use crate::batch::Batch;

/// How the records of a batch are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// RFC 1952.
    Gzip,
    /// Raw blocks, or those framed as Java's snappy library does.
    Snappy,
    /// LZ4 frames.
    Lz4,
    /// Zstandard frames (RFC 8878).
    Zstd,
}

impl Compression {
    /// The batch's, by its attributes.
    pub const fn of(batch: &Batch) -> Result<Self, RecordsError> {
        Ok(match batch.attributes & 7 {
            0 => Self::None,
            1 => Self::Gzip,
            2 => Self::Snappy,
            3 => Self::Lz4,
            4 => Self::Zstd,
            other => return Err(RecordsError::UnknownCompression(other)),
        })
    }

    pub(super) const fn malformed(self, what: &'static str) -> RecordsError {
        RecordsError::Compressed { compression: self, what }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "uncompressed",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        })
    }
}

/// The decoders with their working memory, made when first needed and used again. Keep one where batches are worked on
/// one after the other.
#[derive(Debug)]
pub struct Decompressor {
    limit: usize,
    gzip: Option<Gzip>,
    zstd: Option<Zstd>,
}

impl Decompressor {
    /// `limit`: the most bytes that one batch's records may take uncompressed.
    pub const fn new(limit: usize) -> Self {
        Self { limit, gzip: None, zstd: None }
    }

    /// Unpacks `input` into `out`, in the place of what was there. After an error `out` holds anything or nothing.
    pub fn decompress(&mut self, how: Compression, input: &[u8], out: &mut Vec<u8>) -> Result<(), RecordsError> {
        let limit = self.limit;
        match how {
            Compression::None if input.len() > limit => Err(RecordsError::TooLarge { limit }),
            Compression::None => {
                out.clear();
                out.extend_from_slice(input);
                Ok(())
            }
            Compression::Gzip => self.gzip.get_or_insert_with(Gzip::new).decompress(input, &mut Sink::new(out, limit)),
            Compression::Snappy => snappy::decompress(input, &mut Sink::new(out, limit)),
            Compression::Lz4 => lz4::decompress(input, &mut Sink::new(out, limit)),
            Compression::Zstd => self.zstd.get_or_insert_with(Zstd::new).decompress(input, limit, out),
        }
    }
}

/// A buffer that is filled from its beginning. What lies beyond the filled part is scratch, kept as it is, so that a
/// buffer used again need not be zeroed again.
pub(super) struct Sink<'a> {
    out: &'a mut Vec<u8>,
    filled: usize,
    pub(super) limit: usize,
}

impl<'a> Sink<'a> {
    const fn new(out: &'a mut Vec<u8>, limit: usize) -> Self {
        Self { out, filled: 0, limit }
    }

    /// Bytes filled so far.
    pub(super) const fn filled(&self) -> usize {
        self.filled
    }

    /// What was filled from `start` on, and room for up to `want` bytes more: fewer only where the limit is.
    pub(super) fn room(&mut self, start: usize, want: usize) -> (&[u8], &mut [u8]) {
        let end = self.filled.saturating_add(want).min(self.limit);
        grow(self.out, end);
        let (filled, room) = self.out.split_at_mut_checked(self.filled).unwrap_or_default();
        (filled.get(start..).unwrap_or_default(), room.get_mut(..end - self.filled).unwrap_or_default())
    }

    /// Says that `n` bytes of the room were filled.
    pub(super) const fn fill(&mut self, n: usize) {
        self.filled += n;
    }

    /// Copies bytes as they are.
    pub(super) fn copy(&mut self, bytes: &[u8]) -> Result<(), RecordsError> {
        let (_, room) = self.room(self.filled, bytes.len());
        if room.len() < bytes.len() {
            return Err(self.too_large());
        }
        room.copy_from_slice(bytes);
        self.fill(bytes.len());
        Ok(())
    }

    pub(super) const fn too_large(&self) -> RecordsError {
        RecordsError::TooLarge { limit: self.limit }
    }

    /// Cuts the scratch off.
    pub(super) fn finish(&mut self) {
        self.out.truncate(self.filled);
    }
}

/// Makes the buffer at least `to` bytes long, and its memory hardly longer: `Vec` would double it past a limit.
fn grow(out: &mut Vec<u8>, to: usize) {
    if out.len() < to {
        out.reserve_exact(to - out.len());
        out.resize(to, 0);
    }
}
