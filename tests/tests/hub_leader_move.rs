//! Three brokers, TLS on both sides of the hub: leaders move, and no client ever opens a connection past the hub.

mod hub_rig;

use std::{collections::BTreeSet, time::Duration};

use hub_rig::{ALPHA, CONTACT, PASSWORD, Rig};
use testkit::{
    clients::{Client, Record, Request, Running},
    kafka::Kafka,
    net::ConnectionWatch,
};

const LONG: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn leaders_move_and_nobody_goes_around() {
    let mut rig = Rig::secured(Kafka::builder().nodes(3)).await;
    let watch = ConnectionWatch::start(&rig.kafka.client_ports());
    rig.fill(CONTACT, 500, 200).await;

    let mut readers = Vec::new();
    let mut pids = BTreeSet::new();
    for (client, new) in
        [(Client::Confluent, false), (Client::Java, false), (Client::KafkaJs, false), (Client::Java, true)]
    {
        let group = format!("ju.alpha.move-{client:?}-{new}").to_lowercase();
        let request = Request::consume(&rig.bootstrap(), ALPHA, PASSWORD, &group, &[CONTACT]).max(2_000);
        let request = if new { request.new_protocol() } else { request };
        let mut reader = Running::start(client, &rig.tls(request)).unwrap();
        pids.extend(reader.pid());
        let seen = reader.until("to read", LONG, |event| event.record().is_some()).await.unwrap();
        readers.push((client, reader, seen));
    }
    // The leaders (and the groups' coordinators) of one node after the other move, while records go on arriving.
    for node in rig.kafka.node_ids().into_iter().take(2) {
        rig.kafka.stop_node(node).await.unwrap();
        rig.fill(CONTACT, 500, 200).await;
        rig.kafka.start().await.unwrap();
    }
    rig.fill(CONTACT, 500, 200).await;

    for (client, mut reader, seen) in readers {
        let rest = reader.finish(LONG).await.unwrap();
        // What the Java client says of an answer that does not fit its fetch session.
        let log = std::fs::read_to_string(reader.log()).unwrap();
        assert!(!log.contains("sent an invalid"), "{client:?}: {log}");
        let records: Vec<Record> =
            seen.iter().chain(&rest.events).filter_map(testkit::clients::Event::record).collect();
        let offsets: BTreeSet<_> = records.iter().map(|record| (record.partition, record.offset)).collect();
        // A group's offsets may be read again after its coordinator moved; nothing may be missing before the last read.
        let mut last = std::collections::BTreeMap::new();
        for (partition, offset) in &offsets {
            last.insert(*partition, *offset);
        }
        let expected: i64 = last.values().map(|offset| offset + 1).sum();
        assert_eq!(offsets.len() as i64, expected, "{client:?} missed records: {:?}", rest.errors());
        assert!(records.len() >= 2_000, "{client:?} read {} records: {:?}", records.len(), rest.errors());
    }
    let connections = watch.finish();
    let around: Vec<_> = connections.iter().filter(|c| c.pid.is_some_and(|pid| pids.contains(&pid))).collect();
    assert!(around.is_empty(), "clients went around the hub: {around:?}");
    // The watch has seen something: the hub itself reaches every broker.
    let hub = rig.hub.pid();
    let reached: BTreeSet<u16> = connections.iter().filter(|c| c.pid == hub).map(|c| c.port).collect();
    assert_eq!(reached.len(), 3, "the hub was seen at {reached:?}: the check would prove nothing");
}
