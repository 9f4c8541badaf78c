//! Opened keys, kept for a while: bounded in number and in time, and forgotten when their contact is erased.
//!
//! A lookup of many keys that are all here takes one lock, which readers share, and awaits nothing. What is missing is fetched
//! in one query for the whole lookup, and by one of those who miss the same contact at the same time.
//!
//! # Erasure
//! [`KeyCache::follow`] asks the key store for changes, and forgets. While it could not for longer than `max_staleness_ms`,
//! the cache answers nothing at all ([`CacheError::Stale`]): a key may have been destroyed meanwhile. So an erasure is in
//! force at most that long after its fence, as a rule after `poll_ms`. An answer of the store that was read before a
//! change and comes in after it is recognised by its number and asked for again. A table that was handed out before
//! stays with its holder: take one per answer, and drop it with the answer.
//!
//! # Memory
//! A cached contact takes one cache line, in which its key's 32 bytes stay where they are until they are overwritten, and some
//! eight bytes that find it. Room for them is reserved at the start.
//! Expired keys are dropped at the next look of `follow`, whether or not anyone asks for them.

mod flights;
mod follow;
mod look;
mod metrics;
mod table;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::{Duration, Instant},
};

use serde::Deserialize;

pub use self::look::Look;
use self::{
    flights::Flights,
    metrics::Metrics,
    table::{Ages, Table},
};
use crate::{Answers, Contact, Forgetter, KeyError, KeyName, KeyStore, Resolved};

/// How much is kept, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CacheConfig {
    /// Most contacts whose keys are kept. Default 100000.
    pub max_contacts: usize,
    /// Seconds that a key is kept. Default 600.
    pub max_age_s: u64,
    /// Milliseconds that "unknown" and "unusable" are believed. Default 2000.
    pub doubt_ms: u64,
    /// Milliseconds between two looks for erasures. Default 500.
    pub poll_ms: u64,
    /// Milliseconds after which, without a look for erasures, no key is given out. Default 10000.
    pub max_staleness_ms: u64,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self { max_contacts: 100_000, max_age_s: 600, doubt_ms: 2_000, poll_ms: 500, max_staleness_ms: 10_000 }
    }
}

/// Keys could not be looked up; nothing is known about any of them.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CacheError {
    /// Erasures were last heard of too long ago.
    #[error("the key store was not heard of for too long, and keys may have been destroyed meanwhile")]
    Stale,
    /// The key store.
    #[error(transparent)]
    Keys(#[from] Arc<KeyError>),
    /// Each time the keys were read, they had changed before they came in.
    #[error("the keys changed each time that they were read")]
    Restless,
}

impl CacheError {
    /// Whether the same lookup may succeed later without any change here.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Stale | Self::Restless => true,
            Self::Keys(error) => error.is_transient(),
        }
    }
}

/// What a key is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Need {
    /// Opening, by the version that the envelope names.
    Open,
    /// Sealing, by the newest; a contact that has none gets one.
    Seal,
}

/// Stands for "the newest" in a lookup for sealing.
const NEWEST: u32 = 0;
/// How often a lookup reads again because of changes that overtook it.
const TRIES: usize = 4;

/// The cache. Cheap to clone; all clones share it.
#[derive(Clone)]
pub struct KeyCache {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    keys: KeyStore,
    config: CacheConfig,
    table: RwLock<Table>,
    gate: RwLock<Gate>,
    flights: Flights,
    refreshing: tokio::sync::Mutex<()>,
    metrics: Metrics,
}

/// Up to which change the cache is.
#[derive(Debug, Default)]
struct Gate {
    applied: u64,
    /// When the store was asked last; `None` until it was.
    heard: Option<Instant>,
}

impl fmt::Debug for KeyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyCache").field("contacts", &self.len()).finish_non_exhaustive()
    }
}

