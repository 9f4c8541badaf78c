//! A reader of all partitions of some topics, without consumer group: what [`Consumer`](crate::Consumer) and
//! [`tail()`](crate::tail()) stand on.
//!
//! librdkafka does not always come back from an outage. A broker that stops may answer a last time, with a list of no
//! brokers: a client that hears it forgets every broker it knew and never asks its bootstrap addresses again (its issue
//! 5301, 2.10 to 2.13 at least). So a client to which no broker answers for [`RENEWAL`] is replaced, and the new one goes
//! on where it had come to.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::join_all;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    config::FromClientConfigAndContext as _,
    consumer::{Consumer as _, StreamConsumer},
    error::KafkaError,
    message::BorrowedMessage,
    topic_partition_list::TopicPartitionListElem,
};
use tokio::sync::watch;

use crate::{
    BusError, KafkaConfig, Status,
    context::{self, Context, Silence, Standing},
};

/// How long no broker may answer before a client is replaced.
const RENEWAL: Duration = Duration::from_secs(10);
/// How often a reader asks of itself whether the brokers are there, and whether partitions were added.
const LOOK: Duration = Duration::from_secs(5);

pub(crate) type Client = StreamConsumer<Context>;

/// What came.
pub(crate) enum Received<'a> {
    Message(&'a BorrowedMessage<'a>),
    /// Everything of this partition has been read, if the configuration asks to be told.
    End(i32),
    /// Nothing to act on: something that passes was told, or the client was replaced.
    Nothing,
}

/// See the module's text.
pub(crate) struct Reader {
    config: ClientConfig,
    topics: Vec<String>,
    /// Where to begin, where that is not the earliest record: as given, or where the last client had come to.
    offsets: BTreeMap<(String, i32), i64>,
    standing: Arc<Standing>,
    client: Arc<Client>,
    /// None until the client has its partitions.
    watcher: Option<Watcher>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("topics", &self.topics).finish_non_exhaustive()
    }
}

impl Reader {
    /// The client connects in the background, so this succeeds while the brokers are away.
    pub(crate) fn new(
        kafka: &KafkaConfig,
        mut config: ClientConfig,
        topics: &[&str],
        offsets: BTreeMap<(String, i32), i64>,
    ) -> Result<Self, BusError> {
        // librdkafka assigns partitions only to a client with a group, and looks for the coordinator of that group twice a
        // second until it is told, though it will never need it. The login's own name is the one group that each login of
        // ours may look for: any other name makes the broker log refusals that bury real ones.
        config
            .set("group.id", &kafka.login)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // The topic may have been made anew: then everything in it is news.
            .set("auto.offset.reset", "earliest");
        let standing = Arc::<Standing>::default();
        let client = connect(&config, &standing)?;
        let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
        Ok(Self { config, topics, offsets, standing, client, watcher: None })
    }

    /// The same, and what it measures.
    pub(crate) fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }

    /// How it gets on with the brokers.
    pub(crate) fn status(&self) -> watch::Receiver<Status> {
        self.standing.status.subscribe()
    }

    /// Waits until there is something, and hands it over. Whatever waits is given up without loss when this is dropped.
    ///
    /// # Errors
    /// librdkafka has failed for good.
    pub(crate) async fn receive<T>(&mut self, take: impl FnOnce(Received<'_>) -> T) -> Result<T, BusError> {
        if self.watcher.is_none() {
            self.assign().await?;
            return Ok(take(Received::Nothing));
        }
        let received = tokio::select! {
            received = self.client.recv() => received,
            () = self.standing.lost.notified() => {
                self.renew()?;
                return Ok(take(Received::Nothing));
            }
        };
        match received {
            Ok(message) => {
                self.standing.set_status(Status::Reading);
                Ok(take(Received::Message(&message)))
            }
            Err(KafkaError::PartitionEOF(partition)) => Ok(take(Received::End(partition))),
            Err(error) => {
                tolerate(&self.standing, error).await?;
                Ok(take(Received::Nothing))
            }
        }
    }

    /// How many partitions there are to read; none until they are known.
    pub(crate) fn partitions(&self) -> Vec<i32> {
        let assignment = self.client.assignment().unwrap_or_default();
        assignment.elements().iter().map(TopicPartitionListElem::partition).collect()
    }

    /// Assigns all partitions of the topics, waiting until the topics exist and may be read.
    async fn assign(&mut self) -> Result<(), BusError> {
        let mut assigned = Assigned { partitions: BTreeMap::new(), offsets: self.offsets.clone() };
        let mut list = TopicPartitionList::new();
        for topic in self.topics.clone() {
            let count = self.wait_for_partitions(&topic).await?;
            assigned.list(&mut list, &topic, 0, count)?;
            assigned.partitions.insert(topic, count);
        }
        self.client.assign(&list).map_err(BusError::kafka("cannot assign partitions"))?;
        self.standing.set_status(Status::Reading);
        self.watcher = Some(Watcher::start(&self.client, &self.standing, &self.topics, assigned));
        Ok(())
    }

    async fn wait_for_partitions(&mut self, topic: &str) -> Result<i32, BusError> {
        let mut heard = Instant::now();
        loop {
            let reason = match context::partitions(&self.client, topic).await {
                Ok(count) => return Ok(count),
                Err(Silence::Told(reason)) => {
                    heard = Instant::now();
                    reason
                }
                Err(Silence::Mute(reason)) => reason,
            };
            self.standing.set_status(Status::Away(reason));
            if heard.elapsed() >= RENEWAL {
                self.renew()?;
                heard = Instant::now();
            }
            // An answer that says no comes at once; events are served meanwhile.
            let _ = tokio::time::timeout(Duration::from_millis(200), self.client.recv()).await;
        }
    }

    /// Goes on with a new client where the old one had come to.
    fn renew(&mut self) -> Result<(), BusError> {
        tracing::warn!("no broker answers: going on with a new client");
        self.watcher = None;
        if let Ok(reached) = self.client.position() {
            for element in reached.elements() {
                if let Offset::Offset(next) = element.offset() {
                    self.offsets.insert((element.topic().to_owned(), element.partition()), next);
                }
            }
        }
        let old = std::mem::replace(&mut self.client, connect(&self.config, &self.standing)?);
        tokio::task::spawn_blocking(move || drop(old));
        Ok(())
    }

    /// Lets go of the client, which blocks.
    pub(crate) async fn close(self) {
        let Self { client, watcher, .. } = self;
        drop(watcher);
        let _ = tokio::task::spawn_blocking(move || drop(client)).await;
    }
}

