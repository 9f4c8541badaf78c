//! An entry: what the log says for ever, and how it is written.
//!
//! A leaf's bytes are six lines, each ended by a newline, in the manner of the checkpoints that cover it:
//!
//! ```text
//! jointuse.audit/v1
//! grant
//! 2026-11-25T09:30:00.250Z
//! operator mori
//! subscription career-sales
//! n4bQgYhMfWWaL+qgxVrQFaO/TxsrC0Is0V1sFbDwCgg=
//! ```
//!
//! format, kind, time (UTC, milliseconds), actor, subject, commitment. Not the entry's index: where it lands is the tree's to
//! say. Text, so that an auditor reads an export without our program; lines of closed alphabets without spaces or
//! newlines, so that nothing has to be escaped or sorted, as JSON would (RFC 8785), and no two entries share their bytes.
//! Reading is strict in return: bytes are an entry only if writing that entry gives these bytes again.
//!
//! **No person is named in a leaf.** A contact id is a pseudonym, which its publisher can make again from its own
//! reference, so what concerns a principal has the subject [`Subject::Principal`] and is named in the
//! [`Opening`](crate::Opening) alone, which is erased with them. Operators and companies act in office and are named.

mod words;

use chrono::{DateTime, Datelike, SecondsFormat, Utc};

pub use words::{Actor, EntryKind, Service, Subject};

use crate::{Commitment, Hash};

/// First line of a leaf.
const FORMAT: &str = "jointuse.audit/v1";

/// One line of history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    kind: EntryKind,
    at: DateTime<Utc>,
    actor: Actor,
    subject: Subject,
    commitment: Commitment,
}

/// Why there is no such entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Years have four digits.
    #[error("the time is not within the years 0 to 9999")]
    Time,
    /// The bytes are not what [`Entry::leaf`] writes: a later format, or another log's.
    #[error("the leaf is no entry in a format known to this version")]
    Format,
}

impl Entry {
    /// `at` is kept to the millisecond.
    ///
    /// # Errors
    /// When `at` cannot be written.
    pub fn new(
        kind: EntryKind,
        at: DateTime<Utc>,
        actor: Actor,
        subject: Subject,
        commitment: Commitment,
    ) -> Result<Self, EntryError> {
        let at = DateTime::from_timestamp_millis(at.timestamp_millis()).filter(|at| (0..=9999).contains(&at.year()));
        Ok(Self { kind, at: at.ok_or(EntryError::Time)?, actor, subject, commitment })
    }

    /// What happened.
    pub const fn kind(&self) -> EntryKind {
        self.kind
    }

    /// When.
    pub const fn at(&self) -> DateTime<Utc> {
        self.at
    }

    /// Who did it.
    pub const fn actor(&self) -> &Actor {
        &self.actor
    }

    /// To what.
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }

    /// To the rest of it.
    pub const fn commitment(&self) -> &Commitment {
        &self.commitment
    }

    /// The leaf's text.
    pub fn leaf(&self) -> String {
        let at = self.at.to_rfc3339_opts(SecondsFormat::Millis, true);
        let Self { kind, actor, subject, commitment, .. } = self;
        format!("{FORMAT}\n{}\n{at}\n{actor}\n{subject}\n{}\n", kind.as_str(), commitment.0)
    }

    /// The leaf's hash, which goes into the tree.
    pub fn hash(&self) -> Hash {
        Hash::of_leaf(self.leaf().as_bytes())
    }

    /// Reads a leaf.
    ///
    /// # Errors
    /// When the bytes are not exactly those of an entry.
    pub fn read(leaf: &str) -> Result<Self, EntryError> {
        let entry = read(leaf).ok_or(EntryError::Format)?;
        if entry.leaf() == leaf { Ok(entry) } else { Err(EntryError::Format) }
    }
}

