//! Restrictions from the operator's call to the subscribers: hub and history, contacts and persons, merges and splits, and
//! what is proved afterwards.

mod history_rig;

use std::{collections::BTreeMap, time::Duration};

use authority_api::{
    AuthorityClient,
    types::{Lifted, MadeRestrictions, NewRestrictions, Reason, Restriction},
};
use history_rig::*;
use jointuse::Kind;
use restriction::{Measure, Reach};
use serde_json::{Value, json};
use testkit::{
    clients::{Client, Request, run},
    paths,
    process::{Launch, run as launch},
    stack::{Grant, Name, Stack},
    wait::until,
};

const CONTACT: &str = "jointuse.contact";
const SERVICES: [Name; 3] = [Name::Authority, Name::Hub, Name::History];

fn new(measure: Measure, reach: Reach, card: &Card) -> NewRestrictions {
    let contacts = vec![card.id.parse().unwrap()];
    NewRestrictions { measure, reach, contacts, reason: "request 7".into() }
}

async fn restrict(rig: &Rig, measure: Measure, reach: Reach, card: &Card) -> u64 {
    let made: MadeRestrictions = rig.desk.asks.post("/v1/restrictions", &new(measure, reach, card)).await.unwrap();
    made.ids[0]
}

async fn lift(rig: &Rig, id: u64) -> Lifted {
    let because = Reason { reason: "withdrawn".into() };
    let path = format!("/v1/restrictions/{id}/lift");
    let lifted: Restriction = rig.desk.approves.post(&path, &because).await.unwrap();
    lifted.lifted.unwrap()
}

/// E-mail addresses by contact, as a stock client of the hub reads them; of a contact its newest record.
async fn through_the_hub(stack: &Stack, grant: &Grant, group: &str, until: usize) -> BTreeMap<String, Value> {
    let request = Request::new("decode", &stack.hub_bootstrap(), grant.login.as_str(), &grant.secret)
        .with("group", format!("ju.{}.{group}", grant.id))
        .with("topics", json!([CONTACT]))
        .with("registry", json!({ "url": stack.registry_url() }))
        .max(until as u64);
    let outcome = run(Client::Confluent, &request, DEADLINE).await.unwrap();
    assert!(outcome.errors().is_empty(), "{group}: {:?}", outcome.errors());
    let values = outcome.of("decoded").into_iter().map(|event| event.0["value"].clone());
    values.map(|value| (value["contact_id"].as_str().unwrap().to_owned(), value["email"].clone())).collect()
}

async fn hub_metric(stack: &Stack, name: &str) -> f64 {
    let text = stack.metrics(Name::Hub).await.unwrap();
    let line =
        text.lines().find(|line| line.starts_with(&format!("{name} ")) || line.starts_with(&format!("{name}{{")));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(f64::NAN)
}

