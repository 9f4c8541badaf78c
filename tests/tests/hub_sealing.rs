//! What the seal holds together, and what happens when keys are away, destroyed or of somebody else.

mod hub_rig;

use std::time::Duration;

use bus::{Compression, ProduceOptions, Producer, Record};
use chrono::Utc;
use hub_rig::{
    ALPHA, CONTACT, DEADLINE, PASSWORD, Rig, TRANSACTION,
    sealer::{At, hex},
};
use seal::{Contact, KeyStore};
use serde_json::json;
use store::Store;
use testkit::{
    clients::{Client, Event, Request, Running, run},
    kafka::{ADMIN, Kafka},
    raw::Raw,
    wait,
};
use wire::{
    messages::{
        FetchRequest, TopicName,
        fetch_request::{FetchPartition, FetchTopic},
    },
    protocol::StrBytes,
};

const LONG: Duration = Duration::from_secs(60);

fn id(n: usize) -> String {
    format!("{n:032x}")
}

/// Where a record is put; it was sealed for `HOME`.
#[derive(Clone, Copy)]
struct Put {
    topic: &'static str,
    partition: i32,
    key: usize,
    publisher: &'static str,
    kind: &'static str,
}

const HOME: Put = Put { topic: CONTACT, partition: 1, key: 7, publisher: "gamma", kind: "contact" };

async fn put(rig: &Rig, at: Put, value: &[u8], more: &[(&str, &str)]) {
    let mut headers = vec![json!(["kind", hex(at.kind.as_bytes())])];
    if !at.publisher.is_empty() {
        headers.push(json!(["publisher", hex(at.publisher.as_bytes())]));
    }
    headers.extend(more.iter().map(|(name, value)| json!([name, hex(value.as_bytes())])));
    let record = json!({
        "key": hex(id(at.key).as_bytes()), "value": hex(value), "partition": at.partition, "headers": headers,
    });
    let request = Request::new("produce", &rig.kafka.bootstrap(), ADMIN, rig.kafka.password(ADMIN))
        .with("topic", at.topic)
        .with("records", vec![record]);
    let outcome = run(Client::Confluent, &request, LONG).await.unwrap();
    assert!(outcome.success, "{:?}", outcome.errors());
}

async fn sealed(rig: &Rig, at: Put, datum: &[u8]) -> Vec<u8> {
    let id = id(at.key);
    let key = rig.sealer.keys(&[&id]).await.remove(0);
    let Put { topic, partition, publisher, kind, .. } = at;
    rig.sealer.envelope(&key, &At { topic, partition: Some(partition), key: &id, publisher, kind }, datum)
}

fn consume(rig: &Rig, group: &str) -> Request {
    Request::consume(&rig.bootstrap(), ALPHA, PASSWORD, &format!("ju.alpha.{group}"), &[CONTACT, TRANSACTION])
}

/// The data that a client gets, as text, without order.
fn data(events: &[Event]) -> Vec<String> {
    let value = |event: &Event| Some(event.record()?.value?.split_off(10));
    let mut data: Vec<String> = events.iter().filter_map(value).collect();
    data.sort();
    data
}

