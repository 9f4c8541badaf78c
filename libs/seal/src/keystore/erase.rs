//! The key store's half of an erasure: fence, destroy, verify. All can be repeated; there is no way back.

use chrono::{DateTime, Utc};
use store::Store;
use uuid::Uuid;

use super::{KeyError, KeyStore, distinct};
use crate::{Contact, db};

/// Most changes that are listed one by one.
const LISTED: u32 = 10_000;

/// A fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// Whose.
    pub contact: Contact,
    /// Since when.
    pub fenced: DateTime<Utc>,
    /// When the keys were destroyed.
    pub destroyed: Option<DateTime<Utc>>,
}

/// What is left of a contact that should be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remains {
    /// Whose.
    pub contact: Contact,
    /// Whether it is fenced at all.
    pub fenced: bool,
    /// Wrapped keys that are still there.
    pub keys: u64,
}

/// That a service keeps nothing of an erased contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// Whose.
    pub contact: Contact,
    /// Who.
    pub service: String,
    /// Since when.
    pub at: DateTime<Utc>,
}

/// What changed since a cache looked last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changes {
    /// These contacts, up to this number.
    Some { epoch: u64, contacts: Vec<Contact> },
    /// Too much to list, or the store was put back to an earlier state: forget everything.
    All { epoch: u64 },
}

/// The key store without key-encryption keys: who erases needs none.
#[derive(Clone, Debug)]
pub struct Fences {
    store: Store,
}

impl Fences {
    /// Takes the key store's database.
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// The database.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Step one: fences contacts, for ever. When it returns, no query gives out a key of theirs and none will be
    /// created, whatever happens next; caches hear of it at their next look. Gives how many were new.
    ///
    /// # Errors
    /// [`KeyError`]; after a lost commit it is unknown, so repeat it.
    pub async fn fence(&self, contacts: &[Contact], at: DateTime<Utc>) -> Result<usize, KeyError> {
        let contacts = distinct(contacts);
        let fence = move |conn: &mut diesel::PgConnection| {
            db::lock_alone(conn)?;
            let epoch = db::next_epoch(conn)?;
            Ok::<_, KeyError>(db::fences::insert(conn, &contacts, at, epoch)?)
        };
        self.store.run_tx("keys_fence", fence).await
    }

    /// Step two: destroys the keys of fenced contacts. Gives how many keys there were.
    ///
    /// # Errors
    /// [`KeyError::NotFenced`], and then none is destroyed.
    pub async fn destroy(&self, contacts: &[Contact], at: DateTime<Utc>) -> Result<usize, KeyError> {
        let contacts = distinct(contacts);
        let destroy = move |conn: &mut diesel::PgConnection| {
            db::lock_alone(conn)?;
            let unfenced = db::fences::remains(conn, &contacts)?.into_iter().find(|remains| !remains.fenced);
            if let Some(Remains { contact, .. }) = unfenced {
                return Err(KeyError::NotFenced { contact });
            }
            let keys = db::keys::delete(conn, &contacts)?;
            db::fences::destroyed(conn, &contacts, at)?;
            Ok(keys)
        };
        self.store.run_tx("keys_destroy", destroy).await
    }

    /// Step three: what is left of contacts that should be gone. Nothing: they are fenced and have no keys.
    ///
    /// # Errors
    /// The database's.
    pub async fn verify_gone(&self, contacts: &[Contact]) -> Result<Vec<Remains>, KeyError> {
        let contacts = distinct(contacts);
        self.store
            .read("keys_verify_gone", move |conn| {
                db::by_key(conn)?;
                Ok(db::fences::remains(conn, &contacts)?)
            })
            .await
    }

