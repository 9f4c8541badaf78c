//! What a service does that has a word in erasures: it forgets what was erased, or sees that it cannot be opened, and says so.

use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use chrono::Utc;

use crate::{
    CacheConfig, Contact, Fences, KeyError,
    db::{
        self,
        forgotten::{Cursor, START},
    },
};

/// Contacts that are forgotten together.
const PAGE: u32 = 1_000;

/// Goes through all fences, from the first one at each start, and then looks for new ones again and again. A restore of
/// the service's own database is so made good by itself.
#[derive(Clone)]
pub struct Forgetter {
    fences: Fences,
    service: &'static str,
    config: CacheConfig,
    heard: Arc<Mutex<Option<Instant>>>,
}

impl fmt::Debug for Forgetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forgetter").field("service", &self.service).finish_non_exhaustive()
    }
}

/// Why a round was not finished.
#[derive(Debug, thiserror::Error)]
enum RoundError<E> {
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error("{0}")]
    Forget(E),
}

impl Forgetter {
    pub(crate) fn new(fences: Fences, service: &'static str, config: CacheConfig) -> Self {
        Self { fences, service, config, heard: Arc::default() }
    }

    /// Whether everything was forgotten that was erased before `keys.cache.max_staleness_ms`. If not, nothing may be
    /// given out that could be of somebody who was erased.
    pub fn is_current(&self) -> bool {
        let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.is_some_and(|heard| heard.elapsed() <= Duration::from_millis(self.config.max_staleness_ms))
    }

    /// The task: hands fenced contacts to `forget`, which returns when nothing of them is left and nothing will come, and
    /// notes that. Never ends by itself.
    pub async fn run<E, F, Fut>(&self, mut forget: F)
    where
        E: fmt::Display + Send,
        F: FnMut(Vec<Contact>) -> Fut + Send,
        Fut: Future<Output = Result<(), E>> + Send,
    {
        let (mut cursor, mut failing) = (START, false);
        loop {
            let begun = Instant::now();
            match self.round(&mut cursor, &mut forget).await {
                Ok(()) => {
                    failing = false;
                    *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(begun);
                }
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(%error, "what was erased cannot be forgotten now; trying again");
                }
                Err(_) => {}
            }
            tokio::time::sleep(Duration::from_millis(self.config.poll_ms)).await;
        }
    }

    async fn round<E, F, Fut>(&self, cursor: &mut Cursor, forget: &mut F) -> Result<(), RoundError<E>>
    where
        E: Send,
        F: FnMut(Vec<Contact>) -> Fut + Send,
        Fut: Future<Output = Result<(), E>> + Send,
    {
        loop {
            let from = *cursor;
            let next = move |conn: &mut diesel::PgConnection| {
                let now = db::standing(conn)?;
                // The store was put back to an earlier state.
                let from = if now < from.0 { START } else { from };
                Ok::<_, KeyError>(db::forgotten::after(conn, from, PAGE)?)
            };
            let page = self.fences.store().read("keys_fences_after", next).await?;
            let Some((last, epoch)) = page.last().copied() else { return Ok(()) };
            let contacts: Vec<Contact> = page.into_iter().map(|(contact, _)| contact).collect();
            forget(contacts.clone()).await.map_err(RoundError::Forget)?;
            self.fences.forgotten(self.service, &contacts, Utc::now()).await?;
            tracing::info!(contacts = contacts.len(), "what was erased is forgotten");
            *cursor = (epoch, last);
        }
    }
}
