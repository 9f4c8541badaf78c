//! A Fetch response seen on the bytes that came: topics, partitions, errors, and where each record set lies. Records are
//! not looked at; [`crate::batch`] does that per partition, and [`crate::patch`] writes what changes.
//!
//! Layout: FetchResponse.json, versions 4 to 18.

use std::ops::Range;

use bytes::Bytes;
use kafka_protocol::messages::{TopicName, fetch_response::PartitionData};

use crate::{
    WireError,
    api::Api,
    codec,
    patch::Patch,
    read::{Reader, put_uvarint},
};

/// How a response (or request) of this version names a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TopicRef {
    /// Up to version 12.
    Name(String),
    /// From version 13 (KIP-516).
    Id([u8; 16]),
}

/// One topic of a response.
#[derive(Debug, Clone)]
pub struct TopicView {
    /// How it is named.
    pub topic: TopicRef,
    /// Its partitions, in [`FetchView::partitions`].
    pub partitions: Range<usize>,
}

/// One partition of a response. Positions are in the frame without its length prefix.
#[derive(Debug, Clone)]
pub struct PartitionView {
    /// Partition number.
    pub index: i32,
    /// Kafka's error code, 0 for none.
    pub error: i16,
    /// One past the last offset that is replicated, or -1.
    pub high_watermark: i64,
    /// The whole element.
    pub span: Range<usize>,
    /// The record set's length field and the record set.
    pub records_field: Range<usize>,
    /// The record set itself; empty when there is none.
    pub records: Range<usize>,
}

/// A whole response.
#[derive(Debug, Clone)]
pub struct FetchView {
    version: i16,
    flexible: bool,
    /// Top-level error.
    pub error: i16,
    /// Where the session id stands (from version 7).
    pub session_at: Option<usize>,
    /// The session id; 0 is none.
    pub session_id: i32,
    /// The topics' count field.
    count_field: Range<usize>,
    /// One past the last topic.
    topics_end: usize,
    /// The value of the tagged field NodeEndpoints (from version 16), if there.
    pub node_endpoints: Option<Range<usize>>,
    /// The whole top-level tagged section.
    tags: Range<usize>,
    /// Topics in order.
    pub topics: Vec<TopicView>,
    /// All partitions in order.
    pub partitions: Vec<PartitionView>,
}

/// Tag of NodeEndpoints in FetchResponse.
const NODE_ENDPOINTS: u32 = 0;

impl FetchView {
    /// Scans a frame (without prefix). Fails on anything that is not exactly one response of this version.
    pub fn scan(api: &Api, version: i16, frame: &[u8]) -> Result<Self, WireError> {
        let flexible = api.flexible(version);
        let mut r = Reader::at(frame, codec::response_body_at(api, version, frame)?);
        r.i32()?; // throttle time
        let (mut error, mut session_at, mut session_id) = (0, None, 0);
        if version >= 7 {
            error = r.i16()?;
            session_at = Some(r.position());
            session_id = r.i32()?;
        }
        let count_at = r.position();
        let count = r.count(flexible)?.unwrap_or(0);
        let count_field = count_at..r.position();
        let mut topics = Vec::with_capacity(count.min(1024));
        let mut partitions = Vec::with_capacity(count.min(1024));
        for _ in 0..count {
            topics.push(scan_topic(&mut r, version, flexible, &mut partitions)?);
        }
        let topics_end = r.position();
        let mut node_endpoints = None;
        if flexible {
            r.tags(|tag, range| {
                if tag == NODE_ENDPOINTS && version >= 16 {
                    node_endpoints = Some(range);
                }
            })?;
        }
        match r.remaining() {
            0 => Ok(Self {
                version,
                flexible,
                error,
                session_at,
                session_id,
                count_field,
                topics_end,
                node_endpoints,
                tags: topics_end..r.position(),
                topics,
                partitions,
            }),
            left => Err(WireError::Trailing { left }),
        }
    }

    /// The partitions of a topic.
    pub fn partitions_of(&self, topic: &TopicView) -> &[PartitionView] {
        self.partitions.get(topic.partitions.clone()).unwrap_or_default()
    }

