//! What can go wrong with the key store.

use store::StoreError;

use crate::{
    Contact,
    error::SealError,
    kek::{KekError, KekId},
};

/// A request to the key store failed as a whole.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The database.
    #[error("the key store: {0}")]
    Store(#[from] StoreError),
    /// The key-encryption keys.
    #[error(transparent)]
    Kek(#[from] KekError),
    /// No randomness.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The database was restored, promoted or moved, and some fences may be missing.
    #[error(
        "the key store was restored and its fences were not replayed: the authority does it from its ledger of erasures"
    )]
    Restored,
    /// Keys are destroyed behind a fence only.
    #[error("the contact {contact} is not fenced: its key stays")]
    NotFenced { contact: Contact },
    /// The current key-encryption key is retired: the service goes by an old key file.
    #[error("the key-encryption key {kek} is retired and wraps nothing any more: make the newer one current here too")]
    Retired { kek: KekId },
    /// It may not be retired.
    #[error("{keys} keys are still wrapped under the key-encryption key {kek}: rotate first")]
    InUse { kek: KekId, keys: u64 },
    /// The current one is never retired.
    #[error("{kek} is the current key-encryption key: make another one current first")]
    IsCurrent { kek: KekId },
    /// Wrapping or unwrapping panicked, or the runtime is being shut down.
    #[error("wrapping or unwrapping was interrupted")]
    Interrupted,
}

impl KeyError {
    /// Why no keys can be had, and what to do, for whoever looks at a service's readiness.
    pub const fn readiness(&self) -> &'static str {
        match self {
            Self::Restored => {
                "the key store was restored from a backup and its fences are not replayed yet: \
                 start the authority, which does it from its ledger of erasures"
            }
            _ => "the key store does not answer",
        }
    }

    /// Whether the same request may succeed later without any change: the database or a device is away. Nothing may be
    /// said about a contact then, neither that it is erased nor that it is unknown.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Kek(error) => error.is_transient(),
            Self::Interrupted | Self::Restored => true,
            Self::Seal(_)
            | Self::NotFenced { .. }
            | Self::Retired { .. }
            | Self::InUse { .. }
            | Self::IsCurrent { .. } => false,
        }
    }
}
