//! What the hub refuses: each with the protocol's own error or a closed connection, none of it reaching the broker, each
//! counted. One broker and one hub serve all of it, one part after the other.

mod hub_rig;

use std::time::{Duration, Instant};

use bytes::Bytes;
use hub_rig::{ALPHA, BETA, CONTACT, MEETING, PASSWORD, Rig, TRANSACTION, company, create_topic, credential};
use jointuse::{KafkaTopicId, Membership};
use testkit::kafka::Kafka;
use testkit::raw::{Raw, Reply, encode};
use uuid::Uuid;
use wire::{
    messages::{
        ApiVersionsRequest, ConsumerGroupHeartbeatRequest, CreateTopicsRequest, DescribeConfigsRequest, FetchRequest,
        FindCoordinatorRequest, GroupId, HeartbeatRequest, JoinGroupRequest, ListOffsetsRequest, MetadataRequest,
        OffsetCommitRequest, OffsetFetchRequest, ProduceRequest, SaslAuthenticateRequest, SaslHandshakeRequest,
        TopicName,
        fetch_request::{FetchPartition, FetchTopic},
        list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
        metadata_request::MetadataRequestTopic,
        offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics},
        produce_request::{PartitionProduceData, TopicProduceData},
    },
    protocol::StrBytes,
};

const TOPIC_AUTHORIZATION_FAILED: i16 = 29;
const GROUP_AUTHORIZATION_FAILED: i16 = 30;
const UNSUPPORTED_SASL_MECHANISM: i16 = 33;
const UNSUPPORTED_VERSION: i16 = 35;
const SASL_AUTHENTICATION_FAILED: i16 = 58;
const FETCH_SESSION_ID_NOT_FOUND: i16 = 70;
const UNKNOWN_TOPIC_ID: i16 = 100;
const INVALID_REGULAR_EXPRESSION: i16 = 128;

fn text(s: &str) -> StrBytes {
    StrBytes::from_string(s.to_owned())
}