fn connect(config: &ClientConfig, standing: &Arc<Standing>) -> Result<Arc<Client>, BusError> {
    let client = StreamConsumer::from_config_and_context(config, Context::new(Arc::clone(standing)));
    client.map(Arc::new).map_err(BusError::kafka("cannot make a consumer"))
}

/// Most errors pass: librdkafka goes on by itself. Only fatal ones end the reading.
async fn tolerate(standing: &Standing, error: KafkaError) -> Result<(), BusError> {
    if let KafkaError::MessageConsumptionFatal(_) = error {
        return Err(BusError::Kafka { what: "reading failed for good", source: error });
    }
    tracing::debug!(%error, "while reading");
    if error.rdkafka_error_code().is_some_and(context::is_absence) {
        standing.suspect.notify_one();
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    Ok(())
}

/// What a client was given to read.
#[derive(Debug)]
struct Assigned {
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

    /// Gives the client what was added to its topics meanwhile. Whatever stands in the way is met again next time.
    async fn look_for_more(&mut self, client: &Arc<Client>) {
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

/// Watches over a client's [`Status`]: an idle topic brings nothing that tells of the brokers' absence or return, so
/// whenever something looks amiss, and now and then, this asks, again and again until it is well: a broker that was
/// still answering when it began to stop tells nothing of its end. The client is also given the partitions that are
/// added to its topics. Ends when dropped.
#[derive(Debug)]
struct Watcher(tokio::task::JoinHandle<()>);

impl Watcher {
    fn start(client: &Arc<Client>, standing: &Arc<Standing>, topics: &[String], mut assigned: Assigned) -> Self {
        let (client, standing) = (Arc::clone(client), Arc::clone(standing));
        let topic = topics.first().cloned().unwrap_or_default();
        Self(tokio::spawn(async move {
            let mut looked = Instant::now();
            loop {
                let told = tokio::time::timeout(LOOK, standing.suspect.notified()).await.is_ok();
                // A look of our own may meet a moment without answer: two in a row are an absence.
                if told || context::partitions(&client, &topic).await.is_err() {
                    wait_for_answer(&client, &standing, &topic).await;
                    standing.set_status(Status::Reading);
                }
                if looked.elapsed() >= LOOK {
                    assigned.look_for_more(&client).await;
                    looked = Instant::now();
                }
            }
        }))
    }
}

/// Waits for a broker, for as long as it takes; says when the client had better be replaced.
async fn wait_for_answer(client: &Arc<Client>, standing: &Standing, topic: &str) {
    let mut heard = Instant::now();
    loop {
        match context::partitions(client, topic).await {
            Ok(_) => return,
            Err(Silence::Told(reason)) => {
                heard = Instant::now();
                standing.set_status(Status::Away(reason));
            }
            Err(Silence::Mute(reason)) => standing.set_status(Status::Away(reason)),
        }
        if heard.elapsed() >= RENEWAL {
            standing.lost.notify_one();
            heard = Instant::now();
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.abort();
    }
}
