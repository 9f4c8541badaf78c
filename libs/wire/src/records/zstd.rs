//! Zstandard, whole frames at a time: the output is the window, so that a frame which claims one of 128 MiB (Java's
//! highest levels do) costs nothing.

use std::fmt;

use zstd_safe::{DCtx, get_frame_content_size, zstd_sys::ZSTD_ErrorCode};

use super::{Compression, RecordsError};

/// First guess at the size of records whose frame does not tell it: Java's never do.
const GUESS: usize = 64 << 10;

/// A decoder's tables, about 100 KiB.
pub(super) struct Zstd {
    context: DCtx<'static>,
}

impl Zstd {
    pub(super) fn new() -> Self {
        Self { context: DCtx::create() }
    }

    pub(super) fn decompress(&mut self, input: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), RecordsError> {
        let told = get_frame_content_size(input).map_err(|_| malformed("not a frame"))?;
        let told = told.map(|size| usize::try_from(size).unwrap_or(usize::MAX));
        let mut room = told.unwrap_or_else(|| GUESS.max(input.len().saturating_mul(4)));
        if told.is_some_and(|size| size > limit) {
            return Err(RecordsError::TooLarge { limit });
        }
        loop {
            out.clear();
            out.reserve_exact(room.min(limit));
            match self.context.decompress(out, input) {
                Ok(size) if size > limit => return Err(RecordsError::TooLarge { limit }),
                Ok(_) => return Ok(()),
                Err(code) if !is_too_small(code) => return Err(malformed("a broken frame")),
                Err(_) if out.capacity() >= limit => return Err(RecordsError::TooLarge { limit }),
                // Begun again with twice the room; a buffer used again soon has it.
                Err(_) => room = out.capacity().saturating_mul(2).max(GUESS),
            }
        }
    }
}

impl fmt::Debug for Zstd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zstd").finish_non_exhaustive()
    }
}

const fn is_too_small(code: usize) -> bool {
    code == (ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall as usize).wrapping_neg()
}

const fn malformed(what: &'static str) -> RecordsError {
    Compression::Zstd.malformed(what)
}