/// Waits until the hub knows that so many contacts belong to restricted persons.
async fn persons_reach(stack: &Stack, contacts: f64) {
    until(format!("{contacts} contacts of restricted persons"), DEADLINE, async || {
        (hub_metric(stack, "hub_persons_entries").await == contacts).then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn restrictions_are_kept_by_hub_and_history() {
    let mut rig = Rig::start_services(Stack::builder(), &SERVICES).await;
    let member = rig.desk.member("persol-career").await.unwrap();
    rig.desk.member("persol-tech").await.unwrap();
    let grant = member.subscription.clone();
    let taro = card("persol-career", 1, "見本 太郎", "taro@mihon.example");
    let his = Card { direct: "+81312345678", ..card("persol-tech", 1, "見本太郎", "taro@mihon.example") };
    let hanako = card("persol-career", 2, "佐藤 花子", "hanako@mihon.example");
    let jiro = card("persol-tech", 3, "加藤 次郎", "jiro@mihon.example");
    let mut records: Vec<_> = [&taro, &his, &hanako, &jiro].map(|card| rig.card(card)).into();
    records.push(rig.record(Kind::Transaction, &hanako.id, hanako.company, &transaction(&hanako, 1, 100)));
    rig.publish(records).await;
    let reader = rig.reader(&grant).await;
    let all = through_the_hub(&rig.stack, &grant, "all", 4).await;
    assert_eq!(all.len(), 4);
    let of_hanako = reader.one(&json!({ "email": "hanako@mihon.example" })).await;
    let timeline = format!("/v1/persons/{}/timeline", of_hanako["id"].as_str().unwrap());
    assert_eq!(reader.all(&timeline, 10).await.len(), 2);

    // Use: in force when the call has returned, at hub and history, for contact and interactions.
    let id = restrict(&rig, Measure::Use, Reach::Contact, &hanako).await;
    until("history to know", DEADLINE, async || {
        let (status, page) = reader.post("/v1/persons/search", &json!({ "name": "佐藤" })).await;
        (status == 200 && page["persons"].as_array()?.is_empty()).then_some(())
    })
    .await
    .unwrap();
    assert!(reader.all(&timeline, 10).await.is_empty());
    let seen = through_the_hub(&rig.stack, &grant, "used", 3).await;
    assert!(seen.len() == 3 && !seen.contains_key(&hanako.id));

    // Four eyes to lift, and only once; entering again what stands is no second restriction.
    let path = format!("/v1/restrictions/{id}/lift");
    assert_eq!(refused(&rig.desk.asks, &path).await, 403);
    assert_eq!(refused(&rig.desk.asks, "/v1/restrictions/999/lift").await, 404);
    let again: MadeRestrictions =
        rig.desk.approves.post("/v1/restrictions", &new(Measure::Use, Reach::Contact, &hanako)).await.unwrap();
    assert_eq!((again.made, &again.ids), (0, &vec![id]));

    // Mail: the address is blank, everything else stays; also what history answers.
    restrict(&rig, Measure::Mail, Reach::Contact, &jiro).await;
    let seen = through_the_hub(&rig.stack, &grant, "mail", 3).await;
    assert_eq!(seen[&jiro.id], Value::Null);
    assert_eq!(seen[&taro.id], "taro@mihon.example");
    let person = reader.one(&json!({ "name": "加藤" })).await;
    assert!(person["contacts"][0]["content"].get("email").is_none(), "{person}");
    assert_eq!(person["contacts"][0]["content"]["name"]["full"], "加藤 次郎");

    proof(&rig, &grant, id, &hanako).await;
    let lifted = lift(&rig, id).await;
    assert!(lifted.number > id);
    assert_eq!(refused(&rig.desk.approves, &path).await, 409);
    assert_eq!(through_the_hub(&rig.stack, &grant, "lifted", 4).await.len(), 4);
    until("history to know", DEADLINE, async || (reader.all(&timeline, 10).await.len() == 2).then_some(()))
        .await
        .unwrap();
    persons(&mut rig, &grant, &reader, [taro, his]).await;
    told_again(&mut rig, &grant).await;
}

/// The status of a refused lifting.
async fn refused(operator: &AuthorityClient, path: &str) -> u16 {
    let answer = operator.post::<_, Restriction>(path, &Reason { reason: "withdrawn".into() }).await;
    answer.unwrap_err().status().unwrap().as_u16()
}

/// The proof, as an operator gets it.
async fn proof(rig: &Rig, grant: &Grant, id: u64, hanako: &Card) {
    let stack = &rig.stack;
    let hubctl = |args: &[&str]| {
        Launch::new(paths::binary("hubctl").unwrap())
            .args(args.iter().copied())
            .env("AUTHORITY_URL", stack.authority_url())
            .env("HUB_ADMIN_URL", stack.hub_admin_url())
            .env("HISTORY_URL", stack.history_url())
            .env("HUBCTL_SESSION", stack.directory().join("hubctl-session").display().to_string())
    };
    let password = stack.directory().join("secrets/operator-first").display().to_string();
    launch(&hubctl(&["sign-in", "--operator", "first", "--password-file", &password]), "").await.unwrap();
    let shown = launch(&hubctl(&["restriction", "proof", &id.to_string()]), "").await.unwrap();
    assert!(shown.contains("in force (the list is whole up to") && shown.contains(&hanako.id), "{shown}");
    let text = launch(&hubctl(&["--json", "restriction", "proof", &id.to_string()]), "").await.unwrap();
    let proof: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(proof["restriction"]["contact"], hanako.id);
    assert!(proof["hub"]["in_force"].as_u64().unwrap() >= id && proof["history"]["in_force"].as_u64().unwrap() >= id);
    // Every partition was read whole before, so the watermark is one past its end, and what was read since came again.
    let marks = proof["hub"]["watermarks"].as_array().unwrap();
    let ends = rig.stack.postgres.sql("hub", "SELECT partition, max(last_offset) + 1 FROM disclosure GROUP BY 1").await;
    for line in ends.unwrap().trim().lines() {
        let (partition, end) = line.split_once('|').unwrap();
        let mark = marks.iter().find(|mark| mark["partition"] == partition.parse::<i64>().unwrap()).unwrap();
        assert_eq!((&mark["subscription"], &mark["topic"]), (&json!(grant.id), &json!(CONTACT)));
        assert_eq!(mark["from_offset"].to_string(), end);
        assert!(mark["last_without"].is_string());
    }
    assert!(marks.iter().map(|mark| mark["delivered"].as_i64().unwrap()).sum::<i64>() >= 6, "{marks:?}");
    // History answered with her before, and never since.
    let answers = proof["history"]["answers"].as_array().unwrap();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert!(answers[0]["without"].as_i64().unwrap() >= 2 && answers[0]["with"] == 0, "{answers:?}");
    // The pass is for proofs, and an operator's session or a subscriber's token is no pass.
    let token = rig.stack.access_token(grant, "history").await.unwrap();
    for base in [stack.hub_admin_url(), stack.history_url()] {
        let url = format!("{base}/v1/restrictions/proof");
        for token in ["", "junk", &token] {
            assert_eq!(answer(rig.http.get(&url).bearer_auth(token)).await.0, 401, "{url}");
        }
    }
}

/// A restriction of a person reaches all of its contacts, whoever shares them, through merge and split.
async fn persons(rig: &mut Rig, grant: &Grant, reader: &Reader, [taro, his]: [Card; 2]) {
    let id = restrict(rig, Measure::Provision, Reach::Person, &taro).await;
    persons_reach(&rig.stack, 2.0).await;
    let seen = through_the_hub(&rig.stack, grant, "person", 2).await;
    assert!(!seen.contains_key(&taro.id) && !seen.contains_key(&his.id), "{seen:?}");
    let search = json!({ "name": "見本" });
    until("history to know", DEADLINE, async || {
        let (status, page) = reader.post("/v1/persons/search", &search).await;
        (status == 200 && page["persons"].as_array()?.is_empty()).then_some(())
    })
    .await
    .unwrap();

    // A third contact, which turns out to be his: merged, it is restricted as well.
    let third = Card { direct: "+81312345678", ..card("persol-career", 4, "見本　太郎", "") };
    rig.publish(vec![rig.card(&third)]).await;
    persons_reach(&rig.stack, 3.0).await;
    // One turns out to be somebody else's: split, it comes back, and the others stay.
    let split = Card { direct: "", email: "else@mihon.example", recorded: 50, ..his.clone() };
    rig.publish(vec![rig.card(&split)]).await;
    // The third was linked by the number of the one that left.
    persons_reach(&rig.stack, 1.0).await;
    let seen = through_the_hub(&rig.stack, grant, "split", 5).await;
    assert_eq!(seen[&his.id], "else@mihon.example");
    assert!(!seen.contains_key(&taro.id), "{seen:?}");
    let (status, page) = reader.post("/v1/persons/search", &search).await;
    assert_eq!(status, 200);
    assert!(!page.to_string().contains(&taro.id) && page.to_string().contains(&his.id), "{page}");

    lift(rig, id).await;
    persons_reach(&rig.stack, 0.0).await;
}

/// A topic that was made anew is told again by the authority; until then nothing leaves.
async fn told_again(rig: &mut Rig, grant: &Grant) {
    let card = card("persol-career", 1, "見本 太郎", "taro@mihon.example");
    restrict(rig, Measure::Use, Reach::Contact, &card).await;
    let before = through_the_hub(&rig.stack, grant, "kept", 5).await;
    assert!(!before.contains_key(&card.id));
    for name in [Name::Hub, Name::Authority] {
        rig.stack.service(name).unwrap().stop().await.unwrap();
    }
    let admin = testkit_admin(&rig.stack);
    admin.delete_topic("jointuse.restrictions").await.unwrap();
    rig.stack.service(Name::Authority).unwrap().restart().await.unwrap();
    rig.stack.service(Name::Hub).unwrap().restart().await.unwrap();
    assert_eq!(through_the_hub(&rig.stack, grant, "again", 5).await, before);
}

fn testkit_admin(stack: &Stack) -> bus::admin::Controller {
    let password = stack.directory().join("admin-password");
    testkit::dir::write_secret(&password, stack.kafka.password(testkit::kafka::ADMIN)).unwrap();
    let kafka = bus::KafkaConfig {
        bootstrap: stack.broker_bootstrap(),
        login: testkit::kafka::ADMIN.into(),
        password_file: secret::SecretFile::new(password),
        security: bus::Security::default(),
        trust_file: None,
    };
    bus::admin::Controller::new(&kafka, "tests", Duration::from_secs(30)).unwrap()
}
