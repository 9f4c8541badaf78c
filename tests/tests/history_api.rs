//! Unified histories over REST: who is one person, what a subscription sees of it, and what is recorded of each answer.

mod history_rig;

use std::collections::{BTreeMap, BTreeSet};

use bus::Record;
use history_rig::*;
use jointuse::Kind;
use serde_json::{Value, json};

fn shared_by(person: &Value) -> BTreeSet<String> {
    let contacts = person["contacts"].as_array().unwrap();
    contacts.iter().map(|contact| contact["shared_by"].as_str().unwrap().to_owned()).collect()
}

/// The ids of the rules of a refusal.
fn rules(problem: &Value) -> Vec<&str> {
    problem["rules"].as_array().unwrap().iter().map(|rule| rule["id"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_companies_know_one_person() {
    let mut rig = Rig::start().await;
    let member = rig.desk.member("persol-career").await.unwrap();
    rig.desk.member("persol-tech").await.unwrap();
    let career = card("persol-career", 1, "見本 太郎", "taro@mihon.example");
    let tech = Card {
        organisation: "見本商事㈱",
        direct: "+81312345678",
        ..card("persol-tech", 1, "見本太郎", "Taro@mihon.example")
    };
    let late = Card { direct: "+81312345678", ..card("persol-career", 2, "見本　太郎", "") };
    // Never one person: a role mailbox, a switchboard, two names in one mailbox, another organisation.
    let role = |n| card("persol-tech", n, "佐藤 花子", "info@mihon.example");
    let switchboard = |n| Card { telephone: "+81300000000", ..card("persol-tech", n, "鈴木 一郎", "") };
    let couple = |n, name| card("persol-tech", n, name, "kato@mihon.example");
    let elsewhere = Card { organisation: "別社", ..card("persol-tech", 20, "見本太郎", "taro@mihon.example") };
    let mut records: Vec<Record> = [&career, &tech, &elsewhere].map(|card| rig.card(card)).into();
    for card in [role(10), role(11), switchboard(12), switchboard(13), couple(14, "加藤 次郎"), couple(15, "加藤 良子")]
    {
        records.push(rig.card(&card));
    }
    // Interactions may come before the contact that they are about.
    records.insert(0, rig.record(Kind::Meeting, &late.id, late.company, &meeting(&late, 1, 100, 0)));
    records.insert(0, rig.record(Kind::Transaction, &tech.id, tech.company, &transaction(&tech, 1, 200)));
    rig.publish(records).await;
    rig.publish(vec![rig.card(&late)]).await;
    let reader = rig.reader(&member.subscription).await;

    let person = reader.one(&json!({ "email": "TARO@mihon.example", "organisation": "見本商事" })).await;
    assert_eq!(person["contacts"].as_array().unwrap().len(), 3, "{person}");
    assert_eq!(shared_by(&person), ["persol-career", "persol-tech"].map(String::from).into());
    assert_eq!(person["contacts"][0]["acquisition"]["method"], "BUSINESS_CARD");
    assert_eq!(person["contacts"][0]["acquisition"]["source"], "eight-csv");
    assert_eq!(person["contacts"][0]["acquisition"]["acquired_on"], "2026-04-01");
    for (search, persons) in [
        (json!({ "email": "info@mihon.example" }), 2),
        (json!({ "name": "鈴木" }), 2),
        (json!({ "email": "kato@mihon.example" }), 2),
        (json!({ "name": "見本太" }), 2),
        (json!({ "name": "nobody" }), 0),
    ] {
        let (status, page) = reader.post("/v1/persons/search", &search).await;
        assert_eq!((status, page["persons"].as_array().unwrap().len()), (200, persons), "{search} {page}");
    }

    // The timeline has both companies' entries, newest first, each saying how it came here.
    let id = person["id"].as_str().unwrap();
    let timeline = reader.all(&format!("/v1/persons/{id}/timeline"), 2).await;
    let kinds: Vec<(&str, &str)> =
        timeline.iter().map(|e| (e["kind"].as_str().unwrap(), e["shared_by"].as_str().unwrap())).collect();
    assert_eq!(kinds[..2], [("transaction", "persol-tech"), ("meeting", "persol-career")]);
    assert_eq!(kinds.len(), 5, "{kinds:?}");
    assert_eq!(timeline[0]["acquisition"]["method"], "APPLICATION_FOR_TRANSACTION");
    assert_eq!(timeline[0]["content"]["amount_jpy"], 1_200_000);
    let only =
        reader.all(&format!("/v1/persons/{id}/timeline?kind=meeting,transaction&to=2026-05-28T20:28:30Z"), 9).await;
    assert_eq!(only.len(), 1, "{only:?}");

    // The organisation's, too, though the meeting came before anybody knew where its contact works.
    let (_, page) = reader.post("/v1/organisations/search", &json!({ "name": "(株)見本" })).await;
    let organisation = page["organisations"][0]["id"].as_str().unwrap();
    let entries = reader.all(&format!("/v1/organisations/{organisation}/timeline?kind=meeting,transaction"), 1).await;
    assert_eq!(entries.len(), 2);
    assert!(entries.iter().all(|entry| entry["person_id"] == person["id"]), "{entries:?}");
    assert_eq!(reader.get(&format!("/v1/organisations/{organisation}")).await.0, 200);

    // Of a company that is suspended nothing is answered, by whatever question; a suspension that is lifted brings it back.
    let because = json!({ "reason": "test" });
    let _: Value = rig.desk.asks.post("/v1/companies/persol-tech/suspend", &because).await.unwrap();
    let without = testkit::wait::until("persol-tech's records to be left out", DEADLINE, async || {
        // In the moment of the change the answer is to ask again.
        let (status, person) = reader.get(&format!("/v1/persons/{id}")).await;
        (status == 200 && shared_by(&person) == ["persol-career".to_owned()].into()).then_some(person)
    });
    assert_eq!(without.await.unwrap()["contacts"].as_array().unwrap().len(), 2);
    let timeline_without = reader.all(&format!("/v1/persons/{id}/timeline"), 2).await;
    assert!(timeline_without.iter().all(|entry| entry["shared_by"] == "persol-career"), "{timeline_without:?}");
    let (status, page) = reader.post("/v1/persons/search", &json!({ "name": "鈴木" })).await;
    assert_eq!((status, page["persons"].as_array().unwrap().len()), (200, 0), "{page}");
    let entries = reader.all(&format!("/v1/organisations/{organisation}/timeline?kind=transaction"), 1).await;
    assert!(entries.is_empty(), "{entries:?}");
    let _: Value = rig.desk.approves.post("/v1/companies/persol-tech/resume", &because).await.unwrap();
    testkit::wait::until("persol-tech's records to be back", DEADLINE, async || {
        let (status, person) = reader.get(&format!("/v1/persons/{id}")).await;
        (status == 200 && shared_by(&person).len() == 2).then_some(())
    })
    .await
    .unwrap();

    // A newer record of a contact wins, an older one does not; a tombstone takes the contact back with all about it.
    let newer = Card { organisation: "見本工業", recorded: 50, ..career.clone() };
    let older = Card { organisation: "昔の会社", recorded: -50, ..career.clone() };
    let gone = Record::tombstone(topic(Kind::Contact), late.id.clone());
    let changes = vec![rig.card(&newer), rig.card(&older), gone];
    rig.publish(changes).await;
    let found = reader.one(&json!({ "name": "見本", "organisation": "見本工業" })).await;
    assert_eq!(found["contacts"].as_array().unwrap().len(), 1);
    assert_ne!(found["id"], person["id"], "the old id stays with the organisation where most of its contacts are");
    let (_, left) = reader.get(&format!("/v1/persons/{id}")).await;
    assert_eq!(shared_by(&left), ["persol-tech".to_owned()].into(), "{left}");
    assert_eq!(rig.count("SELECT count(*) FROM interaction WHERE kind = 'meeting'").await, 0);
    // What arrives late about a contact that was taken back is not kept.
    let record = rig.record(Kind::Meeting, &late.id, late.company, &meeting(&late, 2, 300, 0));
    rig.publish(vec![record]).await;
    assert_eq!(rig.count("SELECT count(*) FROM interaction WHERE kind = 'meeting'").await, 0);
    assert_eq!(rig.count("SELECT count(*) FROM quarantined").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merged_person_is_found_under_both_ids() {
    let mut rig = Rig::start().await;
    let member = rig.desk.member("persol-career").await.unwrap();
    let first = card("persol-career", 1, "見本 太郎", "taro@mihon.example");
    let second = Card { direct: "+81312345678", ..card("persol-career", 2, "見本 太郎", "") };
    rig.publish(vec![rig.card(&first)]).await;
    rig.publish(vec![rig.card(&second)]).await;
    let reader = rig.reader(&member.subscription).await;
    let (_, page) = reader.post("/v1/persons/search", &json!({ "name": "見本太郎" })).await;
    let ids: BTreeSet<String> =
        page["persons"].as_array().unwrap().iter().map(|p| p["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 2);
    let old = rig.sql("SELECT id FROM person ORDER BY age LIMIT 1").await;
    let bridge = Card { direct: "+81312345678", ..card("persol-career", 3, "見本 太郎", "taro@mihon.example") };
    rig.publish(vec![rig.card(&bridge)]).await;
    for id in ids {
        for path in [format!("/v1/persons/{id}"), format!("/v1/persons/{id}/timeline")] {
            let (status, answer) = reader.get(&path).await;
            assert_eq!((status, answer["id"].as_str()), (200, Some(old.as_str())), "{answer}");
        }
    }
    // Meetings: the higher sequence wins, whatever comes last; the same record again changes nothing.
    let update = |sequence| rig.record(Kind::Meeting, &first.id, first.company, &meeting(&first, 1, 100, sequence));
    let records = vec![update(0), update(2), update(1), update(2)];
    rig.publish(records).await;
    let (_, timeline) = reader.get(&format!("/v1/persons/{old}/timeline?kind=meeting")).await;
    assert_eq!(timeline["entries"].as_array().unwrap().len(), 1);
    assert_eq!(timeline["entries"][0]["content"]["subject"], "打合せ 2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_sees_what_it_was_granted_and_each_answer_is_disclosed() {
    let mut rig = Rig::start().await;
    let member = rig.desk.member("persol-career").await.unwrap();
    let person = card("persol-career", 1, "見本 太郎", "taro@mihon.example");
    let records = vec![
        rig.card(&person),
        rig.record(Kind::Transaction, &person.id, person.company, &transaction(&person, 1, 10)),
        rig.record(Kind::Meeting, &person.id, person.company, &meeting(&person, 1, 20, 0)),
        rig.record(Kind::Behaviour, &person.id, person.company, &click(&person, 1, 30)),
    ];
    rig.publish(records).await;
    let narrow = rig
        .subscription(
            "persol-career",
            "narrow",
            &["jointuse.contact", "jointuse.meeting", "jointuse.behaviour"],
            &["person.name", "organisation.name", "history.meetings", "online.cookie"],
        )
        .await;
    let (all, narrow_reader) = (rig.reader(&member.subscription).await, rig.reader(&narrow).await);
    let full = all.one(&json!({ "name": "見本" })).await;
    let id = full["id"].as_str().unwrap().to_owned();
    assert_eq!(full["contacts"][0]["content"]["email"], "taro@mihon.example");

    let (status, person) = narrow_reader.get(&format!("/v1/persons/{id}")).await;
    assert_eq!(status, 200, "{person}");
    let content = person["contacts"][0]["content"].as_object().unwrap();
    assert_eq!(content.keys().map(String::as_str).collect::<BTreeSet<_>>(), ["name", "organisation"].into());
    assert!(person["blanked"].as_array().unwrap().contains(&json!("organisation.email")));
    let timeline = narrow_reader.all(&format!("/v1/persons/{id}/timeline"), 20).await;
    let kinds: Vec<&str> = timeline.iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["behaviour", "meeting", "contact"], "no transaction: its topic was not granted");
    let click = timeline[0]["content"].as_object().unwrap();
    assert!(click.contains_key("cookie") && !click.contains_key("link_click"), "{click:?}");

    // Refusals name the rules, and tell nothing.
    let (status, problem) = narrow_reader.get(&format!("/v1/persons/{id}/timeline?kind=transaction")).await;
    assert_eq!((status, rules(&problem)), (403, vec!["topic-granted"]), "{problem}");
    let (status, problem) = narrow_reader.post("/v1/persons/search", &json!({ "email": "taro@mihon.example" })).await;
    assert_eq!((status, rules(&problem)), (403, vec!["item-granted"]), "{problem}");
    assert!(!problem.to_string().contains("taro"));
    for (body, status) in [
        (json!({}), 422),
        (json!({ "name": "見本", "surprise": 1 }), 422),
        (json!({ "name": "見本", "limit": 0 }), 422),
        (json!({ "name": "見本", "cursor": "AAAA" }), 400),
    ] {
        assert_eq!(all.post("/v1/persons/search", &body).await.0, status, "{body}");
    }
    let stranger = "00000000-0000-4000-8000-000000000000";
    for path in
        [format!("/v1/persons/{stranger}"), format!("/v1/organisations/{stranger}/timeline"), "/v1/persons/x".into()]
    {
        assert_eq!(all.get(&path).await.0, 404, "{path}");
    }
    let (status, page) = all.get(&format!("/v1/persons/{id}/timeline?limit=1")).await;
    assert_eq!(status, 200);
    let cursor = page["next"].as_str().unwrap();
    assert_eq!(all.get(&format!("/v1/persons/{id}/timeline?limit=1&kind=meeting&cursor={cursor}")).await.0, 400);
    assert_eq!(narrow_reader.get(&format!("/v1/persons/{id}/timeline?limit=1&cursor={cursor}")).await.0, 400);

    // Tokens: none, nonsense, for another service.
    let url = format!("{}/v1/persons/{id}", rig.stack.history_url());
    let none = rig.http.get(&url).send().await.unwrap();
    assert_eq!(none.status(), 401);
    assert!(none.headers()["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
    assert_eq!(none.headers()["content-type"], "application/problem+json");
    assert_eq!(answer(rig.http.get(&url).bearer_auth("x.y.z")).await.0, 401);
    let intake = rig.stack.access_token(&member.publication, "intake").await.unwrap();
    assert_eq!(answer(rig.http.get(&url).bearer_auth(intake)).await.0, 401);

    // Disclosures: one for each answer with data and none for refusals.
    let rows = rig
        .sql(
            "SELECT endpoint, subscription, company, purpose, notice_version, entries, array_to_string(topics, ','), \
             person_id IS NOT NULL, cardinality(decisions), cardinality(contacts) FROM disclosure ORDER BY id",
        )
        .await;
    let rows: Vec<&str> = rows.lines().collect();
    let expected = [
        "person-search|persol-career-sub|persol-career|group-services-guidance|1|1|jointuse.contact|f|1|1",
        "person|narrow|persol-career|group-services-guidance|1|1|jointuse.contact|t|1|1",
        "person-timeline|narrow|persol-career|group-services-guidance|1|3|\
         jointuse.contact,jointuse.meeting,jointuse.behaviour|t|3|1",
        "person-timeline|persol-career-sub|persol-career|group-services-guidance|1|1|jointuse.contact,\
         jointuse.transaction,jointuse.meeting,jointuse.contact-event,jointuse.behaviour|t|5|1",
    ];
    assert_eq!(rows, expected);

    // A subscription that is suspended is refused at once, though its token is good for minutes.
    let _: Value = rig.desk.asks.post("/v1/subscriptions/narrow/suspend", &json!({ "reason": "test" })).await.unwrap();
    testkit::wait::until("the suspension to arrive", DEADLINE, async || {
        let (status, problem) = narrow_reader.get(&format!("/v1/persons/{id}")).await;
        (status == 403).then(|| assert_eq!(rules(&problem), ["grant-approved"], "{problem}"))
    })
    .await
    .unwrap();
    assert_eq!(rig.count("SELECT count(*) FROM disclosure WHERE subscription = 'narrow' AND entries = 0").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_neither_skip_nor_repeat_while_rows_arrive() {
    let mut rig = Rig::start().await;
    let member = rig.desk.member("persol-career").await.unwrap();
    let cards = [
        card("persol-career", 1, "見本 太郎", "t@mihon.example"),
        card("persol-career", 2, "見本 太郎", "t@mihon.example"),
    ];
    let mut records: Vec<Record> = cards.iter().map(|card| rig.card(card)).collect();
    // Several at the same moment, so that only the ids order them.
    for number in 0..200_u64 {
        let card = &cards[usize::try_from(number % 2).unwrap()];
        let value = transaction(card, number, i64::try_from(number / 7).unwrap());
        records.push(rig.record(Kind::Transaction, &card.id, card.company, &value));
    }
    rig.publish(records).await;
    let reader = rig.reader(&member.subscription).await;
    let person = reader.one(&json!({ "name": "見本" })).await;
    let organisation = person["contacts"][0]["organisation_id"].as_str().unwrap().to_owned();
    let paths = [
        format!("/v1/persons/{}/timeline?kind=transaction", person["id"].as_str().unwrap()),
        format!("/v1/organisations/{organisation}/timeline?kind=transaction"),
    ];
    for (round, path) in paths.iter().enumerate() {
        let before: Vec<String> =
            reader.all(path, 100).await.iter().map(|e| e["record_id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(before.len(), 200 + round * 28);
        let (mut seen, mut cursor, mut page_number) = (BTreeMap::<String, usize>::new(), String::new(), 0_u64);
        loop {
            let (status, page) = reader.get(&format!("{path}&limit=7{cursor}")).await;
            assert_eq!(status, 200, "{page}");
            for entry in page["entries"].as_array().unwrap() {
                *seen.entry(entry["record_id"].as_str().unwrap().to_owned()).or_default() += 1;
            }
            // New ones arrive between the pages, at the top of the timeline.
            if page_number < 28 && round == 0 {
                let value = transaction(&cards[0], 1000 + page_number, 5_000 + i64::try_from(page_number).unwrap());
                let record = rig.record(Kind::Transaction, &cards[0].id, cards[0].company, &value);
                rig.publish(vec![record]).await;
            }
            page_number += 1;
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert!(seen.values().all(|times| *times == 1), "something was shown twice");
        assert!(before.iter().all(|id| seen.contains_key(id)), "something was skipped");
    }
}
