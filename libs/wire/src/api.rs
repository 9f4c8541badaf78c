//! The fail-closed table: which APIs, in which versions, and who handles them. What is not here does not pass.
//!
//! What is offered to a client is the intersection of this table, of the broker's own answer and of what the codec can
//! read *and* write: `ApiKey::valid_versions()` of `kafka-protocol` says 10 for OffsetCommit although its request stops at 9, so
//! both halves' `VERSIONS` count.

use kafka_protocol::{
    messages::{
        ApiKey, ApiVersionsRequest, ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest,
        DescribeClusterRequest, DescribeGroupsRequest, FetchRequest, FindCoordinatorRequest, HeartbeatRequest,
        JoinGroupRequest, LeaveGroupRequest, ListOffsetsRequest, MetadataRequest, OffsetCommitRequest,
        OffsetFetchRequest, OffsetForLeaderEpochRequest, ProduceRequest, SaslAuthenticateRequest, SaslHandshakeRequest,
        SyncGroupRequest,
    },
    protocol::{Message, Request, VersionRange},
};

use crate::{WireError, shape::Field, shapes};

/// What the gateway does with an API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handler {
    /// Forwarded with a clamped version; the answer is cut to this table.
    ApiVersions,
    /// Only SCRAM, only version 1.
    SaslHandshake,
    /// Passes through; the login is read from it.
    SaslAuthenticate,
    /// Topics filtered, addresses rewritten.
    Metadata,
    /// Decided per topic; records scanned; disclosed.
    Fetch,
    /// Topics filtered.
    ListOffsets,
    /// Topics filtered.
    OffsetForLeaderEpoch,
    /// Group keys only; addresses rewritten.
    FindCoordinator,
    /// Begins with a group id, which must carry the subscription's prefix; else forwarded as it is.
    Group,
    /// Group ids filtered.
    DescribeGroups,
    /// Group and topics filtered.
    OffsetCommit,
    /// Groups and topics filtered.
    OffsetFetch,
    /// Group, subscribed names and owned topic ids checked.
    ConsumerGroupHeartbeat,
    /// Group ids filtered.
    ConsumerGroupDescribe,
    /// Addresses rewritten.
    DescribeCluster,
    /// Advertised, because librdkafka does not fetch without it, and always refused.
    Produce,
}

/// One row of the table.
#[derive(Debug)]
pub struct Api {
    /// The key on the wire.
    pub key: i16,
    /// Its name, for metrics and logs.
    pub name: &'static str,
    /// Lowest version served.
    pub min: i16,
    /// Highest version served.
    pub max: i16,
    /// Who handles it.
    pub handler: Handler,
    /// Highest version that the codec could read and write when this row was reviewed.
    pub reviewed: i16,
    pub(crate) shape: &'static [Field],
    pub(crate) flexible_from: i16,
    codec: VersionRange,
}

impl Api {
    /// Whether this version has compact lengths and tagged fields (KIP-482).
    pub const fn flexible(&self, version: i16) -> bool {
        version >= self.flexible_from
    }

    /// Whether responses of this version have a tagged section in their header. ApiVersions never has (KIP-511).
    pub const fn flexible_response_header(&self, version: i16) -> bool {
        self.flexible(version) && !matches!(self.handler, Handler::ApiVersions)
    }

    /// The versions to offer when the broker offers `min..=max`; `None` when nothing is left.
    pub fn offered(&self, min: i16, max: i16) -> Option<(i16, i16)> {
        let low = self.min.max(min).max(self.codec.min);
        let high = self.max.min(max).min(self.codec.max);
        (low <= high).then_some((low, high))
    }

    /// Whether a request of this version may be read at all.
    pub fn serves(&self, version: i16) -> bool {
        self.offered(version, version).is_some()
    }
}

const fn codec<R: Request>() -> VersionRange {
    let (request, response) = (R::VERSIONS, <R::Response as Message>::VERSIONS);
    VersionRange {
        min: if request.min > response.min { request.min } else { response.min },
        max: if request.max < response.max { request.max } else { response.max },
    }
}

const fn row<R: Request>(
    name: &'static str,
    (min, max): (i16, i16),
    reviewed: i16,
    flexible_from: i16,
    handler: Handler,
    shape: &'static [Field],
) -> Api {
    Api { key: R::KEY, name, min, max, handler, reviewed, shape, flexible_from, codec: codec::<R>() }
}

const NEVER: i16 = i16::MAX;

