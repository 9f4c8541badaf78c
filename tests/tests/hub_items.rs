//! A subscription gets the items that it was granted, and nulls in the place of the others: through the whole stack, read
//! by the stock Avro deserialiser.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{
    clients::{Client, Record, Request, Running, run},
    kafka::ADMIN,
    keys::At,
    stack::{Grant, Member, Name, Stack},
};

const LONG: Duration = Duration::from_secs(60);
const CONTACT: &str = "jointuse.contact";
const CARDS: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn only_granted_items_leave() {
    let mut stack = Stack::builder().services(&[Name::Authority, Name::Intake, Name::Hub]).start().await.unwrap();
    let desk = stack.desk().await.unwrap();
    let publisher = desk.member("publishes").await.unwrap();
    let reader = desk.company("reads").await.unwrap();
    let version = desk.draft_notice(&reader).await.unwrap().version;
    desk.activate_notice(&reader, version).await.unwrap();
    let items = ["person.name", "organisation.name"];
    let some = desk.grant_items(&reader, "subscription", "reads-some", &[CONTACT], &items).await.unwrap();
    let all = desk.grant(&reader, "subscription", "reads-all", &[CONTACT]).await.unwrap();
    post(&stack, &publisher, "card").await;

    // Nothing leaves as long as nobody can say which fields are to be blanked; then it goes on by itself.
    stack.service(Name::Authority).unwrap().stop().await.unwrap();
    let mut waiting = Running::start(Client::Java, &consuming(&stack, "consume", &some, "waits")).unwrap();
    testkit::wait::until("records to be refused", LONG, async || {
        (counted(&stack, "hub_refusals_total", "reason=\"schemas\"").await > 0.0).then_some(())
    })
    .await
    .unwrap();
    assert!(waiting.events().unwrap().iter().all(|event| event.record().is_none()));
    stack.service(Name::Authority).unwrap().restart().await.unwrap();
    assert_eq!(waiting.finish(LONG).await.unwrap().records().len(), CARDS);

    let whole = decoded(&stack, &all).await;
    let before = counted(&stack, "hub_blanked_records_total", "").await;
    let blanked = decoded(&stack, &some).await;
    assert_eq!((whole.len(), blanked.len()), (CARDS, CARDS));
    for (whole, blanked) in whole.iter().zip(&blanked) {
        for (field, value) in whole.as_object().unwrap() {
            let expected = match field.as_str() {
                "department" | "title" | "postal_code" | "address" | "email" | "telephone" | "direct_telephone"
                | "mobile" | "fax" => &Value::Null,
                _ => value,
            };
            assert_eq!(&blanked[field], expected, "{field}");
        }
        // What is compared was there, and what is structural stays.
        assert!(whole["email"].is_string() && blanked["name"]["full"].is_string() && blanked["contact_id"].is_string());
        assert_eq!(blanked["acquisition"]["purpose"], "group-services-guidance");
    }
    assert!(counted(&stack, "hub_blanked_records_total", "").await >= before + CARDS as f64);
    junk(&stack, &some, &publisher).await;

    // The schema is known from now on, without the registry; also after a restart.
    stack.service(Name::Authority).unwrap().stop().await.unwrap();
    stack.service(Name::Hub).unwrap().restart().await.unwrap();
    assert_eq!(raw(&stack, &some, "again").await, CARDS);
}

