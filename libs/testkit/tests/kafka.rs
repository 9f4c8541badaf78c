//! The broker harness: up, login, ACLs, kill, restart, three nodes; with stock clients.
use std::time::{Duration, Instant};

use testkit::{
    clients::{self, Client, Request, Running},
    kafka::{ADMIN, Kafka},
    net::ConnectionWatch,
};

const LONG: Duration = Duration::from_secs(60);

fn produce(kafka: &Kafka, topic: &str, count: u8, compression: &str) -> Request {
    let values: Vec<[u8; 2]> = (0..count).map(|n| [n, n]).collect();
    let records: Vec<(&[u8], &[u8])> = values.iter().map(|value| (&value[..1], &value[..])).collect();
    let request = Request::produce(&kafka.bootstrap(), ADMIN, kafka.password(ADMIN), topic, &records);
    request.with("compression", compression)
}

#[tokio::test]
async fn a_single_node_serves_stock_clients_within_their_acls() {
    let started = Instant::now();
    let kafka = Kafka::builder().login("reader", "reader-secret").request_log().start().await.unwrap();
    eprintln!("one node, from nothing: {:?}", started.elapsed());
    kafka.create_topic("shared", 1, &[]).await.unwrap();
    kafka.create_topic("secret", 1, &[]).await.unwrap();
    let sent = clients::run(Client::Confluent, &produce(&kafka, "shared", 5, "none"), LONG).await.unwrap();
    assert_eq!(sent.of("delivered").len(), 5, "{sent:?}");

    // A login without any ACL sees nothing.
    let consume = Request::consume(&kafka.bootstrap(), "reader", "reader-secret", "g.confluent", &["shared"]);
    let refused = clients::run(Client::Confluent, &consume.clone().idle(Duration::from_secs(4)), LONG).await.unwrap();
    assert!(refused.records().is_empty());
    assert!(refused.errors().iter().any(|e| e.text("name").ends_with("_AUTHORIZATION_FAILED")), "{refused:?}");

    let allow = ["--add", "--allow-principal", "User:reader", "--operation", "Read", "--operation", "Describe"];
    kafka.acl(&[&allow[..], &["--topic", "shared"]].concat()).await.unwrap();
    let group = ["--group", "g.", "--resource-pattern-type", "prefixed"];
    kafka.acl(&[&allow[..], &group[..]].concat()).await.unwrap();

    let mut contents = Vec::new();
    for client in Client::MAIN {
        let group = format!("g.{client:?}");
        let consume = Request::consume(&kafka.bootstrap(), "reader", "reader-secret", &group, &["shared"]);
        let read = clients::run(client, &consume.max(5), LONG).await.unwrap();
        assert!(read.success, "{client:?}: {read:?}");
        contents.push(read.records().iter().map(clients::Record::content).collect::<Vec<_>>());
        assert_eq!(contents.last().unwrap().len(), 5, "{client:?}: {read:?}");
    }
    assert!(contents.iter().all(|content| *content == contents[0]), "clients disagree: {contents:#?}");

    let wrong =
        Request::consume(&kafka.bootstrap(), "reader", "wrong", "g.x", &["shared"]).idle(Duration::from_secs(3));
    let wrong = clients::run(Client::Confluent, &wrong, LONG).await.unwrap();
    assert!(wrong.errors().iter().any(|e| e.text("text").contains("uthentication")), "{wrong:?}");
}

#[tokio::test]
async fn every_client_reads_every_compression_it_can() {
    let kafka = Kafka::single().await.unwrap();
    kafka.create_topic("packed", 1, &[]).await.unwrap();
    let mut expected = 0;
    for compression in ["gzip", "snappy", "lz4", "zstd"] {
        for producer in [Client::Confluent, Client::Java] {
            let sent = clients::run(producer, &produce(&kafka, "packed", 20, compression), LONG).await.unwrap();
            assert_eq!(sent.of("delivered").len(), 20, "{producer:?} {compression}: {sent:?}");
            expected += 20;
        }
    }
    let mut contents = Vec::new();
    for client in [Client::Confluent, Client::KafkaPython, Client::AioKafka, Client::KafkaJs, Client::Java] {
        let group = format!("g.{client:?}");
        let read =
            Request::consume(&kafka.bootstrap(), ADMIN, kafka.password(ADMIN), &group, &["packed"]).max(expected);
        let read = clients::run(client, &read, LONG).await.unwrap();
        let content: Vec<_> = read.records().iter().map(clients::Record::content).collect();
        assert_eq!(content.len() as u64, expected, "{client:?}: {:?}", read.errors());
        contents.push(content);
    }
    assert!(contents.iter().all(|content| *content == contents[0]), "clients disagree");
}

