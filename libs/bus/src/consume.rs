//! The commit-after-store loop: read a batch, apply it, only then remember that it was read.
//!
//! A batch whose application fails is applied again until it succeeds; nothing is skipped. Offsets are remembered either
//! by the brokers (a consumer group) or by whoever applies, in the same transaction as the data ([`Start::Offsets`]),
//! which makes applying exactly-once.

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Display,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{FutureExt as _, future::join_all};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    config::FromClientConfigAndContext as _,
    consumer::{CommitMode, Consumer as _, StreamConsumer},
    error::KafkaError,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    Batch, BusError, KafkaConfig, Message, Status,
    context::{self, Context, Watcher},
    message::Collector,
};

/// Where to begin.
#[derive(Clone, Debug)]
pub enum Start {
    /// As a member of this consumer group, which shares partitions with its other members and remembers offsets on the
    /// brokers; a new group begins at the earliest record.
    Group(String),
    /// All partitions of the topics, each from the given offset (topic, partition, next offset to read), or from the
    /// earliest record where none is given. Partitions that are added later are found within seconds and read as well.
    Offsets(BTreeMap<(String, i32), i64>),
}

/// How to read.
#[derive(Clone, Copy, Debug)]
pub struct ConsumeOptions {
    /// Most records in a batch.
    pub batch_records: usize,
    /// A batch is closed when its bytes reach this.
    pub batch_bytes: usize,
    /// How long an incomplete batch waits for more. Zero applies what is there.
    pub batch_wait: Duration,
    /// First wait after a failure; doubles to `retry_max`.
    pub retry_min: Duration,
    pub retry_max: Duration,
    /// Most bytes fetched ahead.
    pub prefetch_bytes: usize,
}

impl Default for ConsumeOptions {
    fn default() -> Self {
        Self {
            batch_records: 5_000,
            batch_bytes: 4 << 20,
            batch_wait: Duration::ZERO,
            retry_min: Duration::from_millis(100),
            retry_max: Duration::from_secs(5),
            prefetch_bytes: 16 << 20,
        }
    }
}

/// Reads topics and applies what it reads.
#[derive(Debug)]
pub struct Consumer {
    client: Arc<StreamConsumerOf>,
    topics: Vec<String>,
    start: Start,
    options: ConsumeOptions,
    collector: Collector,
    /// Messages that came in while a failed batch waited.
    early: Vec<Message>,
}

struct StreamConsumerOf(Arc<StreamConsumer<Context>>);

impl std::fmt::Debug for StreamConsumerOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StreamConsumer")
    }
}

impl Consumer {
    /// Makes a consumer. It connects in the background, so this succeeds while the brokers are away.
    ///
    /// # Errors
    /// The configuration cannot be used.
    pub fn new(
        kafka: &KafkaConfig,
        client_id: &str,
        topics: &[&str],
        start: Start,
        options: ConsumeOptions,
    ) -> Result<Self, BusError> {
        let mut config = kafka.client(client_id)?;
        let kilobytes = (options.prefetch_bytes >> 10).max(1024).to_string();
        config
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.offset.store", "false")
            .set("fetch.queue.backoff.ms", "5")
            .set("fetch.error.backoff.ms", "100")
            .set("queued.min.messages", "100000")
            .set("queued.max.messages.kbytes", kilobytes)
            .set("statistics.interval.ms", "5000");
        match &start {
            // What is stored after applying is committed once a second, on revocation and at the end.
            Start::Group(group) => config
                .set("group.id", group)
                .set("enable.auto.commit", "true")
                .set("auto.commit.interval.ms", "1000")
                .set("session.timeout.ms", "10000"),
            Start::Offsets(_) => groupless(&mut config, kafka),
        };
        let client = connect(&config)?;
        let topics = topics.iter().map(|topic| (*topic).to_owned()).collect::<Vec<_>>();
        if let Start::Group(_) = start {
            let names = topics.iter().map(String::as_str).collect::<Vec<_>>();
            client.subscribe(&names).map_err(BusError::kafka("cannot subscribe"))?;
        }
        let client = Arc::new(StreamConsumerOf(client));
        Ok(Self { client, topics, start, options, collector: Collector::default(), early: Vec::new() })
    }

