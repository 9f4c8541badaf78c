//! Administration against a real broker.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::{collections::BTreeMap, collections::BTreeSet, time::Duration};

use bus::{
    admin::{
        Acl, AclFilter, AdminError, Controller, NewTopic, Operation, Pattern, ResourceType, ScramCredential, ScramUser,
        Topic,
    },
    scram,
};
use common::{LONG, admin_of, config_of, controller};
use testkit::kafka::Kafka;
use wire::ResponseError;

/// A write is answered by the controller, a read by what the broker has replicated of it: a moment may lie between.
async fn until<T: PartialEq + std::fmt::Debug>(expected: T, mut read: impl AsyncFnMut() -> Result<T, AdminError>) {
    let mut last = None;
    let waited = testkit::wait::until("a change to be seen", LONG, async || {
        last = Some(read().await.unwrap());
        (last.as_ref() == Some(&expected)).then_some(())
    });
    let waited = waited.await;
    assert!(waited.is_ok(), "expected {expected:?}, found {last:?}");
}

#[tokio::test]
async fn topics_acls_and_logins_are_made_found_and_unmade() {
    let kafka = Kafka::single().await.unwrap();
    let (_dir, config) = admin_of(&kafka);
    let admin = controller(&config);
    topics(&admin).await;
    acls(&admin).await;
    logins(&kafka, &admin).await;
    refusals(&kafka).await;
}

async fn topics(admin: &Controller) {
    assert_eq!(admin.brokers().await.unwrap().len(), 1);
    let configs = BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
    let new = NewTopic { name: "jointuse.contact".to_owned(), partitions: 2, replication: 1, configs };
    let id = admin.create_topic(&new).await.unwrap();
    let topic = Topic { name: "jointuse.contact".to_owned(), id, partitions: 2, replication: 1, internal: false };
    until(Some(topic), async || admin.topic("jointuse.contact").await).await;
    assert!(admin.topics().await.unwrap().contains_key("jointuse.contact"));
    assert_eq!(admin.topic("absent").await.unwrap(), None);

    let again = admin.create_topic(&new).await.unwrap_err();
    assert!(again.is(ResponseError::TopicAlreadyExists), "{again}");
    assert!(again.to_string().starts_with("creating topic jointuse.contact: "), "{again}");

    let own = async || Ok(admin.topic_configs(&["jointuse.contact"]).await?.remove("jointuse.contact").unwrap());
    until(new.configs.clone(), own).await;
    let changes =
        BTreeMap::from([("retention.ms".to_owned(), Some("60000".to_owned())), ("cleanup.policy".to_owned(), None)]);
    admin.alter_topic_config("jointuse.contact", &changes).await.unwrap();
    until(BTreeMap::from([("retention.ms".to_owned(), "60000".to_owned())]), own).await;
    let wrong = BTreeMap::from([("retention.ms".to_owned(), Some("soon".to_owned()))]);
    assert!(admin.alter_topic_config("jointuse.contact", &wrong).await.unwrap_err().is(ResponseError::InvalidConfig));

    admin.create_partitions("jointuse.contact", 4).await.unwrap();
    until(Some(4), async || Ok(admin.topic("jointuse.contact").await?.map(|topic| topic.partitions))).await;
    assert!(admin.create_partitions("jointuse.contact", 3).await.unwrap_err().is(ResponseError::InvalidPartitions));

    admin.delete_topic("jointuse.contact").await.unwrap();
    admin.delete_topic("jointuse.contact").await.unwrap();
    let remade = admin.create_topic(&new).await.unwrap();
    assert_ne!(remade, id, "a topic that was made anew has another id");
}

