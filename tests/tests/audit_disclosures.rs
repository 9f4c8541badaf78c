//! Disclosures of hub and history in the audit log: sealed beside their rows, taken into the log once, whoever is away or killed.

mod audit_rig;
mod flow_rig;

use std::collections::BTreeMap;

use audit::{Actor, Commitment, Entry, EntryKind, Hash, Opening, Salt, Service, Subject};
use audit_rig::{Auditor, log_size};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bus::Record;
use chrono::Utc;
use flow_rig::{Caller, DEADLINE, Rig, card};
use jointuse::Kind;
use serde_json::{Value, json};
use testkit::{
    clients::{Client, Request, run},
    stack::{Name, Stack},
    wait::until,
};

const TOPIC: &str = "jointuse.audit";

/// A seal of a ledger, with what its leaf commits to.
struct Seal {
    leaf: String,
    payload: Value,
}

#[tokio::test(flavor = "multi_thread")]
async fn disclosures_are_in_the_log() {
    let builder = Stack::builder().env(Name::Hub, "HUB__AUDIT__INTERVAL_SECONDS", "0.3").env(
        Name::History,
        "HISTORY__AUDIT__INTERVAL_SECONDS",
        "0.3",
    );
    let mut rig = Rig::start(builder).await;
    let auditor = Auditor::sign_in(&rig.stack).await;
    let publisher = rig.publisher(&rig.member.publication).await;
    let reader = rig.caller(Name::History, &rig.member.subscription).await;
    publish(&publisher, 0..20).await;
    read_through_the_hub(&rig, "first", 20).await;
    read_a_history(&reader).await;
    all_is_in_the_log(&rig).await;
    the_hubs_rows_are_what_was_sealed(&rig).await;
    histories_are_digests(&rig, &reader).await;
    the_authority_may_be_away(&mut rig, &publisher, &reader).await;
    what_is_produced_twice_is_there_once(&rig).await;
    what_is_no_leaf_of_a_ledger_is_left_out(&rig).await;
    services_are_killed(&mut rig, &publisher, &reader).await;
    auditor.covered(&rig.stack).await;
    let exported = auditor.export(&rig.stack, "disclosures");
    let (code, report) = auditor.verify(&exported, &[]);
    assert_eq!((code, &report["findings"]), (0, &json!([])), "{report}");
    ledgers_are_checked_from_files(&rig, &auditor).await;
    let entries = exported.entries();
    let closed = entries.iter().filter(|entry| entry.leaf.as_deref().unwrap().contains("\ndisclosure\n")).count();
    assert_eq!(report["closed"], closed, "what a ledger's leaf commits to stays with the ledger: {report}");
}

