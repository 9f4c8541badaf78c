//! How long a live reader still gets something after an operator's call: measured at the reader's socket, so that no
//! client's own queue is mistaken for delivery.
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use bus::{KafkaConfig, ProduceOptions, Producer, Record};
use jointuse::CompanyId;
use tokio::{sync::watch, task::JoinHandle};
use wire::{
    batch,
    messages::{
        BrokerId, FetchRequest, TopicName,
        fetch_request::{FetchPartition, FetchTopic},
    },
    protocol::StrBytes,
};

use crate::{
    Error, Result,
    kafka::ADMIN,
    raw::{Raw, Reply},
    stack::{Grant, Stack},
    wait,
};

/// Fetch version that names topics and has no session here.
const FETCH: i16 = 11;

/// The contact that a stream's records are about.
pub const STREAMED: &str = "00112233445566778899aabbccddeeff";

/// Pause between two records of a stream: steady, without a backlog.
const EVERY: Duration = Duration::from_millis(3);

/// A steady stream of records into one partition of a topic, for as long as it lives.
#[derive(Debug)]
pub struct Stream {
    stop: Arc<AtomicBool>,
    newest: Arc<AtomicI64>,
    partition: i32,
}

impl Stream {
    /// Begins to write sealed records directly to the broker, as its administrator. They say that this company shares them.
    ///
    /// # Errors
    /// When the broker does not take the first record, or the key store gives no key.
    pub async fn start(stack: &Stack, topic: &str, publisher: &CompanyId) -> Result<Self> {
        let failed = |answer: String| Error::Answer { what: "the stream".to_owned(), answer };
        let password = stack.directory().join("stream-password");
        crate::dir::write_secret(&password, stack.kafka.password(ADMIN))?;
        let text = serde_json::json!({
            "bootstrap": stack.broker_bootstrap(), "login": ADMIN, "password_file": password,
        });
        let kafka: KafkaConfig = serde_json::from_value(text).map_err(|error| failed(error.to_string()))?;
        let producer =
            Producer::new(&kafka, "stream", ProduceOptions::low_latency()).map_err(|e| failed(e.to_string()))?;
        let sealer = stack.keys.sealer().await?;
        let record = Record::new(Arc::from(topic), STREAMED, [&[0; 5][..], &[7; 400]].concat());
        let record =
            sealer.seal(record.header("publisher", publisher.to_string()).header("kind", "transaction")).await?;
        let first = producer.send(record.clone()).await.map_err(|error| failed(error.to_string()))?;
        let (stop, newest) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(first.offset)));
        let (stopped, written) = (Arc::clone(&stop), Arc::clone(&newest));
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(EVERY);
            while !stopped.load(Ordering::Relaxed) {
                tick.tick().await;
                if let Ok(delivery) = producer.send(record.clone()).await {
                    written.store(delivery.offset, Ordering::Relaxed);
                }
            }
        });
        Ok(Self { stop, newest, partition: first.partition })
    }

    /// The partition written to.
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// Offset of the newest acknowledged record.
    pub fn newest(&self) -> i64 {
        self.newest.load(Ordering::Relaxed)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A reader on a socket of its own that fetches one partition for as long as it is let.
#[derive(Debug)]
pub struct Reader {
    seen: watch::Receiver<i64>,
    delivered: watch::Receiver<Option<Instant>>,
    task: JoinHandle<End>,
}

/// How a reader ended.
#[derive(Debug, Clone, Copy)]
pub struct End {
    /// When the last frame that held records was complete.
    pub last_record: Option<Instant>,
    /// When the connection was found closed, or the first answer without permission was complete.
    pub stopped: Instant,
    /// Offset after the last record that arrived.
    pub next_offset: i64,
}

/// One revocation, seen from the reader.
#[derive(Debug, Clone, Copy)]
pub struct Revoked {
    /// From the call to its answer.
    pub answered: Duration,
    /// From the call to the last byte of a record that the reader got; zero when none came after the call.
    pub last_byte: Duration,
    /// From the call to the end of the connection.
    pub closed: Duration,
}

impl Reader {
    /// Logs in at `address` (a broker port of the hub) and begins to read a partition of `topic` from `offset`; tries until
    /// it is let in and has got a record, for brokers and hubs learn of a grant a moment after it is made.
    ///
    /// # Errors
    /// When that takes longer than 30 s.
    pub async fn start(address: &str, grant: &Grant, topic: &str, partition: i32, offset: i64) -> Result<Self> {
        wait::until(format!("{} to read {topic}", grant.login), Duration::from_secs(30), async || {
            let mut raw = Raw::connect(address).await;
            if raw.authenticate(grant.login.as_str(), &grant.secret, "n,,", "").await != Some(0) {
                return None;
            }
            let (tell, seen) = watch::channel(offset);
            let (got, delivered) = watch::channel(None);
            let task = tokio::spawn(read(raw, topic.to_owned(), partition, offset, (tell, got)));
            let mut reader = Self { seen, delivered, task };
            let delivered = reader.delivered.wait_for(Option::is_some);
            let got = matches!(tokio::time::timeout(Duration::from_secs(5), delivered).await, Ok(Ok(_)));
            got.then_some(reader)
        })
        .await
    }

    /// Waits until the reader has got a record at or after `offset`.
    ///
    /// # Errors
    /// When the reader ended before, or the deadline passed.
    pub async fn reaches(&mut self, offset: i64, deadline: Duration) -> Result<i64> {
        let wait = tokio::time::timeout(deadline, self.seen.wait_for(|next| *next > offset)).await;
        let failed = || Error::Answer { what: "the reader".to_owned(), answer: format!("nothing at {offset}") };
        wait.map_err(|_| failed())?.map(|next| *next).map_err(|_| failed())
    }

    /// When the last answer was complete that held a record; those of which all is withheld hold none.
    pub fn last_record(&self) -> Option<Instant> {
        *self.delivered.borrow()
    }

    /// Ends it.
    pub fn stop(self) {
        self.task.abort();
    }

    /// Makes `call` and waits for the reader's end.
    ///
    /// # Errors
    /// When the call fails, or the reader goes on for 20 s.
    pub async fn revoked_by<E: std::fmt::Display>(
        self,
        call: impl Future<Output = std::result::Result<(), E>>,
    ) -> Result<(Revoked, End)> {
        let began = Instant::now();
        call.await.map_err(|error| Error::Answer { what: "the revocation".to_owned(), answer: error.to_string() })?;
        let answered = began.elapsed();
        let end = tokio::time::timeout(Duration::from_secs(20), self.task).await;
        let Ok(Ok(end)) = end else {
            return Err(Error::Answer { what: "the reader".to_owned(), answer: "goes on reading".to_owned() });
        };
        let last_byte = end.last_record.map_or(Duration::ZERO, |at| at.saturating_duration_since(began));
        Ok((Revoked { answered, last_byte, closed: end.stopped.saturating_duration_since(began) }, end))
    }
}

/// A figure's order statistic: 50 percent is the median.
pub fn percentile(figures: &[Duration], percent: usize) -> Duration {
    let mut sorted = figures.to_vec();
    sorted.sort();
    let index = (sorted.len() * percent.min(100)).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or_default()
}

type Tell = (watch::Sender<i64>, watch::Sender<Option<Instant>>);

async fn read(mut raw: Raw, topic: String, partition: i32, offset: i64, (tell, got): Tell) -> End {
    let (mut next, mut last_record) = (offset, None);
    loop {
        raw.send(&fetch(&topic, partition, next), FETCH).await;
        let Reply::Frame(frame) = raw.reply().await else {
            return End { last_record, stopped: Instant::now(), next_offset: next };
        };
        let at = Instant::now();
        let Some((error, records)) = answered(&raw, frame) else {
            return End { last_record, stopped: at, next_offset: next };
        };
        if error != 0 {
            return End { last_record, stopped: at, next_offset: next };
        }
        if let Ok(Some(extent)) = batch::extent(&records) {
            next = next.max(extent.last + 1);
            last_record = Some(at);
            if extent.records > 0 {
                got.send_replace(Some(at));
            }
            tell.send_replace(next);
        }
    }
}

fn fetch(topic: &str, partition: i32, offset: i64) -> FetchRequest {
    let partition =
        FetchPartition::default().with_partition(partition).with_fetch_offset(offset).with_partition_max_bytes(1 << 20);
    let name = TopicName(StrBytes::from_string(topic.to_owned()));
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(500)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_session_epoch(-1)
        .with_topics(vec![FetchTopic::default().with_topic(name).with_partitions(vec![partition])])
}

/// Error code and records of the one partition asked for.
fn answered(raw: &Raw, frame: bytes::Bytes) -> Option<(i16, bytes::Bytes)> {
    let answer = raw.read::<FetchRequest>(frame, FETCH);
    let found = answer.responses.first()?.partitions.first()?;
    let error = if answer.error_code == 0 { found.error_code } else { answer.error_code };
    Some((error, found.records.clone().unwrap_or_default()))
}
