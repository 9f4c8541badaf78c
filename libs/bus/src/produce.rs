//! Producing with `acks=all`, idempotently; an answer only when the brokers have acknowledged.

use std::{
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, ClientContext, Message as _,
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, OwnedHeaders},
    metadata::Metadata,
    producer::{BaseRecord, Producer as _, ProducerContext},
};
use tokio::sync::oneshot;

use crate::{
    BusError, KafkaConfig, ProduceError, Record, context, metrics::ProduceMetrics, partitions::Known, session::Session,
};

/// How often a session is replaced to which no broker answers.
const RENEWAL: Duration = Duration::from_secs(10);

/// Where a record was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub partition: i32,
    pub offset: i64,
}

/// Compression of batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    #[default]
    None,
    Lz4,
    Zstd,
}

/// How to produce.
#[derive(Clone, Copy, Debug)]
pub struct ProduceOptions {
    /// How long a batch waits for more records: zero for lowest latency (policy), a few milliseconds for throughput.
    pub linger: Duration,
    /// After this long without acknowledgement a record has failed with [`ProduceError::Unavailable`].
    pub delivery_timeout: Duration,
    pub compression: Compression,
    /// Most bytes that wait for acknowledgement; beyond it [`Producer::send_all`] waits.
    pub buffer_bytes: usize,
    /// Largest record; the topic's `max.message.bytes` must allow it too.
    pub max_record_bytes: usize,
}

impl Default for ProduceOptions {
    fn default() -> Self {
        Self {
            linger: Duration::from_millis(2),
            delivery_timeout: Duration::from_secs(20),
            compression: Compression::None,
            buffer_bytes: 64 << 20,
            max_record_bytes: 1_000_000,
        }
    }
}

impl ProduceOptions {
    /// For control records: nothing waits for anything, and a policy of many companies is one record of up to 16 MiB.
    pub fn low_latency() -> Self {
        Self { linger: Duration::ZERO, max_record_bytes: 16 << 20, ..Self::default() }
    }
}

/// Produces records. Cheap to clone; all clones share one client.
#[derive(Clone)]
pub struct Producer {
    inner: Arc<Inner>,
}

struct Inner {
    config: ClientConfig,
    options: ProduceOptions,
    /// Replaced when librdkafka gives up on the idempotent session, or brokers do not answer to it.
    client: RwLock<Arc<Session>>,
    metrics: ProduceMetrics,
    /// When the session was replaced last because no broker answered.
    renewed: Mutex<Instant>,
    partitions: Known,
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer").field("options", &self.inner.options).finish_non_exhaustive()
    }
}

impl Producer {
    /// Makes a producer. It connects in the background, so this succeeds while the brokers are away.
    ///
    /// # Errors
    /// The configuration cannot be used.
    pub fn new(kafka: &KafkaConfig, client_id: &str, options: ProduceOptions) -> Result<Self, BusError> {
        let mut config = kafka.client(client_id)?;
        let compression = match options.compression {
            Compression::None => "none",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        };
        config
            .set("acks", "all")
            .set("enable.idempotence", "true")
            // As the Java client: a key has one partition, whoever produces it.
            .set("partitioner", "murmur2_random")
            // How long a topic that is not there may still appear, before the record is refused.
            .set("topic.metadata.propagation.max.ms", "3000")
            .set("linger.ms", options.linger.as_millis().to_string())
            .set("message.timeout.ms", options.delivery_timeout.as_millis().max(1).to_string())
            .set("compression.type", compression)
            .set("message.max.bytes", options.max_record_bytes.to_string())
            .set("batch.num.messages", "20000")
            .set("queue.buffering.max.messages", "1000000")
            .set("queue.buffering.max.kbytes", (options.buffer_bytes >> 10).max(1024).to_string());
        let client = RwLock::new(Arc::new(connect(&config)?));
        Ok(Self {
            inner: Arc::new(Inner {
                config,
                options,
                client,
                metrics: ProduceMetrics::new(),
                renewed: Mutex::new(Instant::now()),
                partitions: Known::default(),
            }),
        })
    }

    /// Sends one record and waits for its acknowledgement.
    ///
    /// # Errors
    /// See [`ProduceError`].
    pub async fn send(&self, record: Record) -> Result<Delivery, ProduceError> {
        let mut results = self.send_all(vec![record]).await;
        results.pop().unwrap_or(Err(ProduceError::Unavailable(RDKafkaErrorCode::Fail)))
    }

