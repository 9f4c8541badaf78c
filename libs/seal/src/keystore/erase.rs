//! The key store's half of an erasure: fence, destroy, verify. All can be repeated; there is no way back.

use chrono::{DateTime, Utc};

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

/// What changed since a cache looked last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changes {
    /// These contacts, up to this number.
    Some { epoch: u64, contacts: Vec<Contact> },
    /// Too much to list, or the store was put back to an earlier state: forget everything.
    All { epoch: u64 },
}

impl KeyStore {
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
    pub async fn fences(&self, after: Option<Contact>, limit: u32) -> Result<Vec<Fence>, KeyError> {
        self.store.read("keys_fences", move |conn| Ok(db::fences::list(conn, after, limit)?)).await
    }

    /// What caches must forget that know everything up to `epoch`.
    ///
    /// # Errors
    /// The database's.
    pub async fn changes_since(&self, epoch: u64) -> Result<Changes, KeyError> {
        let changes = move |conn: &mut diesel::PgConnection| {
            let now = db::unsigned(db::epoch(conn)?);
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
