//! Producing and consuming against a real broker.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bus::{
    Batch, ConsumeOptions, Consumer, KafkaConfig, ProduceError, Record, TailEvent,
    admin::{Acl, Operation, Pattern, ResourceType},
    tail,
};
use common::{admin_of, config_of, producer, until};
use testkit::kafka::Kafka;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

fn record(topic: &str, n: usize) -> Record {
    Record::new(topic, format!("key-{}", n % 100), format!("value-{n}"))
        .header("kind", "contact")
        .header("n", n.to_string())
}

/// What a consumer applied: partition and offset to value.
type Applied = Arc<Mutex<BTreeMap<(i32, i64), Vec<u8>>>>;

fn apply(applied: &Applied, batch: &Batch) {
    let mut applied = applied.lock().unwrap();
    for message in batch {
        applied.insert((message.partition, message.offset), message.payload.clone().unwrap().to_vec());
    }
}

fn start(
    config: &KafkaConfig,
    topic: &str,
    offsets: BTreeMap<(String, i32), i64>,
    handler: impl Fn(&Batch) -> Result<(), String> + Send + Sync + 'static,
) -> (CancellationToken, JoinHandle<Result<(), bus::BusError>>) {
    let options = ConsumeOptions { retry_min: Duration::from_millis(20), ..Default::default() };
    let consumer = Consumer::new(config, "test", &[topic], offsets, options).unwrap();
    let cancel = CancellationToken::new();
    let handler = Arc::new(handler);
    let run = consumer.run(cancel.clone(), move |batch: Arc<Batch>| {
        let handler = Arc::clone(&handler);
        async move { handler(&batch) }
    });
    (cancel, tokio::spawn(run))
}

#[tokio::test]
async fn records_go_in_and_come_out() {
    let kafka = Kafka::single().await.unwrap();
    let (_dir, config) = admin_of(&kafka);
    kafka.create_topic("t", 4, &[]).await.unwrap();
    round_trip(&config).await;
    failures_are_tried_again(&config, &kafka).await;
    given_offsets_are_used(&config).await;
    refusals_are_told_apart(&config, &kafka).await;
    the_tail_is_quick(&config, &kafka).await;
    throughput(&config, &kafka).await;
}

async fn round_trip(config: &KafkaConfig) {
    let producer = producer(config);
    producer.ping("t", Duration::from_secs(10)).await.unwrap();
    let mut records = (0..1000).map(|n| record("t", n)).collect::<Vec<_>>();
    records[7].timestamp = Some(1_700_000_000_123);
    let deliveries = producer.send_all(records.clone()).await;
    let deliveries = deliveries.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
    let tombstone = producer.send(Record { partition: Some(2), ..Record::tombstone("t", "gone") }).await.unwrap();
    assert_eq!(tombstone.partition, 2);

    let found = Arc::new(Mutex::new(HashMap::new()));
    let (cancel, task) = start(config, "t", BTreeMap::new(), {
        let found = Arc::clone(&found);
        move |batch| {
            let mut found = found.lock().unwrap();
            found.extend(batch.messages().iter().map(|message| ((message.partition, message.offset), message.clone())));
            Ok(())
        }
    });
    until("all records", || found.lock().unwrap().len() == 1001).await;
    cancel.cancel();
    task.await.unwrap().unwrap();

    let found = found.lock().unwrap();
    for (n, (record, delivery)) in records.iter().zip(&deliveries).enumerate() {
        let message = &found[&(delivery.partition, delivery.offset)];
        assert_eq!((&message.key, &message.payload), (&record.key, &record.value));
        assert_eq!(message.header_text("kind"), Some("contact"));
        assert_eq!(message.header_text("n"), Some(n.to_string().as_str()));
        assert_eq!(message.header("absent"), None);
        assert!(n != 7 || message.timestamp == record.timestamp);
    }
    let tombstone = &found[&(2, tombstone.offset)];
    assert_eq!((tombstone.key.as_deref(), &tombstone.payload), (Some(&b"gone"[..]), &None));
    // As the Java client's partitioner: toPositive(murmur2("key-0")) % 4 and so on, computed with kafka-clients 4.3.1.
    let partition_of = |key: &str| {
        records.iter().zip(&deliveries).find(|(r, _)| r.key.as_deref() == Some(key.as_bytes())).unwrap().1.partition
    };
    for key in ["key-0", "key-1", "key-2", "key-3"] {
        assert_eq!(partition_of(key), i32::try_from((murmur2(key.as_bytes()) & 0x7fff_ffff) % 4).unwrap());
    }
}

