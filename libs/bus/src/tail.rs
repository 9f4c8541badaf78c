//! Following a control topic from its beginning, with the least delay: how signed policy reaches the services.

use std::collections::{BTreeMap, HashSet};

use rdkafka::Message as _;
use tokio_util::sync::CancellationToken;

use crate::{
    BusError, KafkaConfig, Status,
    reader::{Reader, Received},
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
    config
        .set("enable.partition.eof", "true")
        .set("fetch.min.bytes", "1")
        .set("fetch.wait.max.ms", "500")
        .set("fetch.error.backoff.ms", "20")
        .set("fetch.queue.backoff.ms", "5")
        .set("reconnect.backoff.max.ms", "300")
        .set("topic.metadata.refresh.interval.ms", "5000");
    let mut reader = Reader::new(kafka, config, &[topic], BTreeMap::new())?;
    let mut status = reader.status();
    // The partitions of which not everything that was there at the start has been told.
    let mut behind: Option<HashSet<i32>> = None;
    loop {
        let ended = tokio::select! {
            () = cancel.cancelled() => break,
            _ = status.changed() => {
                announce(&status.borrow_and_update(), &mut on_event);
                None
            }
            ended = reader.receive(|received| match received {
                Received::Message(message) => {
                    let timestamp = message.timestamp().to_millis();
                    let position = Position { partition: message.partition(), offset: message.offset(), timestamp };
                    on_event(TailEvent::Record { key: message.key(), value: message.payload(), position });
                    None
                }
                Received::End(partition) => Some(partition),
                Received::Nothing => None,
            }) => ended?,
        };
        let Some(partition) = ended else { continue };
        let behind = behind.get_or_insert_with(|| reader.partitions().into_iter().collect());
        if behind.remove(&partition) && behind.is_empty() {
            on_event(TailEvent::CaughtUp);
        }
    }
    reader.close().await;
    Ok(())
}

fn announce(status: &Status, on_event: &mut impl FnMut(TailEvent<'_>)) {
    match status {
        Status::Away(reason) => on_event(TailEvent::Away(reason)),
        Status::Reading => on_event(TailEvent::Back),
        Status::Connecting => {}
    }
}