impl KeyCache {
    /// An empty one. It answers once [`KeyCache::follow`] runs, or after [`KeyCache::refresh`].
    pub fn new(keys: KeyStore, config: CacheConfig) -> Self {
        let ages = Ages { max: Duration::from_secs(config.max_age_s), doubt: Duration::from_millis(config.doubt_ms) };
        let inner = Inner {
            keys,
            config,
            table: RwLock::new(Table::new(config.max_contacts, ages)),
            gate: RwLock::default(),
            flights: Flights::default(),
            refreshing: tokio::sync::Mutex::default(),
            metrics: Metrics::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// For a service that has a word in erasures: hears of them as this cache does.
    pub fn forgetter(&self, service: &'static str) -> Forgetter {
        Forgetter::new(self.inner.keys.without_keks(), service, self.inner.config)
    }

    /// How many contacts are kept.
    pub fn len(&self) -> usize {
        self.inner.table().len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Looks keys up for opening: the answer has one entry for each name, in their order. It awaits only if some are
    /// missing.
    ///
    /// # Errors
    /// [`CacheError`]: nothing may be delivered, and nothing be said about any contact.
    pub async fn resolve(&self, names: &[KeyName]) -> Result<Vec<Resolved>, CacheError> {
        self.all(Need::Open, names).await
    }

    /// Looks keys up for sealing, in the order of the contacts. Contacts that have none get one.
    ///
    /// # Errors
    /// [`CacheError`].
    pub async fn resolve_for_sealing(&self, contacts: &[Contact]) -> Result<Vec<Resolved>, CacheError> {
        let names: Vec<KeyName> = contacts.iter().map(|&contact| KeyName { contact, version: NEWEST }).collect();
        self.all(Need::Seal, &names).await
    }

    /// Which of these fenced contacts are not erased for whoever opens records by this cache, after it has heard of all fences: none.
    /// Anything else that it says of one, also that it does not know it, counts against it.
    ///
    /// # Errors
    /// [`CacheError`]: nothing is known.
    pub async fn verify_gone(&self, contacts: &[Contact]) -> Result<Vec<Contact>, CacheError> {
        self.refresh().await.map_err(Arc::new)?;
        let names: Vec<KeyName> = contacts.iter().map(|&contact| KeyName { contact, version: 1 }).collect();
        let found = self.resolve(&names).await?;
        let left = contacts.iter().zip(found).filter(|(_, found)| !matches!(found, Resolved::Erased));
        Ok(left.map(|(contact, _)| *contact).collect())
    }

    async fn all(&self, need: Need, names: &[KeyName]) -> Result<Vec<Resolved>, CacheError> {
        let inner = &self.inner;
        let now = Instant::now();
        inner.fresh(now)?;
        let mut missing = Vec::new();
        let mut table = Vec::with_capacity(names.len());
        inner.table().look(need, names, now, |found| {
            table.push(found.unwrap_or_else(|| {
                missing.push(table.len());
                Resolved::Unknown
            }));
        });
        inner.metrics.looked_up(names.len() - missing.len(), missing.len());
        for _ in 0..TRIES {
            if missing.is_empty() {
                return Ok(table);
            }
            let wanted = missing.iter().filter_map(|at| names.get(*at)).map(|name| name.contact);
            let answers = Flights::join(inner, need, wanted).await?;
            let applied = inner.fresh(Instant::now())?;
            missing.retain(|at| {
                let (Some(name), Some(entry)) = (names.get(*at), table.get_mut(*at)) else { return false };
                let answer = answers.iter().filter(|answers| answers.epoch >= applied);
                match answer.filter_map(|answers| answers.states.get(&name.contact)).next() {
                    Some(state) => {
                        *entry = if need == Need::Seal { state.newest() } else { state.version(name.version) };
                        false
                    }
                    None => true,
                }
            });
        }
        if missing.is_empty() { Ok(table) } else { Err(CacheError::Restless) }
    }
}

impl Inner {
    /// The number of the last change applied, if it was heard of lately.
    fn fresh(&self, now: Instant) -> Result<u64, CacheError> {
        let gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        let staleness = gate.heard.map(|heard| now.saturating_duration_since(heard));
        let limit = Duration::from_millis(self.config.max_staleness_ms);
        if staleness.is_some_and(|staleness| staleness <= limit) { Ok(gate.applied) } else { Err(CacheError::Stale) }
    }

    fn table(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn table_to_change(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what was fetched, unless a change was applied since that it does not know of.
    fn keep(&self, answers: &Answers, fetched: Instant) {
        let gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        if answers.epoch < gate.applied {
            return;
        }
        let mut table = self.table_to_change();
        for (contact, state) in answers.iter() {
            table.insert(*contact, state, fetched);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
