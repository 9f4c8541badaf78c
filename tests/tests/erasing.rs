//! Erasure from end to end: asked for, carried on over `kill -9` at every step and of every part, never half served, and not taken
//! back by a restore.

mod erasing_rig;
mod flow_rig;

use std::{path::PathBuf, time::Duration};

use authority_api::{
    Certificate, PublicKey, SignedCertificate,
    erasure::{Erasure, ErasureReason, ErasureStep, NewErasure},
};
use bus::Record;
use erasing_rig::{Watch, never_half_served};
use flow_rig::{Caller, DEADLINE, Rig, card, quick_to_erase, transaction};
use jointuse::Kind;
use serde_json::{Value, json};
use testkit::{
    clients::{self, Client, Outcome, Request},
    kafka::ADMIN,
    process::{Launch, run},
    stack::Name,
    wait::until,
};

const CONTACT: &str = "jointuse.contact";
const TRANSACTION: &str = "jointuse.transaction";
const LONG: Duration = Duration::from_secs(90);

/// Publishes rows that must all be accepted; their ids.
async fn accepted(caller: &Caller, kind: Kind, rows: &[Value]) -> Vec<String> {
    let answer = caller.records(kind, rows).await.unwrap();
    let rows = answer.body["rows"].as_array().unwrap_or_else(|| panic!("{answer:?}")).clone();
    let id = |row: &Value| {
        assert_eq!(row["outcome"], "accepted", "{row}");
        row["id"].as_str().unwrap().to_owned()
    };
    rows.iter().map(id).collect()
}

/// What a stock client gets through the hub that has never read before: (topic, key, whether there is a value).
async fn through_the_hub(rig: &Rig, group: &str) -> Vec<(String, String, bool)> {
    let grant = &rig.member.subscription;
    let group = format!("ju.{}.{group}", grant.id);
    let topics = [CONTACT, TRANSACTION];
    let request = Request::consume(&rig.stack.hub_bootstrap(), grant.login.as_str(), &grant.secret, &group, &topics);
    let outcome = clients::run(Client::Confluent, &request.idle(Duration::from_secs(5)), LONG).await.unwrap();
    assert!(outcome.success, "{:?}", outcome.errors());
    let mut got: Vec<_> = outcome
        .records()
        .into_iter()
        .map(|record| (record.topic, text(&record.key.unwrap_or_default()), record.value.is_some()))
        .collect();
    got.sort();
    got
}

/// What lies on the broker, as it lies there.
async fn on_the_broker(rig: &Rig) -> Outcome {
    let (broker, password) = (rig.stack.broker_bootstrap(), rig.stack.kafka.password(ADMIN));
    let topics = [CONTACT, TRANSACTION];
    let request = Request::consume(&broker, ADMIN, password, "erasure-test", &topics).idle(Duration::from_secs(4));
    clients::run(Client::Confluent, &request, LONG).await.unwrap()
}

