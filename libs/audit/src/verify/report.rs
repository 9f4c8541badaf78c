//! What a verification found.

use std::{collections::BTreeMap, fmt};

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{Hash, keys::KeyName};

/// Findings kept; more are counted.
pub(super) const MAX_FINDINGS: usize = 1000;

/// What was read, what is proved, and what is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// First entry looked at: 0, or the size of the checkpoint begun at.
    pub from: u64,
    /// Entries read.
    pub entries: u64,
    /// Entries `from..verified` are, in this order, what the log signed: nothing, if that is equal to `from`.
    pub verified: u64,
    /// Different checkpoints that are believed.
    pub checkpoints: u64,
    /// Checkpoints that could not be compared with entries, because of damage before them.
    pub unjudged: u64,
    /// Entries whose opening is there and fits.
    pub opened: u64,
    /// Entries without opening: erased, or not shown to this reader.
    pub closed: u64,
    /// Leaves that are shown but are no entries in a format known to this version.
    pub unknown: u64,
    /// Signatures by keys that this verifier does not know, by name. Not a fault: anyone may sign.
    pub strangers: BTreeMap<String, u64>,
    /// What is wrong, in the order in which it was found.
    pub findings: Vec<Finding>,
    /// Findings beyond the first thousand.
    pub left_off: u64,
}

impl Report {
    /// Whether nothing is wrong.
    pub const fn is_sound(&self) -> bool {
        self.findings.is_empty() && self.left_off == 0
    }

    pub(super) fn add(&mut self, finding: Finding) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        } else {
            self.left_off += 1;
        }
    }
}

/// One thing that is wrong. Indices and sizes are those that the files claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", rename_all = "kebab-case")]
pub enum Finding {
    /// A line of the entries is not an entry, or is too long.
    MalformedEntry {
        /// Counted from 1.
        line: u64,
    },
    /// A line of the checkpoints is not a checkpoint in a signed note.
    MalformedCheckpoint {
        /// Counted from 1 over all sources.
        line: u64,
    },
    /// A checkpoint is not believed, and was passed over.
    Untrusted {
        /// Counted from 1 over all sources.
        line: u64,
        /// The size that it claims.
        size: u64,
        /// Why.
        why: String,
    },
    /// No checkpoint is believed: nothing can be proved.
    NoCheckpoint,
    /// There is no believed checkpoint of that size with peaks, so one cannot begin there.
    NoStart {
        /// Where to begin.
        size: u64,
    },
    /// The peaks beside a checkpoint are not those of its root; they were passed over.
    WrongPeaks {
        /// The checkpoint's size.
        size: u64,
    },
    /// The log signed two roots for one size: it showed different histories.
    Fork {
        /// The size.
        size: u64,
        /// Two of the roots.
        roots: [Hash; 2],
    },
    /// The log signed a checkpoint that is not the beginning of a later one: it showed different histories.
    Inconsistent {
        /// Size of the earlier one, which the entries do not fit.
        size: u64,
        /// Size of the later one, which they fit.
        with: u64,
    },
    /// A cosigner's time runs backwards while the log grows.
    Backwards {
        /// Whose.
        cosigner: KeyName,
        /// Size of the later checkpoint.
        size: u64,
        /// Its time.
        at: DateTime<Utc>,
        /// Time on a smaller checkpoint.
        before: DateTime<Utc>,
    },
    /// Entries are missing.
    Removed {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// A second entry bears an index.
    Inserted {
        /// The index.
        index: u64,
    },
    /// An entry stands where another should.
    Reordered {
        /// Its index.
        index: u64,
        /// Its place in the file, counted as indices are.
        place: u64,
    },
    /// A leaf does not have the hash beside it.
    Altered {
        /// Its index.
        index: u64,
    },
    /// An opening does not fit the leaf's commitment, or there is no commitment to fit.
    WrongOpening {
        /// The entry's index.
        index: u64,
    },
    /// The entries `after..size` are not what was signed: one or more were altered, inserted, removed or moved, and hashes and
    /// indices made to match.
    RootMismatch {
        /// Size of the checkpoint before, which fits or was begun at.
        after: u64,
        /// Size of the checkpoint that does not fit.
        size: u64,
    },
    /// The log signed more entries than there are.
    Truncated {
        /// Entries there are.
        entries: u64,
        /// Size of the largest checkpoint.
        signed: u64,
    },
    /// No checkpoint covers the last entries: they may be anything.
    Uncovered {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MalformedEntry { line } => write!(f, "line {line} of the entries is malformed"),
            Self::MalformedCheckpoint { line } => write!(f, "line {line} of the checkpoints is malformed"),
            Self::Untrusted { line, size, why } => {
                write!(f, "the checkpoint of {size} entries in line {line} is not believed: {why}")
            }
            Self::NoCheckpoint => f.write_str("no checkpoint is believed, so nothing is proved"),
            Self::NoStart { size } => write!(f, "no believed checkpoint of {size} entries has peaks to begin with"),
            Self::WrongPeaks { size } => write!(f, "the peaks beside the checkpoint of {size} entries are wrong"),
            Self::Fork { size, roots: [one, other] } => {
                write!(f, "the log is forked: for {size} entries it signed both {one} and {other}")
            }
            Self::Inconsistent { size, with } => {
                write!(
                    f,
                    "the log is forked: it signed {size} entries that are not a beginning of the {with} it signed"
                )
            }
            Self::Backwards { cosigner, size, at, before } => {
                write!(f, "{cosigner} saw {size} entries at {at}, but fewer at {before}: time runs backwards")
            }
            Self::Removed { from, to } if from == to => write!(f, "entry {from} was removed"),
            Self::Removed { from, to } => write!(f, "entries {from} to {to} were removed"),
            Self::Inserted { index } => write!(f, "an entry was inserted: a second one bears the index {index}"),
            Self::Reordered { index, place } => write!(f, "entry {index} was moved: it stands at place {place}"),
            Self::Altered { index } => write!(f, "entry {index} was altered: the leaf does not have its hash"),
            Self::WrongOpening { index } => write!(f, "the opening of entry {index} does not fit its commitment"),
            Self::RootMismatch { after, size } => {
                write!(f, "the entries from {after} up to {size} are not those that the checkpoint of {size} covers")
            }
            Self::Truncated { entries, signed } => {
                write!(f, "the log ends after {entries} entries, but {signed} were signed")
            }
            Self::Uncovered { from, to } => write!(f, "no checkpoint covers the entries {from} to {to}"),
        }
    }
}