    /// Replaces one partition by an error with an empty record set.
    pub fn deny(&self, api: &Api, patch: &mut Patch, partition: &PartitionView, error: i16) -> Result<(), WireError> {
        let new = codec::bare(api, self.version, &denied(partition.index, error))?;
        patch.replace(partition.span.clone(), new);
        Ok(())
    }

    /// Replaces parts of a partition's record set, in order; positions are relative to the record set.
    pub fn rewrite(&self, patch: &mut Patch, partition: &PartitionView, edits: Vec<(Range<usize>, Bytes)>) {
        if edits.is_empty() {
            return;
        }
        let mut size = partition.records.len();
        for (range, new) in &edits {
            size = size.saturating_sub(range.len()).saturating_add(new.len());
        }
        let mut length = Vec::with_capacity(5);
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        if self.flexible {
            put_uvarint(&mut length, size.saturating_add(1));
        } else {
            length.extend(size.to_be_bytes());
        }
        patch.replace(partition.records_field.start..partition.records.start, length);
        for (range, new) in edits {
            let start = partition.records.start;
            patch.replace(start + range.start..start + range.end, new);
        }
    }

    /// Adds topics (each an encoded element) after those of the broker.
    pub fn append(&self, patch: &mut Patch, topics: &[Bytes]) {
        if topics.is_empty() {
            return;
        }
        let total = u32::try_from(self.topics.len() + topics.len()).unwrap_or(u32::MAX);
        let mut count = Vec::with_capacity(5);
        if self.flexible {
            put_uvarint(&mut count, total.saturating_add(1));
        } else {
            count.extend(total.to_be_bytes());
        }
        patch.replace(self.count_field.clone(), count);
        patch.replace(self.topics_end..self.topics_end, topics.concat());
    }

    /// Puts another value in the place of NodeEndpoints; `None` drops every top-level tagged field.
    pub fn replace_endpoints(&self, patch: &mut Patch, value: Option<Bytes>) {
        if self.tags.is_empty() {
            return;
        }
        let mut tags = Vec::new();
        match value {
            None => tags.push(0),
            Some(value) => {
                put_uvarint(&mut tags, 1);
                put_uvarint(&mut tags, NODE_ENDPOINTS);
                put_uvarint(&mut tags, u32::try_from(value.len()).unwrap_or(u32::MAX));
                tags.extend_from_slice(&value);
            }
        }
        patch.replace(self.tags.clone(), tags);
    }
}

fn scan_topic(
    r: &mut Reader<'_>,
    version: i16,
    flexible: bool,
    partitions: &mut Vec<PartitionView>,
) -> Result<TopicView, WireError> {
    let topic = if version >= 13 {
        TopicRef::Id(r.uuid()?)
    } else {
        TopicRef::Name(r.text(flexible)?.unwrap_or_default().to_owned())
    };
    let first = partitions.len();
    for _ in 0..r.count(flexible)?.unwrap_or(0) {
        partitions.push(scan_partition(r, version, flexible)?);
    }
    if flexible {
        r.tags(|_, _| ())?;
    }
    Ok(TopicView { topic, partitions: first..partitions.len() })
}

fn scan_partition(r: &mut Reader<'_>, version: i16, flexible: bool) -> Result<PartitionView, WireError> {
    let start = r.position();
    let index = r.i32()?;
    let error = r.i16()?;
    let high_watermark = r.i64()?;
    r.i64()?; // last stable offset
    if version >= 5 {
        r.i64()?; // log start offset
    }
    for _ in 0..r.count(flexible)?.unwrap_or(0) {
        r.take(16)?; // aborted transaction: producer id, first offset
        if flexible {
            r.tags(|_, _| ())?;
        }
    }
    if version >= 11 {
        r.i32()?; // preferred read replica
    }
    let field = r.position();
    let length = r.bytes_len(flexible)?.unwrap_or(0);
    let records = r.position()..r.position() + length;
    r.take(length)?;
    if flexible {
        r.tags(|_, _| ())?;
    }
    Ok(PartitionView {
        index,
        error,
        high_watermark,
        span: start..r.position(),
        records_field: field..records.end,
        records,
    })
}

/// A partition that gives an error and no record, as a broker gives it.
pub fn denied(index: i32, error: i16) -> PartitionData {
    PartitionData::default()
        .with_partition_index(index)
        .with_error_code(error)
        .with_high_watermark(-1)
        .with_last_stable_offset(-1)
        .with_log_start_offset(-1)
        .with_aborted_transactions(Some(Vec::new()))
        .with_records(Some(Bytes::new()))
}

