//! Restrictions that reach persons, spread to contacts.
//!
//! A person is known by its contacts only, and who they are is known here. A restriction that reaches a person is on one
//! contact, which stays what it is through every merge and split; what is spread is computed from the clusters as they
//! are, again and again: so it follows merges, and a split is regarded. It is told as the authority tells its list, on a
//! topic of its own, by a key of history's.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use authority_api::{InForce, RestrictionSigner, RestrictionWatch, Restrictions};
use bus::{BusError, KafkaConfig, Producer, Record, TailEvent};
use jointuse::Clock;
use restriction::{Entry, Flags, Head, List, Page, Subject, page_of};
use runtime::Check;
use store::{Store, StoreError};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::db::person;

/// How often clusters are looked at while somebody's restriction reaches a person.
const LOOK: Duration = Duration::from_millis(500);
/// Pages in one produce call.
const AT_ONCE: usize = 64;

/// Why nothing could be told; tried again.
#[derive(Debug, thiserror::Error)]
enum SpreadError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the brokers did not take it")]
    Produce(#[from] bus::ProduceError),
    #[error("the topic cannot be read")]
    Read(#[from] BusError),
    #[error("what was computed does not make a page")]
    Page(#[from] restriction::PageError),
}

/// What the task works with.
#[derive(Debug)]
pub struct Parts {
    /// Clusters.
    pub store: Store,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// The authority's list.
    pub stops: Restrictions,
    /// Signs ours.
    pub signer: RestrictionSigner,
    /// Takes it to the brokers.
    pub producer: Producer,
    /// The brokers, to read what lies there.
    pub kafka: KafkaConfig,
    /// Our list's topic.
    pub topic: Arc<str>,
    /// How long a head is valid,
    pub validity: Duration,
    /// and how often one is told.
    pub refresh: Duration,
    /// Readiness.
    pub check: Check,
}

/// The task's state.
#[derive(Debug)]
pub struct Spread {
    parts: Parts,
    /// What lies on the topic, once it was read.
    told: Option<List>,
    /// The authority's list that the contacts below were read from.
    seen: Option<InForce>,
    /// Contacts whose restriction reaches their person.
    reaching: BTreeMap<Uuid, Flags>,
}

impl Spread {
    /// Ready to run.
    pub const fn new(parts: Parts) -> Self {
        Self { parts, told: None, seen: None, reaching: BTreeMap::new() }
    }

    /// Tells at every change of the authority's list, when clusters change, and at every heartbeat, until cancelled.
    ///
    /// # Errors
    /// Never: what fails is tried again.
    pub async fn run(mut self, cancel: CancellationToken) -> Result<(), std::convert::Infallible> {
        let mut changed = self.parts.stops.clone();
        let mut told_at: Option<tokio::time::Instant> = None;
        loop {
            let due = told_at.is_none_or(|at| at.elapsed() >= self.parts.refresh);
            let told = tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                told = self.tell(due) => told,
            };
            match told {
                Ok(true) => {
                    told_at = Some(tokio::time::Instant::now());
                    self.parts.check.ready();
                }
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, "restrictions of persons could not be told, trying again");
                    self.parts.check.not_ready("restrictions of persons could not be told");
                }
            }
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                alive = changed.changed() => if !alive { tokio::time::sleep(LOOK).await },
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Tells what changed; with a head when there was something, or when one is `due`. Says whether a head was told.
    async fn tell(&mut self, due: bool) -> Result<bool, SpreadError> {
        let Some(held) = self.parts.stops.current(self.parts.clock.now()) else { return Ok(false) };
        if self.told.is_none() {
            self.told = Some(self.lying().await?);
        }
        let news = self.seen.as_ref().is_none_or(|seen| seen.sequence != held.sequence);
        if self.seen.as_ref().is_none_or(|seen| !Arc::ptr_eq(&seen.list, &held.list)) {
            let reaching = held.list.reaches_persons().then(|| held.list.iter()).into_iter().flatten();
            let reaching = reaching.map(|(subject, flags)| (Uuid::from_bytes(subject.0), flags.of_person()));
            self.reaching = reaching.filter(|(_, flags)| !flags.is_none()).collect();
        }
        let pages = self.pages(held.sequence).await?;
        let told = pages.is_empty() && !due && !news;
        if !told {
            self.send(pages, held.sequence).await?;
        }
        self.seen = Some(held);
        Ok(!told)
    }

    /// The pages that are to be told anew.
    async fn pages(&self, sequence: u64) -> Result<Vec<(Page, Vec<u8>)>, SpreadError> {
        let anchors: Vec<Uuid> = self.reaching.keys().copied().collect();
        let pairs = if anchors.is_empty() {
            Vec::new()
        } else {
            self.parts.store.read("spread", move |conn| person::beside(conn, &anchors)).await?
        };
        let mut all: BTreeMap<Subject, Flags> = BTreeMap::new();
        for (anchor, contact) in pairs {
            let flags = self.reaching.get(&anchor).copied().unwrap_or_default();
            let held = all.entry(Subject(contact.into_bytes())).or_default();
            *held = held.union(flags);
        }
        let mut wanted: BTreeMap<u16, Vec<Entry>> = BTreeMap::new();
        for entry in all {
            wanted.entry(page_of(&entry.0)).or_default().push(entry);
        }
        let told = self.told.iter().flat_map(List::pages).map(|page| (page.number(), page)).collect::<BTreeMap<_, _>>();
        let numbers: BTreeSet<u16> = told.keys().chain(wanted.keys()).copied().collect();
        let mut pages = Vec::new();
        for number in numbers {
            let wanted = wanted.remove(&number).unwrap_or_default();
            let same = told.get(&number).is_some_and(|page| page.iter().eq(wanted.iter().copied()));
            if !same {
                let bytes = Page::encode(number, sequence, &wanted);
                pages.push((Page::decode(&bytes)?, bytes));
            }
        }
        Ok(pages)
    }

    async fn send(&mut self, pages: Vec<(Page, Vec<u8>)>, sequence: u64) -> Result<(), SpreadError> {
        let mut list = self.told.clone().unwrap_or_default();
        let mut records = Vec::with_capacity(pages.len() + 1);
        for (page, bytes) in pages {
            records.push(self.record(format!("page-{:04}", page.number()), bytes));
            list.put(page);
        }
        let now = self.parts.clock.now().timestamp_millis();
        let validity = i64::try_from(self.parts.validity.as_millis()).unwrap_or(i64::MAX);
        let (issued_at, expires_at) = (now, now.saturating_add(validity));
        let head = Head { sequence, issued_at, expires_at, entries: list.len(), root: list.root() };
        records.push(self.record("head".to_owned(), head.encode()));
        // Until all of it is acknowledged it is unknown what lies there.
        self.told = None;
        while !records.is_empty() {
            let rest = records.split_off(AT_ONCE.min(records.len()));
            for result in self.parts.producer.send_all(std::mem::replace(&mut records, rest)).await {
                result?;
            }
        }
        self.told = Some(list);
        Ok(())
    }

    fn record(&self, key: String, payload: Vec<u8>) -> Record {
        Record::new(Arc::clone(&self.parts.topic), key, self.parts.signer.sign(payload))
    }

    /// The pages on the topic.
    async fn lying(&self) -> Result<List, SpreadError> {
        let lying = Mutex::new(RestrictionWatch::forgetful(vec![self.parts.signer.public()], &self.parts.topic));
        let read = CancellationToken::new();
        bus::tail(&self.parts.kafka, "history-spread", &self.parts.topic, read.clone(), |event| match event {
            TailEvent::Record { value: Some(value), .. } => {
                lying.lock().unwrap_or_else(PoisonError::into_inner).offer(value);
            }
            TailEvent::CaughtUp => read.cancel(),
            _ => {}
        })
        .await?;
        Ok(lying.into_inner().unwrap_or_else(PoisonError::into_inner).pages().clone())
    }
}
