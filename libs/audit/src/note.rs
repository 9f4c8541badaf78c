//! Signed notes (C2SP signed-note v1): a text, an empty line, signature lines.
//!
//! Here they are only taken apart and put together. Who signed what is the business of [`checkpoint`](crate::checkpoint).

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::keys::{KeyId, KeyName};

/// Longer notes are refused.
const MAX_BYTES: usize = 1 << 20;
/// More signatures are refused (the specification asks for at least 16).
const MAX_SIGNATURES: usize = 100;

/// A text and its signatures, none of them verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// Name of the key that is said to have signed.
    pub name: KeyName,
    /// Its short hash.
    pub id: KeyId,
    /// What follows the hash; its form is the key's kind's.
    pub bytes: Vec<u8>,
}

/// Why a text is no signed note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// More than can be meant.
    #[error("the note is longer than {MAX_BYTES} bytes or has more than {MAX_SIGNATURES} signatures")]
    TooLarge,
    /// A control character other than newline.
    #[error("the note contains a control character")]
    Control,
    /// No text that ends in newline, empty line, and signatures.
    #[error("the note is not a text, an empty line and signature lines")]
    Format,
    /// A line after the last empty one is no signature.
    #[error("signature line {0} is malformed")]
    Signature(usize),
}

impl Note {
    /// An unsigned one. `text` ends with a newline.
    pub(crate) const fn unsigned(text: String) -> Self {
        Self { text, signatures: Vec::new() }
    }

    /// What is signed, with its final newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines, unverified.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Drops the lines that are not to be kept.
    pub(crate) fn retain(&mut self, keep: impl Fn(&NoteSignature) -> bool) {
        self.signatures.retain(keep);
    }

    /// Adds a line, in place of an older one of the same key.
    pub(crate) fn add(&mut self, signature: NoteSignature) {
        self.signatures.retain(|old| (&old.name, old.id) != (&signature.name, signature.id));
        self.signatures.push(signature);
    }
}

impl FromStr for Note {
    type Err = NoteError;
    fn from_str(note: &str) -> Result<Self, NoteError> {
        if note.len() > MAX_BYTES {
            return Err(NoteError::TooLarge);
        }
        // Those below U+0020; the specification speaks of no others.
        if note.bytes().any(|b| b < b' ' && b != b'\n') {
            return Err(NoteError::Control);
        }
        let (text, lines) = note.rsplit_once("\n\n").ok_or(NoteError::Format)?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Format)?;
        let mut signatures = Vec::new();
        for (number, line) in lines.split('\n').enumerate() {
            if number == MAX_SIGNATURES {
                return Err(NoteError::TooLarge);
            }
            signatures.push(signature(line).ok_or(NoteError::Signature(number + 1))?);
        }
        Ok(Self { text: format!("{text}\n"), signatures })
    }
}

fn signature(line: &str) -> Option<NoteSignature> {
    let (name, base64) = line.strip_prefix("— ")?.split_once(' ')?;
    let bytes = STANDARD.decode(base64).ok()?;
    let (id, bytes) = bytes.split_first_chunk::<4>()?;
    if bytes.is_empty() {
        return None;
    }
    Some(NoteSignature { name: name.parse().ok()?, id: KeyId(*id), bytes: bytes.to_vec() })
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        for signature in &self.signatures {
            let bytes = [signature.id.0.as_slice(), &signature.bytes].concat();
            writeln!(f, "— {} {}", signature.name, STANDARD.encode(bytes))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::VerifierKey;

    /// The example of the specification.
    const KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    const NOTE: &str = "This is an example message.\n\n— example.com/foo \
        Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

    #[test]
    fn the_example_of_the_specification_verifies() {
        let key: VerifierKey = KEY.parse().unwrap();
        assert_eq!(key.to_string(), KEY);
        let note: Note = NOTE.parse().unwrap();
        assert_eq!(note.to_string(), NOTE);
        let [signature] = note.signatures() else { panic!("one signature") };
        assert_eq!((&signature.name, signature.id), (key.name(), key.id()));
        assert!(key.verifies(note.text().as_bytes(), &signature.bytes));
        assert!(!key.verifies(b"This is another message.\n", &signature.bytes));
    }

    #[test]
    fn the_last_empty_line_ends_the_text() {
        let poem = "Ognuno sta solo sul cuor della terra\n\ned è subito sera.\n";
        let note: Note =
            format!("{poem}\n— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO\n").parse().unwrap();
        assert_eq!(note.text(), poem);
    }

    #[test]
    fn what_is_no_note_is_refused() {
        let line = NOTE.split_once("\n\n").unwrap().1;
        let many = |n: usize| format!("text\n\n{}", line.repeat(n)).parse::<Note>();
        assert!(many(16).is_ok());
        for (wrong, why) in [
            (NOTE.replacen("This", "\tThis", 1), NoteError::Control),
            (NOTE.trim_end().to_owned(), NoteError::Format),
            (line.to_owned(), NoteError::Format),
            (NOTE.replacen('—', "-", 1), NoteError::Signature(1)),
            (NOTE.replacen("foo ", "foo+ ", 1), NoteError::Signature(1)),
            (format!("{NOTE}— a Uw2QOg==\n"), NoteError::Signature(2)),
            (format!("{NOTE}\n"), NoteError::Format),
            ("x".repeat(MAX_BYTES + 1), NoteError::TooLarge),
            (format!("text\n\n{}", line.repeat(MAX_SIGNATURES + 1)), NoteError::TooLarge),
        ] {
            assert_eq!(wrong.parse::<Note>(), Err(why));
        }
    }
}
