//! Topics that get more partitions while they are read.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bus::{Batch, ConsumeOptions, Consumer, Record};
use common::{admin_of, controller, producer, until};
use testkit::kafka::Kafka;
use tokio_util::sync::CancellationToken;

/// How long a partition may go unread: a look every five seconds, and the time that it takes.
const BOUND: Duration = Duration::from_secs(15);

#[tokio::test]
async fn added_partitions_are_read_from_their_beginning() {
    let kafka = Kafka::single().await.unwrap();
    let (_dir, config) = admin_of(&kafka);
    for topic in ["first", "second"] {
        kafka.create_topic(topic, 1, &[]).await.unwrap();
    }
    let record = |topic: &str, partition, n: usize| Record {
        partition: Some(partition),
        ..Record::new(topic, format!("key-{n}"), format!("{topic}-{partition}-{n}"))
    };
    producer(&config).send(record("second", 0, 0)).await.unwrap();

    let options = ConsumeOptions { retry_min: Duration::from_millis(20), ..ConsumeOptions::default() };
    let consumer = Consumer::new(&config, "test", &["first", "second"], BTreeMap::new(), options).unwrap();
    let (cancel, read) = (CancellationToken::new(), Arc::new(Mutex::new(Vec::new())));
    let reading = tokio::spawn({
        let (cancel, read, mut failures) = (cancel.clone(), Arc::clone(&read), 0);
        consumer.run(cancel, move |batch: Arc<Batch>| {
            // The first batch of an added partition is refused twice: what is read of others meanwhile is kept.
            let added = batch.messages().iter().any(|message| message.partition > 0);
            failures += usize::from(added);
            let result = if added && failures <= 2 { Err("not now") } else { Ok(()) };
            if result.is_ok() {
                let place = |message: &bus::Message| (message.topic.to_string(), message.partition, message.offset);
                read.lock().unwrap().extend(batch.messages().iter().map(place));
            }
            async move { result }
        })
    });
    until("the record that was there", || read.lock().unwrap().len() == 1).await;

    // The second topic of the reader, not the one that its readiness is judged by; written to before it can have noticed,
    // by a producer that knows the new partitions from the start.
    controller(&config).create_partitions("second", 3).await.unwrap();
    let grown = Instant::now();
    let records = (0..100).map(|n| record("second", i32::try_from(n % 3).unwrap(), n)).collect();
    assert!(producer(&config).send_all(records).await.iter().all(Result::is_ok));
    until("the records of all partitions", || read.lock().unwrap().len() == 101).await;
    assert!(grown.elapsed() < BOUND, "{:?}", grown.elapsed());

    // Once is not enough: it goes on looking.
    controller(&config).create_partitions("first", 2).await.unwrap();
    let grown = Instant::now();
    producer(&config).send(record("first", 1, 0)).await.unwrap();
    until("the record of the other topic", || read.lock().unwrap().len() == 102).await;
    assert!(grown.elapsed() < BOUND, "{:?}", grown.elapsed());
    cancel.cancel();
    reading.await.unwrap().unwrap();

    let mut read = read.lock().unwrap().clone();
    read.sort();
    let offsets =
        |topic: &'static str, partition, count| (0..count).map(move |offset| (topic.to_owned(), partition, offset));
    let expected =
        [offsets("first", 1, 1), offsets("second", 0, 35), offsets("second", 1, 33), offsets("second", 2, 33)];
    assert_eq!(read, expected.into_iter().flatten().collect::<Vec<_>>(), "each once, from the first on");
}
