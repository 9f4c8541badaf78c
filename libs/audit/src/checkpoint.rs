//! Checkpoints (C2SP tlog-checkpoint): origin, size and root of the log, in a signed note.
//!
//! The log signs a checkpoint; members add cosignatures ([`cosign`](crate::cosign)), each with the time at which they saw it.
//! What a signed note says counts only after [`Trust::open`], which follows the specification: signatures by unknown keys
//! are passed over, a wrong one by a known key spoils the note.

mod trust;

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};

pub use trust::{Opened, Seen, Trust, TrustError};

use crate::{
    Hash,
    keys::{KeyError, KeyKind, KeyName, SignerKey, VerifierKey},
    note::{Note, NoteError, NoteSignature},
};

/// State of a log: what the note's text says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: its first line, by convention the name of its key. (The specification allows white space; this log has none.)
    pub origin: KeyName,
    /// Leaves.
    pub size: u64,
    /// The Merkle tree hash of so many leaves.
    pub root: Hash,
    /// Further lines, not empty. This log writes none (no monitor can check them) and keeps those that it reads.
    extensions: Vec<String>,
}

/// Why a text is no checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note around it.
    #[error("not a signed note")]
    Note(#[from] NoteError),
    /// Not three lines and more, each with something in it.
    #[error("a checkpoint has an origin, a size and a root, a line each")]
    Lines,
    /// The first line.
    #[error("the origin is no key name")]
    Origin(#[source] KeyError),
    /// The second line.
    #[error("the size is not a decimal number without leading zeroes")]
    Size,
    /// The third line.
    #[error("the root is not 32 bytes in base64")]
    Root,
}

impl Checkpoint {
    /// Of this log.
    pub const fn new(origin: KeyName, size: u64, root: Hash) -> Self {
        Self { origin, size, root, extensions: Vec::new() }
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, self.root)?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;
    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.strip_suffix('\n').ok_or(CheckpointError::Lines)?.split('\n');
        let mut next = || lines.next().filter(|line| !line.is_empty()).ok_or(CheckpointError::Lines);
        let (origin, size, root) = (next()?, next()?, next()?);
        let origin = origin.parse().map_err(CheckpointError::Origin)?;
        let number: u64 = size.parse().map_err(|_| CheckpointError::Size)?;
        if number.to_string() != size {
            return Err(CheckpointError::Size); // "+7", "007"
        }
        let root = root.parse().map_err(|_| CheckpointError::Root)?;
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(CheckpointError::Lines);
        }
        Ok(Self { origin, size: number, root, extensions })
    }
}

/// A checkpoint and its signatures, none of them verified. Text form: the signed note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

/// A time cannot be written in a cosignature: before 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cosignature's time is 1970 or later")]
pub struct TimeError;

impl SignedCheckpoint {
    /// Not signed yet.
    pub fn unsigned(checkpoint: Checkpoint) -> Self {
        let note = Note::unsigned(checkpoint.to_string());
        Self { checkpoint, note }
    }

    /// What it says, whoever says it.
    pub const fn claims(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note.
    pub const fn note(&self) -> &Note {
        &self.note
    }

    /// Adds a signature. `at` is written into cosignatures, to the second, and not into the log's own signature.
    ///
    /// A log must sign no checkpoint that is inconsistent with one that it signed before; members call
    /// [`cosign`](crate::cosign::cosign), which looks at that.
    ///
    /// # Errors
    /// When `at` cannot be written.
    pub fn sign(&mut self, key: &SignerKey, at: DateTime<Utc>) -> Result<(), TimeError> {
        let bytes = match key.verifier().kind() {
            KeyKind::Note => key.sign(self.note.text().as_bytes()),
            KeyKind::Cosignature => {
                let seconds = u64::try_from(at.timestamp()).map_err(|_| TimeError)?;
                [seconds.to_be_bytes().as_slice(), &key.sign(&cosigned(seconds, self.note.text()))].concat()
            }
        };
        let (name, id) = (key.verifier().name().clone(), key.verifier().id());
        self.note.add(NoteSignature { name, id, bytes });
        Ok(())
    }

    /// Keeps the signatures that name one of these keys and drops the others; verifies none.
    pub fn retain(&mut self, keys: &[VerifierKey]) {
        self.note.retain(|signature| keys.iter().any(|key| *key.name() == signature.name && key.id() == signature.id));
    }

    /// Takes over the signatures of the same checkpoint's other copy, such as members send back: false when the texts differ.
    pub fn merge(&mut self, other: &Self) -> bool {
        let same = self.note.text() == other.note.text();
        if same {
            other.note.signatures().iter().for_each(|signature| self.note.add(signature.clone()));
        }
        same
    }
}

/// The message under a `cosignature/v1`.
fn cosigned(seconds: u64, text: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {seconds}\n{text}").into_bytes()
}

impl fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.note.fmt(f)
    }
}

impl FromStr for SignedCheckpoint {
    type Err = CheckpointError;
    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let note: Note = text.parse()?;
        Ok(Self { checkpoint: note.text().parse()?, note })
    }
}