    /// Sends records and waits for all acknowledgements: one result for each record, in their order. Records of one
    /// partition are written in their order. Waits while the buffer is full.
    pub async fn send_all(&self, records: Vec<Record>) -> Vec<Result<Delivery, ProduceError>> {
        if records.is_empty() {
            return Vec::new();
        }
        let begun = Instant::now();
        let client = self.client();
        let (pending, done) = Pending::new(records.len());
        for (index, record) in records.iter().enumerate() {
            self.enqueue(&client, record, Slot { pending: Arc::clone(&pending), index }, begun).await;
            if index % 1024 == 1023 {
                tokio::task::yield_now().await;
            }
        }
        // The sender is in `pending`, of which each record in flight holds a share.
        drop(pending);
        let results = done.await.unwrap_or_default();
        self.count(&records, &results, begun.elapsed());
        if results.iter().any(|result| matches!(result, Err(ProduceError::Unavailable(RDKafkaErrorCode::Fatal)))) {
            self.replace(&client);
        }
        let timed_out = |result| matches!(result, &Err(ProduceError::Unavailable(RDKafkaErrorCode::MessageTimedOut)));
        if results.iter().any(timed_out) {
            self.renew(client);
        }
        let failed = Err(ProduceError::Unavailable(RDKafkaErrorCode::Fail));
        let mut results = results;
        results.resize(records.len(), failed);
        results
    }

    async fn enqueue(&self, client: &Session, record: &Record, slot: Slot, begun: Instant) {
        let mut outgoing = base(record, Box::new(slot));
        while let Err((error, returned)) = client.send(outgoing) {
            let full = error == KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
            if full && begun.elapsed() < self.inner.options.delivery_timeout {
                outgoing = returned;
                tokio::time::sleep(Duration::from_millis(1)).await;
            } else {
                returned.delivery_opaque.fill(Err(ProduceError::of(&error)));
                return;
            }
        }
    }

    /// Waits until everything that was handed over is acknowledged or has failed.
    ///
    /// # Errors
    /// Something still waits after `timeout`.
    pub async fn flush(&self, timeout: Duration) -> Result<(), BusError> {
        let client = self.client();
        let flushed = tokio::task::spawn_blocking(move || client.flush(timeout)).await;
        flushed.map_err(|_| BusError::CutOff)?.map_err(BusError::kafka("not all records were acknowledged in time"))
    }

    /// Whether a broker answers this login. `topic` is one that it may see: for any other the broker answers as well, but
    /// logs a refusal, and many of those bury the ones that matter.
    ///
    /// # Errors
    /// None did within `timeout`.
    pub async fn ping(&self, topic: &str, timeout: Duration) -> Result<(), BusError> {
        self.metadata(topic, timeout, |_| ()).await
    }