async fn withheld(rig: &Rig, reason: &str) -> f64 {
    rig.metric("hub_withheld_records_total", &[("reason", reason)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_opens_where_it_was_put_and_nowhere_else() {
    let rig = Rig::single().await;
    let value = sealed(&rig, HOME, b"at home").await;
    put(&rig, HOME, &value, &[]).await;
    // Copied, by somebody who may write to the broker.
    let places = [
        Put { topic: TRANSACTION, ..HOME },
        Put { partition: 2, ..HOME },
        Put { key: 8, ..HOME },
        Put { publisher: "beta", ..HOME },
        Put { kind: "meeting", ..HOME },
    ];
    for place in places {
        put(&rig, place, &value, &[]).await;
    }
    // A header that stands twice may be read either way.
    put(&rig, HOME, &value, &[("publisher", "gamma")]).await;
    // Another contact's id in the envelope, whose key exists; another schema; another byte of each part.
    rig.sealer.keys(&[&id(8)]).await;
    let mut moved = places.len() as f64 + 1.0;
    for at in [8, 4, 24, 29, 40, 41, value.len() - 1] {
        let mut other = value.clone();
        other[at] = if at == 24 { 8 } else { other[at] ^ 1 };
        put(&rig, HOME, &other, &[]).await;
        moved += 1.0;
    }
    // Well sealed, by somebody who has keys, for a company that nobody registered and for none at all.
    for publisher in ["stranger", ""] {
        let at = Put { publisher, ..HOME };
        put(&rig, at, &sealed(&rig, at, b"of nobody").await, &[]).await;
    }
    // What else is in the headers is not bound, as it decides nothing.
    put(&rig, HOME, &value, &[("traceparent", "00-1-2-03")]).await;
    for client in [Client::Confluent, Client::Java, Client::KafkaJs] {
        let before = withheld(&rig, "envelope").await;
        let request = consume(&rig, &format!("home-{client:?}").to_lowercase()).idle(5 * LONG);
        let mut reader = Running::start(client, &request).unwrap();
        let mut seen = reader.until_records(2, LONG).await;
        // Each record that was put is one of the two, or withheld for this reason.
        let all = async || (withheld(&rig, "envelope").await - before >= moved).then_some(());
        wait::until("the others to be withheld", DEADLINE, all).await.unwrap();
        seen.extend(reader.events().unwrap());
        assert_eq!(data(&seen), vec![hex(b"at home"); 2], "{client:?}");
        assert_eq!(withheld(&rig, "envelope").await - before, moved, "{client:?}");
    }
    assert!(rig.metric("hub_opened_records_total", &[]).await >= 6.0);
    // In quarantine is each of them, once, however many have read on past it.
    let rows = "SELECT reason, count(*) FROM quarantined GROUP BY reason ORDER BY reason";
    assert_eq!(rig.sql(rows).await, format!("envelope|{moved}\nno_publisher|1"));
    assert_eq!((withheld(&rig, "publisher").await, withheld(&rig, "no_publisher").await), (3.0, 3.0));
    let elsewhere = format!("SELECT count(*) FROM quarantined WHERE topic <> '{CONTACT}' OR partition <> 1");
    assert_eq!(rig.sql(&elsewhere).await, "2", "copied to another topic, and to another partition");
    assert_eq!(rig.metric("hub_quarantined_total", &[("reason", "envelope")]).await, moved);
    let log = std::fs::read_to_string(rig.hub.log()).unwrap();
    assert!(log.contains("a broken record is withheld") && !log.contains("at home"), "{log}");
}

/// Where plain records are accepted, as on a topic from before sealing: they leave as they came, and what stands sealed among them
/// is opened all the same, however the batch is compressed.
#[tokio::test(flavor = "multi_thread")]
async fn plain_records_are_accepted_and_envelopes_among_them_opened() {
    let rig = Rig::start(Kafka::builder(), &[("HUB__KEYS__UNSEALED", "accept")]).await;
    let (envelope, plain) = (sealed(&rig, HOME, b"sealed").await, [b"\0\0\0\0\x01".as_slice(), b"plain"].concat());
    let mut broken = envelope.clone();
    broken.truncate(20);
    let ways = ["none", "gzip", "snappy", "lz4", "zstd"];
    for compression in ways {
        for values in [vec![&plain, &plain], vec![&plain, &envelope, &broken, &plain]] {
            let headers = json!([["publisher", hex(b"gamma")], ["kind", hex(b"contact")]]);
            let record = |value: &&Vec<u8>| json!({ "key": hex(id(7).as_bytes()), "value": hex(value), "partition": 1, "headers": headers });
            let records: Vec<_> = values.iter().map(record).collect();
            let settings = json!({ "compression.type": compression, "linger.ms": 200 });
            let request = Request::new("produce", &rig.kafka.bootstrap(), ADMIN, rig.kafka.password(ADMIN))
                .with("topic", CONTACT)
                .with("settings", settings)
                .with("records", records);
            let outcome = run(Client::Confluent, &request, LONG).await.unwrap();
            assert!(outcome.success, "{:?}", outcome.errors());
        }
    }
    let mut reader = Running::start(Client::Confluent, &consume(&rig, "mixed").idle(5 * LONG)).unwrap();
    let mut seen = reader.until_records(5 * ways.len(), LONG).await;
    let all = async || (withheld(&rig, "envelope").await >= ways.len() as f64).then_some(());
    wait::until("the broken ones to be withheld", DEADLINE, all).await.unwrap();
    seen.extend(reader.events().unwrap());
    let mut expected = [vec![hex(b"plain"); 4 * ways.len()], vec![hex(b"sealed"); ways.len()]].concat();
    expected.sort();
    assert_eq!(data(&seen), expected);
    assert_eq!(rig.metric("hub_opened_records_total", &[]).await, ways.len() as f64);
    assert_eq!(withheld(&rig, "unsealed").await, 0.0);
}

/// A batch takes a thousand times the bytes unpacked: readers that ask for much and take nothing are given it one after the other, as
/// far as memory reaches, and are left in the end; who reads gets everything.
#[tokio::test(flavor = "multi_thread")]
async fn memory_stays_bounded_when_small_batches_unpack_to_much() {
    const MEBIBYTE: usize = 1 << 20;
    const RECORDS: usize = 300;
    let memory = 16 * MEBIBYTE;
    let rig = Rig::start(
        Kafka::builder(),
        &[
            ("HUB__KEYS__UNSEALED", "accept"),
            ("HUB__LIMITS__MEMORY_BYTES", &memory.to_string()),
            ("HUB__LIMITS__STALL_SECONDS", "2"),
        ],
    )
    .await;
    let options = ProduceOptions {
        compression: Compression::Zstd,
        linger: Duration::from_millis(100),
        ..ProduceOptions::default()
    };
    let producer = Producer::new(&rig.admin_config(), "tests", options).unwrap();
    // One in ten is sealed, so that each batch has to be written anew.
    let envelope = sealed(&rig, HOME, b"sealed").await;
    let plain = [b"\0\0\0\0\x01".as_slice(), &vec![0; 90_000]].concat();
    let record = |n: usize| {
        let value = if n.is_multiple_of(10) { envelope.clone() } else { plain.clone() };
        let mut record = Record::new(CONTACT, id(HOME.key), value);
        record.partition = Some(HOME.partition);
        record.headers = vec![("publisher".into(), "gamma".into()), ("kind".into(), "contact".into())];
        record
    };
    for result in producer.send_all((0..RECORDS).map(record).collect()).await {
        result.unwrap();
    }
    let before = peak(&rig);
    let partition = FetchPartition::default().with_partition(HOME.partition).with_partition_max_bytes(16 << 20);
    let topic = FetchTopic::default().with_topic(TopicName(StrBytes::from_static_str(CONTACT)));
    let fetch = FetchRequest::default()
        .with_max_wait_ms(100)
        .with_min_bytes(1)
        .with_max_bytes(16 << 20)
        .with_topics(vec![topic.with_partitions(vec![partition])]);
    let address = format!("127.0.0.1:{}", rig.broker_base + rig.kafka.node_ids()[0]);
    let mut idle = Vec::new();
    for _ in 0..6 {
        let mut raw = Raw::login(&address, ALPHA, PASSWORD).await;
        raw.send(&fetch, 11).await;
        idle.push(raw);
    }
    let request = consume(&rig, "reads").idle(5 * LONG);
    let mut reader = Running::start(Client::Confluent, &request).unwrap();
    let seen = reader.until_records(RECORDS, LONG).await;
    assert_eq!(seen.iter().filter(|event| event.record().is_some()).count(), RECORDS);
    assert!(rig.refusals("stalled").await >= 1.0, "what unpacks to 27 MB went into sockets that nobody reads");
    // Bytes granted, a batch for each reader and for each thread, and what an allocator keeps.
    let grown = peak(&rig).saturating_sub(before);
    assert!(grown < memory + 32 * MEBIBYTE, "{} MiB", grown / MEBIBYTE);
}

/// Most memory that the hub was resident in, bytes.
fn peak(rig: &Rig) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", rig.hub.pid().unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_away_is_waited_for_and_erased_is_withheld() {
    let mut rig = Rig::single().await;
    let seal = async |rig: &Rig, from: usize| {
        let mut values = Vec::new();
        for key in from..from + 3 {
            let at = Put { key, ..HOME };
            values.push((at, sealed(rig, at, format!("contact {key:04}").as_bytes()).await));
        }
        values
    };
    let texts = |keys: std::ops::Range<usize>| -> Vec<String> {
        keys.map(|key| hex(format!("contact {key:04}").as_bytes())).collect()
    };
    for (at, value) in seal(&rig, 10).await {
        put(&rig, at, &value, &[]).await;
    }
    let mut reader = Running::start(Client::Confluent, &consume(&rig, "waits").idle(5 * LONG)).unwrap();
    let seen = reader.until_records(3, LONG).await;
    assert_eq!(data(&seen), texts(10..13));

    // Away: no record leaves, clients are told to try again, and it goes on by itself.
    let later = seal(&rig, 20).await;
    let refused = rig.refusals("keys").await;
    rig.postgres.sql("postgres", "ALTER DATABASE keys ALLOW_CONNECTIONS false").await.unwrap();
    rig.postgres
        .sql("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'keys'")
        .await
        .unwrap();
    for (at, value) in later {
        put(&rig, at, &value, &[]).await;
    }
    let mut late = Running::start(Client::Java, &consume(&rig, "late").idle(5 * LONG)).unwrap();
    wait::until("records to be refused", DEADLINE, async || (rig.refusals("keys").await > refused).then_some(()))
        .await
        .unwrap();
    wait::until("the hub to say so", DEADLINE, async || {
        let url = format!("http://127.0.0.1:{}/health/ready", rig.admin_port);
        let answer = reqwest::get(&url).await.ok()?;
        (answer.status() == 503 && answer.text().await.ok()?.contains("key store")).then_some(())
    })
    .await
    .unwrap();
    rig.postgres.sql("postgres", "ALTER DATABASE keys ALLOW_CONNECTIONS true").await.unwrap();
    rig.ready().await;
    assert_eq!(data(&late.until_records(6, LONG).await).len(), 6);
    assert_eq!(data(&reader.until_records(3, LONG).await), texts(20..23));

    // Erased: its records are withheld from everybody, and the others come.
    let config = rig.keys.config();
    let keys =
        KeyStore::open(Store::connect("eraser", &config.database).unwrap(), config.kek().unwrap()).await.unwrap();
    let erased: Contact = Contact::from(&id(11).parse().unwrap());
    keys.fence(&[erased], Utc::now()).await.unwrap();
    // The promised time (keys.cache.poll_ms), and some for a slow machine.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut again = Running::start(Client::Confluent, &consume(&rig, "again").idle(5 * LONG)).unwrap();
    let seen = data(&again.until_records(5, LONG).await);
    let mut expected = [texts(10..13), texts(20..23)].concat();
    expected.retain(|text| *text != hex(b"contact 0011"));
    assert_eq!(seen, expected);
    assert!(withheld(&rig, "erased").await >= 1.0);
    keys.destroy(&[erased], Utc::now()).await.unwrap();
    rig.hub.kill9();
    rig.hub.start_again().unwrap();
    rig.ready().await;
    let mut cold = Running::start(Client::Java, &consume(&rig, "cold").idle(5 * LONG)).unwrap();
    assert_eq!(data(&cold.until_records(5, LONG).await), expected);
}

/// A hub that has another key-encryption key of the same name gives nothing out, and says which.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_encryption_key_stops_the_start() {
    let mut rig = Rig::single().await;
    let file = rig.keys.key_file().to_owned();
    let kept = file.with_extension("kept");
    std::fs::rename(&file, &kept).unwrap();
    seal::kek::create(&file, "kek-1".parse().unwrap()).unwrap();
    rig.hub.stop(LONG).await.unwrap();
    // It comes up as far as to find out.
    rig.hub.start_again().unwrap();
    wait::until("the hub to give up", DEADLINE, async || rig.hub.exit_status()).await.unwrap();
    let log = std::fs::read_to_string(rig.hub.log()).unwrap();
    assert!(log.contains("kek-1") && log.contains("another key under the same id"), "{log}");
    std::fs::remove_file(&file).unwrap();
    std::fs::rename(&kept, &file).unwrap();
    rig.hub.start_again().unwrap();
    rig.ready().await;
}

/// What stock clients say of a record.
trait Records {
    async fn until_records(&mut self, count: usize, within: Duration) -> Vec<Event>;
}

impl Records for Running {
    async fn until_records(&mut self, count: usize, within: Duration) -> Vec<Event> {
        let mut left = count;
        let last = |event: &Event| {
            left -= usize::from(event.record().is_some());
            left == 0
        };
        self.until("to get its records", within, last).await.unwrap()
    }
}