    /// How it gets on with the brokers, for a readiness check.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.client.0.context().status.subscribe()
    }

    /// Applies batches until cancelled; a batch that is being applied is finished first.
    ///
    /// `apply` is called again with the same records, less those of partitions that went to another member meanwhile,
    /// until it succeeds. It must bear records that it has seen before.
    ///
    /// # Errors
    /// librdkafka has failed for good.
    pub async fn run<F, Fut, E>(mut self, cancel: CancellationToken, mut apply: F) -> Result<(), BusError>
    where
        F: FnMut(Arc<Batch>) -> Fut,
        Fut: Future<Output = Result<(), E>>,
        E: Display,
    {
        let assigned = if let Start::Offsets(offsets) = &self.start {
            let assigning = assign(&self.client.0, &self.topics, offsets);
            tokio::select! {
                result = assigning => Some(result?),
                () = cancel.cancelled() => return Ok(()),
            }
        } else {
            None
        };
        let watcher = Watcher::start(&self.client.0, self.topics.first().map_or("", String::as_str), assigned);
        loop {
            let batch = tokio::select! {
                batch = self.next_batch() => batch?,
                () = cancel.cancelled() => break,
            };
            if !self.apply_until_done(batch, &cancel, &mut apply).await? {
                break;
            }
        }
        drop(watcher);
        close(self.client.0.clone(), matches!(self.start, Start::Group(_))).await;
        Ok(())
    }

    /// Gives `false` when cancelled before the batch could be applied.
    async fn apply_until_done<F, Fut, E>(
        &mut self,
        batch: Batch,
        cancel: &CancellationToken,
        apply: &mut F,
    ) -> Result<bool, BusError>
    where
        F: FnMut(Arc<Batch>) -> Fut,
        Fut: Future<Output = Result<(), E>>,
        E: Display,
    {
        let mut batch = Arc::new(batch);
        let mut wait = self.options.retry_min;
        let mut paused = false;
        while !batch.is_empty() {
            let begun = Instant::now();
            let Err(error) = apply(Arc::clone(&batch)).await else {
                self.metrics().applied(begun.elapsed(), batch.len());
                self.store_offsets(&batch);
                break;
            };
            self.metrics().failed();
            tracing::warn!(error = %error, records = batch.len(), wait_ms = wait.as_millis(), "a batch was not applied, trying again");
            paused = true;
            let revoked = tokio::select! {
                revoked = self.wait_paused(wait) => revoked?,
                () = cancel.cancelled() => return Ok(false),
            };
            if !revoked.is_empty() {
                let mut left = Batch::clone(&batch);
                left.retain(|topic, partition| !revoked.contains(&(topic.to_owned(), partition)));
                batch = Arc::new(left);
            }
            wait = (wait * 2).min(self.options.retry_max);
        }
        if paused {
            self.resume();
        }
        Ok(true)
    }

    async fn next_batch(&mut self) -> Result<Batch, BusError> {
        if !self.early.is_empty() {
            return Ok(Batch::new(std::mem::take(&mut self.early)));
        }
        let client = Arc::clone(&self.client);
        loop {
            self.receive(&client.0).await?;
            let deadline = tokio::time::Instant::now() + self.options.batch_wait;
            while self.collector.len() < self.options.batch_records && self.collector.bytes() < self.options.batch_bytes
            {
                // Most of the time the next record has been fetched already.
                match self.receive(&client.0).now_or_never() {
                    Some(result) => result?,
                    None if self.options.batch_wait.is_zero() => break,
                    None => match tokio::time::timeout_at(deadline, self.receive(&client.0)).await {
                        Ok(result) => result?,
                        Err(_) => break,
                    },
                }
            }
            if self.collector.len() > 0 {
                return Ok(Batch::new(self.collector.take()));
            }
        }
    }

    /// Collects one message, or deals with one event.
    async fn receive(&mut self, client: &Arc<StreamConsumer<Context>>) -> Result<(), BusError> {
        let received = client.recv().await;
        if let Some(revoked) = client.context().take_revoked() {
            self.collector.retain(|topic, partition| !revoked.contains(&(topic.to_owned(), partition)));
        }
        match received {
            Ok(message) => {
                client.context().set_status(Status::Reading);
                self.collector.push(&message);
                Ok(())
            }
            Err(error) => tolerate(client, error).await,
        }
    }

    /// Waits while staying a member of the group: polling is what keeps the membership alive.
    async fn wait_paused(&mut self, wait: Duration) -> Result<HashSet<(String, i32)>, BusError> {
        let client = Arc::clone(&self.client);
        let client = &client.0;
        let deadline = tokio::time::Instant::now() + wait;
        let mut all_revoked = HashSet::new();
        pause(client);
        loop {
            let Ok(received) = tokio::time::timeout_at(deadline, client.recv()).await else { return Ok(all_revoked) };
            if let Some(revoked) = client.context().take_revoked() {
                self.early.retain(|message| !revoked.contains(&(message.topic.to_string(), message.partition)));
                all_revoked.extend(revoked);
            }
            match received {
                // It was on its way before the pause, or of a partition that was just assigned: keep it for later.
                Ok(message) => {
                    self.collector.push(&message);
                    self.early.append(&mut self.collector.take());
                    pause(client);
                }
                Err(error) => tolerate(client, error).await?,
            }
        }
    }

    fn resume(&self) {
        let client = &self.client.0;
        if let Err(error) = client.assignment().and_then(|assignment| client.resume(&assignment)) {
            tracing::warn!(%error, "cannot resume reading");
        }
    }

    /// Remembers that a batch is applied; librdkafka commits it within a second.
    fn store_offsets(&self, batch: &Batch) {
        if let Start::Offsets(_) = self.start {
            return;
        }
        for ((topic, partition), next) in batch.next_offsets() {
            // Fails for a partition that went to another member meanwhile, who then applies these records again.
            if let Err(error) = self.client.0.store_offset(&topic, partition, next - 1) {
                tracing::debug!(%error, topic = &*topic, partition, "offset not stored");
            }
        }
    }

    fn metrics(&self) -> &crate::metrics::ConsumeMetrics {
        &self.client.0.context().metrics
    }
}