#[tokio::test]
async fn groups_commit_and_go_on_in_both_protocols() {
    let kafka = Kafka::single().await.unwrap();
    kafka.create_topic("t", 2, &[]).await.unwrap();
    clients::run(Client::Java, &produce(&kafka, "t", 30, "none"), LONG).await.unwrap();
    let base = |group: &str| {
        Request::consume(&kafka.bootstrap(), ADMIN, kafka.password(ADMIN), group, &["t"]).with("commit", "end")
    };
    let runs = [
        (Client::Confluent, "classic"),
        (Client::Confluent, "consumer"),
        (Client::Java, "classic"),
        (Client::Java, "consumer"),
        (Client::KafkaJs, "classic"),
    ];
    for (client, protocol) in runs {
        let group = format!("g.{client:?}.{protocol}");
        let request = base(&group).with("protocol", protocol);
        let first = clients::run(client, &request.clone().max(10), LONG).await.unwrap();
        let rest = clients::run(client, &request.clone().max(20), LONG).await.unwrap();
        let mut all = [first.records(), rest.records()].concat();
        assert_eq!((first.records().len(), rest.records().len()), (10, 20), "{client:?} {protocol}");
        all.sort_by_key(|record| (record.partition, record.offset));
        all.dedup_by_key(|record| (record.partition, record.offset));
        assert_eq!(all.len(), 30, "{client:?} {protocol} read something twice");
        let ask = Request::new("committed", &kafka.bootstrap(), ADMIN, kafka.password(ADMIN));
        let ask = ask.with("group", group.as_str()).with("topics", vec!["t"]);
        let committed = clients::run(client, &ask, LONG).await.unwrap();
        let sum: i64 = committed.of("offset").iter().filter_map(|event| event.number("offset")).sum();
        assert_eq!(sum, 30, "{client:?} {protocol}: {committed:?}");
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill_and_connections_are_seen() {
    let mut kafka = Kafka::single().await.unwrap();
    let watch = ConnectionWatch::start(&kafka.client_ports());
    kafka.create_topic("t", 1, &[("min.insync.replicas", "1")]).await.unwrap();
    clients::run(Client::Confluent, &produce(&kafka, "t", 7, "none"), LONG).await.unwrap();
    kafka.kill9();
    assert!(!kafka.is_running());
    let killed = Instant::now();
    kafka.start().await.unwrap();
    eprintln!("one node, again after kill -9: {:?}", killed.elapsed());
    let consume = Request::consume(&kafka.bootstrap(), ADMIN, kafka.password(ADMIN), "g", &["t"]);
    let mut reader = Running::start(Client::Confluent, &consume).unwrap();
    let seen = reader.until("seventh record", LONG, |event| event.number("offset") == Some(6)).await.unwrap();
    assert_eq!(seen.iter().filter_map(clients::Event::record).count(), 7);
    let pid = reader.pid();
    reader.stop(Duration::from_secs(10)).await.unwrap();
    let connections = watch.finish();
    assert!(connections.iter().any(|c| c.pid == pid), "the reader {pid:?} was not seen: {connections:?}");
    kafka.stop().await.unwrap();
}

#[tokio::test]
async fn three_nodes_elect_another_leader_when_one_dies() {
    let started = Instant::now();
    let mut kafka = Kafka::builder().nodes(3).start().await.unwrap();
    eprintln!("three nodes, from nothing: {:?}", started.elapsed());
    kafka.create_topic("t", 3, &[]).await.unwrap();
    clients::run(Client::Confluent, &produce(&kafka, "t", 30, "none"), LONG).await.unwrap();
    kafka.kill9_node(2);
    let consume = Request::consume(&kafka.bootstrap(), ADMIN, kafka.password(ADMIN), "g", &["t"]);
    let read = clients::run(Client::Confluent, &consume.max(30), LONG).await.unwrap();
    assert_eq!(read.records().len(), 30);
    kafka.start().await.unwrap();
    assert!(kafka.is_running());
}
