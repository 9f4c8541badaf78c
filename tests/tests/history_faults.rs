//! Killed processes, broken records, expired policy: nothing is lost, nothing applied twice, nothing answered undecided.

mod history_rig;

use std::time::Duration;

use bus::Record;
use history_rig::*;
use jointuse::Kind;
use serde_json::json;
use testkit::stack::{Name, Stack};

/// Kill history and PostgreSQL by turns while records flow; afterwards each record is there exactly once.
#[tokio::test(flavor = "multi_thread")]
async fn kill_9_loses_nothing_and_applies_nothing_twice() {
    let builder = Stack::builder().env(Name::History, "HISTORY__APPLY__BATCH_RECORDS", "200");
    let mut rig = Rig::start_with(builder).await;
    let cards: Vec<Card> = (0..50).map(|n| card("persol-career", n, "見本 太郎", "taro@mihon.example")).collect();
    const ROUNDS: u64 = 6;
    const EACH: u64 = 5_000;
    for round in 0..ROUNDS {
        let mut records: Vec<Record> =
            cards.iter().map(|card| rig.card(&Card { recorded: round as i64, ..card.clone() })).collect();
        for number in round * EACH..(round + 1) * EACH {
            let card = &cards[usize::try_from(number % 50).unwrap()];
            let value = transaction(card, number, number as i64);
            records.push(rig.record(Kind::Transaction, &card.id, card.company, &value));
        }
        let before = rig.count("SELECT count(*) FROM interaction").await;
        rig.produce(records).await;
        // In mid-flow: some of this round is applied, not all.
        testkit::wait::until("the flow", DEADLINE, async || {
            let sql = "SELECT count(*) FROM interaction";
            let now: i64 = rig.stack.postgres.sql("history", sql).await.ok()?.trim().parse().ok()?;
            (now > before).then_some(())
        })
        .await
        .unwrap();
        if round % 2 == 0 {
            let history = rig.stack.service(Name::History).unwrap();
            history.kill9();
            history.restart().await.unwrap();
        } else {
            rig.stack.postgres.kill9();
            rig.stack.postgres.restart().await.unwrap();
        }
    }
    rig.applied().await;
    assert_eq!(rig.count("SELECT count(*) FROM interaction").await, (ROUNDS * EACH) as i64);
    let distinct = "SELECT count(DISTINCT record_id) FROM interaction";
    assert_eq!(rig.count(distinct).await, (ROUNDS * EACH) as i64);
    assert_eq!(rig.count("SELECT count(*) FROM contact").await, 50);
    assert_eq!(rig.count("SELECT count(DISTINCT person_id) FROM contact").await, 1);
    assert_eq!(
        rig.count(
            "SELECT count(*) FROM contact WHERE recorded_at <> timestamptz 'epoch' + 1780000005 * interval '1 second'"
        )
        .await,
        0
    );
    assert_eq!(rig.count("SELECT count(*) FROM quarantined").await, 0);
    let unplaced = "SELECT count(*) FROM interaction WHERE organisation_id IS NULL";
    assert_eq!(rig.count(unplaced).await, 0);
    rig.stack.service(Name::History).unwrap().until_ready(DEADLINE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_records_are_put_aside_and_wedge_nothing() {
    let mut rig = Rig::start().await;
    let member = rig.desk.member("persol-career").await.unwrap();
    let good = card("persol-career", 1, "見本 太郎", "taro@mihon.example");
    let value = |rig: &Rig| rig.card(&good).value.unwrap();
    let whole = value(&rig);
    let cut = whole.slice(..whole.len() - 3);
    let mut unknown = whole.to_vec();
    unknown[1..5].copy_from_slice(&9_999_u32.to_be_bytes());
    let contact = topic(Kind::Contact);
    let records = vec![
        Record::new(contact.clone(), good.id.clone(), cut).header("publisher", "persol-career"),
        Record::new(contact.clone(), good.id.clone(), unknown),
        Record::new(contact.clone(), "not-a-contact-id", whole.clone()),
        Record::new(contact.clone(), id("other", 1), whole.clone()),
        Record::new(contact.clone(), good.id.clone(), whole.clone()).header("publisher", "persol-tech"),
        Record::new(contact.clone(), good.id.clone(), b"plain text".to_vec()),
        Record::tombstone(topic(Kind::Meeting), good.id.clone()),
        rig.card(&Card { name: "見本\0太郎", ..good.clone() }),
        rig.card(&good),
    ];
    // Sealed, and then moved to another contact's key.
    let mut moved = rig.sealer.seal(rig.card(&good)).await.unwrap();
    moved.key = Some(id("other", 2).into());
    rig.produce_as_they_are(vec![moved]).await;
    rig.publish(records).await;
    let reasons = rig.sql("SELECT reason || ':' || coalesce(schema_id::text, '') FROM quarantined ORDER BY 1").await;
    let schema = u32::from_be_bytes(whole[1..5].try_into().unwrap());
    let expected = [
        format!("character:{schema}"),
        format!("datum:{schema}"),
        "empty:".into(),
        format!("envelope:{schema}"),
        "key:".into(),
        format!("other-contact:{schema}"),
        format!("other-publisher:{schema}"),
        "schema-unknown:9999".into(),
        "unsealed:".into(),
    ];
    assert_eq!(reasons.lines().collect::<Vec<_>>(), expected);
    let metrics = rig.stack.metrics(Name::History).await.unwrap();
    assert!(metrics.contains("history_quarantined_total{reason=\"datum\"} 1"), "{metrics}");
    let reader = rig.reader(&member.subscription).await;
    reader.one(&json!({ "name": "見本太郎" })).await;
    // Nothing of a record is in logs or metrics.
    let log = std::fs::read_to_string(rig.stack.service(Name::History).unwrap().log()).unwrap();
    for text in [&log, &metrics] {
        assert!(!text.contains("見本") && !text.contains("mihon"), "something personal was printed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_policy_or_database_nothing_is_answered() {
    let mut rig = Rig::start_with(Stack::builder().policy_validity(4, 1)).await;
    let member = rig.desk.member("persol-career").await.unwrap();
    rig.publish(vec![rig.card(&card("persol-career", 1, "見本 太郎", "taro@mihon.example"))]).await;
    let reader = rig.reader(&member.subscription).await;
    let id = reader.one(&json!({ "name": "見本" })).await["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/persons/{id}");
    let disclosed = "SELECT count(*) FROM disclosure";

    let (before, mut answered) = (rig.count(disclosed).await, 0);
    rig.stack.postgres.kill9();
    // A worker of the killed server may still serve a request; whatever is answered is disclosed.
    testkit::wait::until("the database to be missed", DEADLINE, async || {
        let (status, problem) = reader.get(&path).await;
        answered += i64::from(status == 200);
        (status == 503).then(|| assert!(problem.get("contacts").is_none(), "{problem}"))
    })
    .await
    .unwrap();
    testkit::wait::until("readiness to tell", DEADLINE, async || {
        let (status, readiness) = reader.get("/health/ready").await;
        (status == 503 && readiness["reasons"].get("database").is_some()).then_some(())
    })
    .await
    .unwrap();
    rig.stack.postgres.restart().await.unwrap();
    rig.stack.service(Name::History).unwrap().until_ready(DEADLINE).await.unwrap();
    assert_eq!(rig.count(disclosed).await, before + answered);
    assert_eq!(reader.get(&path).await.0, 200);

    // The authority dies: history goes on until policy or stop list expires, then refuses; it comes back by itself.
    rig.stack.service(Name::Authority).unwrap().kill9();
    assert_eq!(reader.get(&path).await.0, 200, "the policy is still in force");
    testkit::wait::until("policy or stop list to expire", Duration::from_secs(20), async || {
        let (status, problem) = reader.get(&path).await;
        let expired = [json!(["policy-expired"]), json!(["stop-list-expired"])];
        (status == 503).then(|| assert!(expired.contains(&problem["rules"]), "{problem}"))
    })
    .await
    .unwrap();
    testkit::wait::until("readiness to tell", DEADLINE, async || {
        let (status, readiness) = reader.get("/health/ready").await;
        (status == 503 && readiness["reasons"].get("policy").is_some()).then_some(())
    })
    .await
    .unwrap();
    rig.stack.service(Name::Authority).unwrap().restart().await.unwrap();
    rig.stack.service(Name::History).unwrap().until_ready(DEADLINE).await.unwrap();
    assert_eq!(reader.get(&path).await.0, 200);
}