/// What cannot be blanked does not leave, is counted by reason, and takes nothing else with it.
async fn junk(stack: &Stack, some: &Grant, publisher: &Member) {
    let sealer = stack.keys.sealer().await.unwrap();
    let publisher = publisher.company.as_str();
    let there = direct(stack).await.into_iter().find(|record| record.value.is_some()).unwrap();
    let text = |hex: &str| String::from_utf8(unhex(hex)).unwrap();
    let (key, value) = (text(there.key.as_deref().unwrap()), unhex(there.value.as_deref().unwrap()));
    let at = At { topic: CONTACT, partition: Some(there.partition), key: &key, publisher, kind: "contact" };
    let good = sealer.open(&at, &value).await.unwrap().unwrap();
    let schema = u32::from_be_bytes(good[1..5].try_into().unwrap());
    let id = "0".repeat(32);
    let here = At { topic: CONTACT, partition: Some(0), key: &id, publisher, kind: "contact" };
    let own = sealer.keys(&[&id]).await.unwrap().remove(0);
    let sealed = |schema, datum: &[u8]| sealer.envelope(&own, &here, schema, datum).unwrap();
    let stranger = {
        // By a key that the key store never made.
        let mut value = sealed(schema, &good[5..]);
        value[9] ^= 1;
        value
    };
    let mut altered = sealed(schema, &good[5..]);
    *altered.last_mut().unwrap() ^= 1;
    let values = [
        b"junk".to_vec(),
        good.clone(),
        sealed(schema, &good[5..])[..30].to_vec(),
        altered,
        stranger,
        sealed(u32::MAX, &good[5..]),
        sealed(schema, &good[5..good.len() - 10]),
        sealed(schema, &good[5..]),
    ];
    let headers = json!([["publisher", hex(publisher.as_bytes())], ["kind", hex(b"contact")]]);
    let records: Vec<Value> = values
        .iter()
        .map(|value| json!({ "key": hex(id.as_bytes()), "value": hex(value), "partition": 0, "headers": headers }))
        .collect();
    let kafka = &stack.kafka;
    let request = Request::new("produce", &kafka.bootstrap(), ADMIN, kafka.password(ADMIN))
        .with("topic", CONTACT)
        .with("records", records);
    assert!(run(Client::Confluent, &request, LONG).await.unwrap().success);
    let request = consuming(stack, "consume", some, "junk").max(CARDS as u64 + 1);
    let outcome = run(Client::Confluent, &request, LONG).await.unwrap();
    assert_eq!(outcome.records().len(), CARDS + 1, "{:?}", outcome.errors());
    for (reason, count) in [("unsealed", 2.0), ("envelope", 2.0), ("key", 1.0), ("schema", 1.0), ("datum", 1.0)] {
        let label = format!("reason=\"{reason}\"");
        assert_eq!(counted(stack, "hub_withheld_records_total", &label).await, count, "{reason}");
    }
}

async fn direct(stack: &Stack) -> Vec<Record> {
    let kafka = &stack.kafka;
    let request = Request::consume(&kafka.bootstrap(), ADMIN, kafka.password(ADMIN), "direct", &[CONTACT]);
    run(Client::Confluent, &request.with("until_end", true), LONG).await.unwrap().records()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The sum of the hub's samples of a metric with this label.
async fn counted(stack: &Stack, name: &str, label: &str) -> f64 {
    let text = stack.metrics(Name::Hub).await.unwrap();
    let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

async fn post(stack: &Stack, publisher: &Member, prefix: &str) {
    let token = stack.access_token(&publisher.publication, "intake").await.unwrap();
    let cards: Vec<Value> = (0..CARDS)
        .map(|n| {
            json!({
                "reference": format!("{prefix}-{n}"),
                "acquisition": {
                    "method": "BUSINESS_CARD", "acquired_on": "2025-04-01",
                    "purpose": "group-services-guidance", "source": "test",
                },
                "name": { "full": format!("見本 太郎{n}") },
                "organisation": "株式会社見本", "department": "営業部", "title": "部長",
                "postal_code": "151-0053", "address": "東京都渋谷区見本町1-2-3",
                "email": format!("taro{n}@mihon.example"), "telephone": "03-5555-0100", "mobile": "090-5555-0100",
            })
        })
        .collect();
    let answer = reqwest::Client::new()
        .post(format!("{}/v1/records/contact", stack.intake_url()))
        .bearer_auth(token)
        .json(&cards)
        .send()
        .await
        .unwrap();
    let answer: Value = answer.error_for_status().unwrap().json().await.unwrap();
    assert_eq!(answer["summary"]["accepted"], CARDS, "{answer}");
}

fn consuming(stack: &Stack, op: &str, grant: &Grant, group: &str) -> Request {
    Request::new(op, &stack.hub_bootstrap(), grant.login.as_str(), &grant.secret)
        .with("group", format!("ju.{}.{group}", grant.id))
        .with("topics", json!([CONTACT]))
        .max(CARDS as u64)
}

/// By contact id.
async fn decoded(stack: &Stack, grant: &Grant) -> Vec<Value> {
    let registry = json!({ "url": stack.registry_url() });
    let request = consuming(stack, "decode", grant, "decode").with("registry", registry);
    let outcome = run(Client::Confluent, &request, LONG).await.unwrap();
    assert!(outcome.errors().is_empty(), "{:?}", outcome.errors());
    let mut values: Vec<Value> = outcome.of("decoded").iter().map(|event| event.0["value"].clone()).collect();
    values.sort_by_key(|value| value["contact_id"].as_str().unwrap().to_owned());
    values
}

async fn raw(stack: &Stack, grant: &Grant, group: &str) -> usize {
    let outcome = run(Client::Java, &consuming(stack, "consume", grant, group), LONG).await.unwrap();
    outcome.records().len()
}
