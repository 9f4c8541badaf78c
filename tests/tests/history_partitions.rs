//! A topic grows while history reads it: the new partitions are read without a restart, from their first record on.

mod history_rig;

use std::time::{Duration, Instant};

use bus::{KafkaConfig, ProduceOptions, Producer, Record, Security, admin::Controller};
use history_rig::*;
use jointuse::Kind;
use secret::SecretFile;
use serde_json::json;
use testkit::{kafka::ADMIN, stack::Name};

/// A reader looks every five seconds; the rest is a loaded machine.
const BOUND: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn partitions_added_later_are_applied_without_a_restart() {
    let mut rig = Rig::start().await;
    let member = rig.desk.member("persol-career").await.unwrap();
    rig.publish(vec![rig.card(&card("persol-career", 1, "見本 太郎", "taro@mihon.example"))]).await;
    let pid = rig.stack.service(Name::History).unwrap().pid();

    let topic = topic(Kind::Contact);
    let controller = administrator(&rig);
    let before = controller.topic(&topic).await.unwrap().unwrap().partitions;
    controller.create_partitions(&topic, before + 2).await.unwrap();
    let grown = Instant::now();
    // Written before it can have noticed, into the new partitions only, by a producer that knows them from the start.
    rig.producer = producer(&rig);
    let late: Vec<Card> = (2..22).map(|n| card("persol-career", n, "見本 花子", "hanako@mihon.example")).collect();
    let placed = |(n, card): (usize, &Card)| Record {
        partition: Some(before + i32::try_from(n % 2).unwrap()),
        ..rig.card(card)
    };
    let records: Vec<Record> = late.iter().enumerate().map(placed).collect();
    rig.publish(records).await;
    assert!(grown.elapsed() < BOUND, "{:?}", grown.elapsed());
    assert_eq!(rig.count("SELECT count(*) FROM contact").await, 21);
    let offsets = format!(
        "SELECT count(*) FROM applied_offset WHERE topic = '{topic}' AND partition >= {before} AND next_offset = 10"
    );
    assert_eq!(rig.count(&offsets).await, 2);
    let reader = rig.reader(&member.subscription).await;
    reader.one(&json!({ "name": "見本花子" })).await;
    assert_eq!(rig.stack.service(Name::History).unwrap().pid(), pid, "it was not started again");

    // After a restart it goes on where it was, in the new partitions as well.
    rig.stack.service(Name::History).unwrap().restart().await.unwrap();
    let again = Record { partition: Some(before), ..rig.card(&Card { recorded: 10, ..late[0].clone() }) };
    rig.publish(vec![again]).await;
    assert_eq!(rig.count("SELECT count(*) FROM contact").await, 21);
    let metrics = rig.stack.metrics(Name::History).await.unwrap();
    assert!(!metrics.contains("outcome=\"repeated\""), "nothing that was applied is read again: {metrics}");
}

fn producer(rig: &Rig) -> Producer {
    let kafka = KafkaConfig {
        bootstrap: rig.stack.broker_bootstrap(),
        login: "ju-intake".to_owned(),
        password_file: SecretFile::new(rig.stack.directory().join("secrets/intake-kafka")),
        security: Security::default(),
        trust_file: None,
    };
    Producer::new(&kafka, "tests", ProduceOptions::default()).unwrap()
}

fn administrator(rig: &Rig) -> Controller {
    let path = rig.stack.directory().join("secrets/tests-admin");
    testkit::dir::write_secret(&path, rig.stack.kafka.password(ADMIN)).unwrap();
    let config = KafkaConfig {
        bootstrap: rig.stack.broker_bootstrap(),
        login: ADMIN.to_owned(),
        password_file: SecretFile::new(path),
        security: Security::default(),
        trust_file: None,
    };
    Controller::new(&config, "tests", Duration::from_secs(10)).unwrap()
}
