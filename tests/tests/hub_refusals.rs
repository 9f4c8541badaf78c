//! What the hub refuses: each with the protocol's own error or a closed connection, none of it reaching the broker, each
//! counted. One broker and one hub serve all of it, one part after the other.

mod hub_rig;
mod refusals_rig;

use std::time::Duration;

use bytes::Bytes;
use chrono::{TimeDelta, Utc};
use hub_rig::{
    ALPHA, BETA, CONTACT, MEETING, PASSWORD, Rig, TRANSACTION, company, create_topic, credential, subscription,
};
use jointuse::{KafkaTopicId, Membership};
use refusals_rig::{
    TOPIC_AUTHORIZATION_FAILED, UNSUPPORTED_VERSION, broker, counted, fetch_by_id, fetch_by_name, groups, logins, seen,
    text, topic, topics,
};
use testkit::kafka::Kafka;
use testkit::raw::{Raw, Reply, encode};
use uuid::Uuid;
use wire::messages::{
    ApiVersionsRequest, CreateTopicsRequest, DescribeConfigsRequest, FetchRequest, ListOffsetsRequest, MetadataRequest,
    ProduceRequest,
    fetch_request::{FetchPartition, FetchTopic},
    list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
    metadata_request::MetadataRequestTopic,
    produce_request::{PartitionProduceData, TopicProduceData},
};

#[tokio::test(flavor = "multi_thread")]
async fn refusals() {
    // Every request is in the broker's log, so that "none reaches the broker" can be read there.
    let kafka = Kafka::builder().request_log().property("connections.max.reauth.ms", "3600000");
    let mut rig = Rig::start(kafka, &[("HUB__LIMITS__LOGIN_SECONDS", "2")]).await;
    for name in [CONTACT, TRANSACTION, MEETING] {
        rig.fill(name, 200, 50).await;
    }
    logins::logins(&rig).await;
    logins::bytes_of_other_kinds(&rig).await;
    logins::before_login(&rig).await;
    unserved_apis(&rig).await;
    versions(&rig).await;
    topics::topics_by_name(&rig).await;
    topics::topics_by_id(&rig).await;
    topics::clusters(&rig).await;
    topics::leader_epochs(&rig).await;
    topics::fetches(&rig).await;
    groups::groups(&rig).await;
    produce(&rig).await;
    logins::reauthentication(&rig).await;
    broker::nothing_reached_the_broker(&rig).await;
    recreated_topic(&mut rig).await;
    revocations(&mut rig).await;
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
    counted!(rig, "produce", 1, async {
        raw.send(&request(0, 9), 9).await;
        assert_eq!(raw.reply().await, Reply::Closed, "acks=0 has no answer to carry an error");
    });
    assert_eq!(end().await, before);
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
    let changes: [(&str, Change, Change); 4] = [
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
        // No snapshot says so when it comes to its end: the one in force has long said when.
        (
            "term",
            |s| subscription(s, "beta").term.until = Utc::now() + TimeDelta::seconds(2),
            |s| subscription(s, "beta").term.until = Utc::now() + TimeDelta::days(1),
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
    assert!(rig.metric("hub_revocation_seconds_count", &[]).await >= 4.0);
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
