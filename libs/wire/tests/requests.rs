//! The request schemas of the table against the codec: every served version of every API, empty and filled.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;
use wire::{
    WireError,
    api::{self, Api},
    codec,
    frame::RequestHead,
    messages::{
        ApiKey, ApiVersionsRequest, ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest,
        DescribeClusterRequest, DescribeGroupsRequest, FetchRequest, FindCoordinatorRequest, GroupId, HeartbeatRequest,
        JoinGroupRequest, LeaveGroupRequest, ListOffsetsRequest, MetadataRequest, OffsetCommitRequest,
        OffsetFetchRequest, OffsetForLeaderEpochRequest, ProduceRequest, RequestHeader, SaslAuthenticateRequest,
        SaslHandshakeRequest, SyncGroupRequest, TopicName, consumer_group_heartbeat_request, fetch_request,
        join_group_request, leave_group_request, list_offsets_request, metadata_request, offset_commit_request,
        offset_fetch_request, offset_for_leader_epoch_request, produce_request, sync_group_request,
    },
    protocol::{Encodable, Request, StrBytes},
    shape,
};

fn text(s: &'static str) -> StrBytes {
    StrBytes::from_static_str(s)
}

fn frame<R: Request>(version: i16, body: &R) -> Bytes {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(5)
        .with_client_id(Some(text("someone")));
    let mut out = BytesMut::new();
    header.encode(&mut out, ApiKey::try_from(R::KEY).unwrap().request_header_version(version)).unwrap();
    body.encode(&mut out, version).unwrap();
    out.freeze()
}

fn round<R: Request + PartialEq + std::fmt::Debug>(fill: impl Fn(i16) -> R) {
    let api = api::find(R::KEY).unwrap();
    for version in api.min..=api.max {
        let body = fill(version);
        let bytes = frame(version, &body);
        let head = RequestHead::peek(&bytes).unwrap();
        assert_eq!(head, RequestHead { key: R::KEY, version, correlation: 5 });
        let back: R = codec::request(api, &head, &bytes).unwrap_or_else(|e| panic!("{} v{version}: {e}", api.name));
        assert_eq!(back, body, "{} v{version}", api.name);
        let again = codec::request_frame(api, &head, &bytes, &back).unwrap();
        assert_eq!(again.slice(4..), bytes, "{} v{version} is re-encoded otherwise", api.name);
        let mut longer = BytesMut::from(bytes.as_ref());
        longer.put_slice(&[0, 0, 0]);
        let back: R = codec::request(api, &head, &longer.freeze()).unwrap();
        assert_eq!(back, body, "{} v{version}: what follows a request is not part of it", api.name);
        let shorter = bytes.slice(..bytes.len() - 1);
        assert!(codec::request::<R>(api, &head, &shorter).is_err(), "{} v{version} takes less", api.name);
    }
}

