//! The commit-after-store loop: read a batch, apply it, only then remember that it was read.
//!
//! A batch whose application fails is applied again until it succeeds; nothing is skipped. Offsets are remembered by
//! whoever applies, in the same transaction as the data, which makes applying exactly-once.

use std::{
    collections::BTreeMap,
    fmt::Display,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::FutureExt as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    Batch, BusError, KafkaConfig, Status,
    message::Collector,
    reader::{Reader, Received},
};

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

/// Reads all partitions of topics and applies what it reads. Partitions that are added later are found within seconds.
#[derive(Debug)]
pub struct Consumer {
    reader: Reader,
    options: ConsumeOptions,
    collector: Collector,
}

impl Consumer {
    /// Makes a consumer that begins at the given offsets (topic, partition, next offset to read), and at the earliest
    /// record where none is given. It connects in the background, so this succeeds while the brokers are away.
    ///
    /// # Errors
    /// The configuration cannot be used.
    pub fn new(
        kafka: &KafkaConfig,
        client_id: &str,
        topics: &[&str],
        offsets: BTreeMap<(String, i32), i64>,
        options: ConsumeOptions,
    ) -> Result<Self, BusError> {
        let mut config = kafka.client(client_id)?;
        let kilobytes = (options.prefetch_bytes >> 10).max(1024).to_string();
        config
            .set("fetch.queue.backoff.ms", "5")
            .set("fetch.error.backoff.ms", "100")
            .set("queued.min.messages", "100000")
            .set("queued.max.messages.kbytes", kilobytes)
            .set("statistics.interval.ms", "5000");
        let reader = Reader::new(kafka, config, topics, offsets)?;
        Ok(Self { reader, options, collector: Collector::default() })
    }

    /// How it gets on with the brokers, for a readiness check.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.reader.status()
    }

    /// Applies batches until cancelled; a batch that is being applied is finished first.
    ///
    /// `apply` is called again with the same records until it succeeds. It must bear records that it has seen before.
    ///
    /// # Errors
    /// librdkafka has failed for good.
    pub async fn run<F, Fut, E>(mut self, cancel: CancellationToken, mut apply: F) -> Result<(), BusError>
    where
        F: FnMut(Arc<Batch>) -> Fut,
        Fut: Future<Output = Result<(), E>>,
        E: Display,
    {
        loop {
            let batch = tokio::select! {
                batch = self.next_batch() => Arc::new(batch?),
                () = cancel.cancelled() => break,
            };
            if !self.apply_until_done(&batch, &cancel, &mut apply).await {
                break;
            }
        }
        self.reader.close().await;
        Ok(())
    }

    /// Gives `false` when cancelled before the batch could be applied.
    async fn apply_until_done<F, Fut, E>(&self, batch: &Arc<Batch>, cancel: &CancellationToken, apply: &mut F) -> bool
    where
        F: FnMut(Arc<Batch>) -> Fut,
        Fut: Future<Output = Result<(), E>>,
        E: Display,
    {
        let metrics = &self.reader.standing().metrics;
        let mut wait = self.options.retry_min;
        loop {
            let begun = Instant::now();
            let Err(error) = apply(Arc::clone(batch)).await else {
                metrics.applied(begun.elapsed(), batch.len());
                return true;
            };
            metrics.failed();
            tracing::warn!(error = %error, records = batch.len(), wait_ms = wait.as_millis(), "a batch was not applied, trying again");
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = cancel.cancelled() => return false,
            }
            wait = (wait * 2).min(self.options.retry_max);
        }
    }

    async fn next_batch(&mut self) -> Result<Batch, BusError> {
        loop {
            self.receive().await?;
            let deadline = tokio::time::Instant::now() + self.options.batch_wait;
            while self.collector.len() < self.options.batch_records && self.collector.bytes() < self.options.batch_bytes
            {
                // Most of the time the next record has been fetched already.
                match self.receive().now_or_never() {
                    Some(result) => result?,
                    None if self.options.batch_wait.is_zero() => break,
                    None => match tokio::time::timeout_at(deadline, self.receive()).await {
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
    async fn receive(&mut self) -> Result<(), BusError> {
        let Self { reader, collector, .. } = self;
        let received = reader.receive(|received| {
            if let Received::Message(message) = received {
                collector.push(message);
            }
        });
        received.await
    }
}
