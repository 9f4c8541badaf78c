//! Every kind of request that the hub refuses, by what it is about.

pub mod broker;
pub mod groups;
pub mod logins;
pub mod topics;

use bytes::Bytes;
use uuid::Uuid;
use wire::{
    messages::{
        FetchRequest, TopicName,
        fetch_request::{FetchPartition, FetchTopic},
    },
    protocol::StrBytes,
};

pub const TOPIC_AUTHORIZATION_FAILED: i16 = 29;
pub const GROUP_AUTHORIZATION_FAILED: i16 = 30;
pub const UNSUPPORTED_SASL_MECHANISM: i16 = 33;
pub const UNSUPPORTED_VERSION: i16 = 35;
pub const SASL_AUTHENTICATION_FAILED: i16 = 58;
pub const GROUP_ID_NOT_FOUND: i16 = 69;
pub const FETCH_SESSION_ID_NOT_FOUND: i16 = 70;
pub const UNKNOWN_TOPIC_ID: i16 = 100;
pub const INVALID_REGULAR_EXPRESSION: i16 = 128;

pub fn text(s: &str) -> StrBytes {
    StrBytes::from_string(s.to_owned())
}

pub fn topic(name: &str) -> TopicName {
    TopicName(text(name))
}

/// Counts that a reason was counted `times` more often while `part` ran.
macro_rules! counted {
    ($rig:expr, $reason:literal, $times:literal, $part:expr) => {{
        let before = $rig.refusals($reason).await;
        let out = $part.await;
        let counted =
            testkit::wait::until(concat!("a count of ", $reason), std::time::Duration::from_secs(5), async || {
                ($rig.refusals($reason).await >= before + f64::from($times)).then_some(())
            });
        counted.await.unwrap();
        assert_eq!($rig.refusals($reason).await, before + f64::from($times), "{} was counted too often", $reason);
        out
    }};
}
pub(crate) use counted;

pub fn fetch_by_name(names: &[&str]) -> FetchRequest {
    FetchRequest::default()
        .with_max_wait_ms(200)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_session_epoch(-1)
        .with_topics(
            names
                .iter()
                .map(|name| FetchTopic::default().with_topic(topic(name)).with_partitions(partitions()))
                .collect(),
        )
}

pub fn fetch_by_id(ids: &[[u8; 16]]) -> FetchRequest {
    fetch_by_name(&[]).with_topics(
        ids.iter()
            .map(|id| FetchTopic::default().with_topic_id(Uuid::from_bytes(*id)).with_partitions(partitions()))
            .collect(),
    )
}

pub fn partitions() -> Vec<FetchPartition> {
    (0..4).map(|p| FetchPartition::default().with_partition(p).with_partition_max_bytes(1 << 20)).collect()
}

/// Per topic (as named in the answer): error of every partition, and bytes of records.
pub fn seen(answer: &wire::messages::FetchResponse) -> Vec<(String, Vec<i16>, usize)> {
    answer
        .responses
        .iter()
        .map(|t| {
            let name = if t.topic.is_empty() { t.topic_id.simple().to_string() } else { t.topic.to_string() };
            let bytes = t.partitions.iter().map(|p| p.records.as_ref().map_or(0, Bytes::len)).sum();
            (name, t.partitions.iter().map(|p| p.error_code).collect(), bytes)
        })
        .collect()
}
