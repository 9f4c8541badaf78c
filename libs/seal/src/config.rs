//! The section `[keys]` of every service that seals or opens.

use std::sync::Arc;

use secret::{SecretError, SecretFile};
use serde::Deserialize;
use store::{DatabaseConfig, Store, StoreError};

#[cfg(feature = "pkcs11")]
use crate::kek::{Beside, Pkcs11, Pkcs11Config, Pkcs11Error};
use crate::{CacheConfig, KeyCache, KeyStore, kek::Kek, kek::KeyFile, kek::KeyFileError};

/// What becomes of records that are not sealed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unsealed {
    /// They are as broken ones: they do not leave, and are not applied.
    #[default]
    Refuse,
    /// They are read as they are: while a topic from before sealing still has some.
    Accept,
}

/// Where keys are, and what they are wrapped under: a key file or a device; both on the way from the file to the device.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeysConfig {
    /// The key store: a database of its own, owned by a login of its own.
    pub database: DatabaseConfig,
    /// File with key-encryption keys, mode 0600. Empty: none, as built-in defaults name one.
    #[serde(default)]
    pub key_file: Option<SecretFile>,
    /// A device with key-encryption keys.
    #[cfg(feature = "pkcs11")]
    #[serde(default)]
    pub pkcs11: Option<Pkcs11Config>,
    /// For readers: what becomes of records that are not sealed.
    #[serde(default)]
    pub unsealed: Unsealed,
    /// What is kept in memory.
    #[serde(default)]
    pub cache: CacheConfig,
}

/// The section cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysConfigError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key file.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The device.
    #[cfg(feature = "pkcs11")]
    #[error(transparent)]
    Pkcs11(#[from] Pkcs11Error),
    /// Neither a file nor a device.
    #[error("name keys.key_file or keys.pkcs11: without a key-encryption key nothing can be sealed or opened")]
    Neither,
}

impl KeysConfig {
    /// What is wrong with it, as dotted keys and messages; empty when nothing is. A file that is not there yet is a matter
    /// of the machine: the start fails without it.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if let Err(error) = self.database.validate() {
            problems.push(("keys.database", error.to_string()));
        }
        let files =
            [("keys.database.password_file", self.database.password_file.as_ref()), ("keys.key_file", self.file())];
        for (key, file) in files.into_iter().filter_map(|(key, file)| Some((key, file?))) {
            match file.read_bytes() {
                Err(SecretError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => problems.push((key, error.to_string())),
                Ok(_) => {}
            }
        }
        if self.file().is_none() && !self.has_device() {
            problems.push(("keys", KeysConfigError::Neither.to_string()));
        }
        let cache = &self.cache;
        if cache.max_contacts == 0 || cache.poll_ms == 0 || cache.max_staleness_ms <= cache.poll_ms {
            let what = "max_contacts and poll_ms must be at least 1, and max_staleness_ms more than poll_ms";
            problems.push(("keys.cache", what.to_owned()));
        }
        problems
    }

    /// The key file, if there is one.
    pub fn file(&self) -> Option<&SecretFile> {
        self.key_file.as_ref().filter(|file| !file.path().as_os_str().is_empty())
    }

    #[cfg(feature = "pkcs11")]
    const fn has_device(&self) -> bool {
        self.pkcs11.is_some()
    }

    #[cfg(not(feature = "pkcs11"))]
    const fn has_device(&self) -> bool {
        false
    }

    /// The key-encryption keys. Where there is a device it wraps, and a file only opens what it has wrapped before.
    ///
    /// # Errors
    /// They cannot be read, or the device does not take us.
    pub fn kek(&self) -> Result<Arc<dyn Kek>, KeysConfigError> {
        #[cfg(feature = "pkcs11")]
        if let Some(device) = &self.pkcs11 {
            let device = Pkcs11::open(device.clone())?;
            return Ok(match self.file().cloned() {
                Some(file) => Arc::new(Beside { current: device, other: KeyFile::read(file)? }),
                None => Arc::new(device),
            });
        }
        let file = self.file().cloned().ok_or(KeysConfigError::Neither)?;
        Ok(Arc::new(KeyFile::read(file)?))
    }

    /// An empty cache over the key store, which may be away now: [`KeyCache::serve`] waits for it, and gives nothing out
    /// before the store and the key-encryption keys are known to belong together.
    ///
    /// # Errors
    /// The key-encryption keys cannot be read.
    pub fn cache(&self, application: &str) -> Result<KeyCache, KeysConfigError> {
        let store = Store::connect(application, &self.database)?;
        Ok(KeyCache::new(KeyStore::unproven(store, self.kek()?), self.cache))
    }
}
