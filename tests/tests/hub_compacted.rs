//! A compacted topic that the broker's cleaner has been over: batches with holes, emptied batches, and batches that end before their
//! last offset, of which records are withheld on top. Every stock client gets exactly what is left, and goes on behind it.

mod hub_rig;

use std::{collections::BTreeSet, time::Duration};

use hub_rig::{ALPHA, CONTACT, PASSWORD, Rig, assert_same, company, sealer::hex};
use jointuse::Membership;
use serde_json::{Value, json};
use testkit::{
    clients::{Client, Event, Record, Request, Running, run},
    kafka::{ADMIN, Kafka},
    wait,
};

const LONG: Duration = Duration::from_secs(60);
const ALL: [Client; 5] = [Client::Confluent, Client::KafkaJs, Client::Java, Client::KafkaPython, Client::AioKafka];
const STAYS: &str = "beta";
const LEAVES: &str = "gamma";
const PARTITIONS: usize = 4;
const KEYS: usize = 24;

/// Who published what is said of a contact; in each partition otherwise. Here the tail leaves, there the head, there all, there
/// every other one.
fn publisher(partition: usize, n: usize) -> &'static str {
    let stays = match partition {
        0 => n < KEYS / 2,
        1 => n >= KEYS / 2,
        2 => false,
        _ => n.is_multiple_of(2),
    };
    if stays { STAYS } else { LEAVES }
}

/// A wave is an hour after the one before: the broker begins another segment with it, and cleans those before.
fn record(wave: usize, partition: usize, n: usize, publisher: &str) -> Value {
    json!({
        "key": hex(format!("{:032x}", partition * 1_000 + n).as_bytes()),
        "value": hex(format!("wave {wave} says {n} ").repeat(12).as_bytes()),
        "headers": [["kind", hex(b"contact")], ["publisher", hex(publisher.as_bytes())]],
        "partition": partition,
        "timestamp": 1_700_000_000_000_i64 + 3_600_000 * wave as i64 + n as i64,
    })
}

async fn produce(rig: &Rig, compression: &str, mut records: Vec<Value>) {
    rig.sealer.seal(CONTACT, &mut records).await;
    let request = Request::new("produce", &rig.kafka.bootstrap(), ADMIN, rig.kafka.password(ADMIN))
        .with("topic", CONTACT)
        .with("compression", compression)
        .with("acks", "all")
        .with("records", records);
    let outcome = run(Client::Confluent, &rig.tls(request), LONG).await.unwrap();
    assert!(outcome.success && outcome.errors().is_empty(), "{compression}: {:?}", outcome.errors());
}

/// Four waves: all keys; two of three of them again, so that batches get holes; the last third, so that they end early; and
/// everything of one partition but one, so that its batches are emptied. Then one record each, with keys of their own, behind which
/// the cleaner does not go.
async fn fill(rig: &Rig) {
    let again: [fn(usize, usize) -> bool; 4] =
        [|_, _| true, |_, n| n % 3 != 1, |_, n| n >= KEYS * 2 / 3, |partition, n| partition == 3 && n != 5];
    for ((wave, wanted), compression) in again.into_iter().enumerate().zip(["none", "zstd", "lz4", "gzip"]) {
        let places = (0..PARTITIONS).flat_map(|p| (0..KEYS).map(move |n| (p, n))).filter(|(p, n)| wanted(*p, *n));
        let records = places.map(|(p, n)| record(wave, p, n, publisher(p, n))).collect();
        produce(rig, compression, records).await;
    }
    produce(rig, "none", (0..PARTITIONS).map(|p| record(again.len(), p, KEYS, STAYS)).collect()).await;
}

async fn direct(rig: &Rig) -> Vec<Record> {
    let request =
        Request::consume(&rig.kafka.bootstrap(), ADMIN, rig.kafka.password(ADMIN), "ju.alpha.direct", &[CONTACT]);
    let outcome = run(Client::Confluent, &rig.tls(request).with("until_end", true), LONG).await.unwrap();
    outcome.records().iter().map(|record| rig.sealer.opened(record.content())).collect()
}

