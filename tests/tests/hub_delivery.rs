//! What leaves when a publisher is no member any more: with every client, every compression, transactions, and
//! withheld records in every place of a batch. An oracle says what each reader must get: a direct read, less what was
//! published by those who left.

mod hub_rig;

use std::{collections::BTreeSet, time::Duration};

use hub_rig::{ALPHA, CONTACT, PASSWORD, Rig, TRANSACTION, assert_same, company};
use jointuse::Membership;
use serde_json::{Value, json};
use testkit::{
    clients::{Client, Event, Record, Request, Running, run},
    kafka::{ADMIN, Kafka},
};

const LONG: Duration = Duration::from_secs(60);
const ALL: [Client; 5] = [Client::Confluent, Client::KafkaJs, Client::Java, Client::KafkaPython, Client::AioKafka];
const LEVELS: [&str; 2] = ["read_committed", "read_uncommitted"];
/// Who stays a member, and who does not.
const STAYS: &str = "beta";
const LEAVES: &str = "gamma";

#[tokio::test(flavor = "multi_thread")]
async fn records_of_who_left_are_withheld() {
    let mut rig = Rig::secured(Kafka::builder()).await;
    fill(&rig).await;
    // While all are members every record leaves; the same consumers then see what is left.
    let everything = direct(&rig, CONTACT).await;
    let left: Vec<Record> = everything.iter().filter(|record| stays(record)).cloned().collect();
    assert!(left.len() > 100 && everything.len() > left.len() + 100, "{} of {}", left.len(), everything.len());
    assert!(left.iter().any(|record| by(record, LEAVES)), "tombstones of who left");
    compare(&rig, Client::Confluent, "before", &everything).await;
    rig.publish(|snapshot| company(snapshot, LEAVES).membership = Membership::Suspended).await;
    rig.in_force().await;
    for client in ALL {
        compare(&rig, client, "after", &left).await;
    }
    counted(&rig).await;
    behind_what_is_withheld(&rig).await;
    transactions(&rig).await;
    // A suspension that is lifted gives everything back.
    rig.publish(|snapshot| company(snapshot, LEAVES).membership = Membership::Active).await;
    rig.in_force().await;
    compare(&rig, Client::Java, "again", &everything).await;
}

/// A tombstone tells nothing of anybody: those of who left still arrive.
fn stays(record: &Record) -> bool {
    record.value.is_none() || by(record, STAYS)
}

