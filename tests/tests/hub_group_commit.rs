//! Disclosures of many connections share a commit: while one transaction is on its way to the disk, what others hand in
//! gathers, and is committed together.

mod hub_rig;

use futures::future::join_all;
use hub_rig::{ALPHA, CONTACT, DEADLINE, PASSWORD, Rig, sealer::one_each};
use testkit::{raw::Raw, wait};
use wire::{
    messages::{
        FetchRequest, TopicName,
        fetch_request::{FetchPartition, FetchTopic},
    },
    protocol::StrBytes,
};

const READERS: usize = 12;
/// With names of topics.
const VERSION: i16 = 12;

/// The error, and how many bytes of records came.
async fn fetch(raw: &mut Raw) -> (i16, usize) {
    let partition = FetchPartition::default().with_partition_max_bytes(1 << 20);
    let topic = TopicName(StrBytes::from_static_str(CONTACT));
    let topics = vec![FetchTopic::default().with_topic(topic).with_partitions(vec![partition])];
    let request = FetchRequest::default().with_max_bytes(8 << 20).with_session_epoch(-1).with_topics(topics);
    let answer = raw.call(&request, VERSION).await.expect("an answer");
    let partition = &answer.responses[0].partitions[0];
    (partition.error_code, partition.records.as_ref().map_or(0, bytes::Bytes::len))
}

#[tokio::test(flavor = "multi_thread")]
async fn disclosures_of_many_connections_share_a_commit() {
    let rig = Rig::single().await;
    one_each(&rig, CONTACT, &[0]).await;
    let address = format!("127.0.0.1:{}", rig.broker_base + rig.kafka.node_ids()[0]);
    let mut readers = join_all((0..READERS).map(|_| Raw::login(&address, ALPHA, PASSWORD))).await;
    // The first transaction cannot end before all have handed in theirs.
    let held_up = rig.sql("BEGIN; LOCK TABLE disclosure IN SHARE MODE; SELECT pg_sleep(4); COMMIT");
    let read = async {
        let locks =
            "SELECT count(*) FROM pg_locks WHERE relation = 'disclosure'::regclass AND mode = 'ShareLock' AND granted";
        let locked = async || (rig.sql(locks).await == "1").then_some(());
        wait::until("the table to be locked", DEADLINE, locked).await.unwrap();
        join_all(readers.iter_mut().map(fetch)).await
    };
    let (_, came) = tokio::join!(held_up, read);
    assert!(came.iter().all(|(error, bytes)| *error == 0 && *bytes > 0), "{came:?}");
    let told = rig.sql("SELECT count(*) || ' ' || count(DISTINCT xmin::text) FROM disclosure").await;
    let (rows, transactions) = told.split_once(' ').unwrap();
    assert_eq!(rows, READERS.to_string(), "one for each connection");
    println!("figure: {rows} disclosures in {transactions} transactions");
    // One that was held up, one with what gathered; one more for who came late on a busy machine.
    assert!(transactions.parse::<usize>().unwrap() <= 3, "{transactions} transactions for {rows} disclosures");
}