/// `org.apache.kafka.common.utils.Utils.murmur2`
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut h = 0x9747_b28c_u32 ^ u32::try_from(data.len()).unwrap();
    let mut chunks = data.chunks_exact(4);
    for chunk in &mut chunks {
        let mut k = u32::from_le_bytes(chunk.try_into().unwrap()).wrapping_mul(M);
        k ^= k >> 24;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = chunks.remainder();
    for (index, byte) in rest.iter().enumerate() {
        h ^= u32::from(*byte) << (8 * index);
    }
    if !rest.is_empty() {
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}

async fn failures_are_tried_again(config: &KafkaConfig, kafka: &Kafka) {
    kafka.create_topic("flaky", 3, &[]).await.unwrap();
    let records = (0..300).map(|n| record("flaky", n)).collect();
    assert!(producer(config).send_all(records).await.iter().all(Result::is_ok));
    let (applied, failures) = (Applied::default(), Arc::new(AtomicUsize::new(0)));
    let (cancel, task) = start(config, "flaky", BTreeMap::new(), {
        let (applied, failures) = (Arc::clone(&applied), Arc::clone(&failures));
        move |batch| {
            if failures.fetch_add(1, Ordering::SeqCst) < 5 {
                return Err("the database is away".to_owned());
            }
            apply(&applied, batch);
            Ok(())
        }
    });
    until("all records in spite of failures", || applied.lock().unwrap().len() == 300).await;
    assert!(failures.load(Ordering::SeqCst) > 5);
    // After a retry the consumer reads on.
    assert!(producer(config).send(record("flaky", 300)).await.is_ok());
    until("the record after the failures", || applied.lock().unwrap().len() == 301).await;
    cancel.cancel();
    task.await.unwrap().unwrap();
}

async fn given_offsets_are_used(config: &KafkaConfig) {
    let applied = Applied::default();
    let offsets = (0..3).map(|partition| (("flaky".to_owned(), partition), 10)).collect();
    let (cancel, task) = start(config, "flaky", offsets, {
        let applied = Arc::clone(&applied);
        move |batch| {
            apply(&applied, batch);
            Ok(())
        }
    });
    until("everything after the given offsets", || applied.lock().unwrap().len() == 301 - 30).await;
    assert!(applied.lock().unwrap().keys().all(|(_, offset)| *offset >= 10));
    cancel.cancel();
    task.await.unwrap().unwrap();
}

async fn refusals_are_told_apart(config: &KafkaConfig, kafka: &Kafka) {
    let producer = producer(config);
    let results = producer.send_all(vec![record("t", 1), record("absent", 1), record("t", 2)]).await;
    assert!(matches!(results[..], [Ok(_), Err(ProduceError::Refused(_)), Ok(_)]), "{results:?}");
    let large = Record::new("t", "k", vec![0u8; 2 << 20]);
    assert!(!producer.send(large).await.unwrap_err().is_retriable());

    kafka.add_login("nobody", "nobody-secret").await.unwrap();
    let (_dir, nobody) = config_of(kafka, "nobody", "nobody-secret");
    let refused = common::producer(&nobody).send(record("t", 1)).await.unwrap_err();
    assert!(!refused.is_retriable(), "{refused}");
}

async fn the_tail_is_quick(config: &KafkaConfig, kafka: &Kafka) {
    // The topic does not exist yet: the tail waits for it. Its login may read that topic and nothing else, no group either.
    kafka.add_login("tail", "tail-secret").await.unwrap();
    let (_dir, reader) = config_of(kafka, "tail", "tail-secret");
    let read = Acl::allow("tail", Operation::Read, ResourceType::Topic, Pattern::Literal, "policy");
    common::controller(config).create_acls(&[read]).await.unwrap();
    let (cancel, events) = (CancellationToken::new(), Arc::new(Mutex::new(Vec::new())));
    let (caught_up, away) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let task = tokio::spawn({
        let (config, cancel, events) = (reader, cancel.clone(), Arc::clone(&events));
        let (caught_up, away) = (Arc::clone(&caught_up), Arc::clone(&away));
        async move {
            tail(&config, "tail", "policy", cancel, |event| match event {
                TailEvent::Record { key, value, position } => {
                    let value = value.map(<[u8]>::to_vec);
                    events.lock().unwrap().push((Instant::now(), key.map(<[u8]>::to_vec), value, position));
                }
                TailEvent::CaughtUp => caught_up.store(true, Ordering::SeqCst),
                TailEvent::Away(_) => away.store(true, Ordering::SeqCst),
                TailEvent::Back => away.store(false, Ordering::SeqCst),
            })
            .await
        }
    });
    until("the tail to say that the topic is not there", || away.load(Ordering::SeqCst)).await;
    assert!(!caught_up.load(Ordering::SeqCst));
    kafka.create_topic("policy", 1, &[("cleanup.policy", "compact")]).await.unwrap();
    until("the tail to catch up", || caught_up.load(Ordering::SeqCst) && !away.load(Ordering::SeqCst)).await;

    let producer = bus::Producer::new(config, "test", bus::ProduceOptions::low_latency()).unwrap();
    let mut delays = Vec::new();
    for n in 0..100 {
        let sent = Instant::now();
        producer.send(Record::new("policy", "snapshot", format!("{n}"))).await.unwrap();
        until("the record", || events.lock().unwrap().len() > n).await;
        delays.push(events.lock().unwrap()[n].0.duration_since(sent));
    }
    delays.sort();
    eprintln!("tail: from before the send to the record read: p50 {:?}, p99 {:?}", delays[50], delays[98]);
    assert!(delays[50] < Duration::from_millis(50), "{:?}", delays[50]);
    let events = std::mem::take(&mut *events.lock().unwrap());
    assert!(events.iter().enumerate().all(|(n, (_, key, value, position))| {
        key.as_deref() == Some(b"snapshot")
            && *value == Some(n.to_string().into_bytes())
            && position.offset == i64::try_from(n).unwrap()
    }));
    cancel.cancel();
    task.await.unwrap().unwrap();
}

async fn throughput(config: &KafkaConfig, kafka: &Kafka) {
    kafka.create_topic("fast", 4, &[]).await.unwrap();
    let producer = producer(config);
    let value = vec![7u8; 400];
    let count = 200_000;
    let begun = Instant::now();
    for chunk in 0..count / 5000 {
        let records = (0..5000).map(|n| Record::new("fast", (chunk * 5000 + n).to_string(), value.clone())).collect();
        assert!(producer.send_all(records).await.iter().all(Result::is_ok));
    }
    let produced = begun.elapsed();
    let seen = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let (cancel, task) = start(config, "fast", BTreeMap::new(), {
        let seen = Arc::clone(&seen);
        move |batch| {
            seen.fetch_add(batch.len(), Ordering::SeqCst);
            Ok(())
        }
    });
    until("all records", || seen.load(Ordering::SeqCst) == count).await;
    let rate = |took: Duration| count as f64 / took.as_secs_f64() / 1000.0;
    eprintln!(
        "400 B: produced {:.0} k/s in batches of 5,000, consumed {:.0} k/s",
        rate(produced),
        rate(begun.elapsed())
    );
    cancel.cancel();
    task.await.unwrap().unwrap();
}