fn text(hex: &str) -> String {
    String::from_utf8(bytes(hex)).unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// How many persons history finds by name.
async fn found(history: &Caller, reference: &str) -> usize {
    let answer = history.post("/v1/persons/search", &json!({ "name": format!("見本 {reference}") })).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["persons"].as_array().unwrap().len()
}

async fn until_found(history: &Caller, reference: &str) {
    until("history to have it", DEADLINE, async || {
        let body = json!({ "name": format!("見本 {reference}") });
        let answer = history.post("/v1/persons/search", &body).await.ok()?;
        (answer.body["persons"].as_array()?.len() == 1).then_some(())
    })
    .await
    .unwrap();
}

async fn ask(rig: &Rig, contact: &str) -> Erasure {
    let contacts = [contact.parse().unwrap()].into();
    let new = NewErasure { contacts, person: None, reason: ErasureReason::PrincipalRequest };
    rig.desk.asks.post("/v1/erasures", &new).await.unwrap()
}

async fn finished(rig: &Rig, erasure: &Erasure) -> Erasure {
    let path = format!("/v1/erasures/{}", erasure.id);
    until("the erasure to be finished", LONG, async || {
        let now: Erasure = rig.desk.asks.get(&path).await.ok()?;
        now.next.is_none().then_some(now)
    })
    .await
    .unwrap()
}

/// The certificate of an erasure, which must be the authority's own.
async fn certificate(rig: &Rig, erasure: &Erasure) -> Certificate {
    let path = format!("/v1/erasures/{}/certificate", erasure.id);
    let signed: SignedCertificate = rig.desk.asks.get(&path).await.unwrap();
    let key = PublicKey::read(&rig.stack.directory().join("keys/policy.pub.pem")).unwrap();
    signed.open(&[key]).unwrap()
}

/// Nothing of a contact is anywhere but its ciphertext.
async fn nothing_left(rig: &Rig, contact: &str) {
    for (table, rows) in [("wrapped", "0"), ("fence", "1")] {
        assert_eq!(in_the_key_store(rig, table, contact).await, rows, "{table}");
    }
    let history = format!(
        "SELECT (SELECT count(*) FROM contact WHERE id = '{contact}') \
         + (SELECT count(*) FROM interaction WHERE contact_id = '{contact}')"
    );
    assert_eq!(rig.sql(Name::History, &history).await.trim(), "0");
    let intake = format!("SELECT count(*) FROM published WHERE record_id = '{contact}' OR contact = '{contact}'");
    assert_eq!(rig.sql(Name::Intake, &intake).await.trim(), "0");
}

/// How many rows of a contact a table of the key store has.
async fn in_the_key_store(rig: &Rig, table: &str, contact: &str) -> String {
    let sql = format!("SELECT count(*) FROM keys.{table} WHERE contact = '\\x{contact}'");
    rig.stack.postgres.sql("keys", &sql).await.unwrap().trim().to_owned()
}

fn value(topic: &str, key: &str) -> (String, String, bool) {
    (topic.to_owned(), key.to_owned(), true)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_contact_is_gone_everywhere_and_does_not_come_back() {
    let rig = Rig::start(quick_to_erase()).await;
    let publisher = rig.publisher(&rig.member.publication).await;
    let history = rig.caller(Name::History, &rig.member.subscription).await;
    let cards = [card("erased", "部長"), card("other", "課長")];
    let ids = accepted(&publisher, Kind::Contact, &cards).await;
    let (erased, other) = (ids[0].clone(), ids[1].clone());
    let deals = [transaction(1, "erased"), transaction(2, "erased"), transaction(3, "other")];
    accepted(&publisher, Kind::Transaction, &deals).await;
    until_found(&history, "erased").await;
    until_found(&history, "other").await;
    let mut all = vec![value(CONTACT, &erased), value(CONTACT, &other), value(TRANSACTION, &other)];
    all.extend(vec![value(TRANSACTION, &erased); 2]);
    all.sort();
    assert_eq!(through_the_hub(&rig, "before").await, all);
    let before = on_the_broker(&rig).await;
    assert_eq!(
        rig.sql(Name::Intake, &format!("SELECT count(*) FROM published WHERE contact = '{erased}'")).await.trim(),
        "2"
    );

    // By the command line, as a privacy officer would.
    let authority = rig.stack.authority_url();
    let hubctl = |args: &[&str]| {
        let session = rig.stack.directory().join("session.json").display().to_string();
        let binary: PathBuf = testkit::paths::binary("hubctl").unwrap();
        Launch::new(binary)
            .args(["--authority", &authority, "--session-file", &session])
            .args(args.iter().map(ToString::to_string))
    };
    let password = rig.stack.directory().join("secrets/operator-first").display().to_string();
    run(&hubctl(&["sign-in", "--operator", "first", "--password-file", &password]), "").await.unwrap();
    let asked = ["--json", "erase", "--contact", &erased, "--reason", "principal-request", "--wait"];
    let said = run(&hubctl(&asked), "").await.unwrap();
    let erasure: Erasure = serde_json::from_str(&said).unwrap();
    assert_eq!(erasure.steps.iter().map(|taken| taken.step).collect::<Vec<_>>(), ErasureStep::ALL);
    assert!(erasure.steps.is_sorted_by_key(|taken| taken.at));

    nothing_left(&rig, &erased).await;
    let mut left =
        vec![value(CONTACT, &other), value(TRANSACTION, &other), (CONTACT.to_owned(), erased.clone(), false)];
    left.sort();
    assert_eq!(through_the_hub(&rig, "after").await, left);
    assert_eq!((found(&history, "erased").await, found(&history, "other").await), (0, 1));

    let certificate = certificate(&rig, &erasure).await;
    assert_eq!(certificate.erasure, erasure.id);
    assert_eq!(certificate.asked, erasure.asked);
    let services: Vec<&str> = certificate.verified.forgotten.iter().map(|by| by.service.as_str()).collect();
    assert_eq!((services, certificate.verified.keys), (vec!["history", "hub", "intake"], 0));
    assert_eq!(certificate.verified.tombstones.len(), 1);
    let trusted = rig.stack.directory().join("keys/policy.pub.pem").display().to_string();
    let id = erasure.id.to_string();
    let printed = run(&hubctl(&["erasure", "certificate", &id, "--trusted", &trusted]), "").await.unwrap();
    assert_eq!(serde_json::from_str::<Certificate>(&printed).unwrap(), certificate);

    // The same card again, and something new about the person: refused, with the reason.
    for (kind, row) in [(Kind::Contact, card("erased", "社長")), (Kind::Transaction, transaction(9, "erased"))] {
        let answer = publisher.records(kind, &[row]).await.unwrap();
        let row = &answer.body["rows"][0];
        assert_eq!((&row["outcome"], &row["errors"][0]["rule"]), (&json!("refused"), &json!("erased")), "{row}");
    }
    // The records as they lay on the broker, put there once more by somebody who may.
    let producer = rig.producer();
    let mut replayed = 0;
    for record in before.records() {
        if text(record.key.as_deref().unwrap()) != erased {
            continue;
        }
        let key = bytes(record.key.as_deref().unwrap());
        let mut again = Record::new(record.topic.as_str(), key, bytes(record.value.as_deref().unwrap()));
        again.partition = Some(record.partition);
        for (name, value) in &record.headers {
            again = again.header(name.clone(), bytes(value.as_deref().unwrap_or_default()));
        }
        producer.send(again).await.unwrap();
        replayed += 1;
    }
    assert_eq!(replayed, 3);
    // What comes after it has arrived, so it was passed over.
    accepted(&publisher, Kind::Contact, &[card("later", "課長")]).await;
    until_found(&history, "later").await;
    let after = through_the_hub(&rig, "replayed").await;
    assert!(after.iter().all(|(_, key, value)| *key != erased || !value), "{after:?}");
    assert_eq!(found(&history, "erased").await, 0);
    nothing_left(&rig, &erased).await;
}

/// Lets every erasure stop when this step is done, and before it is noted.
async fn stop_at(rig: &Rig, step: ErasureStep) {
    let refuse = format!(
        "CREATE FUNCTION stop_here() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN IF NEW.step = '{0}' THEN RAISE EXCEPTION 'power cut'; END IF; RETURN NEW; END $$; \
         CREATE TRIGGER stop_here BEFORE INSERT ON erasure_step FOR EACH ROW EXECUTE FUNCTION stop_here()",
        step.as_str()
    );
    rig.sql(Name::Authority, &refuse).await;
}

async fn go_on(rig: &Rig) {
    rig.sql(Name::Authority, "DROP TRIGGER stop_here ON erasure_step; DROP FUNCTION stop_here").await;
}

async fn until_stopped(rig: &mut Rig, erasure: &Erasure, step: ErasureStep) {
    let log = rig.stack.service(Name::Authority).unwrap().log().to_owned();
    let (id, said) = (erasure.id.to_string(), format!("step=\"{}\"", step.as_str()));
    until("the step to be done and not noted", LONG, async || {
        let log = std::fs::read_to_string(&log).ok()?;
        let waits = |line: &str| line.contains("an erasure waits") && line.contains(&id) && line.contains(&said);
        log.lines().any(waits).then_some(())
    })
    .await
    .unwrap();
}

/// The worst moment of each step: it is done, and not noted. The authority is killed then, and starts anew; and then each of
/// the others, while the contact is asked for all the time.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_step_is_gone_on_from() {
    let mut rig = Rig::start(quick_to_erase()).await;
    let publisher = rig.publisher(&rig.member.publication).await;
    let history = rig.caller(Name::History, &rig.member.subscription).await;
    let steps = ErasureStep::ALL.iter().map(|step| format!("step-{}", step.as_str()));
    let others =
        KILLED.iter().map(|(part, step)| format!("{}-{}", part.map_or("postgres", Name::as_str), step.as_str()));
    let names: Vec<String> = steps.chain(others).chain(["bystander".to_owned()]).collect();
    let cards: Vec<Value> = names.iter().map(|name| card(name, "部長")).collect();
    let ids = accepted(&publisher, Kind::Contact, &cards).await;
    for name in &names {
        until_found(&history, name).await;
    }
    for ((step, contact), name) in ErasureStep::ALL.into_iter().zip(&ids).zip(&names) {
        stop_at(&rig, step).await;
        let erasure = ask(&rig, contact).await;
        until_stopped(&mut rig, &erasure, step).await;
        rig.stack.service(Name::Authority).unwrap().kill9();
        let noted = format!("SELECT count(*) FROM erasure_step WHERE erasure = '{}'", erasure.id);
        let noted = rig.sql(Name::Authority, &noted).await;
        let before = ErasureStep::ALL.iter().position(|other| *other == step).unwrap();
        assert_eq!(noted.trim(), before.to_string(), "{step:?}");
        go_on(&rig).await;
        // From the fence on nothing of it is served, whether or not the authority is there.
        if step >= ErasureStep::Fenced {
            until("history to have forgotten", DEADLINE, async || (found(&history, name).await == 0).then_some(()))
                .await
                .unwrap();
            let got = through_the_hub(&rig, step.as_str()).await;
            assert!(got.iter().all(|(_, key, value)| key != contact || !value), "{step:?}: {got:?}");
        }
        rig.stack.service(Name::Authority).unwrap().restart().await.unwrap();
        let done = finished(&rig, &erasure).await;
        assert_eq!(done.steps.len(), ErasureStep::ALL.len());
        nothing_left(&rig, contact).await;
        assert_eq!(certificate(&rig, &erasure).await.verified.keys, 0);
        println!("killed at {}: finished", step.as_str());
    }
    let rest = ErasureStep::ALL.len();
    let bystander = ids.last().unwrap();
    for ((kill, contact), name) in KILLED.into_iter().zip(&ids[rest..]).zip(&names[rest..]) {
        killed_while_watched(&mut rig, kill, contact, name, bystander).await;
    }
}

/// Who is killed beside the authority (none is PostgreSQL), and when: with the fence in the databases only; with opened keys in
/// memory and none to be had; before it hears of the fence, so that it has not given its word yet.
const KILLED: [(Option<Name>, ErasureStep); 5] = [
    (None, ErasureStep::Fenced),
    (Some(Name::Hub), ErasureStep::Destroyed),
    (Some(Name::Hub), ErasureStep::Recorded),
    (Some(Name::Intake), ErasureStep::Recorded),
    (Some(Name::History), ErasureStep::Recorded),
];

async fn killed_while_watched(
    rig: &mut Rig,
    (part, step): (Option<Name>, ErasureStep),
    contact: &str,
    name: &str,
    bystander: &str,
) {
    let watches = [Watch::history(rig, name).await, Watch::door(rig, contact, bystander)];
    for watch in &watches {
        watch.until("it to be served", |seen| seen.got).await;
    }
    stop_at(rig, step).await;
    let erasure = ask(rig, contact).await;
    until_stopped(rig, &erasure, step).await;
    match part {
        None => {
            rig.stack.postgres.kill9();
            rig.stack.postgres.restart().await.unwrap();
            for service in rig.stack.services() {
                service.until_ready(LONG).await.unwrap();
            }
            go_on(rig).await;
        }
        Some(name) => {
            rig.stack.service(name).unwrap().kill9();
            go_on(rig).await;
            // Each has to say that nothing is left with it, or that its door opens nothing: if it has heard of the fence, it may have.
            let waits = |next: Option<ErasureStep>| {
                next == Some(ErasureStep::Forgotten) || (next.is_none() && step > ErasureStep::Recorded)
            };
            let path = format!("/v1/erasures/{}", erasure.id);
            until("the erasure to go as far as it can", LONG, async || {
                let now: Erasure = rig.desk.asks.get(&path).await.ok()?;
                waits(now.next).then_some(())
            })
            .await
            .unwrap();
            rig.stack.service(name).unwrap().restart().await.unwrap();
        }
    }
    let done = finished(rig, &erasure).await;
    nothing_left(rig, contact).await;
    assert_eq!(certificate(rig, &erasure).await.verified.keys, 0);
    let heard = done.steps.iter().find(|taken| taken.step == ErasureStep::Heard).unwrap().at;
    for watch in watches {
        watch.until("it to be asked again", |seen| seen.asked > heard).await;
        never_half_served(&watch.stop().await, heard);
    }
    println!("killed {part:?} after {}: finished", step.as_str());
}

/// A backup from before an erasure is put back: nobody is served before the fences stand again, and the data stay
/// unreadable.
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_brings_nobody_back() {
    let mut rig = Rig::start(quick_to_erase()).await;
    let publisher = rig.publisher(&rig.member.publication).await;
    let history = rig.caller(Name::History, &rig.member.subscription).await;
    let ids = accepted(&publisher, Kind::Contact, &[card("erased", "部長"), card("other", "課長")]).await;
    let (erased, other) = (&ids[0], &ids[1]);
    until_found(&history, "erased").await;
    until_found(&history, "other").await;
    let backup = rig.stack.directory().join("backup.tar.age");
    local_stack::backup::write(rig.stack.directory(), &backup).await.unwrap();
    let erasure = ask(&rig, erased).await;
    finished(&rig, &erasure).await;
    nothing_left(&rig, erased).await;
    // So that there are snapshots of which the backup knows nothing.
    rig.desk.member("later").await.unwrap();

    for service in rig.stack.services() {
        service.stop().await.unwrap();
    }
    rig.stack.postgres.stop().await.unwrap();
    local_stack::backup::put_back(rig.stack.directory(), &backup).await.unwrap();
    rig.stack.postgres.restart().await.unwrap();
    assert_eq!(in_the_key_store(&rig, "wrapped", erased).await, "1", "the restore brought the key back");
    assert_eq!(
        rig.sql(Name::History, &format!("SELECT count(*) FROM contact WHERE id = '{erased}'")).await.trim(),
        "1"
    );

    // All start, but the ledger is not there: nobody serves, and the authority says why.
    let ledger = rig.stack.directory().join("authority/state/erasures.jsonl");
    let aside = ledger.with_extension("aside");
    std::fs::rename(&ledger, &aside).unwrap();
    for service in rig.stack.services() {
        service.start_again().unwrap();
    }
    let ready = format!("{}/health/ready", rig.stack.authority_url());
    until("the authority to refuse", DEADLINE, async || {
        let answer = reqwest::get(&ready).await.ok()?;
        (answer.status() == 503 && answer.text().await.ok()?.contains("ledger of erasures")).then_some(())
    })
    .await
    .unwrap();
    for name in [Name::Hub, Name::Intake, Name::History] {
        let log = rig.stack.service(name).unwrap().log().to_owned();
        until("the service to say why it waits", DEADLINE, async || {
            std::fs::read_to_string(&log).ok()?.contains("the key store was restored").then_some(())
        })
        .await
        .unwrap();
        let ready = format!("{}/health/ready", rig.stack.admin_url(name));
        until("its readiness to say what to do", DEADLINE, async || {
            let answer = reqwest::get(&ready).await.ok()?;
            (answer.status() == 503 && answer.text().await.ok()?.contains("start the authority")).then_some(())
        })
        .await
        .unwrap();
    }
    let answer = history.post("/v1/persons/search", &json!({ "name": "見本 erased" })).await.unwrap();
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(in_the_key_store(&rig, "fence", erased).await, "0");

    std::fs::rename(&aside, &ledger).unwrap();
    // All serve; the audit log of the backup is shorter than what was signed, which the authority does not pass over.
    until("the authority to miss entries of its log only", DEADLINE, async || {
        let answer: Value = reqwest::get(&ready).await.ok()?.json().await.ok()?;
        let reasons = answer["reasons"].as_object()?;
        (reasons.len() == 1 && reasons["audit"].as_str()?.contains("restored from a backup")).then_some(())
    })
    .await
    .unwrap();
    for name in [Name::Hub, Name::Intake, Name::History] {
        rig.stack.service(name).unwrap().until_ready(DEADLINE).await.unwrap();
    }
    let done = finished(&rig, &erasure).await;
    assert_eq!(done.asked, erasure.asked, "taken up from the ledger");
    nothing_left(&rig, erased).await;
    assert_eq!(certificate(&rig, &erasure).await.erasure, erasure.id);
    let history = rig.caller(Name::History, &rig.member.subscription).await;
    until("history to serve", DEADLINE, async || {
        let answer = history.post("/v1/persons/search", &json!({ "name": "見本 other" })).await.ok()?;
        (answer.status == 200).then_some(())
    })
    .await
    .unwrap();
    assert_eq!((found(&history, "erased").await, found(&history, "other").await), (0, 1));
    let got = through_the_hub(&rig, "restored").await;
    assert!(got.iter().all(|(_, key, value)| key != erased || !value), "{got:?}");
    assert!(got.contains(&value(CONTACT, other)), "{got:?}");
    let publisher = rig.publisher(&rig.member.publication).await;
    let answer = publisher.records(Kind::Contact, &[card("erased", "部長")]).await.unwrap();
    assert_eq!(answer.body["rows"][0]["errors"][0]["rule"], "erased", "{answer:?}");
}