#[test]
fn every_served_request_is_walked_as_the_codec_reads_it() {
    round(|v| {
        let mut topic = produce_request::TopicProduceData::default().with_partition_data(vec![
            produce_request::PartitionProduceData::default()
                .with_index(1)
                .with_records(Some(Bytes::from_static(b"rec"))),
        ]);
        if v <= 12 {
            topic = topic.with_name(TopicName(text("t")));
        }
        ProduceRequest::default().with_transactional_id(Some(text("x").into())).with_topic_data(vec![topic])
    });
    round(|v| {
        let mut topic = fetch_request::FetchTopic::default()
            .with_partitions(vec![fetch_request::FetchPartition::default().with_partition(3).with_fetch_offset(9); 2]);
        let mut gone = fetch_request::ForgottenTopic::default().with_partitions(vec![1, 2]);
        if v <= 12 {
            topic = topic.with_topic(TopicName(text("topic")));
            gone = gone.with_topic(TopicName(text("gone")));
        }
        let mut r = FetchRequest::default().with_topics(vec![topic]);
        if v >= 7 {
            r = r.with_forgotten_topics_data(vec![gone]);
        }
        if v >= 11 {
            r = r.with_rack_id(text("rack"));
        }
        if v >= 12 {
            r = r.with_cluster_id(Some(text("cluster")));
        }
        r
    });
    round(|_| {
        ListOffsetsRequest::default().with_topics(vec![
            list_offsets_request::ListOffsetsTopic::default()
                .with_name(TopicName(text("t")))
                .with_partitions(vec![list_offsets_request::ListOffsetsPartition::default().with_timestamp(-2); 3]),
        ])
    });
    round(|_| {
        MetadataRequest::default().with_topics(Some(vec![
            metadata_request::MetadataRequestTopic::default()
                .with_name(Some(TopicName(text("t"))));
            2
        ]))
    });
    round(|_| MetadataRequest::default().with_topics(None));
    round(|_| {
        OffsetCommitRequest::default().with_group_id(GroupId(text("g"))).with_topics(vec![
            offset_commit_request::OffsetCommitRequestTopic::default().with_name(TopicName(text("t"))).with_partitions(
                vec![offset_commit_request::OffsetCommitRequestPartition::default().with_committed_offset(4)],
            ),
        ])
    });
    round(|v| {
        if v <= 7 {
            OffsetFetchRequest::default().with_group_id(GroupId(text("g"))).with_topics(Some(vec![
                offset_fetch_request::OffsetFetchRequestTopic::default()
                    .with_name(TopicName(text("t")))
                    .with_partition_indexes(vec![1, 2, 3]),
            ]))
        } else {
            OffsetFetchRequest::default().with_groups(vec![
                offset_fetch_request::OffsetFetchRequestGroup::default().with_group_id(GroupId(text("g"))).with_topics(
                    Some(vec![
                        offset_fetch_request::OffsetFetchRequestTopics::default()
                            .with_name(TopicName(text("t")))
                            .with_partition_indexes(vec![1, 2]),
                    ]),
                ),
            ])
        }
    });
    round(|v| {
        if v >= 4 {
            FindCoordinatorRequest::default().with_coordinator_keys(vec![text("a"), text("b")])
        } else {
            FindCoordinatorRequest::default().with_key(text("a"))
        }
    });
    round(|_| {
        JoinGroupRequest::default().with_group_id(GroupId(text("g"))).with_protocols(vec![
            join_group_request::JoinGroupRequestProtocol::default()
                .with_name(text("range"))
                .with_metadata(Bytes::from_static(b"md")),
        ])
    });
    round(|_| HeartbeatRequest::default().with_group_id(GroupId(text("g"))).with_member_id(text("m")));
    round(|v| {
        let leave = LeaveGroupRequest::default().with_group_id(GroupId(text("g")));
        if v >= 3 {
            leave.with_members(vec![leave_group_request::MemberIdentity::default().with_member_id(text("m"))])
        } else {
            leave.with_member_id(text("m"))
        }
    });
    round(|_| {
        SyncGroupRequest::default().with_group_id(GroupId(text("g"))).with_assignments(vec![
            sync_group_request::SyncGroupRequestAssignment::default().with_assignment(Bytes::from_static(b"as")),
        ])
    });
    round(|_| DescribeGroupsRequest::default().with_groups(vec![GroupId(text("g")); 2]));
    round(|_| SaslHandshakeRequest::default().with_mechanism(text("SCRAM-SHA-512")));
    round(|v| {
        let r = ApiVersionsRequest::default();
        if v >= 3 { r.with_client_software_name(text("c")).with_client_software_version(text("1")) } else { r }
    });
    round(|_| {
        OffsetForLeaderEpochRequest::default().with_topics(vec![
            offset_for_leader_epoch_request::OffsetForLeaderTopic::default()
                .with_topic(TopicName(text("t")))
                .with_partitions(vec![offset_for_leader_epoch_request::OffsetForLeaderPartition::default(); 2]),
        ])
    });
    round(|_| SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from_static(b"n,,n=a,r=b")));
    round(|_| DescribeClusterRequest::default());
    round(|_| {
        ConsumerGroupHeartbeatRequest::default()
            .with_group_id(GroupId(text("g")))
            .with_member_id(text("m"))
            .with_subscribed_topic_names(Some(vec![TopicName(text("t")); 2]))
            .with_topic_partitions(Some(vec![
                consumer_group_heartbeat_request::TopicPartitions::default().with_partitions(vec![1]),
            ]))
    });
    round(|_| ConsumerGroupDescribeRequest::default().with_group_ids(vec![GroupId(text("g"))]));
}

/// 2^31 elements claimed in 60 bytes: refused by the walk, before the codec would reserve memory.
#[test]
fn an_allocation_bomb_is_refused_before_it_is_decoded() {
    let fetch = api::find(1).unwrap();
    for (version, at_end) in [(11i16, i32::MAX.to_be_bytes().to_vec()), (12, vec![0xff, 0xff, 0xff, 0xff, 0x07])] {
        let whole = frame(version, &FetchRequest::default());
        // The topics' count follows the fixed fields: replica, max wait, min bytes, max bytes, isolation, session id and epoch.
        let at = RequestHead::body_at(&whole, fetch.flexible(version)).unwrap() + 4 * 4 + 1 + 8;
        let mut bomb = whole[..at].to_vec();
        bomb.extend(at_end);
        bomb.extend([0; 20]);
        let bomb = Bytes::from(bomb);
        let head = RequestHead::peek(&bomb).unwrap();
        assert!(matches!(codec::request::<FetchRequest>(fetch, &head, &bomb), Err(WireError::Length { .. })));
    }
}

#[test]
fn more_elements_than_any_client_needs_are_refused() {
    let api = api::find(10).unwrap();
    let keys = vec![text(""); shape::MAX_ELEMENTS + 1];
    let bytes = frame(4, &FindCoordinatorRequest::default().with_coordinator_keys(keys));
    let head = RequestHead::peek(&bytes).unwrap();
    assert!(matches!(codec::request::<FindCoordinatorRequest>(api, &head, &bytes), Err(WireError::Length { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn arbitrary_bodies_never_panic(row in 0..api::TABLE.len(), version in 0i16..20, body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let api: &Api = &api::TABLE[row];
        if api.serves(version) {
            let _ = shape::check(api, version, &body);
        }
    }
}
