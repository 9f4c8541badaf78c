//! What librdkafka tells its clients: rebalances, statistics, errors, log lines.

use std::{
    collections::HashSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rdkafka::{
    ClientContext, Statistics,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext, Rebalance, StreamConsumer},
    error::{KafkaError, RDKafkaErrorCode},
};
use tokio::sync::watch;

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

/// A consumer's context.
#[derive(Debug)]
pub(crate) struct Context {
    /// Partitions that were taken away since the reader last looked.
    revoked: Mutex<HashSet<(String, i32)>>,
    any_revoked: AtomicBool,
    pub(crate) status: watch::Sender<Status>,
    pub(crate) metrics: ConsumeMetrics,
}

impl Context {
    pub(crate) fn new() -> Self {
        Self {
            revoked: Mutex::default(),
            any_revoked: AtomicBool::new(false),
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

    pub(crate) fn is_away(&self) -> bool {
        matches!(*self.status.borrow(), Status::Away(_))
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "consumer");
        if error.rdkafka_error_code().is_some_and(is_absence) {
            self.set_status(Status::Away(error.rdkafka_error_code().map_or_else(String::new, |code| code.to_string())));
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

/// Whether a code means that the brokers cannot be reached or do not let us in.
pub(crate) fn is_absence(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::Authentication
            | RDKafkaErrorCode::SaslAuthenticationFailed
    )
}

/// While the brokers are away nothing may come that tells of their return (an idle topic), so ask.
pub(crate) async fn probe(consumer: &std::sync::Arc<StreamConsumer<Context>>, topic: &str) {
    let (asked, topic) = (std::sync::Arc::clone(consumer), topic.to_owned());
    let answer =
        tokio::task::spawn_blocking(move || asked.fetch_metadata(Some(&topic), Duration::from_secs(1)).map(|_| ()));
    if matches!(answer.await, Ok(Ok(()))) {
        consumer.context().set_status(Status::Reading);
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