/// Waits until the broker has cleaned everything but the last segments: one record of each key is left.
async fn cleaned(rig: &Rig) -> Vec<Record> {
    let left = PARTITIONS * (KEYS + 1);
    let all = async || {
        let records = direct(rig).await;
        (records.len() == left).then_some(records)
    };
    let records = wait::until("the broker to compact the topic", 2 * LONG, all).await.unwrap();
    let keys: BTreeSet<_> = records.iter().map(|record| record.key.clone()).collect();
    assert_eq!(keys.len(), left, "one record of each key");
    let holes = records.windows(2).filter(|w| w[0].partition == w[1].partition && w[1].offset > w[0].offset + 1);
    assert!(holes.count() > PARTITIONS, "no holes: {records:?}");
    records
}

fn stays(record: &Record) -> bool {
    record.headers.iter().any(|(name, value)| name == "publisher" && value.as_deref() == Some(&hex(STAYS.as_bytes())))
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_read_what_is_left_of_a_compacted_topic() {
    let mut rig = Rig::secured(Kafka::builder().property("log.cleaner.backoff.ms", "200")).await;
    let configs = "cleanup.policy=compact,segment.ms=60000,min.cleanable.dirty.ratio=0.01";
    let alter = ["--alter", "--entity-type", "topics", "--entity-name", CONTACT, "--add-config", configs];
    rig.kafka.tool("kafka.admin.ConfigCommand", &alter).await.unwrap();
    fill(&rig).await;
    let everything = cleaned(&rig).await;
    read_by_all(&rig, "whole", &everything, &[]).await;
    rig.publish(|snapshot| company(snapshot, LEAVES).membership = Membership::Suspended).await;
    rig.in_force().await;
    let left: Vec<Record> = everything.iter().filter(|record| stays(record)).cloned().collect();
    assert!(left.len() > 20 && left.len() + 20 < everything.len(), "{} of {}", left.len(), everything.len());
    // The last record of each partition that is read may not be the last that stays: somebody's who left stand behind it.
    let tail: Vec<Value> = (0..PARTITIONS).map(|p| record(8, p, KEYS + 1, LEAVES)).collect();
    produce(&rig, "none", tail).await;
    let behind: Vec<Value> = (0..PARTITIONS).map(|p| record(9, p, KEYS + 2, STAYS)).collect();
    read_by_all(&rig, "withheld", &left, &behind).await;
}

/// All clients read these records and no other, in their order and without a complaint; then, if more is written, that as well.
async fn read_by_all(rig: &Rig, when: &str, expected: &[Record], more: &[Value]) {
    let mut running = Vec::new();
    for client in ALL {
        let group = format!("ju.alpha.{when}-{client:?}").to_lowercase();
        let request = Request::consume(&rig.bootstrap(), ALPHA, PASSWORD, &group, &[CONTACT]);
        let request = request.with("fetches", true).max((expected.len() + more.len()) as u64);
        running.push((client, Running::start(client, &rig.tls(request)).unwrap(), Vec::new()));
    }
    for (_, running, seen) in &mut running {
        let mut left = expected.len();
        let last = |event: &Event| {
            left -= usize::from(event.record().is_some());
            left == 0
        };
        *seen = running.until("to read what is left", LONG, last).await.unwrap();
    }
    if !more.is_empty() {
        produce(rig, "none", more.to_vec()).await;
    }
    for (client, mut running, seen) in running {
        let mut outcome = running.finish(LONG).await.unwrap();
        outcome.events.splice(0..0, seen);
        let place = |record: &Record| (record.partition, record.offset);
        let first: BTreeSet<_> = expected.iter().map(place).collect();
        let behind: Vec<_> = outcome.records().into_iter().filter(|record| !first.contains(&place(record))).collect();
        assert!(behind.len() == more.len() && behind.iter().all(stays), "{client:?} {when}: {behind:?}");
        outcome.events.retain(|event| event.record().is_none_or(|record| first.contains(&place(&record))));
        assert_same(client, &outcome, expected, when);
        if client == Client::KafkaJs {
            // It asks again for each offset that it is not told of: there are hundreds.
            let fetches = outcome.of("fetch").len();
            assert!((1..40).contains(&fetches), "KafkaJS fetched {fetches} times");
        }
    }
}
