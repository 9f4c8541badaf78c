//! The ledger of erasures: a file beside the databases, so that a restore of theirs cannot take an erasure back.
//!
//! One line of JSON for the ledger's id, then one for each erasure; a line is on disk before its step is done. It holds
//! contact ids, which are keyed pseudonyms. Half a line at the end is what a crash left of an append that was never
//! relied on.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use authority_api::erasure::Asked;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why the ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum LedgerError {
    /// The file.
    #[error("the ledger of erasures {path} cannot be used")]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Somebody wrote into it, or a disk lost something.
    #[error("line {line} of the ledger of erasures {path} is damaged: put a copy of the file back")]
    Damaged { path: PathBuf, line: usize },
    /// Another authority.
    #[error("another process has the ledger of erasures {0} open")]
    Taken(PathBuf),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    ledger: Uuid,
}

/// An erasure as it stands in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) erasure: Uuid,
    #[serde(flatten)]
    pub(super) asked: Asked,
}

/// The open file, for this process alone.
#[derive(Debug)]
pub(super) struct Ledger {
    path: PathBuf,
    file: File,
    id: Uuid,
    entries: BTreeMap<Uuid, Asked>,
}

impl Ledger {
    /// Opens the file; `None` if there is none.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, LedgerError> {
        match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => Self::read(path, file).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(LedgerError::File { path: path.to_owned(), source }),
        }
    }

    /// Makes the file, which must not be there. It appears as a whole.
    pub(super) fn create(path: &Path) -> Result<Self, LedgerError> {
        let failed = |source| LedgerError::File { path: path.to_owned(), source };
        let head = Head { ledger: Uuid::new_v4() };
        let new = path.with_extension("new");
        let make = || -> io::Result<()> {
            let folder = path.parent().unwrap_or(Path::new("."));
            std::fs::create_dir_all(folder)?;
            let _ = std::fs::remove_file(&new);
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            file.write_all(&line(&head)?)?;
            file.sync_all()?;
            std::fs::hard_link(&new, path)?;
            std::fs::remove_file(&new)?;
            File::open(folder)?.sync_all()
        };
        make().map_err(failed)?;
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
        Self::read(path, file)
    }

    fn read(path: &Path, mut file: File) -> Result<Self, LedgerError> {
        let failed = |source| LedgerError::File { path: path.to_owned(), source };
        file.try_lock().map_err(|error| match error {
            std::fs::TryLockError::WouldBlock => LedgerError::Taken(path.to_owned()),
            std::fs::TryLockError::Error(source) => failed(source),
        })?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(failed)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if whole < text.len() {
            tracing::warn!("the ledger of erasures ends with half a line, which a crash left: it is cut off");
            text.truncate(whole);
            file.set_len(whole as u64).and_then(|()| file.sync_all()).map_err(failed)?;
        }
        let damaged = |line| LedgerError::Damaged { path: path.to_owned(), line };
        let mut lines = text.split_inclusive(|byte| *byte == b'\n');
        let head: Head = lines.next().and_then(|line| serde_json::from_slice(line).ok()).ok_or_else(|| damaged(1))?;
        let mut entries = BTreeMap::new();
        for (index, line) in lines.enumerate() {
            let entry: Entry = serde_json::from_slice(line).map_err(|_| damaged(index + 2))?;
            entries.insert(entry.erasure, entry.asked);
        }
        Ok(Self { path: path.to_owned(), file, id: head.ledger, entries })
    }

    /// Tells one ledger from another.
    pub(super) const fn id(&self) -> Uuid {
        self.id
    }

    /// What stands in it.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> {
        self.entries.iter().map(|(erasure, asked)| Entry { erasure: *erasure, asked: asked.clone() })
    }

    /// Adds an erasure, unless it is there; it is on disk when this returns.
    pub(super) fn append(&mut self, entry: Entry) -> Result<(), LedgerError> {
        if self.entries.contains_key(&entry.erasure) {
            return Ok(());
        }
        let write = |file: &mut File| -> io::Result<()> {
            let end = file.seek(SeekFrom::End(0))?;
            let written = line(&entry).and_then(|line| file.write_all(&line)).and_then(|()| file.sync_all());
            if written.is_err() {
                // Half a line must not stand in front of the next one.
                file.set_len(end)?;
            }
            written
        };
        write(&mut self.file).map_err(|source| LedgerError::File { path: self.path.clone(), source })?;
        self.entries.insert(entry.erasure, entry.asked);
        Ok(())
    }
}

fn line<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use authority_api::erasure::ErasureReason;

    use super::*;

    fn entry(n: u8) -> Entry {
        Entry {
            erasure: Uuid::from_bytes([n; 16]),
            asked: Asked {
                contacts: [format!("{n:032x}").parse().unwrap()].into(),
                person: None,
                reason: ErasureReason::PrincipalRequest,
                asked_by: "kimura".parse().unwrap(),
                asked_at: chrono::DateTime::UNIX_EPOCH,
            },
        }
    }

    #[test]
    fn what_was_appended_is_there_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/fences.jsonl");
        assert!(Ledger::open(&path).unwrap().is_none());
        let mut ledger = Ledger::create(&path).unwrap();
        let id = ledger.id();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for n in [1, 2, 1] {
            ledger.append(entry(n)).unwrap();
        }
        assert!(matches!(Ledger::open(&path), Err(LedgerError::Taken(_))), "one process at a time");
        drop(ledger);
        assert!(Ledger::create(&path).is_err(), "never overwritten");
        let again = Ledger::open(&path).unwrap().unwrap();
        assert_eq!(again.id(), id);
        assert_eq!(again.entries().collect::<Vec<_>>(), [entry(1), entry(2)]);
    }

    #[test]
    fn half_a_line_is_cut_off_and_damage_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fences.jsonl");
        let mut ledger = Ledger::create(&path).unwrap();
        ledger.append(entry(1)).unwrap();
        let whole = std::fs::read(&path).unwrap();
        ledger.append(entry(2)).unwrap();
        drop(ledger);
        let both = std::fs::read(&path).unwrap();
        for length in whole.len()..both.len() {
            std::fs::write(&path, &both[..length]).unwrap();
            let mut ledger = Ledger::open(&path).unwrap().unwrap();
            assert_eq!(ledger.entries().count(), 1, "{length}");
            ledger.append(entry(2)).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), both);
        }
        let mut broken = both.clone();
        broken[whole.len() - 5] = b'\n';
        std::fs::write(&path, &broken).unwrap();
        assert!(matches!(Ledger::open(&path), Err(LedgerError::Damaged { line: 2, .. })));
        std::fs::write(&path, "").unwrap();
        assert!(matches!(Ledger::open(&path), Err(LedgerError::Damaged { line: 1, .. })));
    }
}