/// Commits what was stored, if there is a group, and lets go of the client; both block.
pub(crate) async fn close(client: Arc<StreamConsumer<Context>>, commit: bool) {
    let closing = tokio::task::spawn_blocking(move || {
        if commit && let Err(error) = client.commit_consumer_state(CommitMode::Sync) {
            // Also when there is nothing new to commit.
            tracing::debug!(%error, "at the end");
        }
    });
    let _ = closing.await;
}

pub(crate) fn connect(config: &ClientConfig) -> Result<Arc<StreamConsumer<Context>>, BusError> {
    let consumer = StreamConsumer::from_config_and_context(config, Context::new());
    consumer.map(Arc::new).map_err(BusError::kafka("cannot make a consumer"))
}

fn pause(client: &StreamConsumer<Context>) {
    if let Err(error) = client.assignment().and_then(|assignment| client.pause(&assignment)) {
        tracing::debug!(%error, "cannot pause reading");
    }
}

/// Most errors pass: librdkafka goes on by itself. Only fatal ones end the loop.
pub(crate) async fn tolerate(client: &StreamConsumer<Context>, error: KafkaError) -> Result<(), BusError> {
    match error {
        KafkaError::PartitionEOF(_) => Ok(()),
        KafkaError::MessageConsumptionFatal(_) => {
            Err(BusError::Kafka { what: "reading failed for good", source: error })
        }
        error => {
            tracing::debug!(%error, "while reading");
            if error.rdkafka_error_code().is_some_and(context::is_absence) {
                client.context().suspect.notify_one();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok(())
        }
    }
}

/// Settings of a reader that is given its partitions and commits nothing.
///
/// librdkafka assigns partitions only to a client with a group, and looks for the coordinator of that group twice a second
/// until it is told, though it will never need it. The login's own name is the one group that each login of ours may
/// look for: any other name makes the broker log refusals that bury real ones.
pub(crate) fn groupless<'a>(config: &'a mut ClientConfig, kafka: &KafkaConfig) -> &'a mut ClientConfig {
    config.set("group.id", &kafka.login).set("enable.auto.commit", "false")
}

