//! Exported files: JSON, one object a line.
//!
//! `entries.jsonl`, in the order of the log:
//!
//! ```json
//! {"index":0,"hash":"…","leaf":"jointuse.audit/v1\ngrant\n…","opening":{"salt":"…","payload":"…"}}
//! ```
//!
//! `hash` (the leaf's hash) stands in every line, so that an altered leaf is known by its own line. `leaf` is left out of
//! what the reader may not see: the tree can be checked all the same. `opening` is left out where it was erased or is
//! not the reader's business.
//!
//! `checkpoints.jsonl`, in any order, also of several sources one after another, such as those that a member kept:
//!
//! ```json
//! {"note":"audit.jointuse.example/log\n1\n…\n\n— audit.jointuse.example/log …\n","peaks":["…"]}
//! ```
//!
//! `note` is the signed note. `peaks`, the [`Frontier`](crate::Frontier) of that size, may be left out; the signed root vouches
//! for them, and they let a verifier begin there, or go on there after damage.

use std::{
    io::{self, BufRead, Read, Write},
    marker::PhantomData,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Entry, Hash, Opening};

/// Longer lines are refused unread.
pub const MAX_LINE: usize = 4 << 20;

/// A line of `entries.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportedEntry {
    /// Place in the log, from 0.
    pub index: u64,
    /// Hash of the leaf.
    pub hash: Hash,
    /// The leaf's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaf: Option<String>,
    /// What its commitment commits to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening: Option<Opening>,
}

impl ExportedEntry {
    /// With its leaf, and its opening if that is still there.
    pub fn new(index: u64, entry: &Entry, opening: Option<Opening>) -> Self {
        let leaf = entry.leaf();
        Self { index, hash: Hash::of_leaf(leaf.as_bytes()), leaf: Some(leaf), opening }
    }
}

/// A line of `checkpoints.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportedCheckpoint {
    /// The signed note.
    pub note: String,
    /// Perfect subtrees that cover the tree, largest first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peaks: Option<Vec<Hash>>,
}

/// Why a line was not read. Never repeats the line.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The file itself. Nothing follows.
    #[error("cannot read the export after line {after}")]
    Io {
        /// Lines read before.
        after: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The line is no such object, or longer than [`MAX_LINE`]. The next line can be read.
    #[error("line {line} is malformed or too long")]
    Line {
        /// Counted from 1.
        line: u64,
    },
}

/// Writes one line.
///
/// # Errors
/// When it cannot be written.
pub fn write_line<T: Serialize>(to: &mut impl Write, value: &T) -> io::Result<()> {
    serde_json::to_writer(&mut *to, value)?;
    to.write_all(b"\n")
}

/// Reads lines, holding one at a time.
pub fn read_lines<T: DeserializeOwned, R: BufRead>(from: R) -> Lines<T, R> {
    Lines { from: Some(from), line: 0, buffer: Vec::new(), what: PhantomData }
}

/// Values of a file's lines; see [`read_lines`].
#[derive(Debug)]
pub struct Lines<T, R> {
    /// None after an error of the file.
    from: Option<R>,
    line: u64,
    buffer: Vec<u8>,
    what: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned, R: BufRead> Iterator for Lines<T, R> {
    type Item = Result<T, ExportError>;

    fn next(&mut self) -> Option<Self::Item> {
        let whole = match next_line(self.from.as_mut()?, &mut self.buffer) {
            Ok(None) => return None,
            Ok(Some(whole)) => whole,
            Err(source) => {
                self.from = None;
                return Some(Err(ExportError::Io { after: self.line, source }));
            }
        };
        self.line += 1;
        let value = whole.then(|| serde_json::from_slice(&self.buffer).ok()).flatten();
        Some(value.ok_or(ExportError::Line { line: self.line }))
    }
}

/// Reads one line into `buffer`: whether the whole of it is there. `None` at the end of the file.
fn next_line(from: &mut impl BufRead, buffer: &mut Vec<u8>) -> io::Result<Option<bool>> {
    buffer.clear();
    let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
    if from.by_ref().take(limit).read_until(b'\n', buffer)? == 0 {
        return Ok(None);
    }
    if buffer.len() < MAX_LINE || buffer.last() == Some(&b'\n') {
        return Ok(Some(true));
    }
    from.skip_until(b'\n')?;
    Ok(Some(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_line_costs_itself_only() {
        let good = r#"{"index":7,"hash":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}"#;
        let long = "x".repeat(MAX_LINE + 10);
        let unknown = good.replace("index", "indexes");
        let file = format!("{good}\n{long}\n\n{unknown}\n{good}");
        let read: Vec<_> = read_lines::<ExportedEntry, _>(file.as_bytes()).collect();
        let wrong = |n: u64| move |item: &Result<ExportedEntry, ExportError>| matches!(item, Err(ExportError::Line { line }) if *line == n);
        assert_eq!(read.len(), 5);
        assert!(read[0].is_ok() && wrong(2)(&read[1]) && wrong(3)(&read[2]) && wrong(4)(&read[3]) && read[4].is_ok());
        let mut written = Vec::new();
        write_line(&mut written, read[0].as_ref().unwrap()).unwrap();
        assert_eq!(written, format!("{good}\n").as_bytes());
    }

    #[test]
    fn a_file_that_cannot_be_read_ends_the_lines() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("gone"))
            }
        }
        let mut lines = read_lines::<ExportedEntry, _>(io::BufReader::new(Broken));
        assert!(matches!(lines.next(), Some(Err(ExportError::Io { after: 0, .. }))));
        assert!(lines.next().is_none());
    }
}
