//! The key store: wrapped keys and fences in PostgreSQL, with a database login of its own.
//!
//! Everything takes many contacts at a time and asks the database once. A contact is in one of three states: it has keys,
//! it is **erased** (fenced: whether its keys are destroyed already does not matter, they are not read any more), or it
//! is unknown. "The database is away" is none of them: that is an error, and [`KeyError::is_transient`].
//!
//! # Creating against fencing
//! A key that is created while its contact is fenced must not survive. Those who create share a lock, those who fence
//! have it alone, and both look after they have it: a creation either commits before the fence, and the destruction
//! that follows deletes its key, or sees the fence and makes none.
//!
//! # What destroying reaches
//! After [`KeyStore::destroy`] no query finds the wrapped bytes. PostgreSQL's files and write-ahead log still have them
//! until VACUUM and recycling, and backups until they expire; all of these open nothing without the key-encryption key.
//! To be certain against someone who holds that as well: rotate ([`KeyStore::rewrap`]), [`KeyStore::retire`] the old
//! key-encryption key, and destroy it. A restore from a backup brings wrapped keys back. It also begins a new timeline of
//! the server, by which the store knows that fences may be missing: it is [`KeyError::Restored`], and caches give no key
//! out, until the fences were replayed ([`Fences::fence`], [`Fences::destroy`], both idempotent) and that was noted
//! ([`Fences::complete`]).

mod create;
mod erase;
mod error;
mod rotate;
mod state;

use std::{collections::BTreeMap, sync::Arc};

use store::Store;

pub use erase::{Changes, Fence, Fences, Forgotten, Remains};
pub use error::KeyError;
pub use rotate::{Progress, Rewrapped};
pub use state::{Answers, KeyState, Resolved, Versions};

use crate::{
    Contact, ContactKey, DataKey, KeyName,
    db::{
        self,
        keys::{Moment, Stored},
    },
    kek::{Kek, KekError, KekId, PROOF, Wrapped},
};

/// The key store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct KeyStore {
    store: Store,
    kek: Arc<dyn Kek>,
}

impl KeyStore {
    /// Takes the database (migrated by [`MIGRATIONS`](crate::MIGRATIONS)) and the key-encryption keys, and checks that they
    /// belong together: every one in use there must be here, and be the same; the current one is made known there.
    ///
    /// # Errors
    /// [`KekError::Missing`] and [`KekError::Wrong`] name the key-encryption key; the database is away.
    pub async fn open(store: Store, kek: Arc<dyn Kek>) -> Result<Self, KeyError> {
        let keys = Self::unproven(store, kek);
        keys.prove_keks().await?;
        Ok(keys)
    }

    /// Without the checks of [`KeyStore::open`], for a database that may be away: nothing may be asked for before
    /// [`KeyStore::prove_keks`] succeeded.
    pub(crate) const fn unproven(store: Store, kek: Arc<dyn Kek>) -> Self {
        Self { store, kek }
    }

    /// The database, for readiness checks.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// The keys of these contacts, in all versions.
    ///
    /// # Errors
    /// [`KeyError`]; what one contact's key fails by is in its state.
    pub async fn get(&self, contacts: &[Contact]) -> Result<Answers, KeyError> {
        let contacts = distinct(contacts);
        let moment = self
            .store
            .read("keys_get", move |conn| db::keys::read_states(conn, &contacts).map_err(KeyError::from))
            .await?;
        self.unwrap_read(moment).await
    }

    /// The key-encryption key that wraps here.
    pub fn current_kek(&self) -> KekId {
        self.kek.current()
    }

    /// How many keys are wrapped under which key-encryption key.
    ///
    /// # Errors
    /// The database's.
    pub async fn counts_by_kek(&self) -> Result<Vec<(KekId, u64)>, KeyError> {
        self.store.read("keys_counts", |conn| Ok(db::keys::counts(conn)?)).await
    }