    /// All fences in order of contacts, a page at a time: to be kept apart from the backups, and replayed after a restore.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, after: Option<Contact>, limit: u32) -> Result<Vec<Fence>, KeyError> {
        self.store.read("keys_fences", move |conn| Ok(db::fences::list(conn, after, limit)?)).await
    }

    /// Notes that `service` keeps nothing of these fenced contacts; the first time stays.
    ///
    /// # Errors
    /// The database's.
    pub async fn forgotten(
        &self,
        service: &'static str,
        contacts: &[Contact],
        at: DateTime<Utc>,
    ) -> Result<(), KeyError> {
        let contacts = distinct(contacts);
        let note = move |conn: &mut diesel::PgConnection| {
            Ok::<_, KeyError>(db::forgotten::insert(conn, service, &contacts, at)?)
        };
        self.store.run_tx("keys_forgotten", note).await
    }

    /// Which services keep nothing of these contacts.
    ///
    /// # Errors
    /// The database's.
    pub async fn forgotten_by(&self, contacts: &[Contact]) -> Result<Vec<Forgotten>, KeyError> {
        let contacts = distinct(contacts);
        self.store.read("keys_forgotten_by", move |conn| Ok(db::forgotten::of(conn, &contacts)?)).await
    }

    /// Whether all fences are known to stand where this database runs now.
    ///
    /// # Errors
    /// The database's.
    pub async fn is_complete(&self) -> Result<bool, KeyError> {
        self.store.read("keys_is_complete", |conn| Ok(db::epoch(conn)?.complete)).await
    }

    /// Notes that they do, after a replay: keys are given out from here on. Caches and services hear of all
    /// fences again.
    ///
    /// # Errors
    /// The database's.
    pub async fn complete(&self) -> Result<(), KeyError> {
        let complete = |conn: &mut diesel::PgConnection| {
            db::lock_alone(conn)?;
            Ok::<_, KeyError>(db::complete(conn)?)
        };
        self.store.run_tx("keys_complete", complete).await
    }

    /// Which ledger the fences are kept in.
    ///
    /// # Errors
    /// The database's.
    pub async fn ledger(&self) -> Result<Option<Uuid>, KeyError> {
        self.store.read("keys_ledger", |conn| Ok(db::ledger(conn)?)).await
    }

    /// Notes it, once for all.
    ///
    /// # Errors
    /// The database's.
    pub async fn kept_in(&self, ledger: Uuid) -> Result<(), KeyError> {
        self.store.run_tx("keys_kept_in", move |conn| Ok(db::kept_in(conn, ledger)?)).await
    }
}

impl KeyStore {
    /// The same without key-encryption keys.
    pub fn without_keks(&self) -> Fences {
        Fences::new(self.store.clone())
    }

    /// See [`Fences::fence`].
    ///
    /// # Errors
    /// [`KeyError`].
    pub async fn fence(&self, contacts: &[Contact], at: DateTime<Utc>) -> Result<usize, KeyError> {
        self.without_keks().fence(contacts, at).await
    }

    /// See [`Fences::destroy`].
    ///
    /// # Errors
    /// [`KeyError`].
    pub async fn destroy(&self, contacts: &[Contact], at: DateTime<Utc>) -> Result<usize, KeyError> {
        self.without_keks().destroy(contacts, at).await
    }

    /// See [`Fences::verify_gone`].
    ///
    /// # Errors
    /// [`KeyError`].
    pub async fn verify_gone(&self, contacts: &[Contact]) -> Result<Vec<Remains>, KeyError> {
        self.without_keks().verify_gone(contacts).await
    }

    /// See [`Fences::list`].
    ///
    /// # Errors
    /// [`KeyError`].
    pub async fn fences(&self, after: Option<Contact>, limit: u32) -> Result<Vec<Fence>, KeyError> {
        self.without_keks().list(after, limit).await
    }

    /// What caches must forget that know everything up to `epoch`.
    ///
    /// # Errors
    /// [`KeyError::Restored`], and then no key may be given out; the database's.
    pub async fn changes_since(&self, epoch: u64) -> Result<Changes, KeyError> {
        let changes = move |conn: &mut diesel::PgConnection| {
            let now = db::unsigned(db::standing(conn)?);
            if now == epoch {
                return Ok(Changes::Some { epoch, contacts: Vec::new() });
            }
            let since = i64::try_from(epoch).unwrap_or(i64::MAX);
            let contacts = db::fences::changed(conn, since, LISTED)?;
            let listed = now > epoch && contacts.len() < usize::try_from(LISTED).unwrap_or(usize::MAX);
            Ok(if listed { Changes::Some { epoch: now, contacts } } else { Changes::All { epoch: now } })
        };
        self.store.read("keys_changes", changes).await
    }
}
