//! KEKs in a private file.
//!
//! ```text
//! # Key-encryption keys. …
//! current kek-2
//! kek-1 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//! kek-2 60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752
//! ```
//!
//! Owner-only (mode 0600 or stricter, checked at every reading). A new key is added first, and made current once every
//! service has the file: so nobody meets a wrapped key that he cannot unwrap. Whoever meets an unknown id reads the file
//! again before he refuses.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use aws_lc_rs::aead::LessSafeKey;
use secret::{SecretError, SecretFile};
use zeroize::Zeroizing;

use super::{Kek, KekError, KekId, Wrapped, aes};
use crate::{DataKey, KeyName};

/// A key file cannot be used or changed. Names file, line and id, never a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read, or others may open it.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// It cannot be written.
    #[error("cannot write the key file {path}: {source}")]
    Write { path: std::path::PathBuf, source: std::io::Error },
    /// A line of it is not `id key` or `current id`.
    #[error("line {line} of the key file is neither `id` and 64 hexadecimal digits nor `current` and an id")]
    Line { line: usize },
    /// Two keys have one id.
    #[error("the key file has two keys of the id {kek}")]
    Twice { kek: KekId },
    /// There must be exactly one line `current id`.
    #[error("the key file must say once which key is current")]
    NoCurrent,
    /// The id named is not in the file.
    #[error("the key file has no key of the id {kek}")]
    NoSuchKey { kek: KekId },
    /// The current key stays.
    #[error("{kek} is the current key: make another one current first")]
    IsCurrent { kek: KekId },
    /// No randomness, or out of memory.
    #[error("the operating system gives no randomness for a new key")]
    Random,
}

/// A key's bytes, overwritten on drop.
pub(super) type KekBytes = Zeroizing<[u8; 32]>;

/// What a key file says.
pub(super) struct Content {
    pub(super) current: KekId,
    pub(super) keys: BTreeMap<KekId, KekBytes>,
}

impl Content {
    pub(super) fn read(file: &SecretFile) -> Result<Self, KeyFileError> {
        Self::parse(&Zeroizing::new(file.read()?.into_exposed()))
    }

    fn parse(text: &str) -> Result<Self, KeyFileError> {
        let (mut current, mut keys) = (None, BTreeMap::new());
        for (n, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let malformed = KeyFileError::Line { line: n + 1 };
            let Some((word, value)) = line.split_once(char::is_whitespace) else { return Err(malformed) };
            let value = value.trim();
            if word == "current" {
                let Ok(id) = value.parse::<KekId>() else { return Err(malformed) };
                if current.replace(id).is_some() {
                    return Err(KeyFileError::NoCurrent);
                }
                continue;
            }
            let Ok(id) = word.parse::<KekId>() else { return Err(malformed) };
            let mut bytes = KekBytes::default();
            if hex::decode_to_slice(value, bytes.as_mut_slice()).is_err() {
                return Err(malformed);
            }
            if keys.insert(id.clone(), bytes).is_some() {
                return Err(KeyFileError::Twice { kek: id });
            }
        }
        let current = current.ok_or(KeyFileError::NoCurrent)?;
        if !keys.contains_key(&current) {
            return Err(KeyFileError::NoSuchKey { kek: current });
        }
        Ok(Self { current, keys })
    }
}

/// The KEKs of a private file, expanded.
#[derive(Clone)]
pub struct KeyFile {
    file: SecretFile,
    held: Arc<RwLock<Arc<Held>>>,
}

struct Held {
    current: KekId,
    keys: BTreeMap<KekId, LessSafeKey>,
}

impl Held {
    fn read(file: &SecretFile) -> Result<Arc<Self>, KeyFileError> {
        let Content { current, keys } = Content::read(file)?;
        let expand = |(id, key): (KekId, KekBytes)| Some((id, aes::expand(&key)?));
        let keys = keys.into_iter().map(expand).collect::<Option<_>>().ok_or(KeyFileError::Random)?;
        Ok(Arc::new(Self { current, keys }))
    }
}

impl KeyFile {
    /// Reads the file.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn read(file: SecretFile) -> Result<Self, KeyFileError> {
        let held = Held::read(&file)?;
        Ok(Self { file, held: Arc::new(RwLock::new(held)) })
    }

    /// Reads the file again; on an error what was read before stays.
    ///
    /// # Errors
    /// As [`KeyFile::read`].
    pub fn reload(&self) -> Result<(), KeyFileError> {
        let held = Held::read(&self.file)?;
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = held;
        Ok(())
    }

    /// All keys of the file, the current one among them.
    pub fn ids(&self) -> Vec<KekId> {
        self.held().keys.keys().cloned().collect()
    }

    fn held(&self) -> Arc<Held> {
        Arc::clone(&self.held.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFile").field("file", &self.file).field("ids", &self.ids()).finish_non_exhaustive()
    }
}

impl Kek for KeyFile {
    fn current(&self) -> KekId {
        self.held().current.clone()
    }

    fn wrap(&self, keys: &[(KeyName, DataKey)]) -> Result<Vec<Wrapped>, KekError> {
        let held = self.held();
        let kek = held.keys.get(&held.current).ok_or_else(|| KekError::Missing { kek: held.current.clone() })?;
        keys.iter().map(|(name, key)| aes::wrap(kek, &held.current, *name, key)).collect()
    }

    fn unwrap_keys(&self, keys: &[Wrapped]) -> Result<Vec<Result<DataKey, KekError>>, KekError> {
        let mut held = self.held();
        if keys.iter().any(|wrapped| !held.keys.contains_key(&wrapped.kek)) {
            // The file may have got a new key since it was read.
            match self.reload() {
                Ok(()) => held = self.held(),
                Err(error) => {
                    tracing::warn!(%error, "a key-encryption key is unknown, and the key file was not read again");
                }
            }
        }
        let unwrap = |wrapped: &Wrapped| match held.keys.get(&wrapped.kek) {
            Some(kek) => aes::unwrap(kek, wrapped),
            None => Err(KekError::Missing { kek: wrapped.kek.clone() }),
        };
        Ok(keys.iter().map(unwrap).collect())
    }
}

#[cfg(test)]
mod tests;