fn topic(name: &str) -> TopicName {
    TopicName(text(name))
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals() {
    // Every request is in the broker's log, so that "none reaches the broker" can be read there.
    let kafka = Kafka::builder().request_log().property("connections.max.reauth.ms", "3600000");
    let mut rig = Rig::start(kafka, &[("HUB__LIMITS__LOGIN_SECONDS", "2")]).await;
    for name in [CONTACT, TRANSACTION, MEETING] {
        rig.fill(name, 200, 50).await;
    }
    logins(&rig).await;
    bytes_of_other_kinds(&rig).await;
    before_login(&rig).await;
    unserved_apis(&rig).await;
    versions(&rig).await;
    topics_by_name(&rig).await;
    topics_by_id(&rig).await;
    fetches(&rig).await;
    groups(&rig).await;
    produce(&rig).await;
    reauthentication(&rig).await;
    nothing_reached_the_broker(&rig);
    recreated_topic(&mut rig).await;
    revocations(&mut rig).await;
}

/// Counts that a reason was counted `times` more often while `part` ran.
macro_rules! counted {
    ($rig:expr, $reason:literal, $times:literal, $part:expr) => {{
        let before = $rig.refusals($reason).await;
        let out = $part.await;
        let counted = testkit::wait::until(concat!("a count of ", $reason), Duration::from_secs(5), async || {
            ($rig.refusals($reason).await >= before + f64::from($times)).then_some(())
        });
        counted.await.unwrap();
        assert_eq!($rig.refusals($reason).await, before + f64::from($times), "{} was counted too often", $reason);
        out
    }};
}

async fn try_login(rig: &Rig, login: &str, password: &str, gs2: &str, extensions: &str) -> Option<i16> {
    Raw::connect(&rig.bootstrap()).await.authenticate(login, password, gs2, extensions).await
}

async fn logins(rig: &Rig) {
    assert_eq!(try_login(rig, ALPHA, PASSWORD, "n,,", "").await, Some(0));
    // The broker's own word on a wrong password.
    let failed = Some(SASL_AUTHENTICATION_FAILED);
    assert_eq!(counted!(rig, "broker_refused_login", 1, try_login(rig, ALPHA, "wrong", "n,,", "")), failed);
    assert_eq!(counted!(rig, "broker_refused_login", 1, try_login(rig, "nobody", "wrong", "n,,", "")), failed);
    // Logins that the broker knows and the policy does not let in.
    for login in ["ju-hub", "ju-pub-gamma-1", "ju-authority"] {
        let password = if login == "ju-authority" { rig.kafka.password(login) } else { PASSWORD };
        assert_eq!(counted!(rig, "login", 1, try_login(rig, login, password, "n,,", "")), failed, "{login}");
    }
    for login in ["ju-sub-nonotice-1", "ju-sub-asked-1", "ju-sub-over-1", "ju-sub-purpose-1"] {
        assert_eq!(counted!(rig, "subscription", 1, try_login(rig, login, PASSWORD, "n,,", "")), failed, "{login}");
    }
    assert_eq!(counted!(rig, "tokenauth", 1, try_login(rig, ALPHA, PASSWORD, "n,,", ",tokenauth=true")), failed);
    assert_eq!(counted!(rig, "authzid", 1, try_login(rig, ALPHA, PASSWORD, "n,a=ju-sub-beta-1,", "")), failed);
    // Other mechanisms.
    for mechanism in ["PLAIN", "OAUTHBEARER", "GSSAPI"] {
        let answer = counted!(rig, "mechanism", 1, async {
            let handshake = SaslHandshakeRequest::default().with_mechanism(text(mechanism));
            Raw::connect(&rig.bootstrap()).await.call(&handshake, 1).await
        });
        let answer = answer.unwrap();
        assert_eq!(answer.error_code, UNSUPPORTED_SASL_MECHANISM);
        assert_eq!(answer.mechanisms, ["SCRAM-SHA-256", "SCRAM-SHA-512"].map(text));
    }
    // Version 0 would be followed by SASL bytes without frames.
    let handshake = SaslHandshakeRequest::default().with_mechanism(text("SCRAM-SHA-512"));
    assert_eq!(counted!(rig, "api", 1, async { Raw::connect(&rig.bootstrap()).await.call(&handshake, 0).await }), None);
    // No SCRAM message after the handshake.
    let answer = counted!(rig, "scram", 1, async {
        let mut raw = Raw::connect(&rig.bootstrap()).await;
        raw.call(&handshake, 1).await.unwrap();
        raw.call(&SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from_static(b"\0user\0password")), 2).await
    });
    assert_eq!(answer.unwrap().error_code, SASL_AUTHENTICATION_FAILED);
}

