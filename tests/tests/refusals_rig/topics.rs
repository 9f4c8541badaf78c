//! Topics that are not granted, by name and by id; brokers, at the hub's addresses.

use testkit::raw::Raw;
use uuid::Uuid;
use wire::messages::{
    DescribeClusterRequest, ListOffsetsRequest, MetadataRequest, OffsetForLeaderEpochRequest,
    list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
    metadata_request::MetadataRequestTopic,
    offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic},
};

use super::{
    FETCH_SESSION_ID_NOT_FOUND, TOPIC_AUTHORIZATION_FAILED, UNKNOWN_TOPIC_ID, counted, fetch_by_id, fetch_by_name,
    seen, topic,
};
use crate::hub_rig::{BETA, CONTACT, MEETING, PASSWORD, Rig};

pub async fn topics_by_name(rig: &Rig) {
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

/// DescribeCluster tells the hub's addresses, and nothing of the controllers.
pub async fn clusters(rig: &Rig) {
    let mut raw = Raw::login(&rig.bootstrap(), BETA, PASSWORD).await;
    let node = rig.kafka.node_ids()[0];
    for version in 0..=2 {
        let answer = raw.call(&DescribeClusterRequest::default(), version).await.unwrap();
        let brokers: Vec<_> = answer.brokers.iter().map(|b| (b.broker_id.0, b.host.to_string(), b.port)).collect();
        let expected = (i32::from(node), "127.0.0.1".to_owned(), i32::from(rig.broker_base + node));
        assert_eq!((answer.error_code, brokers), (0, vec![expected]), "v{version}");
    }
    for version in 1..=2 {
        let answer = raw.call(&DescribeClusterRequest::default().with_endpoint_type(2), version).await.unwrap();
        assert!(answer.error_code != 0 && answer.brokers.is_empty(), "v{version}: {answer:?}");
    }
}

/// Where an epoch of a leader ended: granted and ungranted, ungranted only (answered without the broker), as a replica.
pub async fn leader_epochs(rig: &Rig) {
    let mut raw = Raw::login(&rig.bootstrap(), BETA, PASSWORD).await;
    let request = |names: &[&str], version: i16| {
        let partition = || OffsetForLeaderPartition::default().with_current_leader_epoch(-1).with_leader_epoch(0);
        let ask =
            |name: &&str| OffsetForLeaderTopic::default().with_topic(topic(name)).with_partitions(vec![partition()]);
        let request = OffsetForLeaderEpochRequest::default().with_topics(names.iter().map(ask).collect());
        if version < 3 { request } else { request.with_replica_id((-1).into()) }
    };
    for version in 2..=4 {
        let answer = counted!(rig, "topic", 1, raw.call(&request(&[MEETING, CONTACT], version), version)).unwrap();
        let told = |name: &str| {
            let found = answer.topics.iter().find(|t| t.topic.as_str() == name).unwrap();
            (found.partitions[0].error_code, found.partitions[0].end_offset)
        };
        assert_eq!(told(MEETING), (TOPIC_AUTHORIZATION_FAILED, -1), "v{version}");
        let (error, end) = told(CONTACT);
        assert!(error == 0 && end > 0, "v{version}: {error}, {end}");
        let answer = counted!(rig, "topic", 1, raw.call(&request(&[MEETING], version), version)).unwrap();
        assert_eq!(answer.topics.len(), 1);
        assert_eq!(answer.topics[0].partitions[0].error_code, TOPIC_AUTHORIZATION_FAILED, "v{version}");
    }
    let replica = request(&[CONTACT], 3).with_replica_id(1.into());
    assert_eq!(counted!(rig, "fetch_kind", 1, raw.call(&replica, 3)), None);
}

pub async fn topics_by_id(rig: &Rig) {
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

pub async fn fetches(rig: &Rig) {
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