async fn publish(publisher: &Caller, numbers: std::ops::Range<u32>) {
    let rows: Vec<Value> = numbers.map(|number| card(&format!("c-{number}"), "部長")).collect();
    let answer = publisher.records(Kind::Contact, &rows).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// A stock client of a group of its own reads that many records from the beginning.
async fn read_through_the_hub(rig: &Rig, group: &str, records: usize) {
    let grant = &rig.member.subscription;
    let group = format!("ju.{}.{group}", grant.id);
    let topics = ["jointuse.contact"];
    let request = Request::consume(&rig.stack.hub_bootstrap(), grant.login.as_str(), &grant.secret, &group, &topics)
        .with("from", "earliest")
        .with("max", records);
    let outcome = run(Client::Confluent, &request, DEADLINE).await.unwrap();
    assert_eq!(outcome.records().len(), records);
}

async fn read_a_history(reader: &Caller) {
    until("a history", DEADLINE, async || {
        let answer = reader.post("/v1/persons/search", &json!({ "email": "c-7@mihon.example" })).await.ok()?;
        (answer.status == 200 && !answer.body["persons"].as_array()?.is_empty()).then_some(())
    })
    .await
    .unwrap();
}

async fn seals(rig: &Rig, name: Name) -> Vec<Seal> {
    let sql = "SELECT coalesce(json_agg(json_build_object('leaf', leaf, 'salt', encode(salt, 'base64'), \
               'payload', convert_from(payload, 'UTF8')) ORDER BY id), '[]') FROM disclosure_seal";
    let rows: Vec<Value> = serde_json::from_str(&rig.sql(name, sql).await).unwrap();
    let seal = |(number, row): (i64, Value)| {
        let (leaf, payload) = (row["leaf"].as_str().unwrap(), row["payload"].as_str().unwrap());
        let salt = STANDARD.decode(row["salt"].as_str().unwrap().replace('\n', "")).unwrap();
        let opening = Opening::new(Salt::new(salt.try_into().unwrap()), payload.as_bytes().to_vec());
        let entry = Entry::read(leaf).unwrap();
        assert!(opening.opens(entry.commitment()));
        assert_eq!(
            (entry.kind(), entry.actor().to_string()),
            (EntryKind::Disclosure, format!("service {}", name.as_str()))
        );
        let payload: Value = serde_json::from_str(payload).unwrap();
        assert_eq!((&payload["seal"], &payload["service"]), (&json!(number), &json!(name.as_str())), "without gaps");
        Seal { leaf: leaf.to_owned(), payload }
    };
    (1..).zip(rows).map(seal).collect()
}

/// How often each leaf of a ledger is in the log.
async fn logged(rig: &Rig) -> BTreeMap<String, usize> {
    let sql = "SELECT coalesce(json_agg(leaf), '[]') FROM audit_leaf WHERE leaf LIKE E'%\\ndisclosure\\n%'";
    let leaves: Vec<String> = serde_json::from_str(&rig.sql(Name::Authority, sql).await).unwrap();
    leaves.into_iter().fold(BTreeMap::new(), |mut counts, leaf| {
        *counts.entry(leaf).or_default() += 1;
        counts
    })
}

/// Waits until every row of both ledgers is sealed as it stands and every seal is in the log; each must be there once, and no
/// other.
async fn all_is_in_the_log(rig: &Rig) {
    for name in [Name::Hub, Name::History] {
        let sealed = async || {
            let due = rig.sql(name, "SELECT count(*) FROM disclosure WHERE seal IS NULL").await;
            let left = rig.sql(name, "SELECT count(*) FROM disclosure_seal WHERE produced_at IS NULL").await;
            let some = rig.sql(name, "SELECT count(*) FROM disclosure").await;
            (due.trim() == "0" && left.trim() == "0" && some.trim() != "0").then_some(())
        };
        until(format!("all disclosures of {name:?} to be sealed"), DEADLINE, sealed).await.unwrap();
    }
    let sealed: Vec<String> =
        seals(rig, Name::Hub).await.into_iter().chain(seals(rig, Name::History).await).map(|seal| seal.leaf).collect();
    let there = until("all seals in the log", DEADLINE, async || {
        let logged = logged(rig).await;
        sealed.iter().all(|leaf| logged.contains_key(leaf)).then_some(logged)
    })
    .await
    .unwrap();
    assert!(there.values().all(|count| *count == 1), "exactly once");
    assert_eq!(there.len(), sealed.len(), "and nothing else");
}

/// Every row as it stands is the newest of its versions in the seals.
async fn the_hubs_rows_are_what_was_sealed(rig: &Rig) {
    let mut versions: BTreeMap<String, Value> = BTreeMap::new();
    for seal in seals(rig, Name::Hub).await {
        for row in seal.payload["rows"].as_array().unwrap() {
            versions.insert(row["id"].as_str().unwrap().to_owned(), row.clone());
        }
    }
    let sql = "SELECT json_agg(to_jsonb(disclosure) - 'seal') FROM disclosure";
    let rows: Vec<Value> = serde_json::from_str(&rig.sql(Name::Hub, sql).await).unwrap();
    assert_eq!(versions.len(), rows.len());
    for row in rows {
        let sealed = &versions[row["id"].as_str().unwrap()];
        for column in ["login", "purpose", "decision", "topic", "partition", "first_offset", "last_offset", "delivered"]
        {
            assert_eq!(sealed[column], row[column], "{column}");
        }
    }
    // What was sealed stays.
    let change = "UPDATE disclosure_seal SET payload = '{}'";
    assert!(rig.stack.postgres.sql("hub", change).await.unwrap_err().to_string().contains("never changed"));
}

/// The seals name nobody; whoever has a row can show that it was sealed; a row that is erased takes nothing else along.
async fn histories_are_digests(rig: &Rig, reader: &Caller) {
    read_a_history(reader).await;
    all_is_in_the_log(rig).await;
    let check = async || {
        let mut digests: BTreeMap<i64, Hash> = BTreeMap::new();
        for seal in seals(rig, Name::History).await {
            for row in seal.payload["rows"].as_array().unwrap() {
                assert_eq!(row.as_object().unwrap().len(), 2, "an id and a digest, nothing of the person");
                digests.insert(row["id"].as_i64().unwrap(), row["digest"].as_str().unwrap().parse().unwrap());
            }
        }
        let sql = "SET TimeZone = 'UTC'; SELECT json_agg(json_build_object('id', id, 'salt', encode(salt, 'hex'), \
                   'row', (to_jsonb(disclosure) - 'seal' - 'salt')::text)) FROM disclosure";
        let rows: Vec<Value> = serde_json::from_str(&rig.sql(Name::History, sql).await).unwrap();
        for row in &rows {
            let salt = row["salt"].as_str().unwrap();
            let salt: Vec<u8> =
                (0..64).step_by(2).map(|at| u8::from_str_radix(&salt[at..at + 2], 16).unwrap()).collect();
            let opening = Opening::new(Salt::new(salt.try_into().unwrap()), row["row"].as_str().unwrap().into());
            assert!(opening.opens(&Commitment(digests[&row["id"].as_i64().unwrap()])));
        }
        (digests.len(), rows.len())
    };
    let (sealed, rows) = check().await;
    assert!(sealed == rows && rows >= 2, "{sealed} {rows}");
    rig.sql(Name::History, "DELETE FROM disclosure WHERE id = (SELECT min(id) FROM disclosure)").await;
    assert_eq!(check().await, (sealed, rows - 1));
}

/// As docs/how-to/audit.md says.
async fn ledgers_are_checked_from_files(rig: &Rig, auditor: &Auditor) {
    // Those that are in the log now; a client that leaves may bring one more.
    let mut known = Vec::new();
    for name in [Name::Hub, Name::History] {
        known.push((name, seals(rig, name).await.len()));
    }
    until("all of them in an export", DEADLINE, async || {
        let logged = logged(rig).await.len();
        (logged >= known.iter().map(|(_, count)| count).sum()).then_some(())
    })
    .await
    .unwrap();
    auditor.covered(&rig.stack).await;
    let entries = auditor.export(&rig.stack, "for-ledgers").entries_file().display().to_string();
    let file = rig.stack.directory().join("seals.jsonl");
    let path = file.display().to_string();
    let check = |lines: &[&str]| {
        std::fs::write(&file, lines.join("\n") + "\n").unwrap();
        let checked = auditor.hubctl(&["audit", "ledger", "--entries", &entries, "--seals", &path]);
        let report: Value =
            serde_json::from_slice(&checked.stdout).unwrap_or_else(|_| panic!("{}", audit_rig::told(&checked)));
        (checked.status.code().unwrap(), report)
    };
    for (name, count) in known {
        let sql = "SELECT json_build_object('leaf', leaf, 'opening', json_build_object( \
                   'salt', translate(encode(salt, 'base64'), E'\\n', ''), \
                   'payload', translate(encode(payload, 'base64'), E'\\n', ''))) FROM disclosure_seal ORDER BY id";
        let rows = rig.sql(name, sql).await;
        let seals: Vec<&str> = rows.lines().take(count).collect();
        let (code, report) = check(&seals);
        assert_eq!((code, &report["seals"]), (0, &json!(seals.len())), "{report}");
        let (code, report) = check(&seals[1..]);
        assert_eq!((code, &report["missing"]), (1, &json!([format!("{} 1", name.as_str())])), "{report}");
        // Another payload, as it stands and with a leaf that commits to it.
        let mut seal: Value = serde_json::from_str(seals[0]).unwrap();
        let payload = format!(r#"{{"service":"{}","seal":1,"rows":[]}}"#, name.as_str()).into_bytes();
        let other = Opening::new(Salt::new([7; 32]), payload);
        seal["opening"] = serde_json::to_value(&other).unwrap();
        let wrong = seal.to_string();
        let (code, report) = check(&[&[wrong.as_str()], &seals[1..]].concat());
        assert_eq!((code, &report["wrong"]), (1, &json!([format!("{} 1", name.as_str())])), "{report}");
        let by = if name == Name::Hub { Service::Hub } else { Service::History };
        let entry = Entry::new(EntryKind::Disclosure, Utc::now(), Actor::Service(by), Subject::Hub, other.commitment());
        seal["leaf"] = entry.unwrap().leaf().into();
        let forged = seal.to_string();
        let (code, report) = check(&[&[forged.as_str()], &seals[1..]].concat());
        assert_eq!((code, &report["unlogged"]), (1, &json!([format!("{} 1", name.as_str())])), "{report}");
    }
}

/// Delivery goes on; what it disclosed meanwhile follows.
async fn the_authority_may_be_away(rig: &mut Rig, publisher: &Caller, reader: &Caller) {
    publish(publisher, 20..30).await;
    rig.stack.service(Name::Authority).unwrap().kill9();
    let before = (seals(rig, Name::Hub).await.len(), log_size(&rig.stack).await);
    read_through_the_hub(rig, "meanwhile", 30).await;
    read_a_history(reader).await;
    let produced = async || (seals(rig, Name::Hub).await.len() > before.0).then_some(());
    until("a seal without the authority", DEADLINE, produced).await.unwrap();
    assert_eq!(log_size(&rig.stack).await, before.1);
    rig.stack.service(Name::Authority).unwrap().restart().await.unwrap();
    all_is_in_the_log(rig).await;
}

/// As a ledger does that was killed before it knew that the brokers had taken it.
async fn what_is_produced_twice_is_there_once(rig: &Rig) {
    let producer = rig.producer();
    for seal in seals(rig, Name::Hub).await {
        for _ in 0..2 {
            producer.send(Record::new(TOPIC, "hub", seal.leaf.clone())).await.unwrap();
        }
    }
    taken(rig).await;
    all_is_in_the_log(rig).await;
}

/// Waits until the authority has read the topic to its end.
async fn taken(rig: &Rig) {
    // Nothing comes after this one.
    let last = rig.producer().send(Record::new(TOPIC, "hub", "the last")).await.unwrap();
    let end = last.offset + 1;
    until("the topic to be read to its end", DEADLINE, async || {
        let next = rig.sql(Name::Authority, "SELECT next_offset FROM audit_source").await;
        (next.trim().parse::<i64>().ok()? >= end).then_some(())
    })
    .await
    .unwrap();
}

async fn what_is_no_leaf_of_a_ledger_is_left_out(rig: &Rig) {
    let leaf = |kind, by, subject| {
        let commitment = Commitment(Hash::of_leaf(b"forged"));
        Entry::new(kind, Utc::now(), Actor::Service(by), subject, commitment).unwrap().leaf()
    };
    let hub = leaf(EntryKind::Disclosure, Service::Hub, Subject::Hub);
    let records = [
        ("hub", "nonsense".to_owned()),
        ("hub", leaf(EntryKind::Grant, Service::Hub, Subject::Hub)),
        ("hub", leaf(EntryKind::Disclosure, Service::History, Subject::Hub)),
        ("authority", leaf(EntryKind::Disclosure, Service::Authority, Subject::Hub)),
        ("hub", leaf(EntryKind::Disclosure, Service::Hub, Subject::Principal)),
        ("history", hub.clone()),
        ("hub", format!("{hub}\n")),
    ];
    let before = log_size(&rig.stack).await;
    let refused = async || rig.metric(Name::Authority, "authority_audit_refused_leaves_total", "").await;
    let before_refused = refused().await;
    for (key, value) in &records {
        rig.producer().send(Record::new(TOPIC, *key, value.clone())).await.unwrap();
    }
    rig.producer().send(Record::tombstone(TOPIC, "hub")).await.unwrap();
    taken(rig).await;
    assert!((refused().await - before_refused - 9.0).abs() < f64::EPSILON, "{}", refused().await);
    assert_eq!(log_size(&rig.stack).await, before);
}

/// Each of those on the way, several times, while clients read.
async fn services_are_killed(rig: &mut Rig, publisher: &Caller, reader: &Caller) {
    for round in 0..3 {
        for victim in [Name::Authority, Name::Hub, Name::History] {
            let group = format!("round-{round}-{}", victim.as_str());
            publish(publisher, 30 + round * 3..33 + round * 3).await;
            read_through_the_hub(rig, &group, 30).await;
            read_a_history(reader).await;
            let service = rig.stack.service(victim).unwrap();
            service.kill9();
            service.restart().await.unwrap();
        }
    }
    all_is_in_the_log(rig).await;
    the_hubs_rows_are_what_was_sealed(rig).await;
}
