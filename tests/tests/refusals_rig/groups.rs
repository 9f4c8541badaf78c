//! Groups of other subscriptions, and of none.

use std::time::Duration;

use testkit::raw::Raw;
use wire::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, DescribeGroupsRequest, FindCoordinatorRequest,
    GroupId, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, OffsetCommitRequest, OffsetFetchRequest,
    SyncGroupRequest,
    offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
    offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics},
};

use super::{
    GROUP_AUTHORIZATION_FAILED, GROUP_ID_NOT_FOUND, INVALID_REGULAR_EXPRESSION, TOPIC_AUTHORIZATION_FAILED, counted,
    text, topic,
};
use crate::hub_rig::{ALPHA, CONTACT, MEETING, PASSWORD, Rig};

pub async fn groups(rig: &Rig) {
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
        for version in [0, 3, 5] {
            let request = SyncGroupRequest::default().with_group_id(group(name));
            let answer = counted!(rig, "group", 1, raw.call(&request, version)).unwrap();
            assert_eq!(answer.error_code, GROUP_AUTHORIZATION_FAILED, "v{version}");
            let request = LeaveGroupRequest::default().with_group_id(group(name));
            let answer = counted!(rig, "group", 1, raw.call(&request, version)).unwrap();
            assert_eq!(answer.error_code, GROUP_AUTHORIZATION_FAILED, "v{version}");
        }
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
    commits(rig).await;
    descriptions(rig).await;
}

/// Commits and their reading: own group, mixed topics; then another's group.
async fn commits(rig: &Rig) {
    let mut raw = Raw::login(&rig.bootstrap(), ALPHA, PASSWORD).await;
    let group = |name: &str| GroupId(text(name));
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

/// What groups there are and who is in them: own ones are described, those of other subscriptions and none at all are not.
async fn descriptions(rig: &Rig) {
    let mut raw = Raw::login(&rig.bootstrap(), ALPHA, PASSWORD).await;
    let groups = |names: &[&str]| names.iter().map(|name| GroupId(text(name))).collect::<Vec<_>>();
    let (mixed, others) = (groups(&["other.main", "ju.alpha.main", "ju.beta.main"]), groups(&["other.main"]));
    let refused = |name: &str| (name.to_owned(), GROUP_AUTHORIZATION_FAILED);
    for version in [0, 4, 5, 6] {
        let request = DescribeGroupsRequest::default().with_groups(mixed.clone());
        let answer = counted!(rig, "group", 2, raw.call(&request, version)).unwrap();
        let mut told: Vec<_> = answer.groups.iter().map(|g| (g.group_id.to_string(), g.error_code)).collect();
        told.sort();
        let own = ("ju.alpha.main".to_owned(), 0);
        assert_eq!(told, [own, refused("ju.beta.main"), refused("other.main")], "v{version}");
        let request = DescribeGroupsRequest::default().with_groups(others.clone());
        let answer = counted!(rig, "group", 1, raw.call(&request, version)).unwrap();
        assert_eq!(answer.groups.len(), 1);
        assert_eq!(answer.groups[0].error_code, GROUP_AUTHORIZATION_FAILED, "v{version}");
    }
    for version in [0, 1] {
        let request = ConsumerGroupDescribeRequest::default().with_group_ids(mixed.clone());
        let answer = counted!(rig, "group", 2, raw.call(&request, version)).unwrap();
        let mut told: Vec<_> = answer.groups.iter().map(|g| (g.group_id.to_string(), g.error_code)).collect();
        told.sort();
        // The broker's own word: this one is a group of the classic protocol.
        let own = ("ju.alpha.main".to_owned(), GROUP_ID_NOT_FOUND);
        assert_eq!(told, [own, refused("ju.beta.main"), refused("other.main")], "v{version}");
        let request = ConsumerGroupDescribeRequest::default().with_group_ids(others.clone());
        let answer = counted!(rig, "group", 1, raw.call(&request, version)).unwrap();
        assert_eq!(answer.groups.len(), 1);
        assert_eq!(answer.groups[0].error_code, GROUP_AUTHORIZATION_FAILED, "v{version}");
    }
}

async fn raw_commit(rig: &Rig, request: &OffsetCommitRequest) -> wire::messages::OffsetCommitResponse {
    Raw::login(&rig.bootstrap(), ALPHA, PASSWORD).await.call(request, 8).await.unwrap()
}
