//! What librdkafka tells its clients: statistics, errors, log lines.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    ClientContext, Statistics,
    config::RDKafkaLogLevel,
    consumer::{Consumer as _, ConsumerContext, StreamConsumer},
    error::{KafkaError, RDKafkaErrorCode},
};
use tokio::sync::{Notify, watch};

use crate::metrics::ConsumeMetrics;

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

/// How a reader gets on, over all the clients it has had.
#[derive(Debug)]
pub(crate) struct Standing {
    /// Something looks amiss with the brokers.
    pub(crate) suspect: Notify,
    /// The client had better be replaced.
    pub(crate) lost: Notify,
    pub(crate) status: watch::Sender<Status>,
    pub(crate) metrics: ConsumeMetrics,
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            suspect: Notify::new(),
            lost: Notify::new(),
            status: watch::Sender::new(Status::Connecting),
            metrics: ConsumeMetrics::new(),
        }
    }
}

impl Standing {
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

/// A client's context.
#[derive(Debug)]
pub(crate) struct Context(Arc<Standing>);

impl Context {
    pub(crate) fn new(standing: Arc<Standing>) -> Self {
        Self(standing)
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
            self.0.suspect.notify_one();
        }
    }

    fn stats(&self, statistics: Statistics) {
        for topic in statistics.topics.values() {
            for partition in topic.partitions.values() {
                if partition.consumer_lag >= 0 {
                    self.0.metrics.lag(&topic.topic, partition.partition, partition.consumer_lag);
                }
            }
        }
    }
}

impl ConsumerContext for Context {}

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

/// Why it is not known how many partitions a topic has.
#[derive(Debug)]
pub(crate) enum Silence {
    /// A broker said so.
    Told(String),
    /// No broker said anything.
    Mute(String),
}

/// Asks how many partitions a topic has: the cheapest question whose answer shows that brokers, login, topic and
/// permission are all there. Blocks for up to two seconds.
pub(crate) async fn partitions(client: &Arc<StreamConsumer<Context>>, topic: &str) -> Result<i32, Silence> {
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
        Ok(Ok((_, Some(code)))) => Err(Silence::Told(format!("topic {topic}: {code}"))),
        Ok(Ok((_, None))) => Err(Silence::Told(format!("topic {topic} does not exist"))),
        Ok(Err(error)) => Err(Silence::Mute(error.to_string())),
        Err(_) => Err(Silence::Mute("cut off by the shutdown".to_owned())),
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
