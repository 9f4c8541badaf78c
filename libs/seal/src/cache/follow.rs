//! Hearing of erasures.

use std::{
    sync::PoisonError,
    time::{Duration, Instant},
};

use super::{Inner, KeyCache, lock};
use crate::{Changes, KeyError};

impl KeyCache {
    /// Looks for changes again and again: the task that every holder of a cache runs. It never ends by itself.
    pub async fn follow(&self) {
        let mut away = false;
        loop {
            match self.refresh().await {
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
                let forget = |contact| self.shard(contact).is_some_and(|shard| lock(shard).remove(contact));
                contacts.iter().filter(|contact| forget(*contact)).count()
            }
            Changes::All { epoch } => {
                gate.applied = *epoch;
                self.shards.iter().map(|shard| lock(shard).clear()).sum()
            }
        };
        self.metrics.forgotten("changed", forgotten);
    }

    fn sweep(&self) {
        let now = Instant::now();
        let swept = self.shards.iter().map(|shard| lock(shard).sweep(now, self.max_age(), self.doubt())).sum();
        self.metrics.forgotten("expired", swept);
    }
}
