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

use bus::{Batch, ConsumeOptions, Consumer, ProduceOptions, Producer, Record, Status, TailEvent, tail};
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
    let consumer = Consumer::new(&config, "test", &["t"], BTreeMap::new(), ConsumeOptions::default()).unwrap();
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

/// A broker that stops in order may answer a last time with a list of no brokers, after which librdkafka does not come back
/// by itself: with so many readers one meets that in about every sixth stop.
#[tokio::test(flavor = "multi_thread")]
async fn readers_survive_a_broker_that_stops_in_order() {
    const READERS: usize = 30;
    let mut kafka = Kafka::single().await.unwrap();
    let (_dir, config) = admin_of(&kafka);
    kafka.create_topic("t", 1, &[]).await.unwrap();
    let options = ProduceOptions { delivery_timeout: Duration::from_secs(3), ..ProduceOptions::low_latency() };
    let producer = Producer::new(&config, "test", options).unwrap();
    let sent = async |value: &str| {
        testkit::wait::until("a record to be taken", Duration::from_secs(60), async || {
            producer.send(Record::new("t", "k", value.to_owned())).await.ok().map(|delivery| delivery.offset)
        })
        .await
        .unwrap()
    };
    let cancel = CancellationToken::new();
    let read: Vec<Arc<Mutex<Vec<i64>>>> = (0..READERS).map(|_| Arc::default()).collect();
    let mut tasks = tokio::task::JoinSet::new();
    for (number, offsets) in read.iter().enumerate() {
        let (config, cancel, offsets) = (config.clone(), cancel.clone(), Arc::clone(offsets));
        if number % 3 == 0 {
            let consumer =
                Consumer::new(&config, "consumer", &["t"], BTreeMap::new(), ConsumeOptions::default()).unwrap();
            tasks.spawn(consumer.run(cancel, move |batch: Arc<Batch>| {
                offsets.lock().unwrap().extend(batch.messages().iter().map(|message| message.offset));
                async { Ok::<_, String>(()) }
            }));
        } else {
            tasks.spawn(async move {
                let take = |event: TailEvent<'_>| {
                    if let TailEvent::Record { position, .. } = event {
                        offsets.lock().unwrap().push(position.offset);
                    }
                };
                tail(&config, "tail", "t", cancel, take).await
            });
        }
    }
    let all_read = async |last: i64| {
        testkit::wait::until(format!("all to read {last}"), Duration::from_secs(60), async || {
            read.iter().all(|offsets| offsets.lock().unwrap().last() == Some(&last)).then_some(())
        })
        .await
        .unwrap();
    };
    let mut last = sent("before").await;
    all_read(last).await;
    // The first outage is long enough for every reader to take a new client.
    for (round, outage) in [13, 3].into_iter().enumerate() {
        // Records that come until the end make readers ask anew just when the broker has no good answer.
        let stopping = async { kafka.stop().await.unwrap() };
        let sending = async {
            loop {
                let _ = producer.send(Record::new("t", "k", "meanwhile")).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            () = stopping => {}
            () = sending => {}
        }
        tokio::time::sleep(Duration::from_secs(outage)).await;
        kafka.start().await.unwrap();
        last = sent(&format!("after-{round}")).await;
        all_read(last).await;
    }
    for offsets in &read {
        let offsets = std::mem::take(&mut *offsets.lock().unwrap());
        assert_eq!(offsets, (0..=last).collect::<Vec<_>>(), "each record once, none left out");
    }
    cancel.cancel();
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap().unwrap();
    }
}
