//! The one task that tells the stop list.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use authority_api::{RestrictionSigner, RestrictionWatch};
use bus::{BusError, KafkaConfig, Producer, Record, TailEvent};
use jointuse::Clock;
use restriction::{Head, List, Page};
use runtime::Check;
use store::{Store, StoreError};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::db::restrictions::{self as db, Told};

/// Between two tries of what failed.
const RETRY: Duration = Duration::from_millis(250);
/// Pages in one transaction and one produce call.
const AT_ONCE: usize = 64;

/// Why the list could not be told; tried again until it is.
#[derive(Debug, thiserror::Error)]
enum TellError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the brokers did not take it")]
    Produce(#[from] bus::ProduceError),
    #[error("the topic cannot be read")]
    Read(#[from] BusError),
    #[error("what is in force does not make a page")]
    Page(#[from] restriction::PageError),
}

/// What the task works with.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) signer: RestrictionSigner,
    pub(crate) producer: Producer,
    pub(crate) kafka: KafkaConfig,
    pub(crate) topic: Arc<str>,
    pub(crate) validity: Duration,
    pub(crate) refresh: Duration,
    pub(crate) check: Check,
}

/// The task's state.
#[derive(Debug)]
pub(crate) struct Teller {
    parts: Parts,
    inbox: mpsc::Receiver<oneshot::Sender<()>>,
    /// What lies on the topic was compared with what was told.
    compared: bool,
}

/// A page to be told, and its record.
struct Made {
    told: Told,
    record: Record,
}

impl Teller {
    pub(crate) fn new(parts: Parts, inbox: mpsc::Receiver<oneshot::Sender<()>>) -> Self {
        Self { parts, inbox, compared: false }
    }

    /// Tells at start, at every change and at every heartbeat, until nobody can ask any more or the service stops.
    pub(crate) async fn run(mut self, stopping: CancellationToken) -> Result<(), std::convert::Infallible> {
        let mut waiting = Vec::new();
        let mut due = Instant::now();
        loop {
            let open = tokio::select! {
                biased;
                () = stopping.cancelled() => return Ok(()),
                count = self.inbox.recv_many(&mut waiting, super::QUEUE) => count > 0,
                () = tokio::time::sleep_until(due) => true,
            };
            if !open {
                return Ok(());
            }
            let told = tokio::select! {
                () = stopping.cancelled() => return Ok(()),
                told = self.tell() => told,
            };
            due = match told {
                Ok(()) => {
                    self.parts.check.ready();
                    for done in waiting.drain(..) {
                        // Whoever gave up waiting has been answered.
                        let _: Result<(), ()> = done.send(());
                    }
                    Instant::now() + self.parts.refresh
                }
                Err(error) => {
                    let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                    tracing::warn!(%error, source, waiting = waiting.len(), "the stop list could not be told, trying again");
                    self.parts.check.not_ready("the stop list could not be told");
                    Instant::now() + RETRY
                }
            };
        }
    }

    async fn tell(&mut self) -> Result<(), TellError> {
        if !self.compared {
            self.compare().await?;
            self.compared = true;
        }
        // Numbers are committed in their order, so everything up to this one is there; what is newer may be told as well.
        let read = |conn: &mut diesel::PgConnection| {
            Ok::<_, StoreError>((db::number(conn)?, db::untold(conn)?, db::told(conn)?))
        };
        let (sequence, untold, told) = self.parts.store.read("read_restrictions", read).await?;
        let mut all: BTreeMap<u16, Told> = told.into_iter().map(|told| (told.page, told)).collect();
        let mut parts = untold.chunks(AT_ONCE).peekable();
        if parts.peek().is_none() {
            self.send(Vec::new(), Some(self.head(sequence, &all)), sequence).await?;
        }
        while let Some(part) = parts.next() {
            let made = self.make(part, sequence).await?;
            all.extend(made.iter().map(|made| (made.told.page, made.told)));
            // The last pages and the head go together, in that order.
            let head = parts.peek().is_none().then(|| self.head(sequence, &all));
            self.send(made, head, sequence).await?;
        }
        Ok(())
    }

    async fn make(&self, pages: &[u16], sequence: u64) -> Result<Vec<Made>, TellError> {
        let wanted = pages.to_vec();
        let read = move |conn: &mut diesel::PgConnection| {
            wanted.iter().map(|page| Ok((*page, db::page(conn, *page)?))).collect::<Result<Vec<_>, StoreError>>()
        };
        let mut made = Vec::with_capacity(pages.len());
        for (page, entries) in self.parts.store.read("restriction_pages", read).await? {
            let payload = Page::encode(page, sequence, &entries);
            // Never sign what readers would refuse.
            let digest = *Page::decode(&payload)?.digest();
            let record = self.record(format!("page-{page:04}"), payload);
            let entries = u64::try_from(entries.len()).unwrap_or(u64::MAX);
            made.push(Made { told: Told { page, entries, digest }, record });
        }
        Ok(made)
    }

    fn head(&self, sequence: u64, pages: &BTreeMap<u16, Told>) -> Record {
        let now = self.parts.clock.now().timestamp_millis();
        let validity = i64::try_from(self.parts.validity.as_millis()).unwrap_or(i64::MAX);
        let head = Head {
            sequence,
            issued_at: now,
            expires_at: now.saturating_add(validity),
            entries: pages.values().map(|told| told.entries).sum(),
            root: List::root_of(pages.values().map(|told| (told.page, told.digest))),
        };
        self.record("head".to_owned(), head.encode())
    }

    fn record(&self, key: String, payload: Vec<u8>) -> Record {
        Record::new(Arc::clone(&self.parts.topic), key, self.parts.signer.sign(payload))
    }

    async fn send(&self, made: Vec<Made>, head: Option<Record>, sequence: u64) -> Result<(), TellError> {
        let (told, records): (Vec<Told>, Vec<Record>) = made.into_iter().map(|made| (made.told, made.record)).unzip();
        for result in self.parts.producer.send_all(records.into_iter().chain(head).collect()).await {
            result?;
        }
        if !told.is_empty() {
            let write = move |conn: &mut diesel::PgConnection| db::set_told(conn, &told, sequence);
            self.parts.store.run_tx("restrictions_told", write).await?;
        }
        Ok(())
    }

    /// Reads the topic, and marks pages that do not lie there as they were told (a topic that was made anew, or written to
    /// by somebody else) to be told again.
    async fn compare(&self) -> Result<(), TellError> {
        let lying = Mutex::new(RestrictionWatch::forgetful(vec![self.parts.signer.public()], &self.parts.topic));
        let read = CancellationToken::new();
        bus::tail(&self.parts.kafka, "authority-restrictions", &self.parts.topic, read.clone(), |event| match event {
            TailEvent::Record { value: Some(value), .. } => {
                lying.lock().unwrap_or_else(PoisonError::into_inner).offer(value);
            }
            TailEvent::CaughtUp => read.cancel(),
            _ => {}
        })
        .await?;
        let lying: BTreeMap<u16, [u8; 32]> =
            lying.into_inner().unwrap_or_else(PoisonError::into_inner).pages().digests().collect();
        let told = self.parts.store.read("read_restrictions", db::told).await?;
        let lost: Vec<u16> =
            told.into_iter().filter(|told| lying.get(&told.page) != Some(&told.digest)).map(|told| told.page).collect();
        if !lost.is_empty() {
            tracing::warn!(pages = lost.len(), "pages of the stop list are not on its topic: they are told again");
            let mark = move |conn: &mut diesel::PgConnection| db::tell_again(conn, &lost);
            self.parts.store.run_tx("restrictions_again", mark).await?;
        }
        Ok(())
    }
}
