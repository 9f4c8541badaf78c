//! Following a control topic from its beginning, with the least delay: how signed policy reaches the services.

use std::collections::{BTreeMap, HashSet};

use rdkafka::{Message as _, consumer::Consumer as _, error::KafkaError};
use tokio_util::sync::CancellationToken;

use crate::{
    BusError, KafkaConfig, Status,
    consume::{assign, close, connect, groupless, tolerate},
    context::Watcher,
};

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub partition: i32,
    pub offset: i64,
    /// Milliseconds since the epoch, where the record has a timestamp.
    pub timestamp: Option<i64>,
}

/// What a tail tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TailEvent<'a> {
    /// A record, in offset order within its partition. `value` is `None` for a tombstone.
    Record { key: Option<&'a [u8]>, value: Option<&'a [u8]>, position: Position },
    /// Once: everything that was there at the start has been told.
    CaughtUp,
    /// The brokers do not answer, or refuse; it goes on trying for ever.
    Away(&'a str),
    /// They answer again.
    Back,
}

/// Reads all partitions of `topic` from the beginning, without consumer group, until cancelled. `on_event` is called on
/// the reading task: it must be quick.
///
/// # Errors
/// The configuration cannot be used, or librdkafka has failed for good. The absence of brokers, topic or permission is
/// no error: it is told as [`TailEvent::Away`] and waited for.
pub async fn tail(
    kafka: &KafkaConfig,
    client_id: &str,
    topic: &str,
    cancel: CancellationToken,
    mut on_event: impl FnMut(TailEvent<'_>),
) -> Result<(), BusError> {
    let mut config = kafka.client(client_id)?;
    groupless(&mut config, kafka)
        .set("enable.auto.offset.store", "false")
        // The topic may have been made anew: then everything in it is news.
        .set("auto.offset.reset", "earliest")
        .set("enable.partition.eof", "true")
        .set("fetch.min.bytes", "1")
        .set("fetch.wait.max.ms", "500")
        .set("fetch.error.backoff.ms", "20")
        .set("fetch.queue.backoff.ms", "5")
        .set("reconnect.backoff.max.ms", "300")
        .set("topic.metadata.refresh.interval.ms", "5000");
    let client = connect(&config)?;
    let mut status = client.context().status.subscribe();
    let topics = [topic.to_owned()];
    let none = BTreeMap::new();
    let assigned = {
        let assigning = assign(&client, &topics, &none);
        tokio::pin!(assigning);
        loop {
            tokio::select! {
                result = &mut assigning => break result?,
                _ = status.changed() => announce(&status.borrow_and_update(), &mut on_event),
                () = cancel.cancelled() => return Ok(()),
            }
        }
    };
    announce(&status.borrow_and_update(), &mut on_event);
    let watcher = Watcher::start(&client, topic, Some(assigned));
    let mut behind = client
        .assignment()
        .map_err(BusError::kafka("cannot read the assignment"))?
        .elements()
        .iter()
        .map(rdkafka::topic_partition_list::TopicPartitionListElem::partition)
        .collect::<HashSet<_>>();
    loop {
        tokio::select! {
            () = cancel.cancelled() => break,
            _ = status.changed() => announce(&status.borrow_and_update(), &mut on_event),
            received = client.recv() => match received {
                Ok(message) => {
                    client.context().set_status(Status::Reading);
                    let timestamp = message.timestamp().to_millis();
                    let position = Position { partition: message.partition(), offset: message.offset(), timestamp };
                    on_event(TailEvent::Record { key: message.key(), value: message.payload(), position });
                }
                Err(KafkaError::PartitionEOF(partition)) => {
                    if behind.remove(&partition) && behind.is_empty() {
                        on_event(TailEvent::CaughtUp);
                    }
                }
                Err(error) => tolerate(&client, error).await?,
            },
        }
    }
    drop(watcher);
    close(client, false).await;
    Ok(())
}

fn announce(status: &Status, on_event: &mut impl FnMut(TailEvent<'_>)) {
    match status {
        Status::Away(reason) => on_event(TailEvent::Away(reason)),
        Status::Reading => on_event(TailEvent::Back),
        Status::Connecting => {}
    }
}
