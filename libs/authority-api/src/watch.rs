//! The policy in force, as a service sees it.
//!
//! [`SnapshotWatch::offer`] takes whatever arrives on `jointuse.policy`. What is forged, malformed or older than
//! something seen before is ignored and reported, so that the caller can count it and raise an alarm. The highest number
//! seen is kept in a file: a restart does not make an old policy believable again.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use policy::{LoadError, Policy};
use serde::Deserialize;
use tokio::sync::watch;

use crate::{
    keys::{KeyError, PublicKey},
    signed::{self, SignedSnapshotError},
};

/// Section `[policy]` of a service's configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    /// Topic of the signed snapshots.
    pub topic: String,
    /// PEM files of the public keys that may sign.
    pub trusted_keys: Vec<PathBuf>,
    /// Folder for the highest number seen.
    pub state_dir: PathBuf,
}

/// Why the watch cannot start.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// A trusted key is unusable.
    #[error("policy.trusted_keys")]
    Key(#[from] KeyError),
    /// No key, no policy.
    #[error("policy.trusted_keys is empty: name the PEM file of the authority's public policy key")]
    NoKey,
    /// The state folder is unusable.
    #[error("policy.state_dir {path} is unusable")]
    State {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What became of something offered.
#[derive(Debug)]
pub enum Offer {
    /// It is the policy in force now.
    Accepted(Arc<Policy>),
    /// The very snapshot in force, seen again.
    Repeated,
    /// Older than one seen before: ignored. Alarming when it was not merely read from the start of the topic.
    Older {
        /// Its number.
        number: u64,
        /// The highest seen.
        highest: u64,
    },
    /// Not the authority's, or unreadable: ignored. Alarming.
    Forged(SignedSnapshotError),
    /// The authority's, but its rules do not hold here: ignored. Alarming.
    Unloadable(LoadError),
    /// The number could not be kept on disk, so the policy was not taken. Alarming.
    Unkept(io::Error),
}

impl Offer {
    /// A short reason for a metric's label, or `None` when there is nothing to alarm about.
    pub const fn alarm(&self) -> Option<&'static str> {
        match self {
            Self::Accepted(_) | Self::Repeated => None,
            Self::Older { .. } => Some("older"),
            Self::Forged(_) => Some("forged"),
            Self::Unloadable(_) => Some("unloadable"),
            Self::Unkept(_) => Some("unkept"),
        }
    }
}

/// Receives snapshots; [`handle`](Self::handle) gives readers of the policy in force.
#[derive(Debug)]
pub struct SnapshotWatch {
    trusted: Vec<PublicKey>,
    highest: u64,
    file: PathBuf,
    sender: watch::Sender<Option<Arc<Policy>>>,
}

impl PolicyConfig {
    /// The keys that may sign.
    ///
    /// # Errors
    /// When one is unusable, or none is named.
    pub fn keys(&self) -> Result<Vec<PublicKey>, WatchError> {
        if self.trusted_keys.is_empty() {
            return Err(WatchError::NoKey);
        }
        Ok(self.trusted_keys.iter().map(|path| PublicKey::read(path)).collect::<Result<Vec<_>, _>>()?)
    }
}

impl SnapshotWatch {
    /// Reads keys and the number kept by an earlier run.
    ///
    /// # Errors
    /// When a key or the state folder is unusable.
    pub fn open(config: &PolicyConfig) -> Result<Self, WatchError> {
        Self::with_keys(config.keys()?, &config.state_dir)
            .map_err(|source| WatchError::State { path: config.state_dir.display().to_string(), source })
    }

    /// The same with keys at hand.
    ///
    /// # Errors
    /// When the state folder is unusable or its file is damaged.
    pub fn with_keys(trusted: Vec<PublicKey>, state_dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(state_dir)?;
        let file = state_dir.join("policy-number");
        let highest = match fs::read_to_string(&file) {
            Ok(text) => text.trim().parse().map_err(|_| io::Error::other("policy-number is damaged"))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        Ok(Self { trusted, highest, file, sender: watch::Sender::new(None) })
    }

    /// A reader of the policy in force; cheap to clone.
    pub fn handle(&self) -> PolicyHandle {
        PolicyHandle(self.sender.subscribe())
    }

    /// Takes one value of the policy topic.
    pub fn offer(&mut self, bytes: &[u8]) -> Offer {
        let snapshot = match signed::open(bytes, &self.trusted) {
            Ok(snapshot) => snapshot,
            Err(error) => return Offer::Forged(error),
        };
        let number = snapshot.number;
        let current = self.sender.borrow().as_ref().map(|policy| policy.snapshot().number);
        if current == Some(number) {
            return Offer::Repeated;
        }
        // After a restart the highest number itself is taken again; anything below it never.
        if number < self.highest {
            return Offer::Older { number, highest: self.highest };
        }
        let loaded = match self.sender.borrow().as_deref() {
            Some(current) => Policy::load_after(snapshot, current),
            None => Policy::load(snapshot),
        };
        let policy = match loaded {
            Ok(policy) => Arc::new(policy),
            Err(error) => return Offer::Unloadable(error),
        };
        // Readers first: a revocation must not wait for the disk. The file protects a later run only.
        self.highest = number;
        self.sender.send_replace(Some(Arc::clone(&policy)));
        match keep(&self.file, number) {
            Ok(()) => Offer::Accepted(policy),
            Err(error) => {
                self.sender.send_replace(None);
                Offer::Unkept(error)
            }
        }
    }
}

pub(crate) fn keep(file: &Path, number: u64) -> io::Result<()> {
    let temporary = file.with_extension("new");
    fs::write(&temporary, number.to_string())?;
    fs::rename(temporary, file)
}

/// Reads the policy in force, and waits for changes.
#[derive(Debug, Clone)]
pub struct PolicyHandle(watch::Receiver<Option<Arc<Policy>>>);

impl PolicyHandle {
    /// The policy in force at `at`: `None` when none arrived yet or the last one expired. Then refuse.
    pub fn current(&self, at: DateTime<Utc>) -> Option<Arc<Policy>> {
        self.0.borrow().clone().filter(|policy| !policy.expired(at))
    }

    /// The last policy that arrived, be it expired.
    pub fn latest(&self) -> Option<Arc<Policy>> {
        self.0.borrow().clone()
    }

    /// Waits for the next change. `false` when the watch is gone: no further policy will come.
    pub async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }

    /// A handle on a policy set by hand, for tests of what decides by it.
    pub fn fixed(policy: Policy) -> Self {
        Self(watch::Sender::new(Some(Arc::new(policy))).subscribe())
    }
}

#[cfg(test)]
mod tests;