/// Everything that may pass. Telemetry, share groups, streams groups, transactions and administration are absent on purpose.
pub static TABLE: &[Api] = &[
    row::<ProduceRequest>("Produce", (3, 13), 13, 9, Handler::Produce, shapes::PRODUCE),
    row::<FetchRequest>("Fetch", (4, 18), 18, 12, Handler::Fetch, shapes::FETCH),
    row::<ListOffsetsRequest>("ListOffsets", (1, 10), 10, 6, Handler::ListOffsets, shapes::LIST_OFFSETS),
    // In version 0 an empty list means all topics, so that filtering a list down to nothing would widen it.
    row::<MetadataRequest>("Metadata", (1, 13), 13, 9, Handler::Metadata, shapes::METADATA),
    row::<OffsetCommitRequest>("OffsetCommit", (2, 9), 9, 8, Handler::OffsetCommit, shapes::OFFSET_COMMIT),
    row::<OffsetFetchRequest>("OffsetFetch", (1, 9), 9, 6, Handler::OffsetFetch, shapes::OFFSET_FETCH),
    row::<FindCoordinatorRequest>("FindCoordinator", (0, 6), 6, 3, Handler::FindCoordinator, shapes::FIND_COORDINATOR),
    row::<JoinGroupRequest>("JoinGroup", (0, 9), 9, 6, Handler::Group, shapes::JOIN_GROUP),
    row::<HeartbeatRequest>("Heartbeat", (0, 4), 4, 4, Handler::Group, shapes::HEARTBEAT),
    row::<LeaveGroupRequest>("LeaveGroup", (0, 5), 5, 4, Handler::Group, shapes::LEAVE_GROUP),
    row::<SyncGroupRequest>("SyncGroup", (0, 5), 5, 4, Handler::Group, shapes::SYNC_GROUP),
    row::<DescribeGroupsRequest>("DescribeGroups", (0, 6), 6, 5, Handler::DescribeGroups, shapes::DESCRIBE_GROUPS),
    row::<SaslHandshakeRequest>("SaslHandshake", (1, 1), 1, NEVER, Handler::SaslHandshake, shapes::SASL_HANDSHAKE),
    row::<ApiVersionsRequest>("ApiVersions", (0, 4), 4, 3, Handler::ApiVersions, shapes::API_VERSIONS),
    row::<OffsetForLeaderEpochRequest>(
        "OffsetForLeaderEpoch",
        (2, 4),
        4,
        4,
        Handler::OffsetForLeaderEpoch,
        shapes::OFFSET_FOR_LEADER_EPOCH,
    ),
    row::<SaslAuthenticateRequest>(
        "SaslAuthenticate",
        (0, 2),
        2,
        2,
        Handler::SaslAuthenticate,
        shapes::SASL_AUTHENTICATE,
    ),
    row::<DescribeClusterRequest>("DescribeCluster", (0, 2), 2, 0, Handler::DescribeCluster, shapes::DESCRIBE_CLUSTER),
    // Version 1 may carry a regular expression, which the broker would evaluate over topics that the gateway has not
    // decided: such a request is refused. Without version 1 librdkafka never joins.
    row::<ConsumerGroupHeartbeatRequest>(
        "ConsumerGroupHeartbeat",
        (0, 1),
        1,
        0,
        Handler::ConsumerGroupHeartbeat,
        shapes::CONSUMER_GROUP_HEARTBEAT,
    ),
    row::<ConsumerGroupDescribeRequest>(
        "ConsumerGroupDescribe",
        (0, 1),
        1,
        0,
        Handler::ConsumerGroupDescribe,
        shapes::CONSUMER_GROUP_DESCRIBE,
    ),
];

/// The row of an API, whatever the version.
pub fn find(key: i16) -> Option<&'static Api> {
    TABLE.iter().find(|api| api.key == key)
}

/// The row of an API if this version of it is served.
pub fn served(key: i16, version: i16) -> Result<&'static Api, WireError> {
    find(key).filter(|api| api.serves(version)).ok_or(WireError::Unserved { key, version })
}

/// The name of any API for metric labels: those of the table, else a word for the kind of thing it is.
pub fn label(key: i16) -> &'static str {
    match find(key) {
        Some(api) => api.name,
        None if ApiKey::try_from(key).is_ok() => "other",
        None => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codec_gained_no_version_since_the_review() {
        for api in TABLE {
            assert_eq!(
                api.codec.max, api.reviewed,
                "{}: the codec now speaks another highest version; read the KIP, then change `reviewed` and perhaps `max`",
                api.name
            );
            assert!(api.min >= api.codec.min && api.max <= api.codec.max, "{}", api.name);
        }
    }

    #[test]
    fn flexible_versions_agree_with_the_codec() {
        for api in TABLE {
            let key = ApiKey::try_from(api.key).unwrap();
            for version in api.min..=api.max {
                assert_eq!(api.flexible(version), key.request_header_version(version) >= 2, "{} {version}", api.name);
                assert_eq!(
                    api.flexible_response_header(version),
                    key.response_header_version(version) >= 1,
                    "{} {version}",
                    api.name
                );
            }
        }
    }

    #[test]
    fn what_is_hidden_stays_hidden() {
        // CreateTopics, InitProducerId, telemetry, ShareFetch, StreamsGroupHeartbeat, CreateAcls, an unknown key.
        for key in [19, 22, 71, 72, 78, 88, 30, 16, 2000, -1] {
            assert!(served(key, 0).is_err(), "{key}");
        }
        assert!(served(17, 0).is_err(), "SaslHandshake v0 would leave raw SASL bytes on the stream");
        assert_eq!(find(8).unwrap().offered(0, 10), Some((2, 9)));
        assert_eq!(find(8).unwrap().offered(10, 11), None);
    }
}