/// An encoded topic element in which every partition gives an error.
pub fn denied_topic(
    api: &Api,
    version: i16,
    topic: &TopicRef,
    partitions: impl IntoIterator<Item = i32>,
    error: i16,
) -> Result<Bytes, WireError> {
    let element = kafka_protocol::messages::fetch_response::FetchableTopicResponse::default()
        .with_partitions(partitions.into_iter().map(|index| denied(index, error)).collect());
    let element = match topic {
        TopicRef::Name(name) => {
            element.with_topic(TopicName(kafka_protocol::protocol::StrBytes::from_string(name.clone())))
        }
        TopicRef::Id(id) => element.with_topic_id(uuid::Uuid::from_bytes(*id)),
    };
    codec::bare(api, version, &element)
}

#[cfg(test)]
mod tests {
    use kafka_protocol::{
        messages::{
            ApiKey,
            fetch_response::{
                AbortedTransaction, EpochEndOffset, FetchResponse, FetchableTopicResponse, LeaderIdAndEpoch,
                NodeEndpoint,
            },
        },
        protocol::StrBytes,
    };
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::batch::tests::batch_bytes;

    fn fetch_api() -> &'static Api {
        crate::api::find(ApiKey::Fetch as i16).unwrap()
    }

    prop_compose! {
        fn partition(version: i16)(
            index in 0i32..1000, error in 0i16..120, hw in any::<i64>(), aborted in proptest::option::of(0usize..4),
            records in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300)), tagged in any::<bool>(),
        ) -> PartitionData {
            let mut p = PartitionData::default()
                .with_partition_index(index)
                .with_error_code(error)
                .with_high_watermark(hw)
                .with_aborted_transactions(aborted.map(|n| vec![AbortedTransaction::default().with_first_offset(7); n]))
                .with_records(records.map(Bytes::from));
            if version >= 12 && tagged {
                p = p
                    .with_diverging_epoch(EpochEndOffset::default().with_epoch(3).with_end_offset(9))
                    .with_current_leader(LeaderIdAndEpoch::default().with_leader_id(2.into()).with_leader_epoch(4));
            }
            p
        }
    }

    prop_compose! {
        fn response()(version in 4i16..=18)(
            version in Just(version),
            topics in proptest::collection::vec(
                ("[a-z.]{1,30}", any::<[u8; 16]>(), proptest::collection::vec(partition(version), 0..5)), 0..5),
            session in any::<i32>(), throttle in any::<i32>(), endpoints in 0usize..3,
        ) -> (i16, FetchResponse) {
            let topics = topics.into_iter().map(|(name, id, partitions)| {
                let topic = FetchableTopicResponse::default().with_partitions(partitions);
                if version >= 13 {
                    topic.with_topic_id(Uuid::from_bytes(id))
                } else {
                    topic.with_topic(TopicName(StrBytes::from_string(name)))
                }
            }).collect();
            let mut r = FetchResponse::default().with_throttle_time_ms(throttle).with_responses(topics);
            if version >= 7 {
                r = r.with_session_id(session);
            }
            if version >= 16 {
                r = r.with_node_endpoints(vec![
                    NodeEndpoint::default().with_node_id(1.into()).with_host(StrBytes::from_static_str("b")).with_port(9);
                    endpoints
                ]);
            }
            (version, r)
        }
    }

    fn encode(version: i16, response: &FetchResponse) -> Bytes {
        codec::response_frame(fetch_api(), version, 77, response).unwrap().slice(4..)
    }

    fn apply(patch: Patch, frame: &Bytes, version: i16) -> FetchResponse {
        let out = Bytes::from(patch.pieces(frame).concat());
        assert_eq!(u32::from_be_bytes(out[..4].try_into().unwrap()) as usize, out.len() - 4);
        codec::response(fetch_api(), version, &out.slice(4..)).unwrap()
    }

    proptest! {
        #[test]
        fn agrees_with_the_codec((version, response) in response()) {
            let frame = encode(version, &response);
            let view = FetchView::scan(fetch_api(), version, &frame).unwrap();
            prop_assert_eq!(view.session_id, response.session_id);
            prop_assert_eq!(view.topics.len(), response.responses.len());
            prop_assert_eq!(view.node_endpoints.is_some(), !response.node_endpoints.is_empty());
            for (seen, made) in view.topics.iter().zip(&response.responses) {
                match &seen.topic {
                    TopicRef::Name(name) => prop_assert_eq!(name.as_str(), made.topic.0.as_str()),
                    TopicRef::Id(id) => prop_assert_eq!(id, made.topic_id.as_bytes()),
                }
                let partitions = view.partitions_of(seen);
                prop_assert_eq!(partitions.len(), made.partitions.len());
                for (p, made) in partitions.iter().zip(&made.partitions) {
                    prop_assert_eq!((p.index, p.error, p.high_watermark),
                        (made.partition_index, made.error_code, made.high_watermark));
                    prop_assert_eq!(&frame[p.records.clone()], made.records.as_deref().unwrap_or_default());
                }
            }
        }

        #[test]
        fn denials_and_additions_read_back((version, response) in response(), pick in any::<prop::sample::Index>()) {
            let frame = encode(version, &response);
            let view = FetchView::scan(fetch_api(), version, &frame).unwrap();
            let mut patch = Patch::new();
            let extra = if version >= 13 { TopicRef::Id([9; 16]) } else { TopicRef::Name("extra".into()) };
            view.append(&mut patch, &[denied_topic(fetch_api(), version, &extra, [4, 5], 29).unwrap()]);
            view.replace_endpoints(&mut patch, None);
            let victim = (!view.partitions.is_empty()).then(|| pick.index(view.partitions.len()));
            if let Some(victim) = victim {
                view.deny(fetch_api(), &mut patch, &view.partitions[victim], 29).unwrap();
            }
            let out = apply(patch, &frame, version);
            prop_assert_eq!(out.responses.len(), response.responses.len() + 1);
            prop_assert!(out.node_endpoints.is_empty());
            let last = out.responses.last().unwrap();
            prop_assert_eq!(last.partitions.iter().map(|p| (p.partition_index, p.error_code)).collect::<Vec<_>>(), vec![(4, 29), (5, 29)]);
            let before: Vec<_> = response.responses.iter().flat_map(|t| &t.partitions).collect();
            let after: Vec<_> = out.responses.iter().flat_map(|t| &t.partitions).collect();
            for (i, old) in before.iter().enumerate() {
                if Some(i) == victim {
                    prop_assert_eq!(after[i], &denied(old.partition_index, 29));
                } else {
                    prop_assert_eq!(after[i], *old);
                }
            }
        }

        #[test]
        fn damaged_frames_never_panic((version, response) in response(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
            let mut frame = encode(version, &response).to_vec();
            let i = at.index(frame.len());
            frame[i] = byte;
            let _ = FetchView::scan(fetch_api(), version, &frame);
            let cut = cut.index(frame.len());
            prop_assert!(FetchView::scan(fetch_api(), version, &frame[..cut]).is_err() || cut == frame.len());
        }
    }

    #[test]
    fn a_batch_is_replaced_in_place() {
        let mut records = batch_bytes(0, 1, 2, 0, 40);
        let second = batch_bytes(2, 1, 2, 0, 300);
        records.extend(&second);
        for version in [4, 11, 12, 18] {
            let mut topic = FetchableTopicResponse::default()
                .with_partitions(vec![denied(0, 0).with_records(Some(Bytes::from(records.clone())))]);
            if version < 13 {
                topic = topic.with_topic(TopicName(StrBytes::from_static_str("t")));
            }
            let frame = encode(version, &FetchResponse::default().with_responses(vec![topic]));
            let view = FetchView::scan(fetch_api(), version, &frame).unwrap();
            let part = &view.partitions[0];
            let new = Bytes::from(batch_bytes(0, 1, 1, 0, 3));
            let first = crate::batch::batches(&frame[part.records.clone()]).next().unwrap().unwrap();
            let edits = vec![(first.range, new.clone())];
            let mut patch = Patch::new();
            view.rewrite(&mut patch, part, edits);
            let out = apply(patch, &frame, version);
            let expected = [new.as_ref(), second.as_slice()].concat();
            assert_eq!(out.responses[0].partitions[0].records.as_deref(), Some(expected.as_slice()));
        }
    }
}
