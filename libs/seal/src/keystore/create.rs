//! Giving contacts keys.

use super::{Answers, KeyError, KeyStore, distinct};
use crate::{
    Contact, KeyName,
    db::{self, keys::Stored},
    kek::Wrapped,
};

impl KeyStore {
    /// The keys of these contacts; those that have none get one. Several that do this for the same contacts at once get
    /// the same keys. A fenced contact stays [`KeyState::Erased`](super::KeyState::Erased).
    ///
    /// # Errors
    /// [`KeyError`]. After a lost commit it is unknown whether the keys were created; asking again finds out.
    pub async fn create_or_get(&self, contacts: &[Contact]) -> Result<Answers, KeyError> {
        let contacts = distinct(contacts);
        let asked = contacts.clone();
        let moment = self
            .store
            .read("keys_get", move |conn| db::keys::read_states(conn, &asked).map_err(KeyError::from))
            .await?;
        let unknown = |(contact, stored): (&Contact, &Stored)| match stored {
            Stored::Unknown => Some(KeyName { contact: *contact, version: 1 }),
            Stored::Keys(_) | Stored::Erased => None,
        };
        let names: Vec<KeyName> = moment.contacts.iter().filter_map(unknown).collect();
        if names.is_empty() {
            return self.unwrap_read(moment).await;
        }
        let wrapped = self.wrap_fresh(names).await?;
        let create = move |conn: &mut diesel::PgConnection| {
            db::lock_shared(conn)?;
            insert(conn, &wrapped, 0)?;
            // A statement of its own: it sees what others committed while this one waited for them.
            Ok::<_, KeyError>(db::keys::states(conn, &contacts)?)
        };
        let moment = self.store.run_tx("keys_create", create).await?;
        self.unwrap_read(moment).await
    }

    /// Gives contacts that have keys a new version, by which is sealed from now on; the old ones go on opening what they
    /// sealed. Caches hear of it. Erased and unknown contacts stay what they are.
    ///
    /// # Errors
    /// [`KeyError`].
    pub async fn renew(&self, contacts: &[Contact]) -> Result<Answers, KeyError> {
        let contacts = distinct(contacts);
        let asked = contacts.clone();
        let moment = self
            .store
            .read("keys_get", move |conn| db::keys::read_states(conn, &asked).map_err(KeyError::from))
            .await?;
        let next = |(contact, stored): (&Contact, &Stored)| {
            let newest = stored.keys().last()?.name.version;
            Some(KeyName { contact: *contact, version: newest.checked_add(1)? })
        };
        let names: Vec<KeyName> = moment.contacts.iter().filter_map(next).collect();
        if names.is_empty() {
            return self.unwrap_read(moment).await;
        }
        let wrapped = self.wrap_fresh(names).await?;
        let renew = move |conn: &mut diesel::PgConnection| {
            db::lock_alone(conn)?;
            let epoch = db::next_epoch(conn)?;
            insert(conn, &wrapped, epoch)?;
            Ok::<_, KeyError>(db::keys::states(conn, &contacts)?)
        };
        let moment = self.store.run_tx("keys_renew", renew).await?;
        self.unwrap_read(moment).await
    }
}

/// Inserts keys that were wrapped together, unless what they are wrapped under was retired in between.
fn insert(conn: &mut diesel::PgConnection, wrapped: &[Wrapped], epoch: i64) -> Result<(), KeyError> {
    let Some(Wrapped { kek, .. }) = wrapped.first() else { return Ok(()) };
    if !db::keks::wraps(conn, kek)? {
        return Err(KeyError::Retired { kek: kek.clone() });
    }
    db::keys::insert(conn, kek, wrapped, epoch)?;
    Ok(())
}