async fn bytes_of_other_kinds(rig: &Rig) {
    let quickly = async |bytes: &[u8]| {
        let begun = Instant::now();
        let mut raw = Raw::connect(&rig.bootstrap()).await;
        raw.bytes(bytes).await;
        assert_eq!(raw.reply().await, Reply::Closed);
        assert!(begun.elapsed() < Duration::from_secs(1), "closed after {:?}", begun.elapsed());
    };
    // A TLS hello, an HTTP request, a frame that claims 2 GB, one that claims less than nothing.
    counted!(rig, "tls", 1, quickly(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"));
    counted!(rig, "frame_size", 1, quickly(b"GET / HTTP/1.1\r\n\r\n"));
    counted!(rig, "frame_size", 1, quickly(b"\x7f\xff\xff\xff\x00\x12\x00\x00"));
    counted!(rig, "frame_size", 1, quickly(b"\xff\xff\xff\xff\x00\x12\x00\x00"));
    // An API that nobody knows, in a frame of good size.
    counted!(rig, "api", 1, quickly(b"\x00\x00\x00\x0a\x7f\xff\x00\x00\x00\x00\x00\x01\xff\xff"));
    // Slow-loris: a client that says half a word is closed when the time for logging in is over.
    let begun = Instant::now();
    counted!(rig, "slow", 1, async {
        let mut raw = Raw::connect(&rig.bootstrap()).await;
        raw.bytes(b"\x00\x00").await;
        assert_eq!(raw.reply().await, Reply::Closed);
    });
    counted!(rig, "slow", 1, async {
        assert_eq!(Raw::connect(&rig.bootstrap()).await.reply().await, Reply::Closed);
    });
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    // After login a huge frame is refused by its length alone.
    counted!(rig, "frame_size", 1, async {
        let mut raw = Raw::login(&rig.bootstrap(), ALPHA, PASSWORD).await;
        raw.bytes(b"\x40\x00\x00\x00\x00\x01\x00\x0b").await;
        assert_eq!(raw.reply().await, Reply::Closed);
    });
    // Two billion topics claimed in a small frame.
    counted!(rig, "malformed", 1, async {
        let mut raw = Raw::login(&rig.bootstrap(), ALPHA, PASSWORD).await;
        let mut frame = encode(&MetadataRequest::default().with_topics(Some(vec![])), 7, 1).to_vec();
        let count = frame.len() - 5;
        frame[count..count + 4].copy_from_slice(&i32::MAX.to_be_bytes());
        raw.bytes(&frame).await;
        assert_eq!(raw.reply().await, Reply::Closed);
    });
}

async fn before_login(rig: &Rig) {
    let mut raw = Raw::connect(&rig.bootstrap()).await;
    assert!(raw.call(&ApiVersionsRequest::default(), 3).await.is_some(), "ApiVersions is open to all");
    let answer = counted!(rig, "unauthenticated", 1, raw.call(&MetadataRequest::default().with_topics(None), 9));
    assert_eq!(answer, None);
}

async fn unserved_apis(rig: &Rig) {
    let closed = async |raw: &mut Raw| raw.reply().await == Reply::Closed;
    counted!(rig, "api", 1, async {
        let mut raw = Raw::login(&rig.bootstrap(), ALPHA, PASSWORD).await;
        raw.send(&CreateTopicsRequest::default(), 5).await;
        assert!(closed(&mut raw).await);
    });
    counted!(rig, "api", 1, async {
        let mut raw = Raw::login(&rig.bootstrap(), ALPHA, PASSWORD).await;
        raw.send(&DescribeConfigsRequest::default(), 4).await;
        assert!(closed(&mut raw).await);
    });
}

async fn versions(rig: &Rig) {
    let mut raw = Raw::connect(&rig.bootstrap()).await;
    // KIP-511: too new is answered in version 0, and the connection goes on.
    let mut frame = encode(&ApiVersionsRequest::default(), 4, 9).to_vec();
    frame[6..8].copy_from_slice(&99i16.to_be_bytes());
    raw.bytes(&frame).await;
    let Reply::Frame(answer) = raw.reply().await else { panic!("closed") };
    assert_eq!(answer[..6], [0, 0, 0, 9, 0, UNSUPPORTED_VERSION as u8]);
    let request =
        ApiVersionsRequest::default().with_client_software_name(text("raw")).with_client_software_version(text("1"));
    let answer = raw.call(&request, 3).await.unwrap();
    assert_eq!(answer.error_code, 0);
    let offered = answer.api_keys;
    let find = |key: i16| offered.iter().find(|api| api.api_key == key).map(|api| (api.min_version, api.max_version));
    assert!(find(0).is_some(), "librdkafka does not fetch where Produce is not offered");
    assert!(find(1).is_some_and(|(_, max)| (13..=18).contains(&max)));
    assert_eq!(find(8).map(|v| v.1), Some(9), "the codec's request stops at 9");
    assert_eq!(find(17), Some((1, 1)));
    assert_eq!(find(68), Some((0, 1)), "librdkafka does not join without version 1");
    for hidden in [16, 19, 20, 21, 22, 24, 26, 29, 30, 31, 32, 33, 37, 38, 42, 44, 47, 50, 51, 71, 72, 76, 78, 79, 88] {
        assert_eq!(find(hidden), None, "api {hidden} is offered");
    }
}

async fn topics_by_name(rig: &Rig) {
    let mut raw = Raw::login(&rig.bootstrap(), BETA, PASSWORD).await;
    // All topics: only the granted one is seen, though the broker's ACLs would show three.
    let all = raw.call(&MetadataRequest::default().with_topics(None), 12).await.unwrap();
    let seen: Vec<_> = all.topics.iter().map(|t| t.name.as_ref().unwrap().to_string()).collect();
    assert_eq!(seen, [CONTACT]);
    let ports: Vec<i32> = all.brokers.iter().map(|b| b.port).collect();
    assert_eq!(ports, [i32::from(rig.broker_base) + i32::from(rig.kafka.node_ids()[0])]);
    // By name, the granted one is told and the others are refused.
    let ask = [CONTACT, MEETING, "elsewhere", "__consumer_offsets", "Not_A_Name"];
    let request = MetadataRequest::default().with_topics(Some(
        ask.iter().map(|name| MetadataRequestTopic::default().with_name(Some(topic(name)))).collect(),
    ));
    let answer = counted!(rig, "topic", 4, raw.call(&request, 9)).unwrap();
    let mut errors: Vec<_> =
        answer.topics.iter().map(|t| (t.name.as_ref().unwrap().to_string(), t.error_code)).collect();
    errors.sort();
    let mut expected: Vec<_> = ask
        .iter()
        .map(|name| ((*name).to_owned(), if *name == CONTACT { 0 } else { TOPIC_AUTHORIZATION_FAILED }))
        .collect();
    expected.sort();
    assert_eq!(errors, expected);
    // ListOffsets, mixed.
    let list = |name: &str| {
        ListOffsetsTopic::default()
            .with_name(topic(name))
            .with_partitions(vec![ListOffsetsPartition::default().with_partition_index(0).with_timestamp(-1)])
    };
    let request =
        ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![list(CONTACT), list(MEETING)]);
    let answer = counted!(rig, "topic", 1, raw.call(&request, 6)).unwrap();
    let errors: Vec<_> = answer.topics.iter().map(|t| (t.name.to_string(), t.partitions[0].error_code)).collect();
    assert_eq!(errors, [(CONTACT.to_owned(), 0), (MEETING.to_owned(), TOPIC_AUTHORIZATION_FAILED)]);
    assert!(answer.topics[0].partitions[0].offset > 0);
}

async fn topics_by_id(rig: &Rig) {
    let mut raw = Raw::login(&rig.bootstrap(), BETA, PASSWORD).await;
    let ids = [rig.topic_id(CONTACT), rig.topic_id(MEETING), [0xee; 16]];
    let request = MetadataRequest::default().with_topics(Some(
        ids.iter()
            .map(|id| MetadataRequestTopic::default().with_topic_id(Uuid::from_bytes(*id)).with_name(None))
            .collect(),
    ));
    let answer = counted!(rig, "topic_id", 1, raw.call(&request, 12)).unwrap();
    let error = |id: [u8; 16]| answer.topics.iter().find(|t| t.topic_id.as_bytes() == &id).unwrap().error_code;
    assert_eq!(ids.map(error), [0, TOPIC_AUTHORIZATION_FAILED, UNKNOWN_TOPIC_ID]);
    assert!(
        answer.topics.iter().all(|t| t.name.as_ref().is_none_or(|name| name.as_str() == CONTACT)),
        "the name of an ungranted topic is told"
    );
}

fn fetch_by_name(names: &[&str]) -> FetchRequest {
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

fn fetch_by_id(ids: &[[u8; 16]]) -> FetchRequest {
    fetch_by_name(&[]).with_topics(
        ids.iter()
            .map(|id| FetchTopic::default().with_topic_id(Uuid::from_bytes(*id)).with_partitions(partitions()))
            .collect(),
    )
}

fn partitions() -> Vec<FetchPartition> {
    (0..4).map(|p| FetchPartition::default().with_partition(p).with_partition_max_bytes(1 << 20)).collect()
}

/// Per topic (as named in the answer): error of every partition, and bytes of records.
fn seen(answer: &wire::messages::FetchResponse) -> Vec<(String, Vec<i16>, usize)> {
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

async fn fetches(rig: &Rig) {
    let address = format!("127.0.0.1:{}", rig.broker_base + rig.kafka.node_ids()[0]);
    let mut raw = Raw::login(&address, BETA, PASSWORD).await;
    let refused = vec![TOPIC_AUTHORIZATION_FAILED; 4];
    for version in [4, 7, 11, 12] {
        let request = fetch_by_name(&[CONTACT, MEETING, "elsewhere"]);
        let answer = counted!(rig, "topic", 2, raw.call(&request, version)).unwrap();
        let seen = seen(&answer);
        assert_eq!(seen.len(), 3, "v{version}");
        assert_eq!((&seen[0].0[..], &seen[0].1), (CONTACT, &vec![0; 4]), "v{version}");
        assert!(seen[0].2 > 10_000, "v{version}: the granted topic is still served");
        assert_eq!(seen[1], (MEETING.into(), refused.clone(), 0), "v{version}");
        assert_eq!(seen[2], ("elsewhere".into(), refused.clone(), 0), "v{version}");
        assert_eq!(answer.session_id, 0);
    }
    // By id: granted, ungranted, unknown.
    for version in [13, 16] {
        let ids = [rig.topic_id(CONTACT), rig.topic_id(MEETING), [0xee; 16]];
        let answer = counted!(rig, "topic_id", 1, raw.call(&fetch_by_id(&ids), version)).unwrap();
        let seen = seen(&answer);
        assert_eq!(seen[0].1, vec![0; 4]);
        assert!(seen[0].2 > 10_000);
        assert_eq!((&seen[1].1, seen[1].2), (&refused, 0));
        assert_eq!((&seen[2].1, seen[2].2), (&vec![UNKNOWN_TOPIC_ID; 4], 0));
    }
    // Only what is refused: answered without the broker.
    let answer = raw.call(&fetch_by_name(&[MEETING]), 11).await.unwrap();
    assert_eq!(seen(&answer), [(MEETING.into(), refused.clone(), 0)]);
    // A session is wished for and not given of what is refused; one that was never given is unknown (hub_sessions.rs has more).
    let request = fetch_by_name(&[CONTACT, MEETING]).with_session_epoch(0);
    let answer = counted!(rig, "topic", 1, raw.call(&request, 11)).unwrap();
    assert_eq!((answer.error_code, answer.session_id), (0, 0));
    assert_eq!(answer.responses[0].partitions.len(), 4, "a full answer holds every partition");
    let answer =
        counted!(rig, "fetch_kind", 1, raw.call(&fetch_by_name(&[]).with_session_id(7).with_session_epoch(1), 11));
    assert_eq!(answer.unwrap().error_code, FETCH_SESSION_ID_NOT_FOUND);
    // As a replica.
    let request = fetch_by_name(&[CONTACT]).with_replica_id(1.into());
    assert_eq!(counted!(rig, "fetch_kind", 1, raw.call(&request, 11)), None);
}

async fn groups(rig: &Rig) {
    let mut raw = Raw::login(&rig.bootstrap(), ALPHA, PASSWORD).await;
    let group = |name: &str| GroupId(text(name));
    // The broker's ACLs would allow "other."; the hub does not.
    for name in ["other.main", "ju.beta.main", "ju.alphabet", ""] {
        let request = FindCoordinatorRequest::default().with_key(text(name));
        let answer = counted!(rig, "group", 1, raw.call(&request, 2)).unwrap();
        assert_eq!(answer.error_code, GROUP_AUTHORIZATION_FAILED, "{name}");
        let request = HeartbeatRequest::default().with_group_id(group(name));
        let answer = counted!(rig, "group", 1, raw.call(&request, 4)).unwrap();
        assert_eq!(answer.error_code, GROUP_AUTHORIZATION_FAILED);
        for version in [4, 7, 9] {
            let request = JoinGroupRequest::default().with_group_id(group(name)).with_protocol_type(text("consumer"));
            let answer = counted!(rig, "group", 1, raw.call(&request, version)).unwrap();
            assert_eq!(answer.error_code, GROUP_AUTHORIZATION_FAILED);
        }
        let request = ConsumerGroupHeartbeatRequest::default().with_group_id(group(name));
        let answer = counted!(rig, "group", 1, raw.call(&request, 0)).unwrap();
        assert_eq!(answer.error_code, GROUP_AUTHORIZATION_FAILED);
    }
    let request = FindCoordinatorRequest::default().with_coordinator_keys(vec![text("ju.alpha.x"), text("ju.beta.x")]);
    let answer = counted!(rig, "group", 1, raw.call(&request, 4)).unwrap();
    let mut errors: Vec<_> = answer.coordinators.iter().map(|c| (c.key.to_string(), c.error_code)).collect();
    errors.sort();
    assert_eq!(errors[1], ("ju.beta.x".into(), GROUP_AUTHORIZATION_FAILED));
    assert!(errors[0].1 == 0 || errors[0].1 == 15, "{errors:?}");
    // Coordinators of transactions and share groups.
    for kind in [1, 2] {
        let request =
            FindCoordinatorRequest::default().with_key_type(kind).with_coordinator_keys(vec![text("ju.alpha.x")]);
        let answer = counted!(rig, "coordinator_kind", 1, raw.call(&request, 6)).unwrap();
        assert_ne!(answer.coordinators[0].error_code, 0);
    }
    // The new protocol, subscribed to a topic that is not granted.
    let request = ConsumerGroupHeartbeatRequest::default()
        .with_group_id(group("ju.alpha.new"))
        .with_subscribed_topic_names(Some(vec![topic(CONTACT), topic(MEETING)]));
    let answer = counted!(rig, "topic", 1, raw.call(&request, 0)).unwrap();
    assert_eq!(answer.error_code, TOPIC_AUTHORIZATION_FAILED);
    // A pattern that the broker would evaluate.
    let request = ConsumerGroupHeartbeatRequest::default()
        .with_group_id(group("ju.alpha.new"))
        .with_subscribed_topic_regex(Some(text("jointuse\\..*")));
    let answer = counted!(rig, "regex", 1, raw.call(&request, 1)).unwrap();
    assert_eq!(answer.error_code, INVALID_REGULAR_EXPRESSION);
    // Commits and their reading: own group, mixed topics; then another's group.
    let commit = |group_id: &str| {
        let topics = [CONTACT, MEETING].map(|name| {
            OffsetCommitRequestTopic::default().with_name(topic(name)).with_partitions(vec![
                OffsetCommitRequestPartition::default().with_partition_index(0).with_committed_offset(3),
            ])
        });
        OffsetCommitRequest::default()
            .with_group_id(group(group_id))
            .with_generation_id_or_member_epoch(-1)
            .with_topics(topics.to_vec())
    };
    let errors = |answer: wire::messages::OffsetCommitResponse| {
        let mut errors: Vec<_> =
            answer.topics.iter().map(|t| (t.name.to_string(), t.partitions[0].error_code)).collect();
        errors.sort();
        errors
    };
    // The coordinator may still be loading: until then the granted topic answers with a retriable error.
    let answer = testkit::wait::until("the coordinator to be there", Duration::from_secs(30), async || {
        let answer = errors(raw_commit(rig, &commit("ju.alpha.main")).await);
        (answer[0].1 == 0).then_some(answer)
    });
    assert_eq!(answer.await.unwrap(), [(CONTACT.to_owned(), 0), (MEETING.to_owned(), TOPIC_AUTHORIZATION_FAILED)]);
    let answer = counted!(rig, "group", 1, raw.call(&commit("other.main"), 8)).unwrap();
    assert!(errors(answer).iter().all(|(_, error)| *error == GROUP_AUTHORIZATION_FAILED));
    let fetch = OffsetFetchRequest::default().with_groups(
        ["ju.alpha.main", "other.main"]
            .map(|name| {
                OffsetFetchRequestGroup::default().with_group_id(group(name)).with_topics(Some(
                    [CONTACT, MEETING]
                        .map(|name| {
                            OffsetFetchRequestTopics::default().with_name(topic(name)).with_partition_indexes(vec![0])
                        })
                        .to_vec(),
                ))
            })
            .to_vec(),
    );
    let answer = counted!(rig, "group", 1, raw.call(&fetch, 8)).unwrap();
    let own = answer.groups.iter().find(|g| g.group_id.as_str() == "ju.alpha.main").unwrap();
    let offset = |name: &str| {
        let found = own.topics.iter().find(|t| t.name.as_str() == name).unwrap();
        (found.partitions[0].committed_offset, found.partitions[0].error_code)
    };
    assert_eq!(offset(CONTACT), (3, 0));
    assert_eq!(offset(MEETING), (-1, TOPIC_AUTHORIZATION_FAILED));
    let other = answer.groups.iter().find(|g| g.group_id.as_str() == "other.main").unwrap();
    assert_eq!((other.error_code, other.topics.len()), (GROUP_AUTHORIZATION_FAILED, 0));
}

async fn raw_commit(rig: &Rig, request: &OffsetCommitRequest) -> wire::messages::OffsetCommitResponse {
    Raw::login(&rig.bootstrap(), ALPHA, PASSWORD).await.call(request, 8).await.unwrap()
}

async fn produce(rig: &Rig) {
    let end = async || -> i64 {
        let mut raw = Raw::login(&rig.bootstrap(), ALPHA, PASSWORD).await;
        let request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![
            ListOffsetsTopic::default()
                .with_name(topic(CONTACT))
                .with_partitions(vec![ListOffsetsPartition::default().with_partition_index(0).with_timestamp(-1)]),
        ]);
        raw.call(&request, 6).await.unwrap().topics[0].partitions[0].offset
    };
    let before = end().await;
    let request = |acks: i16, version: i16| {
        let data = PartitionProduceData::default().with_index(0).with_records(Some(Bytes::from_static(&[0; 80])));
        let data = TopicProduceData::default().with_partition_data(vec![data]);
        let data = if version >= 13 {
            data.with_topic_id(Uuid::from_bytes(rig.topic_id(CONTACT)))
        } else {
            data.with_name(topic(CONTACT))
        };
        ProduceRequest::default().with_acks(acks).with_timeout_ms(1000).with_topic_data(vec![data])
    };
    let mut raw = Raw::login(&rig.bootstrap(), ALPHA, PASSWORD).await;
    for version in [3, 8, 9, 12, 13] {
        let answer = counted!(rig, "produce", 1, raw.call(&request(-1, version), version)).unwrap();
        assert_eq!(answer.responses[0].partition_responses[0].error_code, TOPIC_AUTHORIZATION_FAILED, "v{version}");
    }
    raw.send(&request(0, 9), 9).await;
    assert_eq!(raw.reply().await, Reply::Closed, "acks=0 has no answer to carry an error");
    assert_eq!(end().await, before);
}

/// KIP-368: a client may log in again on the same connection, as the same login only.
async fn reauthentication(rig: &Rig) {
    let mut raw = Raw::login(&rig.bootstrap(), ALPHA, PASSWORD).await;
    let mut other = Raw::login(&rig.bootstrap(), ALPHA, PASSWORD).await;
    // The broker refuses a second login within a second of the first.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(raw.authenticate(ALPHA, PASSWORD, "n,,", "").await, Some(0));
    let answer = raw.call(&fetch_by_name(&[CONTACT]), 11).await.unwrap();
    assert!(seen(&answer)[0].2 > 0, "reading goes on after logging in again");
    let error = counted!(rig, "login_changed", 1, other.authenticate(BETA, PASSWORD, "n,,", ""));
    assert_eq!(error, Some(SASL_AUTHENTICATION_FAILED));
    assert_eq!(other.reply().await, Reply::Closed);
}

/// Reads the broker's own request log: of all that was tried above, no refused request, name or API is in it.
fn nothing_reached_the_broker(rig: &Rig) {
    let log = std::fs::read_dir(rig.kafka.log(rig.kafka.node_ids()[0]).unwrap().parent().unwrap())
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.unwrap().path()).ok())
        .collect::<String>();
    // What was asked; an answer about "all topics" may name others, which the hub then hides.
    let by = |login: &str| -> Vec<&str> {
        let user = format!("User:{login}");
        log.lines().filter(|line| line.contains(&user)).filter_map(|line| line.split("\"response\":").next()).collect()
    };
    let (alpha, beta) = (by(ALPHA), by(BETA));
    assert!(alpha.len() + beta.len() > 20, "the request log is not there: the check would prove nothing");
    for line in alpha.iter().chain(&beta) {
        for refused in
            [MEETING, "elsewhere", "other.main", "ju.beta.main", "CREATE_TOPICS", "\"PRODUCE\"", "DESCRIBE_CONFIGS"]
        {
            assert!(!line.contains(refused), "{refused} reached the broker: {line}");
        }
    }
}

