//! Bytes to records (RFC 4180 by `csv-core`), with bounded memory.
//!
//! Quotes, separators and line ends are never trail bytes in CP932 (those are 0x40-0x7E and 0x80-0xFC) nor in UTF-8, so
//! records are found on bytes and each cell is decoded by itself: a damaged byte is an error of its row only.

use bytes::{Buf, Bytes};
use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::super::{Chunk, Input, encoding::WINDOW};

/// Longest row, in bytes: what is longer has a quotation mark that is not closed.
pub(super) const MAX_ROW: usize = 1 << 20;
const MAX_CELLS: usize = 4_096;

/// Put behind the last byte. When it does not come out as a row of its own, it was swallowed by a quoted cell that the file
/// does not close.
const SENTINEL: &[u8] = b"\n\x01end of file\x01\n";

/// Why no further record can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The connection broke.
    Broken,
    /// A row does not end within [`MAX_ROW`].
    TooLong {
        /// Where it begins.
        line: u64,
    },
}

/// One record; its cells are not decoded.
pub(super) struct Raw<'r> {
    /// Line on which it begins, from 1.
    pub(super) line: u64,
    /// Whether the file ended within a quoted cell of it.
    pub(super) truncated: bool,
    /// Whether the file's last byte is part of it: no line end follows.
    pub(super) last: bool,
    bytes: &'r [u8],
    ends: &'r [usize],
}

impl Raw<'_> {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The bytes of a cell; empty when there is none.
    pub(super) fn cell(&self, index: usize) -> &[u8] {
        let start = match index.checked_sub(1) {
            Some(before) => self.ends.get(before).copied().unwrap_or(self.bytes.len()),
            None => 0,
        };
        self.ends.get(index).and_then(|end| self.bytes.get(start..*end)).unwrap_or_default()
    }

    /// Whether no cell says anything.
    pub(super) fn is_blank(&self) -> bool {
        !self.truncated && self.bytes.iter().all(u8::is_ascii_whitespace)
    }

    /// Whether the cells from `index` on say nothing.
    pub(super) fn is_blank_from(&self, index: usize) -> bool {
        (index..self.len()).all(|index| self.cell(index).iter().all(u8::is_ascii_whitespace))
    }
}

/// Records of an input.
pub(super) struct Records<'a> {
    input: &'a mut Input<'a>,
    reader: Reader,
    chunk: Bytes,
    /// What was read ahead of `chunk`'s turn.
    end: Ending,
    line: u64,
    output: Vec<u8>,
    ends: Vec<usize>,
    ended_with_newline: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Reading,
    /// The sentinel is being read.
    Sentinel,
    Done,
    Broken,
}

impl<'a> Records<'a> {
    pub(super) fn new(input: &'a mut Input<'a>, delimiter: u8) -> Self {
        Self {
            input,
            reader: ReaderBuilder::new().delimiter(delimiter).build(),
            chunk: Bytes::new(),
            end: Ending::Reading,
            line: 1,
            output: vec![0; 4 << 10],
            ends: vec![0; 64],
            ended_with_newline: true,
        }
    }

    /// The first bytes, enough to judge the encoding; they stay to be read.
    pub(super) fn window(&mut self) -> &[u8] {
        let mut window = std::mem::take(&mut self.chunk).to_vec();
        while window.len() < WINDOW && self.end == Ending::Reading {
            match (self.input)() {
                Chunk::Data(bytes) => window.extend_from_slice(&bytes),
                Chunk::End => self.finish(),
                Chunk::Broken => self.end = Ending::Broken,
            }
        }
        self.ended_with_newline = window.last().is_none_or(|byte| *byte == b'\n' || *byte == b'\r');
        self.chunk = window.into();
        if self.end == Ending::Sentinel {
            let length = self.chunk.len();
            self.chunk = [&self.chunk, SENTINEL].concat().into();
            return self.chunk.get(..length).unwrap_or_default();
        }
        &self.chunk
    }

    /// Skips bytes of the window (a byte order mark).
    pub(super) fn skip(&mut self, bytes: usize) {
        self.chunk.advance(bytes.min(self.chunk.len()));
    }

    fn finish(&mut self) {
        self.end = Ending::Sentinel;
    }

    /// Makes sure that there are bytes; `false` at the end.
    fn fill(&mut self) -> Result<bool, Trouble> {
        while self.chunk.is_empty() {
            match self.end {
                Ending::Sentinel | Ending::Done => {
                    self.end = Ending::Done;
                    return Ok(false);
                }
                Ending::Broken => return Err(Trouble::Broken),
                Ending::Reading => match (self.input)() {
                    Chunk::Data(bytes) => {
                        if let Some(last) = bytes.last() {
                            self.ended_with_newline = *last == b'\n' || *last == b'\r';
                        }
                        self.chunk = bytes;
                    }
                    Chunk::End => {
                        self.finish();
                        self.chunk = Bytes::from_static(SENTINEL);
                    }
                    Chunk::Broken => self.end = Ending::Broken,
                },
            }
        }
        Ok(true)
    }

    /// The next record, or `None` at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<Raw<'_>>, Trouble> {
        // Line ends before a record are not part of it: skipped here, so that its line is known.
        loop {
            if !self.fill()? {
                return Ok(None);
            }
            match self.chunk.first() {
                Some(b'\n') => self.line += 1,
                Some(b'\r') => {}
                _ => break,
            }
            self.chunk.advance(1);
        }
        let line = self.line;
        let (mut written, mut cells) = (0, 0);
        loop {
            // An empty input tells the reader that this is the end.
            let more = self.fill()?;
            let input: &[u8] = if more { &self.chunk } else { &[] };
            let room = self.output.get_mut(written..).unwrap_or_default();
            let rest = self.ends.get_mut(cells..).unwrap_or_default();
            let (result, read, wrote, ended) = self.reader.read_record(input, room, rest);
            self.line += input.iter().take(read).filter(|byte| **byte == b'\n').count() as u64;
            self.chunk.advance(read);
            written += wrote;
            cells += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if self.output.len() < MAX_ROW => {
                    self.output.resize(self.output.len() * 2, 0);
                }
                ReadRecordResult::OutputEndsFull if self.ends.len() < MAX_CELLS => {
                    self.ends.resize(self.ends.len() * 2, 0);
                }
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    return Err(Trouble::TooLong { line });
                }
                ReadRecordResult::Record => break,
                ReadRecordResult::End => return Ok(None),
            }
        }
        Ok(self.raw(line, written, cells))
    }

    fn raw(&self, line: u64, written: usize, cells: usize) -> Option<Raw<'_>> {
        let bytes = self.output.get(..written).unwrap_or_default();
        let ends = self.ends.get(..cells).unwrap_or_default();
        let sentinel = SENTINEL.trim_ascii();
        let reading = self.end == Ending::Reading || self.end == Ending::Broken;
        if !reading && bytes == sentinel {
            return None;
        }
        let truncated = !reading && bytes.windows(sentinel.len()).any(|window| window == sentinel);
        // The sentinel is next: this is the file's last record.
        let last = !reading && !self.ended_with_newline && self.chunk.trim_ascii() == sentinel;
        Some(Raw { line, truncated, last, bytes, ends })
    }
}