    /// Checks the key-encryption keys against their proofs, and notes the current one if it is new.
    pub(crate) async fn prove_keks(&self) -> Result<(), KeyError> {
        let current = self.kek.current();
        let known = self.known().await?;
        match known.iter().find(|known| known.proof.kek == current) {
            Some(known) if known.retired => return Err(KeyError::Retired { kek: current }),
            Some(_) => return self.prove(known).await,
            None => self.prove(known).await?,
        }
        let kek = Arc::clone(&self.kek);
        let proofs = blocking(move || Ok(kek.wrap(&[(PROOF, DataKey::random()?)])?)).await?;
        let note = move |conn: &mut diesel::PgConnection| {
            proofs.iter().try_for_each(|proof| db::keks::insert(conn, proof)).map_err(KeyError::from)
        };
        self.store.run_tx("keks_note", note).await?;
        // Another may have been quicker, with another key under the same id.
        let known = self.known().await?;
        self.prove(known).await
    }

    async fn known(&self) -> Result<Vec<db::keks::Known>, KeyError> {
        self.store.read("keks_known", |conn| Ok::<_, KeyError>(db::keks::known(conn)?)).await
    }

    async fn prove(&self, known: Vec<db::keks::Known>) -> Result<(), KeyError> {
        let proofs: Vec<Wrapped> = known.into_iter().filter(|kek| !kek.retired).map(|kek| kek.proof).collect();
        let kek = Arc::clone(&self.kek);
        let proven = blocking(move || unwrap_all(&*kek, &proofs)).await?;
        proven.into_iter().try_for_each(|proof| proof.map(drop)).map_err(KeyError::from)
    }

    /// Unwraps what was read.
    async fn unwrap_read(&self, moment: Moment) -> Result<Answers, KeyError> {
        let kek = Arc::clone(&self.kek);
        blocking(move || {
            let wrapped: Vec<Wrapped> =
                moment.contacts.values().flat_map(|stored| stored.keys().iter().cloned()).collect();
            let mut unwrapped: BTreeMap<Contact, Vec<_>> = BTreeMap::new();
            for (name, key) in wrapped.iter().map(|key| key.name).zip(unwrap_all(&*kek, &wrapped)?) {
                let key = match key {
                    Ok(key) => Ok(ContactKey::new(name, key)),
                    Err(error) => Err(Arc::new(error)),
                };
                unwrapped.entry(name.contact).or_default().push((name.version, key));
            }
            let state = |(contact, stored)| {
                let state = match stored {
                    Stored::Keys(_) => {
                        let versions = unwrapped.remove(&contact).and_then(Versions::new);
                        versions.map_or(KeyState::Unknown, KeyState::Keys)
                    }
                    Stored::Erased => KeyState::Erased,
                    Stored::Unknown => KeyState::Unknown,
                };
                (contact, state)
            };
            Ok(Answers { epoch: moment.epoch, states: moment.contacts.into_iter().map(state).collect() })
        })
        .await
    }

    /// Wraps fresh keys of these names.
    async fn wrap_fresh(&self, names: Vec<KeyName>) -> Result<Vec<Wrapped>, KeyError> {
        let kek = Arc::clone(&self.kek);
        blocking(move || {
            let fresh =
                names.into_iter().map(|name| Ok((name, DataKey::random()?))).collect::<Result<Vec<_>, KeyError>>()?;
            Ok(kek.wrap(&fresh)?)
        })
        .await
    }
}

/// An answer to each, or none at all: a key that a device passed over must not look like one that does not exist.
fn unwrap_all(kek: &dyn Kek, keys: &[Wrapped]) -> Result<Vec<Result<DataKey, KekError>>, KeyError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let unwrapped = kek.unwrap_keys(keys)?;
    if unwrapped.len() == keys.len() { Ok(unwrapped) } else { Err(KeyError::Interrupted) }
}

/// Wrapping and unwrapping may wait for a device.
async fn blocking<T: Send + 'static>(f: impl FnOnce() -> Result<T, KeyError> + Send + 'static) -> Result<T, KeyError> {
    tokio::task::spawn_blocking(f).await.unwrap_or(Err(KeyError::Interrupted))
}

/// Sorted, each once.
fn distinct(contacts: &[Contact]) -> Vec<Contact> {
    let mut contacts = contacts.to_vec();
    contacts.sort_unstable();
    contacts.dedup();
    contacts
}