async fn acls(admin: &Controller) {
    let before = admin.acls(&AclFilter::default()).await.unwrap();
    let read = Acl::allow("ju-sub-a-1", Operation::Read, ResourceType::Topic, Pattern::Literal, "jointuse.contact");
    let group = Acl::allow("ju-sub-a-1", Operation::Read, ResourceType::Group, Pattern::Prefixed, "ju.a.");
    let other = Acl::allow("somebody", Operation::Write, ResourceType::Topic, Pattern::Literal, "jointuse.contact");
    let wanted = BTreeSet::from([read.clone(), group.clone(), other.clone()]);
    admin.create_acls(&wanted.iter().cloned().collect::<Vec<_>>()).await.unwrap();
    admin.create_acls(std::slice::from_ref(&read)).await.unwrap();
    let new = async || Ok(admin.acls(&AclFilter::default()).await?.difference(&before).cloned().collect());
    until(wanted, new).await;

    let of = |login: &str| AclFilter { principal: Some(format!("User:{login}")), ..AclFilter::default() };
    until(BTreeSet::from([read.clone(), group.clone()]), async || admin.acls(&of("ju-sub-a-1")).await).await;
    let by_name =
        AclFilter { resource_type: Some(ResourceType::Group), name: Some("ju.a.".to_owned()), principal: None };
    until(BTreeSet::from([group.clone()]), async || admin.acls(&by_name).await).await;

    assert_eq!(admin.delete_acls(&[read, group]).await.unwrap(), 2);
    until(BTreeSet::new(), async || admin.acls(&of("ju-sub-a-1")).await).await;
    until(BTreeSet::from([other.clone()]), async || admin.acls(&of("somebody")).await).await;
    assert_eq!(admin.delete_acls(std::slice::from_ref(&other)).await.unwrap(), 1);
    assert_eq!(admin.delete_acls(&[other]).await.unwrap(), 0);
}

async fn logins(kafka: &Kafka, admin: &Controller) {
    let salt = b"0123456789abcdef".to_vec();
    let credential = ScramCredential {
        login: "ju-sub-a-1".to_owned(),
        iterations: scram::MIN_ITERATIONS,
        salted_password: scram::salted_password("correct horse", &salt, scram::MIN_ITERATIONS).to_vec(),
        salt,
    };
    assert_eq!(admin.scram_user("ju-sub-a-1").await.unwrap(), None);
    admin.upsert_scram(std::slice::from_ref(&credential)).await.unwrap();
    let user = ScramUser { login: "ju-sub-a-1".to_owned(), iterations: scram::MIN_ITERATIONS };
    until(Some(user.clone()), async || admin.scram_user("ju-sub-a-1").await).await;
    assert!(admin.scram_users().await.unwrap().contains(&user));

    let (_dir, config) = config_of(kafka, "ju-sub-a-1", "correct horse");
    let brokers = controller(&config).brokers().await;
    assert!(brokers.is_ok(), "the password behind the salted password opens the door: {brokers:?}");

    let weak = ScramCredential { iterations: 1, ..credential };
    let refused = admin.upsert_scram(&[weak]).await.unwrap_err();
    assert!(refused.is(ResponseError::UnacceptableCredential), "{refused}");

    admin.delete_scram(&["ju-sub-a-1"]).await.unwrap();
    admin.delete_scram(&["ju-sub-a-1"]).await.unwrap();
    until(None, async || admin.scram_user("ju-sub-a-1").await).await;
    let (_dir, config) = config_of(kafka, "ju-sub-a-1", "correct horse");
    let refused = controller(&config).brokers().await.unwrap_err();
    assert!(matches!(refused, AdminError::Login { .. }), "{refused}");
}

async fn refusals(kafka: &Kafka) {
    let (_dir, config) = config_of(kafka, "admin", "not the password");
    let refused = controller(&config).topics().await.unwrap_err();
    assert!(matches!(refused, AdminError::Login { .. }) && !refused.is_transient(), "{refused}");
    assert!(!refused.to_string().contains("not the password"));

    let (_dir, mut config) = admin_of(kafka);
    config.bootstrap = "127.0.0.1:1".to_owned();
    let away = Controller::new(&config, "test", Duration::from_secs(2)).unwrap().topics().await.unwrap_err();
    assert!(matches!(away, AdminError::Unreachable(_)) && away.is_transient(), "{away}");
}

#[tokio::test]
async fn the_controller_comes_back_after_its_broker_did() {
    let mut kafka = Kafka::single().await.unwrap();
    let (_dir, config) = admin_of(&kafka);
    let admin = controller(&config);
    admin.topics().await.unwrap();
    kafka.kill9();
    let away = admin.topics().await.unwrap_err();
    assert!(away.is_transient(), "{away}");
    kafka.start().await.unwrap();
    testkit::wait::until("an answer", LONG, async || admin.topics().await.ok()).await.unwrap();
}
