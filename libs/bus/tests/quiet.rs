//! A quiet client leaves nothing in the broker's log of denials, where a real one has to stand out.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bus::{
    Batch, ConsumeOptions, Consumer, Record, TailEvent,
    admin::{Acl, Operation, Pattern, ResourceType},
    tail,
};
use common::{config_of, controller, producer, until};
use testkit::kafka::Kafka;
use tokio_util::sync::CancellationToken;

/// Readers without group looked for a coordinator twice a second, the ping was once a second.
const QUIET: Duration = Duration::from_secs(6);

fn denials(kafka: &Kafka) -> Vec<String> {
    let log = std::fs::read_to_string(kafka.log(1).unwrap()).unwrap();
    log.lines()
        .filter(|line| line.contains("is Denied") || line.contains("Denied operation"))
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn readers_and_pings_are_never_refused() {
    let kafka = Kafka::single().await.unwrap();
    kafka.create_topic("t", 1, &[]).await.unwrap();
    kafka.add_login("quiet", "quiet-secret").await.unwrap();
    let (_admin_dir, admin) = common::admin_of(&kafka);
    let (_dir, config) = config_of(&kafka, "quiet", "quiet-secret");
    let allow = |operation, kind, name: &str| Acl::allow("quiet", operation, kind, Pattern::Literal, name);
    let acls = [
        allow(Operation::Read, ResourceType::Topic, "t"),
        allow(Operation::Write, ResourceType::Topic, "t"),
        allow(Operation::Describe, ResourceType::Group, "quiet"),
    ];
    controller(&admin).create_acls(&acls).await.unwrap();
    let producer = producer(&config);
    until_allowed(&producer).await;
    let before = denials(&kafka).len();

    let (cancel, read) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
    let consumer = Consumer::new(&config, "consumer", &["t"], BTreeMap::new(), ConsumeOptions::default()).unwrap();
    let consuming = tokio::spawn({
        let (cancel, read) = (cancel.clone(), Arc::clone(&read));
        consumer.run(cancel, move |batch: Arc<Batch>| {
            read.fetch_add(batch.len(), Ordering::SeqCst);
            async { Ok::<_, String>(()) }
        })
    });
    let tailing = tokio::spawn({
        let (config, cancel, read) = (config.clone(), cancel.clone(), Arc::clone(&read));
        async move {
            let count = move |event: TailEvent<'_>| {
                read.fetch_add(usize::from(matches!(event, TailEvent::Record { .. })), Ordering::SeqCst);
            };
            tail(&config, "tail", "t", cancel, count).await
        }
    });
    until("both to read", || read.load(Ordering::SeqCst) == 2).await;
    let begun = Instant::now();
    while begun.elapsed() < QUIET {
        producer.ping("t", Duration::from_secs(5)).await.unwrap();
        assert_eq!(denials(&kafka).split_off(before), Vec::<String>::new());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    cancel.cancel();
    consuming.await.unwrap().unwrap();
    tailing.await.unwrap().unwrap();
    assert_eq!(denials(&kafka).split_off(before), Vec::<String>::new());

    // The broker does write down what it denies.
    producer.ping("secret", Duration::from_secs(5)).await.unwrap();
    until("a real denial", || denials(&kafka).split_off(before).iter().any(|line| line.contains("secret"))).await;
}

/// Brokers learn of ACLs a moment after the controller.
async fn until_allowed(producer: &bus::Producer) {
    let allowed = async || producer.send(Record::new("t", "k", "v")).await.ok().map(|_| ());
    testkit::wait::until("the broker to know the ACLs", common::LONG, allowed).await.unwrap();
}