/// What a reader without group was given to read.
#[derive(Debug)]
pub(crate) struct Assigned {
    /// How many partitions of each topic.
    partitions: BTreeMap<String, i32>,
    /// Where to begin, where that is not the earliest record.
    offsets: BTreeMap<(String, i32), i64>,
}

impl Assigned {
    /// Adds to `list` the partitions of `topic` from `first` to before `end`.
    fn list(&self, list: &mut TopicPartitionList, topic: &str, first: i32, end: i32) -> Result<(), BusError> {
        for partition in first..end {
            let next = self.offsets.get(&(topic.to_owned(), partition));
            let offset = next.map_or(Offset::Beginning, |next| Offset::Offset(*next));
            list.add_partition_offset(topic, partition, offset).map_err(BusError::kafka("an offset cannot be used"))?;
        }
        Ok(())
    }

    /// Gives the reader what was added to its topics meanwhile. Whatever stands in the way is met again next time.
    pub(crate) async fn look_for_more(&mut self, client: &Arc<StreamConsumer<Context>>) {
        let counts = join_all(self.partitions.keys().map(|topic| context::partitions(client, topic))).await;
        let mut found = TopicPartitionList::new();
        let mut now = self.partitions.clone();
        for ((topic, known), count) in now.iter_mut().zip(counts) {
            let Some(count) = count.ok().filter(|count| count > known) else { continue };
            if let Err(error) = self.list(&mut found, topic, *known, count) {
                return tracing::warn!(%error, topic, "cannot read the added partitions");
            }
            tracing::info!(topic, from = *known, to = count, "partitions were added");
            *known = count;
        }
        if found.count() == 0 {
            return;
        }
        match client.incremental_assign(&found) {
            Ok(()) => self.partitions = now,
            Err(error) => tracing::warn!(%error, "cannot read the added partitions yet"),
        }
    }
}

/// Assigns all partitions of the topics, waiting until the topics exist and may be read.
pub(crate) async fn assign(
    client: &Arc<StreamConsumer<Context>>,
    topics: &[String],
    offsets: &BTreeMap<(String, i32), i64>,
) -> Result<Assigned, BusError> {
    let mut assigned = Assigned { partitions: BTreeMap::new(), offsets: offsets.clone() };
    let mut list = TopicPartitionList::new();
    for topic in topics {
        let count = wait_for_partitions(client, topic).await;
        assigned.list(&mut list, topic, 0, count)?;
        assigned.partitions.insert(topic.clone(), count);
    }
    client.assign(&list).map_err(BusError::kafka("cannot assign partitions"))?;
    client.context().set_status(Status::Reading);
    Ok(assigned)
}

async fn wait_for_partitions(client: &Arc<StreamConsumer<Context>>, topic: &str) -> i32 {
    loop {
        match context::partitions(client, topic).await {
            Ok(count) => return count,
            Err(reason) => client.context().set_status(Status::Away(reason)),
        }
        // An answer that says no comes at once; events are served meanwhile.
        let _ = tokio::time::timeout(Duration::from_millis(200), client.recv()).await;
    }
}
