//! Brokers that go away and come back.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bus::{Batch, ConsumeOptions, Consumer, ProduceOptions, Producer, Record, Start, Status, TailEvent, tail};
use common::{admin_of, until};
use testkit::kafka::Kafka;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn clients_survive_a_killed_broker() {
    let mut kafka = Kafka::single().await.unwrap();
    let (_dir, config) = admin_of(&kafka);
    kafka.create_topic("t", 1, &[]).await.unwrap();
    let options = ProduceOptions { delivery_timeout: Duration::from_secs(3), ..ProduceOptions::low_latency() };
    let producer = Producer::new(&config, "test", options).unwrap();
    producer.send(Record::new("t", "k", "before")).await.unwrap();

    let cancel = CancellationToken::new();
    let (values, away) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
    let tailing = tokio::spawn({
        let (config, cancel, values, away) = (config.clone(), cancel.clone(), Arc::clone(&values), Arc::clone(&away));
        async move {
            tail(&config, "tail", "t", cancel, |event| match event {
                TailEvent::Record { value, .. } => {
                    values.lock().unwrap().push(String::from_utf8(value.unwrap().to_vec()).unwrap());
                }
                TailEvent::Away(_) => away.store(true, Ordering::SeqCst),
                TailEvent::Back => away.store(false, Ordering::SeqCst),
                TailEvent::CaughtUp => {}
            })
            .await
        }
    });
    let consumer =
        Consumer::new(&config, "test", &["t"], Start::Offsets(BTreeMap::new()), ConsumeOptions::default()).unwrap();
    let status = consumer.status();
    let consumed = Arc::new(Mutex::new(Vec::new()));
    let consuming = tokio::spawn({
        let (cancel, consumed) = (cancel.clone(), Arc::clone(&consumed));
        consumer.run(cancel, move |batch: Arc<Batch>| {
            let offsets = batch.messages().iter().map(|message| message.offset);
            consumed.lock().unwrap().extend(offsets);
            async { Ok::<_, String>(()) }
        })
    });
    until("the first record", || values.lock().unwrap().len() == 1 && consumed.lock().unwrap().len() == 1).await;

    kafka.kill9();
    let unsent = producer.send(Record::new("t", "k", "during")).await.unwrap_err();
    assert!(unsent.is_retriable(), "{unsent}");
    until("the tail to notice", || away.load(Ordering::SeqCst)).await;
    until("the consumer to notice", || matches!(*status.borrow(), Status::Away(_))).await;

    kafka.start().await.unwrap();
    // An idle topic: that the broker is back is noticed without any record.
    until("the tail to come back", || !away.load(Ordering::SeqCst)).await;
    until("the consumer to come back", || *status.borrow() == Status::Reading).await;
    let delivery = producer.send(Record::new("t", "k", "after")).await.unwrap();
    until("the record after the outage", || values.lock().unwrap().last().is_some_and(|value| value == "after")).await;
    until("the same in the consumer", || consumed.lock().unwrap().last() == Some(&delivery.offset)).await;
    let mut consumed = consumed.lock().unwrap().clone();
    consumed.dedup();
    assert!(consumed.is_sorted(), "{consumed:?}");
    assert_eq!(values.lock().unwrap().iter().filter(|value| *value == "before").count(), 1, "nothing is read twice");
    cancel.cancel();
    tailing.await.unwrap().unwrap();
    consuming.await.unwrap().unwrap();
}
