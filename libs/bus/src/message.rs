//! Records on their way in: batches that own their bytes in one piece of memory.

use std::{collections::HashMap, sync::Arc};

use bytes::{Bytes, BytesMut};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};

/// One record that was read. Its bytes are shares of the batch's; clone is cheap, keeping one keeps the whole batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: i64,
    /// Milliseconds since the epoch, where the record has a timestamp.
    pub timestamp: Option<i64>,
    pub key: Option<Bytes>,
    pub headers: Vec<(Arc<str>, Bytes)>,
    /// `None` is a tombstone.
    pub payload: Option<Bytes>,
}

impl Message {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&Bytes> {
        self.headers.iter().find(|(header, _)| &**header == name).map(|(_, value)| value)
    }

    /// The header's value as text, for [trace context](https://www.w3.org/TR/trace-context/) and the like.
    pub fn header_text(&self, name: &str) -> Option<&str> {
        self.header(name).and_then(|value| std::str::from_utf8(value).ok())
    }
}

/// Messages in the order in which they were read: in offset order within each partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    messages: Vec<Message>,
}

impl Batch {
    pub(crate) fn new(messages: Vec<Message>) -> Self {
        Self { messages }
    }

    /// The messages.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// For each partition in the batch the offset after its last message: where to go on once the batch is applied.
    pub fn next_offsets(&self) -> HashMap<(Arc<str>, i32), i64> {
        let mut next = HashMap::new();
        for message in &self.messages {
            next.insert((Arc::clone(&message.topic), message.partition), message.offset + 1);
        }
        next
    }
}

impl<'a> IntoIterator for &'a Batch {
    type Item = &'a Message;
    type IntoIter = std::slice::Iter<'a, Message>;

    fn into_iter(self) -> Self::IntoIter {
        self.messages.iter()
    }
}

/// Collects borrowed messages: their bytes go into one buffer, names of topics and headers are kept once.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    bytes: BytesMut,
    raw: Vec<Raw>,
    names: HashMap<Box<str>, Arc<str>>,
}

#[derive(Debug)]
struct Raw {
    topic: Arc<str>,
    partition: i32,
    offset: i64,
    timestamp: Option<i64>,
    key: Option<usize>,
    headers: Vec<(Arc<str>, usize)>,
    payload: Option<usize>,
}

impl Collector {
    pub(crate) fn push(&mut self, message: &BorrowedMessage<'_>) {
        let topic = self.name(message.topic());
        let mut put = |bytes: &[u8]| {
            self.bytes.extend_from_slice(bytes);
            bytes.len()
        };
        let (key, payload) = (message.key().map(&mut put), message.payload().map(&mut put));
        let mut headers = Vec::new();
        if let Some(borrowed) = message.headers() {
            headers.reserve(borrowed.count());
            for header in borrowed.iter() {
                let value = header.value.unwrap_or_default();
                self.bytes.extend_from_slice(value);
                headers.push((self.name(header.key), value.len()));
            }
        }
        let (partition, offset, timestamp) = (message.partition(), message.offset(), message.timestamp().to_millis());
        self.raw.push(Raw { topic, partition, offset, timestamp, key, headers, payload });
    }

    pub(crate) fn len(&self) -> usize {
        self.raw.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// What was collected, in order; the collector is empty afterwards.
    pub(crate) fn take(&mut self) -> Vec<Message> {
        let mut bytes = std::mem::take(&mut self.bytes).freeze();
        let mut cut = |length: usize| bytes.split_to(length.min(bytes.len()));
        let finish = |raw: Raw| Message {
            topic: raw.topic,
            partition: raw.partition,
            offset: raw.offset,
            timestamp: raw.timestamp,
            // In the order in which they were pushed.
            key: raw.key.map(&mut cut),
            payload: raw.payload.map(&mut cut),
            headers: raw.headers.into_iter().map(|(name, length)| (name, cut(length))).collect(),
        };
        std::mem::take(&mut self.raw).into_iter().map(finish).collect()
    }

    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        // Header names are whoever produced the record's: few in practice, but nobody promises.
        if self.names.len() > 1000 {
            self.names.clear();
        }
        let shared = Arc::<str>::from(name);
        self.names.insert(name.into(), Arc::clone(&shared));
        shared
    }
}