fn by(record: &Record, publisher: &str) -> bool {
    record.headers.iter().any(|(name, value)| name == "publisher" && value.as_deref() == Some(&hex(publisher)))
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn record(partition: usize, n: usize, publisher: &str) -> Value {
    json!({
        "key": hex(&format!("{:032x}", partition * 1_000 + n)),
        // A tombstone now and then.
        "value": (n % 17 != 16).then(|| hex(&format!("{publisher} {n} ").repeat(20))),
        "headers": [["kind", hex("contact")], ["publisher", hex(publisher)], ["raw", "ff00fe"], ["none", null]],
        "partition": partition,
        "timestamp": 1_700_000_000_000_i64 + n as i64,
    })
}

/// For each compression: last withheld, first withheld, all withheld, every other one; each as one produce call.
async fn fill(rig: &Rig) {
    for (i, compression) in ["none", "gzip", "snappy", "lz4", "zstd"].into_iter().enumerate() {
        let who = |partition: usize, n: usize| match partition {
            0 => n < 12,
            1 => n >= 12,
            2 => false,
            _ => n.is_multiple_of(2),
        };
        let records: Vec<Value> = (0..4)
            .flat_map(|partition| (0..24).map(move |n| (partition, n)))
            .map(|(partition, n)| record(partition, n, if who(partition, n) { STAYS } else { LEAVES }))
            .collect();
        let client = if i % 2 == 0 { Client::Java } else { Client::Confluent };
        produce(rig, client, CONTACT, compression, records, &[]).await;
    }
}

async fn produce(
    rig: &Rig,
    client: Client,
    topic: &str,
    compression: &str,
    mut records: Vec<Value>,
    more: &[(&str, &str)],
) {
    rig.sealer.seal(topic, &mut records).await;
    let request = Request::new("produce", &rig.kafka.bootstrap(), ADMIN, rig.kafka.password(ADMIN))
        .with("topic", topic)
        .with("compression", compression)
        .with("acks", "all")
        .with("records", records);
    let request = more.iter().fold(request, |request, (name, value)| request.with(name, *value));
    let outcome = run(client, &rig.tls(request), LONG).await.unwrap();
    assert!(outcome.success && outcome.errors().is_empty(), "{compression}: {:?}", outcome.errors());
}

async fn direct(rig: &Rig, topic: &str) -> Vec<Record> {
    let request =
        Request::consume(&rig.kafka.bootstrap(), ADMIN, rig.kafka.password(ADMIN), "ju.alpha.direct", &[topic]);
    let outcome = run(Client::Confluent, &rig.tls(request).with("until_end", true), LONG).await.unwrap();
    outcome.records().iter().map(|record| rig.sealer.opened(record.content())).collect()
}

async fn compare(rig: &Rig, client: Client, when: &str, expected: &[Record]) {
    let group = format!("ju.alpha.{when}-{client:?}").to_lowercase();
    let request = Request::consume(&rig.bootstrap(), ALPHA, PASSWORD, &group, &[CONTACT]);
    let outcome = run(client, &rig.tls(request).max(expected.len() as u64).with("commit", "end"), LONG).await.unwrap();
    assert_same(client, &outcome, expected, when);
}

/// Counted by reason, and told in the disclosures.
async fn counted(rig: &Rig) {
    let withheld = rig.metric("hub_withheld_records_total", &[("topic", CONTACT), ("reason", "publisher")]).await;
    assert!(withheld > 0.0);
    let told = rig.sql("SELECT sum(delivered) > 0 AND sum(withheld) > 0 FROM disclosure WHERE subscription = 'alpha'");
    assert_eq!(told.await, "t");
}

/// Consumers get past a tail of which nothing leaves, do not spin there, and get what comes next at once.
async fn behind_what_is_withheld(rig: &Rig) {
    // In two partitions the first record stays, in two none does.
    let who = |p: usize, n: usize| if p < 2 && n == 0 { STAYS } else { LEAVES };
    let tail: Vec<Value> = (0..4).flat_map(|p| (0..50).map(move |n| record(p, n * 17, who(p, n)))).collect();
    for chunk in tail.chunks(50) {
        produce(rig, Client::Confluent, TRANSACTION, "lz4", chunk.to_vec(), &[]).await;
    }
    let mut running = Vec::new();
    for client in ALL {
        let group = format!("ju.alpha.behind-{client:?}").to_lowercase();
        let request = Request::consume(&rig.bootstrap(), ALPHA, PASSWORD, &group, &[TRANSACTION]);
        let request = rig.tls(request).idle(3 * LONG).with("fetches", true);
        running.push((client, Running::start(client, &request).unwrap()));
    }
    // They have found the end when the hub has withheld all from each.
    let all = ((tail.len() - 2) * ALL.len()) as f64;
    testkit::wait::until("all clients to reach the end", LONG, async || {
        let label = [("topic", TRANSACTION), ("reason", "publisher")];
        (rig.metric("hub_withheld_records_total", &label).await >= all).then_some(())
    })
    .await
    .unwrap();
    let before = rig.metric("hub_requests_total", &[("api", "Fetch")]).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let fetches = rig.metric("hub_requests_total", &[("api", "Fetch")]).await - before;
    // Five clients that wait half a second or more.
    assert!(fetches < 120.0, "{fetches} fetches in five seconds behind a withheld tail");
    produce(rig, Client::Confluent, TRANSACTION, "none", (0..4).map(|p| record(p, 1, STAYS)).collect(), &[]).await;
    for (client, running) in &mut running {
        let behind = |event: &Event| event.record().is_some_and(|record| record.offset >= 50);
        let seen = running.until("to get a record behind the tail", LONG, behind).await.unwrap();
        let records: Vec<_> = seen.iter().filter_map(Event::record).collect();
        assert!(records.iter().all(|record| by(record, STAYS)), "{client:?}");
        if *client == Client::KafkaJs {
            fetched_at_once(&seen);
        }
    }
}

/// KafkaJS asks again at once for every offset that it was not told of: so it must have been told of all those withheld.
/// At the end a fetch of its waits half a second, however many of those there are.
fn fetched_at_once(seen: &[Event]) {
    let took: Vec<i64> = seen.iter().filter(|e| e.kind() == "fetch").filter_map(|e| e.number("took_ms")).collect();
    let at_once = took.iter().filter(|ms| **ms < 250).count();
    assert!((1..=20).contains(&at_once), "KafkaJS's fetches on its way behind 200 withheld records took {took:?} ms");
}

/// Committed and aborted transactions, mixed, at both isolation levels.
async fn transactions(rig: &Rig) {
    let topic = TRANSACTION;
    let start = direct(rig, topic).await.len();
    for (n, end) in ["commit", "abort", "commit", "abort"].into_iter().enumerate() {
        let records: Vec<Value> = (0..4)
            .flat_map(|p| (0..10).map(move |i| record(p, i, if (i + n) % 3 == 0 { STAYS } else { LEAVES })))
            .collect();
        let id = format!("tx-{n}");
        let more = [("transaction", end), ("transactional_id", id.as_str())];
        produce(rig, Client::Confluent, topic, "zstd", records, &more).await;
    }
    let mut direct = Vec::new();
    for level in LEVELS {
        let settings = json!({ "isolation.level": level });
        let group = format!("ju.alpha.tx-direct-{level}");
        let request = Request::consume(&rig.kafka.bootstrap(), ADMIN, rig.kafka.password(ADMIN), &group, &[topic]);
        let request = rig.tls(request).with("settings", settings).with("until_end", true);
        let outcome = run(Client::Confluent, &request, LONG).await.unwrap();
        let everything: Vec<Record> =
            outcome.records().iter().map(|record| rig.sealer.opened(record.content())).collect();
        assert!(everything.len() > start, "{level}");
        direct.push(everything.into_iter().filter(stays).collect::<Vec<_>>());
    }
    let [committed, all] = &direct[..] else { panic!("two levels") };
    assert!(all.len() > committed.len(), "nothing was aborted");
    for (level, expected) in LEVELS.into_iter().zip([committed, all]) {
        let begun = rig.sql("SELECT now()").await;
        let readers = ALL.map(|client| async move {
            (client, run(client, &isolated(rig, client, level, expected.len()), LONG).await.unwrap())
        });
        for (client, outcome) in futures::future::join_all(readers).await {
            let seen: Vec<_> = outcome.records().iter().map(|r| (r.partition, r.offset, r.value.clone())).collect();
            let wanted: Vec<_> = expected.iter().map(|r| (r.partition, r.offset, r.value.clone())).collect();
            assert_eq!(seen, wanted, "{client:?} {level}: {:?}", outcome.errors());
            assert!(outcome.success && outcome.errors().is_empty(), "{client:?} {level}: {:?}", outcome.errors());
        }
        aborted_are_disclosed(rig, &begun, level, committed, all).await;
    }
}

/// A reader of so many records at this level of isolation, in its own words.
fn isolated(rig: &Rig, client: Client, level: &str, records: usize) -> Request {
    let group = format!("ju.alpha.tx-{level}-{client:?}").to_lowercase();
    let request = Request::consume(&rig.bootstrap(), ALPHA, PASSWORD, &group, &[TRANSACTION]);
    let request = match client {
        Client::Confluent | Client::Java => request.with("settings", json!({ "isolation.level": level })),
        Client::KafkaPython | Client::AioKafka => request.with("settings", json!({ "isolation_level": level })),
        Client::KafkaJs => request.with("consumer", json!({ "readUncommitted": level == "read_uncommitted" })),
    };
    rig.tls(request).max(records as u64)
}

/// What was aborted went to the clients all the same, which leave it out themselves or do not: every one of these records
/// lies in a range of each reader since then, and is counted there.
async fn aborted_are_disclosed(rig: &Rig, since: &str, level: &str, committed: &[Record], all: &[Record]) {
    testkit::wait::until("reservations to be settled", LONG, async || {
        (rig.sql("SELECT count(*) FROM disclosure WHERE open").await == "0").then_some(())
    })
    .await
    .unwrap();
    let place = |record: &Record| (record.partition, record.offset);
    let given: BTreeSet<_> = committed.iter().map(place).collect();
    // Up to the last record that a reader of either level waits for; behind it, it may have stopped before.
    let went = |record: &&Record| given.range(place(record)..).any(|(partition, _)| *partition == record.partition);
    let gone: Vec<_> = all.iter().filter(went).map(place).collect();
    let aborted: Vec<String> =
        gone.iter().filter(|place| !given.contains(place)).map(|(p, offset)| format!("({p}, {offset})")).collect();
    assert!(aborted.len() >= 4, "{aborted:?}");
    let rows = format!("FROM disclosure d WHERE d.at >= '{since}' AND d.topic = '{TRANSACTION}' AND d.delivered > 0");
    let without = rig
        .sql(&format!(
            "SELECT count(*) FROM (VALUES {}) a (p, o) WHERE (SELECT count(*) {rows} AND d.partition = a.p \
             AND a.o BETWEEN d.first_offset AND d.last_offset) < {}",
            aborted.join(", "),
            ALL.len()
        ))
        .await;
    assert_eq!(without, "0", "{level}: aborted records that some reader's disclosures do not tell of");
    let told: usize = rig.sql(&format!("SELECT sum(d.delivered) {rows}")).await.parse().unwrap();
    assert!(told >= gone.len() * ALL.len(), "{level}: {told} records told of, {} times {} went", gone.len(), ALL.len());
}
