//! Changing the key-encryption key, without touching a record.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{KeyError, KeyStore, blocking, unwrap_all};
use crate::{
    KeyName, db,
    kek::{KekError, KekId, Wrapped},
};

/// How far a rotation is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Keys looked at.
    pub done: u64,
    /// Keys that were wrapped under other key-encryption keys when it began.
    pub total: u64,
}

/// How a rotation ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// Keys that are now wrapped under the current key-encryption key.
    pub moved: u64,
    /// Keys that do not open, and stay as they are: rows that were altered or damaged.
    pub damaged: Vec<KeyName>,
}

impl KeyStore {
    /// Wraps all keys under the current key-encryption key that are not yet, `batch` at a time, each batch in one
    /// transaction. How far it is, is in the rows: when it is stopped, the next call goes on. Readers and writers may
    /// go on meanwhile. Writers that still wrap under another one are found by [`KeyStore::counts_by_kek`], and by the
    /// next call.
    ///
    /// # Errors
    /// [`KekError::Missing`] names the key-encryption key that is needed; the database is away.
    pub async fn rewrap(&self, batch: u32, mut progress: impl FnMut(&Progress) + Send) -> Result<Rewrapped, KeyError> {
        self.prove_keks().await?;
        let current = self.kek.current();
        let others: Vec<(KekId, u64)> =
            self.counts_by_kek().await?.into_iter().filter(|(kek, _)| *kek != current).collect();
        let mut told = Progress { done: 0, total: others.iter().map(|(_, keys)| keys).sum() };
        let mut ended = Rewrapped::default();
        for (kek, _) in others {
            let mut after = None;
            loop {
                let (from, limit) = (kek.clone(), batch.max(1));
                let read = move |conn: &mut diesel::PgConnection| {
                    Ok::<_, KeyError>(db::keys::wrapped_under(conn, &from, after, limit)?)
                };
                let keys = self.store.read("keys_wrapped_under", read).await?;
                let Some(last) = keys.last() else { break };
                after = Some(last.name);
                told.done += keys.len() as u64;
                ended.moved += self.rewrap_batch(kek.clone(), keys, &mut ended.damaged).await?;
                progress(&told);
            }
        }
        Ok(ended)
    }

    async fn rewrap_batch(&self, from: KekId, keys: Vec<Wrapped>, damaged: &mut Vec<KeyName>) -> Result<u64, KeyError> {
        let kek = Arc::clone(&self.kek);
        let (again, broken) = blocking(move || {
            let (mut opened, mut broken) = (Vec::with_capacity(keys.len()), Vec::new());
            for (name, key) in keys.iter().map(|key| key.name).zip(unwrap_all(&*kek, &keys)?) {
                match key {
                    Ok(key) => opened.push((name, key)),
                    // The key-encryption key itself has just been proven.
                    Err(KekError::Wrong { .. }) => broken.push(name),
                    Err(error) => return Err(error.into()),
                }
            }
            Ok((kek.wrap(&opened)?, broken))
        })
        .await?;
        damaged.extend(broken);
        let Some(to) = again.first().map(|key| key.kek.clone()) else { return Ok(0) };
        let replace = move |conn: &mut diesel::PgConnection| {
            db::lock_shared(conn)?;
            if !db::keks::wraps(conn, &to)? {
                return Err(KeyError::Retired { kek: to.clone() });
            }
            Ok(db::keys::replace(conn, &from, &to, &again)?)
        };
        Ok(self.store.run_tx("keys_rewrap", replace).await? as u64)
    }

    /// Notes that nothing may be wrapped under this key-encryption key any more, so that it can be taken out of the
    /// services and destroyed. Writers that still have it as their current one get [`KeyError::Retired`].
    ///
    /// # Errors
    /// [`KeyError::InUse`] while keys are wrapped under it; [`KekError::Missing`] when it was never used here.
    pub async fn retire(&self, kek: KekId, at: DateTime<Utc>) -> Result<(), KeyError> {
        if kek == self.kek.current() {
            return Err(KeyError::IsCurrent { kek });
        }
        let retire = move |conn: &mut diesel::PgConnection| {
            db::lock_alone(conn)?;
            let keys = db::keks::used(conn, &kek)?;
            if keys > 0 {
                return Err(KeyError::InUse { kek: kek.clone(), keys });
            }
            let known = db::keks::retire(conn, &kek, at)?;
            if known { Ok(()) } else { Err(KekError::Missing { kek: kek.clone() }.into()) }
        };
        self.store.run_tx("keks_retire", retire).await
    }
}