/// A topic made anew under a granted name does not inherit the grant.
async fn recreated_topic(rig: &mut Rig) {
    let address = format!("127.0.0.1:{}", rig.broker_base + rig.kafka.node_ids()[0]);
    let mut raw = Raw::login(&address, ALPHA, PASSWORD).await;
    let answer = raw.call(&fetch_by_name(&[TRANSACTION]), 11).await.unwrap();
    assert!(seen(&answer)[0].2 > 0);
    rig.admin.delete_topic(TRANSACTION).await.unwrap();
    let id: KafkaTopicId = create_topic(&rig.admin, TRANSACTION, 4, 1, &[]).await;
    // The producer knew the old topic: it must learn of the new one first.
    testkit::wait::until("the new topic to take records", Duration::from_secs(30), async || {
        let record = bus::Record::new(TRANSACTION, "key", vec![1; 50]);
        rig.producer.send(record).await.ok()
    })
    .await
    .unwrap();
    // Whoever asks where the topic is now is told that it is not granted; with that the hub knows, too.
    let request = MetadataRequest::default()
        .with_topics(Some(vec![MetadataRequestTopic::default().with_name(Some(topic(TRANSACTION)))]));
    let answer = testkit::wait::until("the new topic to be refused", Duration::from_secs(30), async || {
        let mut raw = Raw::login(&address, ALPHA, PASSWORD).await;
        let answer = raw.call(&request, 12).await.unwrap();
        (answer.topics[0].error_code == TOPIC_AUTHORIZATION_FAILED).then_some(answer)
    });
    assert_eq!(answer.await.unwrap().topics[0].partitions.len(), 0);
    for (request, version) in [(fetch_by_name(&[TRANSACTION]), 11), (fetch_by_id(&[id.0]), 13)] {
        let answer = raw.call(&request, version).await.unwrap();
        assert_eq!((&seen(&answer)[0].1, seen(&answer)[0].2), (&vec![TOPIC_AUTHORIZATION_FAILED; 4], 0));
    }
    assert!(rig.refusals("topic_recreated").await >= 1.0);
}

