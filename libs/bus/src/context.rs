//! What librdkafka tells its clients: rebalances, statistics, errors, log lines.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Statistics,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext, Rebalance, StreamConsumer},
    error::{KafkaError, RDKafkaErrorCode},
};
use tokio::sync::{Notify, watch};

use crate::{consume::Assigned, metrics::ConsumeMetrics};

/// How a reader gets on with the brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing was heard yet.
    Connecting,
    /// Records come, or none are there to come.
    Reading,
    /// The brokers do not answer, or refuse; it goes on trying.
    Away(String),
}

/// A consumer's context.
#[derive(Debug)]
pub(crate) struct Context {
    /// Partitions that were taken away since the reader last looked.
    revoked: Mutex<HashSet<(String, i32)>>,
    any_revoked: AtomicBool,
    /// Something looks amiss with the brokers.
    pub(crate) suspect: Notify,
    pub(crate) status: watch::Sender<Status>,
    pub(crate) metrics: ConsumeMetrics,
}

impl Context {
    pub(crate) fn new() -> Self {
        Self {
            revoked: Mutex::default(),
            any_revoked: AtomicBool::new(false),
            suspect: Notify::new(),
            status: watch::Sender::new(Status::Connecting),
            metrics: ConsumeMetrics::new(),
        }
    }

    pub(crate) fn take_revoked(&self) -> Option<HashSet<(String, i32)>> {
        self.any_revoked
            .swap(false, Ordering::AcqRel)
            .then(|| std::mem::take(&mut *self.revoked.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    pub(crate) fn set_status(&self, status: Status) {
        self.status.send_if_modified(|current| {
            let changed = *current != status;
            if changed {
                match &status {
                    Status::Away(reason) => tracing::warn!(reason, "kafka is away"),
                    Status::Reading => tracing::debug!("kafka answers"),
                    Status::Connecting => {}
                }
                *current = status;
            }
            changed
        });
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "consumer");
        // One broker of several may be down, which is no absence: ask before saying so.
        if error.rdkafka_error_code().is_some_and(is_absence) {
            self.suspect.notify_one();
        }
    }

    fn stats(&self, statistics: Statistics) {
        for topic in statistics.topics.values() {
            for partition in topic.partitions.values() {
                if partition.consumer_lag >= 0 {
                    self.metrics.lag(&topic.topic, partition.partition, partition.consumer_lag);
                }
            }
        }
    }
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Revoke(partitions) => {
                let mut revoked = self.revoked.lock().unwrap_or_else(PoisonError::into_inner);
                revoked.extend(
                    partitions.elements().iter().map(|element| (element.topic().to_owned(), element.partition())),
                );
                self.any_revoked.store(true, Ordering::Release);
                tracing::info!(partitions = partitions.count(), "partitions revoked");
            }
            Rebalance::Assign(partitions) => tracing::info!(partitions = partitions.count(), "partitions assigned"),
            Rebalance::Error(error) => tracing::warn!(%error, "rebalance failed"),
        }
    }
}

/// Whether a code may mean that the brokers cannot be reached or do not let us read.
pub(crate) fn is_absence(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::Resolve
            | RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::Authentication
            | RDKafkaErrorCode::SaslAuthenticationFailed
            | RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownPartition
            | RDKafkaErrorCode::UnknownTopicOrPartition
    )
}

/// Asks how many partitions a topic has: the cheapest question whose answer shows that brokers, login, topic and
/// permission are all there. Blocks for up to two seconds.
pub(crate) async fn partitions(client: &Arc<StreamConsumer<Context>>, topic: &str) -> Result<i32, String> {
    let (asked, name) = (Arc::clone(client), topic.to_owned());
    let answer = tokio::task::spawn_blocking(move || {
        let metadata = asked.fetch_metadata(Some(&name), Duration::from_secs(2))?;
        let topic = metadata.topics().iter().find(|found| found.name() == name);
        let count = topic.map_or(0, |topic| topic.partitions().len());
        let error = topic.and_then(rdkafka::metadata::MetadataTopic::error).map(RDKafkaErrorCode::from);
        Ok::<_, KafkaError>((count, error))
    });
    match answer.await {
        Ok(Ok((count, _))) if count > 0 => Ok(i32::try_from(count).unwrap_or(i32::MAX)),
        Ok(Ok((_, Some(code)))) => Err(format!("topic {topic}: {code}")),
        Ok(Ok((_, None))) => Err(format!("topic {topic} does not exist")),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("cut off by the shutdown".to_owned()),
    }
}

/// How often a reader asks of itself whether the brokers are there, and whether partitions were added.
const LOOK: Duration = Duration::from_secs(5);

/// Watches over a reader's [`Status`]: an idle topic brings nothing that tells of the brokers' absence or return, so
/// whenever something looks amiss, and now and then, this asks, again and again until it is well: a broker that was
/// still answering when it began to stop tells nothing of its end. A reader without group is also given the partitions
/// that are added to its topics; to a group librdkafka gives them by itself. Ends when dropped.
#[derive(Debug)]
pub(crate) struct Watcher(tokio::task::JoinHandle<()>);

impl Watcher {
    pub(crate) fn start(client: &Arc<StreamConsumer<Context>>, topic: &str, mut assigned: Option<Assigned>) -> Self {
        let (client, topic) = (Arc::clone(client), topic.to_owned());
        Self(tokio::spawn(async move {
            let mut looked = Instant::now();
            loop {
                let told = tokio::time::timeout(LOOK, client.context().suspect.notified()).await.is_ok();
                // A look of our own may meet a moment without answer: two in a row are an absence.
                if told || partitions(&client, &topic).await.is_err() {
                    while let Err(reason) = partitions(&client, &topic).await {
                        client.context().set_status(Status::Away(reason));
                        tokio::time::sleep(Duration::from_millis(250)).await;
                    }
                    client.context().set_status(Status::Reading);
                }
                if let Some(assigned) = assigned.as_mut().filter(|_| looked.elapsed() >= LOOK) {
                    assigned.look_for_more(&client).await;
                    looked = Instant::now();
                }
            }
        }))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// librdkafka's log lines. They name brokers and topics; connection losses repeat often, so they are quiet.
pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning if facility != "FAIL" => {
            tracing::warn!(target: "librdkafka", facility, "{message}");
        }
        _ => tracing::debug!(target: "librdkafka", facility, "{message}"),
    }
}