fn read(leaf: &str) -> Option<Entry> {
    let mut lines = leaf.strip_prefix(FORMAT)?.strip_prefix('\n')?.split_terminator('\n');
    let kind = EntryKind::read(lines.next()?)?;
    let at = DateTime::parse_from_rfc3339(lines.next()?).ok()?.to_utc();
    let (actor, subject) = (Actor::read(lines.next()?)?, Subject::read(lines.next()?)?);
    let commitment = Commitment(lines.next()?.parse().ok()?);
    Entry::new(kind, at, actor, subject, commitment).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(at: &str) -> Result<Entry, EntryError> {
        let (actor, subject) = (Actor::Operator("mori".parse().unwrap()), Subject::Principal);
        Entry::new(EntryKind::Erasure, at.parse().unwrap(), actor, subject, Commitment(Hash::of_nothing()))
    }

    #[test]
    fn a_leaf_is_what_the_documentation_says() {
        let leaf = entry("2026-11-25T18:30:00.2509+09:00").unwrap().leaf();
        assert_eq!(
            leaf,
            "jointuse.audit/v1\nerasure\n2026-11-25T09:30:00.250Z\noperator mori\nprincipal\n\
             47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
        );
        assert_eq!(Entry::read(&leaf).unwrap().leaf(), leaf);
        assert_eq!(entry("+10000-01-01T00:00:00Z"), Err(EntryError::Time));
    }

    #[test]
    fn another_spelling_of_an_entry_is_none() {
        let leaf = entry("2026-11-25T09:30:00.250Z").unwrap().leaf();
        for (from, to) in [
            ("v1", "v2"),
            ("erasure", "Erasure"),
            ("erasure", "forgetting"),
            (".250Z", ".25Z"),
            (".250Z", ".250+00:00"),
            (".250Z", ".2501Z"),
            ("T09", "t09"),
            ("operator mori", "operator  mori"),
            ("operator mori", "operator mori "),
            ("operator mori", "operator"),
            ("operator mori", "service mori"),
            ("principal", "principal 1"),
            ("principal", "notice persol-career 01"),
            ("uFU=\n", "uFU\n"),
            ("uFU=\n", "uFV=\n"),
            ("uFU=\n", "uFU="),
            ("uFU=\n", "uFU=\n\n"),
            ("\n", "\r\n"),
        ] {
            let other = leaf.replacen(from, to, 1);
            assert_ne!(other, leaf, "{from}");
            assert_eq!(Entry::read(&other), Err(EntryError::Format), "{to}");
        }
    }

    fn slug() -> impl Strategy<Value = String> {
        "[a-z][a-z0-9-]{0,39}"
    }

    fn subjects() -> impl Strategy<Value = Subject> {
        prop_oneof![
            Just(Subject::Principal),
            Just(Subject::Hub),
            slug().prop_map(|id| Subject::Company(id.parse().unwrap())),
            (slug(), any::<u32>()).prop_map(|(id, version)| Subject::Notice(id.parse().unwrap(), version)),
            slug().prop_map(|id| Subject::Publication(id.parse().unwrap())),
            slug().prop_map(|id| Subject::Subscription(id.parse().unwrap())),
            slug().prop_map(|id| Subject::Login(id.parse().unwrap())),
            slug().prop_map(|id| Subject::Operator(id.parse().unwrap())),
            slug().prop_map(|id| Subject::Topic(id.parse().unwrap())),
            any::<u32>().prop_map(Subject::Schema),
            any::<u64>().prop_map(Subject::Snapshot),
        ]
    }

    fn actors() -> impl Strategy<Value = Actor> {
        prop_oneof![
            Just(Actor::Principal),
            slug().prop_map(|id| Actor::Operator(id.parse().unwrap())),
            slug().prop_map(|id| Actor::Login(id.parse().unwrap())),
            prop::sample::select(Service::ALL).prop_map(Actor::Service),
        ]
    }

    fn entries() -> impl Strategy<Value = Entry> {
        let kind = prop::sample::select(EntryKind::ALL);
        let at = (0i64..4_102_444_800_000).prop_map(|ms| DateTime::from_timestamp_millis(ms).unwrap());
        (kind, at, actors(), subjects(), any::<[u8; 32]>()).prop_map(|(kind, at, actor, subject, bytes)| {
            Entry::new(kind, at, actor, subject, Commitment(Hash::new(bytes))).unwrap()
        })
    }

    proptest! {
        #[test]
        fn every_entry_is_read_as_written(entry in entries()) {
            prop_assert_eq!(Entry::read(&entry.leaf()), Ok(entry));
        }

        #[test]
        fn different_entries_have_different_leaves(a in entries(), b in entries()) {
            prop_assert_eq!(a == b, a.leaf() == b.leaf());
        }

        #[test]
        fn no_text_is_read_as_an_entry_that_would_be_written_otherwise(
            entry in entries(), at in any::<prop::sample::Index>(), with in any::<char>(),
        ) {
            let mut characters: Vec<char> = entry.leaf().chars().collect();
            let at = at.index(characters.len());
            characters[at] = with;
            let changed: String = characters.into_iter().collect();
            if let Ok(read) = Entry::read(&changed) {
                prop_assert_eq!(read.leaf(), changed);
            }
        }
    }
}