/// Whatever ends the right to read closes the connections, and keeps new ones out.
async fn revocations(rig: &mut Rig) {
    let address = format!("127.0.0.1:{}", rig.broker_base + rig.kafka.node_ids()[0]);
    type Change = fn(&mut policy::Snapshot);
    let changes: [(&str, Change, Change); 3] = [
        ("credential", |s| credential(s, BETA).live = false, |s| credential(s, BETA).live = true),
        (
            "company",
            |s| company(s, "beta").membership = Membership::Suspended,
            |s| company(s, "beta").membership = Membership::Active,
        ),
        (
            "purpose of the notice",
            |s| company(s, "beta").notice.as_mut().unwrap().purposes.clear(),
            |s| {
                company(s, "beta").notice.as_mut().unwrap().purposes.insert(hub_rig::PURPOSE.parse().unwrap());
            },
        ),
    ];
    for (what, take, give) in changes {
        let mut reader = Raw::login(&address, BETA, PASSWORD).await;
        let mut other = Raw::login(&address, ALPHA, PASSWORD).await;
        // A long poll is on its way when the right is taken; a record that arrives then is not delivered.
        reader.send(&at_end(rig, 30_000).await, 11).await;
        rig.publish(take).await;
        assert_eq!(reader.reply().await, Reply::Closed, "{what}");
        assert_ne!(Raw::connect(&address).await.authenticate(BETA, PASSWORD, "n,,", "").await, Some(0), "{what}");
        let answer = other.call(&fetch_by_name(&[CONTACT]), 11).await.unwrap();
        assert!(seen(&answer)[0].2 > 0, "{what}: others read on");
        rig.publish(give).await;
        rig.in_force().await;
        Raw::login(&address, BETA, PASSWORD).await;
    }
    assert!(rig.metric("hub_revocation_seconds_count", &[]).await >= 3.0);
}

/// A fetch that waits at the end of the contacts.
async fn at_end(rig: &Rig, wait_ms: i32) -> FetchRequest {
    let mut raw = Raw::login(&rig.bootstrap(), ALPHA, PASSWORD).await;
    let partitions =
        (0..4).map(|p| ListOffsetsPartition::default().with_partition_index(p).with_timestamp(-1)).collect();
    let list = ListOffsetsRequest::default()
        .with_replica_id((-1).into())
        .with_topics(vec![ListOffsetsTopic::default().with_name(topic(CONTACT)).with_partitions(partitions)]);
    let ends = raw.call(&list, 6).await.unwrap();
    let partitions = ends.topics[0]
        .partitions
        .iter()
        .map(|p| {
            FetchPartition::default()
                .with_partition(p.partition_index)
                .with_fetch_offset(p.offset)
                .with_partition_max_bytes(1 << 20)
        })
        .collect();
    fetch_by_name(&[])
        .with_max_wait_ms(wait_ms)
        .with_topics(vec![FetchTopic::default().with_topic(topic(CONTACT)).with_partitions(partitions)])
}
