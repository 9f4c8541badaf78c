//! Sealing: what lies on the bus is ciphertext, and erasing a person is destroying a key.
//!
//! Every writer seals a record's value under the data key of its contact ([`ContactKey::seal`]); every reader that has a
//! permit opens it ([`Envelope::open_into`]). The keys are in the [`KeyStore`], wrapped under key-encryption keys
//! ([`kek`]) that are elsewhere. A [`KeyCache`] keeps what was unwrapped, bounded in number and time, and forgets what was
//! erased. Permits are not asked for here: the caller holds one before it has a plaintext.
//!
//! A reader's road, for one answer of the broker:
//!
//! ```no_run
//! # use seal::*;
//! # async fn example(cache: &KeyCache, values: Vec<&[u8]>, place: Place<'_>) -> Result<(), CacheError> {
//! let envelopes: Vec<Envelope<'_>> = values.iter().filter_map(|value| Envelope::parse(value).ok()).collect();
//! let names: Vec<KeyName> = envelopes.iter().map(Envelope::key).collect();
//! // Warm: no await, no allocation but the table. Cold: one query for all that is missing.
//! let keys = cache.resolve(&names).await?;
//! let (mut scratch, mut out) = (Scratch::new(), Vec::new());
//! for (envelope, key) in envelopes.iter().zip(&keys) {
//!     if let Resolved::Key(key) = key {
//!         let _datum = envelope.open_onto(key, &place, &mut scratch, 5, &mut out);
//!     }
//! }
//! # Ok(()) }
//! ```

mod cache;
mod config;
mod contact;
mod db;
mod envelope;
mod error;
mod forgetter;
pub mod kek;
mod key;
mod keystore;
mod nonces;
mod place;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};

pub use cache::{CacheConfig, CacheError, KeyCache, Look};
pub use config::{KeysConfig, KeysConfigError, Unsealed};
pub use contact::{CONTACT, Contact};
pub use envelope::{Envelope, OVERHEAD, may_hold_envelope};
pub use error::{EnvelopeError, OpenError, SealError};
pub use forgetter::Forgetter;
pub use kek::{Kek, KekError, KekId, KeyFile, KeyFileError};
#[cfg(feature = "pkcs11")]
pub use kek::{Pkcs11, Pkcs11Config, Pkcs11Error};
pub use key::{ContactKey, DataKey, KeyName};
pub use keystore::{
    Answers, Changes, Fence, Fences, Forgotten, KeyError, KeyState, KeyStore, Progress, Remains, Resolved, Rewrapped,
    Versions,
};
pub use place::{Place, Scratch};

/// The tables of the key store, in the schema `keys` of its own database.
pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!();