    /// How many partitions a topic has, as a broker tells now.
    pub(crate) async fn count_partitions(&self, topic: &str, timeout: Duration) -> Result<i32, BusError> {
        let count = self.metadata(topic, timeout, |metadata| {
            let topic = metadata.topics().first()?;
            let count = i32::try_from(topic.partitions().len()).ok()?;
            (topic.error().is_none() && count > 0).then_some(count)
        });
        let unknown = KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition);
        count.await?.ok_or(unknown).map_err(BusError::kafka("a topic's partitions are not known"))
    }

    async fn metadata<T: Send + 'static>(
        &self,
        topic: &str,
        timeout: Duration,
        read: impl FnOnce(&Metadata) -> T + Send + 'static,
    ) -> Result<T, BusError> {
        let client = self.client();
        let asked = Arc::clone(&client);
        let topic = topic.to_owned();
        let asking = tokio::task::spawn_blocking(move || {
            asked.client().fetch_metadata(Some(&topic), timeout).map(|metadata| read(&metadata))
        });
        let answered = asking.await.map_err(|_| BusError::CutOff)?;
        if answered.is_err() {
            self.renew(client);
        }
        answered.map_err(BusError::kafka("no broker answers"))
    }

    pub(crate) fn known(&self) -> &Known {
        &self.inner.partitions
    }

    fn client(&self) -> Arc<Session> {
        Arc::clone(&self.inner.client.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Begins a new session when brokers do not answer to this one, at most every [`RENEWAL`].
    ///
    /// librdkafka does not always come back: it never sends to a partition again of which it was told once that it has
    /// no leader, as a broker that stops may say (its issue 5430, to 2.14 at least), and after a second outage it was
    /// seen not to connect any more. What the old session still holds is acknowledged or times out there.
    fn renew(&self, silent: Arc<Session>) {
        let due = {
            let mut renewed = self.inner.renewed.lock().unwrap_or_else(PoisonError::into_inner);
            let due = renewed.elapsed() >= RENEWAL;
            if due {
                *renewed = Instant::now();
            }
            due
        };
        if due {
            self.replace(&silent);
        }
        // The last share of a client waits for its threads.
        tokio::task::spawn_blocking(move || drop(silent));
    }

    /// A fatal error ends an idempotent session for good; what was in flight has failed, a new session begins.
    fn replace(&self, failed: &Arc<Session>) {
        let mut current = self.inner.client.write().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&current, failed) {
            match connect(&self.inner.config) {
                Ok(client) => {
                    tracing::warn!("the producer session ended, a new one begins");
                    *current = Arc::new(client);
                }
                Err(error) => tracing::error!(%error, "cannot begin a new producer session"),
            }
        }
    }

    fn count(&self, records: &[Record], results: &[Result<Delivery, ProduceError>], took: Duration) {
        self.inner.metrics.batch(took);
        let outcome = |result: &Result<Delivery, ProduceError>| match result {
            Ok(_) => "acknowledged",
            Err(ProduceError::Unavailable(_)) => "unavailable",
            Err(ProduceError::Refused(_)) => "refused",
        };
        let pairs = records.iter().zip(results).map(|(record, result)| (&record.topic, outcome(result)));
        let mut run: Option<((&Arc<str>, &'static str), u64)> = None;
        for pair in pairs {
            match &mut run {
                Some((same, count)) if *same == pair => *count += 1,
                _ => {
                    if let Some(((topic, outcome), count)) = run.replace((pair, 1)) {
                        self.inner.metrics.records(topic, outcome, count);
                    }
                }
            }
        }
        if let Some(((topic, outcome), count)) = run {
            self.inner.metrics.records(topic, outcome, count);
        }
    }
}

fn connect(config: &ClientConfig) -> Result<Session, BusError> {
    Session::begin(config).map_err(BusError::kafka("cannot make a producer"))
}

fn base(record: &Record, slot: Box<Slot>) -> BaseRecord<'_, [u8], [u8], Box<Slot>> {
    let mut base = BaseRecord::with_opaque_to(&record.topic, slot);
    base.partition = record.partition;
    base.key = record.key.as_deref();
    base.payload = record.value.as_deref();
    base.timestamp = record.timestamp;
    if !record.headers.is_empty() {
        let headers = OwnedHeaders::new_with_capacity(record.headers.len());
        base.headers =
            Some(record.headers.iter().fold(headers, |headers, (name, value)| {
                headers.insert(Header { key: name, value: Some(value.as_ref()) })
            }));
    }
    base
}

/// The results of one `send_all`; the last record to be answered wakes the sender.
#[derive(Debug)]
struct Pending {
    state: Mutex<State>,
    left: AtomicUsize,
}

#[derive(Debug)]
struct State {
    results: Vec<Result<Delivery, ProduceError>>,
    done: Option<oneshot::Sender<Vec<Result<Delivery, ProduceError>>>>,
}

impl Pending {
    fn new(count: usize) -> (Arc<Self>, oneshot::Receiver<Vec<Result<Delivery, ProduceError>>>) {
        let (done, receiver) = oneshot::channel();
        let results = vec![Err(ProduceError::Unavailable(RDKafkaErrorCode::Fail)); count];
        let state = Mutex::new(State { results, done: Some(done) });
        (Arc::new(Self { state, left: AtomicUsize::new(count) }), receiver)
    }
}

/// One record's place in the results.
#[derive(Debug)]
pub(crate) struct Slot {
    pending: Arc<Pending>,
    index: usize,
}

impl Slot {
    fn fill(&self, result: Result<Delivery, ProduceError>) {
        let mut state = self.pending.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = state.results.get_mut(self.index) {
            *slot = result;
        }
        if self.pending.left.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(done) = state.done.take()
        {
            let _ = done.send(std::mem::take(&mut state.results));
        }
    }
}

pub(crate) struct Context;

impl ClientContext for Context {
    fn log(&self, level: rdkafka::config::RDKafkaLogLevel, facility: &str, message: &str) {
        context::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "producer");
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<Slot>;

    fn delivery(&self, result: &DeliveryResult<'_>, slot: Box<Slot>) {
        slot.fill(match result {
            Ok(message) => Ok(Delivery { partition: message.partition(), offset: message.offset() }),
            Err((error, _)) => Err(ProduceError::of(error)),
        });
    }
}
