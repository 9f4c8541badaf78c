//! A record on its way out.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;

/// One record to be produced. Keys and headers carry no personal data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub topic: Arc<str>,
    /// Decides the partition, as in the Java client (murmur2).
    pub key: Option<Bytes>,
    pub headers: Vec<(Cow<'static, str>, Bytes)>,
    /// `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Overrides what the key says.
    pub partition: Option<i32>,
    /// Milliseconds since the epoch; `None` lets librdkafka put the time of sending.
    pub timestamp: Option<i64>,
}

impl Record {
    /// A record with key and value.
    pub fn new(topic: impl Into<Arc<str>>, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self { value: Some(value.into()), ..Self::tombstone(topic, key) }
    }

    /// A record that deletes its key from a compacted topic.
    pub fn tombstone(topic: impl Into<Arc<str>>, key: impl Into<Bytes>) -> Self {
        Self {
            topic: topic.into(),
            key: Some(key.into()),
            headers: Vec::new(),
            value: None,
            partition: None,
            timestamp: None,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Bytes>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Bytes of key, value and headers, for accounting.
    pub fn size(&self) -> usize {
        let of = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        let headers = self.headers.iter().map(|(name, value)| name.len() + value.len());
        of(&self.key) + of(&self.value) + headers.sum::<usize>()
    }
}
