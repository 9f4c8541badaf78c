//! Key-encryption keys (KEKs): what the data keys of the key store are wrapped under.
//!
//! Several live side by side by id; one is current and wraps, all unwrap. [`Kek`] is behind every use, with two
//! implementations: [`KeyFile`], a private file, and `Pkcs11` (feature `pkcs11`), a hardware module or a server that
//! speaks PKCS#11. Both wrap by **AES-256-GCM** with associated data that binds contact, version and KEK id, so that who can
//! write to the key store cannot give one contact another's key (AES-KWP, the usual choice, binds nothing). Random nonces
//! are safe here: a KEK wraps one small key per contact, and 2³² contacts are more people than there are.

pub(crate) mod aes;
#[cfg(any(feature = "pkcs11", test))]
mod beside;
mod edit;
mod key_file;
#[cfg(feature = "pkcs11")]
mod pkcs11;

use std::{fmt, str::FromStr, sync::Arc};

#[cfg(feature = "pkcs11")]
pub(crate) use beside::Beside;
pub use edit::{add, create, make_current, remove};
pub use key_file::{KeyFile, KeyFileError};
#[cfg(feature = "pkcs11")]
pub use pkcs11::{Pkcs11, Pkcs11Config, Pkcs11Error};

use crate::{Contact, DataKey, KeyName, contact::CONTACT};

/// The name under which the proof of a KEK is wrapped (see the migration): no contact has version 0.
pub(crate) const PROOF: KeyName = KeyName { contact: Contact::new([0; CONTACT]), version: 0 };

/// Id of a key-encryption key: 1 to 60 of `a-z`, `0-9`, `-`, `.`, beginning with a letter. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KekId(Arc<str>);

impl KekId {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KekId {
    type Err = KekError;
    fn from_str(text: &str) -> Result<Self, KekError> {
        let fine = text.len() <= 60
            && text != "current"
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'));
        if fine { Ok(Self(text.into())) } else { Err(KekError::Id) }
    }
}

impl fmt::Display for KekId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KekId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KekId({})", self.0)
    }
}

/// A wrapped data key, as the key store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapped {
    /// Which key it is.
    pub name: KeyName,
    /// What it is wrapped under.
    pub kek: KekId,
    /// The wrapped bytes.
    pub bytes: Vec<u8>,
}

/// Why a key could not be wrapped or unwrapped. Names the KEK, never a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KekError {
    /// The KEK is not here.
    #[error("the key-encryption key {kek} is not here: add it, or restore it from where it was kept")]
    Missing { kek: KekId },
    /// It does not open what is said to be wrapped under it.
    #[error(
        "the key-encryption key {kek} does not open what it is said to have wrapped: it is another key under the same id, or the row was altered"
    )]
    Wrong { kek: KekId },
    /// Its device does not answer. It may later.
    #[error("the device with the key-encryption key {kek} does not answer: {reason}")]
    Unavailable { kek: KekId, reason: String },
    /// No randomness.
    #[error("no randomness for wrapping under the key-encryption key {kek}")]
    Random { kek: KekId },
    /// No id.
    #[error(
        "the id of a key-encryption key is 1 to 60 characters of a-z, 0-9, '-' and '.', begins with a letter, and is not `current`"
    )]
    Id,
}

impl KekError {
    /// Whether the same request may succeed later without any change here.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// Key-encryption keys. Calls may block for as long as a device takes; they are made on threads where that is allowed,
/// and with all keys of one request, so that a device is asked in one session.
pub trait Kek: fmt::Debug + Send + Sync + 'static {
    /// The one that wraps.
    fn current(&self) -> KekId;

    /// Wraps under the current one, in the order given.
    ///
    /// # Errors
    /// [`KekError`]: then none is wrapped.
    fn wrap(&self, keys: &[(KeyName, DataKey)]) -> Result<Vec<Wrapped>, KekError>;

    /// Unwraps, in the order given. A key whose KEK is missing or wrong fails alone.
    ///
    /// # Errors
    /// [`KekError::Unavailable`] for all, when the device does not answer.
    fn unwrap_keys(&self, keys: &[Wrapped]) -> Result<Vec<Result<DataKey, KekError>>, KekError>;
}

/// What the wrapped bytes are bound to: the KEK's id (its length first), contact and version.
pub(crate) fn binding(kek: &KekId, name: KeyName) -> Vec<u8> {
    const DOMAIN: &[u8] = b"jointuse wrapped key 1";
    let id = kek.as_str().as_bytes();
    let mut aad = Vec::with_capacity(DOMAIN.len() + 8 + id.len() + CONTACT + 4);
    aad.extend_from_slice(DOMAIN);
    aad.extend_from_slice(&(id.len() as u64).to_be_bytes());
    aad.extend_from_slice(id);
    aad.extend_from_slice(name.contact.as_bytes());
    aad.extend_from_slice(&name.version.to_be_bytes());
    aad
}
