//! Hearing of erasures.

use std::{
    sync::PoisonError,
    time::{Duration, Instant},
};

use store::patiently;

use super::{Inner, KeyCache};
use crate::{Changes, KeyError};

/// Some 20 microseconds.
const SWEPT_TOGETHER: usize = 4_096;

impl KeyCache {
    /// Waits for the key store, migrates it, proves the key-encryption keys by it, and then looks for changes again and
    /// again: the task that a service runs. `tell` hears whether keys can be had, or why not.
    ///
    /// # Errors
    /// The key store and the key-encryption keys do not belong together, or it cannot be migrated: nothing can ever be
    /// sealed or opened here.
    pub async fn serve(&self, mut tell: impl FnMut(Result<(), &KeyError>)) -> Result<(), KeyError> {
        let keys = &self.inner.keys;
        let waiting = |error: &KeyError| {
            tell(Err(error));
            tracing::warn!(%error, "waiting for the key store");
        };
        let begin = async || {
            keys.store().migrate(crate::MIGRATIONS).await?;
            keys.prove_keks().await
        };
        patiently(None, KeyError::is_transient, waiting, begin).await?;
        self.look_again_and_again(tell).await;
        Ok(())
    }

    /// Looks for changes again and again, for a holder whose store is [open](crate::KeyStore::open). It never ends by itself.
    pub async fn follow(&self) {
        self.look_again_and_again(|_| ()).await;
    }

    async fn look_again_and_again(&self, mut tell: impl FnMut(Result<(), &KeyError>)) {
        let mut away = false;
        loop {
            let looked = self.refresh().await;
            tell(looked.as_ref().copied());
            match looked {
                Ok(()) if away => {
                    away = false;
                    tracing::info!("the key store is heard of again");
                }
                Err(error) if !away => {
                    away = true;
                    tracing::warn!(%error, "the key store is not heard of; keys in memory are given out for a little longer");
                }
                Ok(()) | Err(_) => {}
            }
            tokio::time::sleep(Duration::from_millis(self.inner.config.poll_ms)).await;
        }
    }

    /// Looks once: afterwards no key is given out whose contact was fenced before the call.
    ///
    /// # Errors
    /// [`KeyError`]; the cache is then as fresh as before.
    pub async fn refresh(&self) -> Result<(), KeyError> {
        let inner = &self.inner;
        // One at a time, or an older answer could be applied after a newer one.
        let _alone = inner.refreshing.lock().await;
        inner.sweep();
        let begun = Instant::now();
        let since = inner.gate.read().unwrap_or_else(PoisonError::into_inner).applied;
        let changes = inner.keys.changes_since(since).await?;
        inner.apply(&changes, begun);
        Ok(())
    }
}

impl Inner {
    fn apply(&self, changes: &Changes, heard: Instant) {
        // Held until all is forgotten: what was read before these changes is kept by no one from here on.
        let mut gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        gate.heard = Some(heard);
        let forgotten = match changes {
            Changes::Some { epoch, contacts } => {
                gate.applied = *epoch;
                let mut table = self.table_to_change();
                contacts.iter().filter(|contact| table.remove(contact)).count()
            }
            Changes::All { epoch } => {
                gate.applied = *epoch;
                self.table_to_change().clear()
            }
        };
        self.metrics.forgotten("changed", forgotten);
    }

    fn sweep(&self) {
        let now = Instant::now();
        let slots = self.table().slots();
        // A part at a time, as nobody finds a key meanwhile.
        let parts = (0..slots).step_by(SWEPT_TOGETHER);
        let swept = parts.map(|from| self.table_to_change().sweep(from..from + SWEPT_TOGETHER, now)).sum();
        self.metrics.forgotten("expired", swept);
    }
}
