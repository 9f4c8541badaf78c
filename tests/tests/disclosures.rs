//! Who received a person's data, as an officer is told it, beside what stock clients and a history's reader really got.

mod flow_rig;

use std::time::Duration;

use authority_api::{
    AuthorityClient,
    erasure::{Erasure, ErasureReason, NewErasure},
    types::{
        DisclosedRange, DisclosurePass, MadeRestrictions, NewDisclosureQuestion, NewRestrictions, PositionRun,
        RangesHolding, Role, Span,
    },
};
use bus::Record;
use flow_rig::{Caller, DEADLINE, Rig, card, quick_to_erase, transaction};
use jointuse::Kind;
use restriction::{Measure, Reach};
use serde_json::{Value, json};
use testkit::{
    clients::{self, Client, Request},
    process::{Launch, run},
    stack::Name,
    wait::until,
};

const CONTACT: &str = "jointuse.contact";
const TRANSACTION: &str = "jointuse.transaction";
const LONG: Duration = Duration::from_secs(120);

/// Where a record stands.
type Place = (String, i64, i64);

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

fn text(hex: &str) -> String {
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    String::from_utf8((0..hex.len()).step_by(2).map(byte).collect()).unwrap()
}

/// Which records with a value a stock client gets through the hub that has never read before: whose, and where.
async fn through_the_hub(rig: &Rig, group: &str) -> Vec<(String, Place)> {
    let grant = &rig.member.subscription;
    let group = format!("ju.{}.{group}", grant.id);
    let topics = [CONTACT, TRANSACTION];
    let request = Request::consume(&rig.stack.hub_bootstrap(), grant.login.as_str(), &grant.secret, &group, &topics);
    let outcome = clients::run(Client::Confluent, &request.idle(Duration::from_secs(15)), LONG).await.unwrap();
    assert!(outcome.success, "{:?}", outcome.errors());
    let records = outcome.records().into_iter().filter(|record| record.value.is_some());
    records.map(|r| (text(&r.key.unwrap()), (r.topic, i64::from(r.partition), r.offset))).collect()
}

fn of(got: &[(String, Place)], contact: &str) -> Vec<Place> {
    let mut places: Vec<Place> = got.iter().filter(|(key, _)| key == contact).map(|(_, place)| place.clone()).collect();
    places.sort();
    places
}

/// hubctl as one operator, with a session of its own.
struct Desk<'a> {
    rig: &'a Rig,
    operator: &'static str,
}

impl<'a> Desk<'a> {
    async fn sign_in(rig: &'a Rig, operator: &'static str) -> Self {
        let desk = Self { rig, operator };
        let password = rig.stack.directory().join(format!("secrets/operator-{operator}")).display().to_string();
        run(&desk.hubctl(&["sign-in", "--operator", operator, "--password-file", &password]), "").await.unwrap();
        desk
    }

    fn hubctl(&self, args: &[&str]) -> Launch {
        let session = self.rig.stack.directory().join(format!("session-{}.json", self.operator));
        Launch::new(testkit::paths::binary("hubctl").unwrap())
            .args(args.iter().copied())
            .env("AUTHORITY_URL", self.rig.stack.authority_url())
            .env("HUB_ADMIN_URL", self.rig.stack.hub_admin_url())
            .env("HISTORY_URL", self.rig.stack.history_url())
            .env("HUBCTL_SESSION", session.display().to_string())
    }

    async fn try_ask(&self, args: &[&str]) -> testkit::Result<String> {
        let whole: Vec<&str> = [&["disclosures", "--reason", "request 17"], args].concat();
        run(&self.hubctl(&whole), "").await
    }

    async fn ask(&self, args: &[&str]) -> Value {
        let said = self.try_ask(&[&["--json"], args].concat()).await.unwrap();
        serde_json::from_str(&said).unwrap()
    }

    /// What is told when the hub has written down how far its readers really came.
    async fn settled(&self, args: &[&str], disclosures: usize) -> Value {
        let last = std::cell::RefCell::new(Value::Null);
        let settled = until("the ranges to be settled", DEADLINE, async || {
            let told = self.ask(args).await;
            let all = told["disclosures"].as_array()?;
            let open = all.iter().any(|one| one["range"]["open"] == true);
            let settled = !open && all.len() >= disclosures;
            last.replace(told.clone());
            settled.then_some(told)
        });
        settled.await.unwrap_or_else(|error| panic!("{error}, {disclosures} of them: {}", last.borrow()))
    }
}

fn by<'a>(told: &'a Value, channel: &str) -> Vec<&'a Value> {
    told["disclosures"].as_array().unwrap().iter().filter(|one| one["channel"] == channel).collect()
}

/// All places that are told, as often as they are.
fn places(told: &[&Value]) -> Vec<Place> {
    let place = |one: &Value| {
        let (topic, partition) = (one["topics"][0].as_str().unwrap().to_owned(), one["partition"].as_i64().unwrap());
        let offsets = one["offsets"].as_array().unwrap().clone();
        offsets.into_iter().map(move |offset| (topic.clone(), partition, offset.as_i64().unwrap()))
    };
    let mut places: Vec<Place> = told.iter().flat_map(|one| place(one)).collect();
    places.sort();
    places
}

/// The id of the person that a history shows for a name.
async fn read_history(history: &Caller, reference: &str) -> Option<String> {
    let body = json!({ "name": format!("見本 {reference}") });
    let answer = history.post("/v1/persons/search", &body).await.ok()?;
    Some(answer.body["persons"].as_array()?.first()?["id"].as_str()?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_officer_is_told_who_received_somebodys_data() {
    let rig = Rig::start(quick_to_erase()).await;
    let publisher = rig.publisher(&rig.member.publication).await;
    let history = rig.caller(Name::History, &rig.member.subscription).await;
    let ids = accepted(&publisher, Kind::Contact, &[card("asked", "課長"), card("other", "課長")]).await;
    let (asked, other) = (ids[0].as_str(), ids[1].as_str());
    // Superseded by a newer card; and in the same partitions records of somebody else.
    accepted(&publisher, Kind::Contact, &[card("asked", "部長")]).await;
    let deals = [transaction(1, "asked"), transaction(2, "asked"), transaction(3, "other")];
    accepted(&publisher, Kind::Transaction, &deals).await;
    // One that nobody can read: withheld, and its key still tells whose it was.
    let broken = rig.producer().send(Record::new(TRANSACTION, asked.to_owned(), vec![0x13; 80])).await.unwrap();
    let broken: Place = (TRANSACTION.to_owned(), i64::from(broken.partition), broken.offset);
    let person = until("history to have it", DEADLINE, async || read_history(&history, "asked").await).await.unwrap();
    until("history to have read all", DEADLINE, async || {
        let count = rig.sql(Name::History, "SELECT count(*) FROM record_position").await;
        (count.trim() == "7").then_some(())
    })
    .await
    .unwrap();
    let answers = 1;

    let got = through_the_hub(&rig, "first").await;
    let (his, others) = (of(&got, asked), of(&got, other));
    assert_eq!((his.len(), others.len()), (4, 2), "{got:?}");
    let officer = Desk::sign_in(&rig, "first").await;
    let told = officer.settled(&["--contact", asked], 3).await;
    delivered_is_told(&told, &rig, &his, &broken);
    assert_eq!(by(&told, "history").len(), answers, "{told}");
    assert_eq!(told["records"], 5);
    assert_eq!(told["contacts"][0]["company"], "acme");
    let of_person = officer.ask(&["--person", &person]).await;
    assert_eq!(of_person["disclosures"], told["disclosures"]);
    let of_other = officer.ask(&["--contact", other]).await;
    assert_eq!(places(&by(&of_other, "hub")), others, "nobody else's records are told as this one's");

    restricted(&rig, &officer, asked, other).await;
    pages_and_times(&officer, asked).await;
    who_may_ask(&rig, asked).await;
    let before = officer.settled(&["--contact", asked], 5).await;
    erased(&rig, &officer, asked, &person, &before).await;
    found_as_by_looking_at_each(&rig, asked).await;
}

/// Everything that was delivered is told, once, with who and why, and nothing else is.
fn delivered_is_told(told: &Value, rig: &Rig, his: &[Place], broken: &Place) {
    let ranges = by(told, "hub");
    let mut expected = his.to_vec();
    expected.push(broken.clone());
    expected.sort();
    assert_eq!(places(&ranges), expected, "{told}");
    let grant = &rig.member.subscription;
    for one in told["disclosures"].as_array().unwrap() {
        assert_eq!((&one["subscription"], &one["login"]), (&json!(grant.id), &json!(grant.login.as_str())));
        assert_eq!((&one["company"], &one["purpose"]), (&json!("acme"), &json!("group-services-guidance")));
        assert_eq!(one["notice_version"], 1);
        assert!(one["snapshot"].as_i64().unwrap() > 0 && !one["decisions"][0].as_str().unwrap().is_empty());
        assert!(one["began"].as_str().unwrap() <= one["last"].as_str().unwrap());
    }
    for range in ranges {
        let withheld = range["range"]["withheld"].as_i64().unwrap();
        if places(&[range]).contains(broken) {
            assert_eq!((withheld, &range["outcome"]), (1, &json!("delivered-unless")), "{range}");
            assert!(range["says"].as_str().unwrap().contains("withheld (1 of "), "{range}");
        } else {
            assert_eq!((withheld, &range["outcome"]), (0, &json!("delivered")), "{range}");
        }
    }
}

/// While somebody else is restricted, it is not known of a range who was withheld, but it is of whoever was restricted.
async fn restricted(rig: &Rig, officer: &Desk<'_>, asked: &str, other: &str) {
    let new = NewRestrictions {
        measure: Measure::Use,
        reach: Reach::Contact,
        contacts: vec![other.parse().unwrap()],
        reason: "request 18".into(),
    };
    let made: MadeRestrictions = rig.desk.asks.post("/v1/restrictions", &new).await.unwrap();
    let got = through_the_hub(rig, "restricted").await;
    assert!(of(&got, other).is_empty() && of(&got, asked).len() == 4, "{got:?}");
    let told = officer.settled(&["--contact", other], 4).await;
    let (withheld, before): (Vec<&Value>, Vec<&Value>) =
        by(&told, "hub").into_iter().partition(|one| one["outcome"] == "withheld");
    assert_eq!(places(&withheld), places(&before), "each was delivered once and withheld once: {told}");
    let says = format!("withheld: restriction {}", made.ids[0]);
    assert!(withheld.iter().all(|one| one["says"] == says.as_str()), "{withheld:?}");
    let told = officer.ask(&["--contact", asked]).await;
    assert!(by(&told, "hub").iter().all(|one| one["outcome"] != "withheld"), "{told}");
}

/// Pages of one make up the whole; times cut it; the table says it to people.
async fn pages_and_times(officer: &Desk<'_>, asked: &str) {
    let whole = officer.settled(&["--contact", asked, "--all"], 5).await;
    let all = whole["disclosures"].as_array().unwrap().clone();
    let (mut pages, mut after) = (Vec::new(), Vec::<String>::new());
    loop {
        let cursor: Vec<&str> = after.iter().map(String::as_str).collect();
        let page = officer.ask(&[&["--contact", asked, "--limit", "1"], &cursor[..]].concat()).await;
        pages.extend(page["disclosures"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => after = vec!["--after".into(), next.into()],
            None => break,
        }
    }
    assert_eq!(pages, all);
    let last = all.last().unwrap()["began"].as_str().unwrap();
    let newest = officer.ask(&["--contact", asked, "--since", last]).await;
    assert!((1..all.len()).contains(&newest["disclosures"].as_array().unwrap().len()), "{newest}");
    let none = officer.ask(&["--contact", asked, "--until", "2020-01-01T00:00:00Z"]).await;
    assert_eq!(none["disclosures"], json!([]));
    let deals = officer.ask(&["--contact", asked, "--topic", TRANSACTION]).await;
    let topics = by(&deals, "hub").into_iter().all(|one| one["topics"] == json!([TRANSACTION]));
    assert!(topics && by(&deals, "history").is_empty() && deals["records"] == 3, "{deals}");
    let table = officer.try_ask(&["--contact", asked]).await.unwrap();
    assert!(table.contains("which is recorded") && table.contains("shared by acme"), "{table}");
    let error = officer.try_ask(&["--contact", asked, "--after", "yesterday"]).await.unwrap_err().to_string();
    assert!(error.contains("--after takes what the output before it printed"), "{error}");
}

/// Privacy officers and auditors; each question is recorded, and its pass opens nothing else.
async fn who_may_ask(rig: &Rig, asked: &str) {
    rig.stack.operator("steward", &[Role::Steward]).await.unwrap();
    let steward = Desk::sign_in(rig, "steward").await;
    let refusal = steward.try_ask(&["--contact", asked]).await.unwrap_err().to_string();
    assert!(refusal.contains("403"), "{refusal}");
    rig.stack.operator("auditor", &[Role::Auditor]).await.unwrap();
    let auditor = Desk::sign_in(rig, "auditor").await;
    let told = auditor.ask(&["--contact", asked]).await;
    let question = told["question"].as_str().unwrap();
    let sql = format!(
        "SELECT q.asked_by, q.contacts[1], a.action, a.reason FROM disclosure_question q \
         JOIN activity a ON a.subject = q.id::text WHERE q.id = '{question}'"
    );
    let recorded = format!("auditor|{asked}|disclosures.ask|request 17");
    assert_eq!(rig.sql(Name::Authority, &sql).await.trim(), recorded);

    let unknown = "f".repeat(32);
    let said = auditor.try_ask(&["--contact", &unknown]).await.unwrap();
    assert!(said.contains("unknown: no record of it was ever read; check the id"), "{said}");
    let nobody = auditor.try_ask(&["--person", "00000000-0000-4000-8000-000000000000"]).await.unwrap();
    assert!(nobody.contains("the person is unknown"), "{nobody}");

    let token = rig.stack.access_token(&rig.member.subscription, "history").await.unwrap();
    let hub = format!("{}/v1/disclosures", rig.stack.hub_admin_url());
    let answers = format!("{}/v1/disclosures/answers", rig.stack.history_url());
    let positions = format!("{}/v1/disclosures/positions", rig.stack.history_url());
    for token in ["junk", &token] {
        let ranges = json!({ "runs": [], "span": { "limit": 1 } });
        let calls = [
            rig.http.post(&hub).json(&ranges),
            rig.http.post(&answers).json(&json!({ "limit": 1 })),
            rig.http.get(&positions),
        ];
        for call in calls {
            assert_eq!(call.bearer_auth(token).send().await.unwrap().status().as_u16(), 401);
        }
    }
}

/// An erasure takes nothing away from who received what; what is read afterwards is known to be withheld.
async fn erased(rig: &Rig, officer: &Desk<'_>, asked: &str, person: &str, before: &Value) {
    let contacts = [asked.parse().unwrap()].into();
    let new = NewErasure { contacts, person: person.parse().ok(), reason: ErasureReason::PrincipalRequest };
    let erasure: Erasure = rig.desk.asks.post("/v1/erasures", &new).await.unwrap();
    let path = format!("/v1/erasures/{}", erasure.id);
    until("the erasure to be finished", LONG, async || {
        let now: Erasure = rig.desk.asks.get(&path).await.ok()?;
        now.next.is_none().then_some(())
    })
    .await
    .unwrap();
    let got = through_the_hub(rig, "erased").await;
    assert!(of(&got, asked).is_empty(), "{got:?}");
    let old = before["disclosures"].as_array().unwrap();
    let told = officer.settled(&["--contact", asked], old.len() + 1).await;
    let (new, still): (Vec<&Value>, Vec<&Value>) =
        told["disclosures"].as_array().unwrap().iter().partition(|one| !old.iter().any(|old| old["id"] == one["id"]));
    assert_eq!(still.len(), old.len(), "{told}");
    assert!(still.iter().zip(old).all(|(now, old)| now["offsets"] == old["offsets"]), "{told}");
    let says = format!("withheld: erasure {}", erasure.id);
    assert!(!new.is_empty() && new.iter().all(|one| one["says"] == says.as_str()), "{new:?}");
    assert_eq!((&told["contacts"][0]["gone"], &told["records"]), (&json!(true), &json!(5)));
    // History knows no such person any more; the erasure does.
    let of_person = officer.ask(&["--person", person]).await;
    assert_eq!(of_person["disclosures"], told["disclosures"]);
    let table = officer.try_ask(&["--contact", asked]).await.unwrap();
    assert!(table.contains("withheld since"), "{table}");
}

/// Among ranges of all lengths that overlap anyhow the index finds those that a look at each finds, once.
async fn found_as_by_looking_at_each(rig: &Rig, contact: &str) {
    let fill = "SELECT setseed(0.4); INSERT INTO disclosure (id, at, until, login, subscription, company, purpose, \
        notice_version, decision, snapshot, topic, partition, first_offset, last_offset, delivered, seal) \
        SELECT gen_random_uuid(), now(), now(), 'l', 's', 'c', 'p', 1, 'd', 1, 'test.topic', n % 2, first, \
        first + floor(power(2, random() * 14))::bigint - 1, 1, 0 \
        FROM (SELECT n, floor(random() * 10000)::bigint AS first FROM generate_series(1, 4000) n) one";
    rig.sql(Name::Hub, fill).await;
    let contact = contact.parse().unwrap();
    let new = NewDisclosureQuestion { contacts: vec![contact], person: None, reason: "request 19".into() };
    let pass: DisclosurePass = rig.desk.asks.post("/v1/disclosures/questions", &new).await.unwrap();
    let hub = AuthorityClient::new(&rig.stack.hub_admin_url()).with_token(pass.token);
    for (partition, offsets) in [(0, vec![5000]), (1, vec![0, 1, 2, 4095, 4096, 7000, 9999, 9999]), (0, vec![50_000])] {
        let any: Vec<String> =
            offsets.iter().map(|offset| format!("{offset} BETWEEN first_offset AND last_offset")).collect();
        let scan = format!(
            "SELECT id FROM disclosure WHERE topic = 'test.topic' AND partition = {partition} AND ({}) ORDER BY at, id",
            any.join(" OR ")
        );
        let scanned = rig.sql(Name::Hub, &scan).await;
        let contact = new.contacts[0].clone();
        let run = PositionRun { contact, topic: "test.topic".into(), partition, offsets };
        let (mut found, mut span) = (Vec::new(), Span { limit: 300, ..Span::default() });
        loop {
            let asked = RangesHolding { runs: vec![run.clone()], span: span.clone() };
            let page: Vec<DisclosedRange> = hub.post("/v1/disclosures", &asked).await.unwrap();
            found.extend(page.iter().map(|range| range.id.to_string()));
            match page.last() {
                Some(last) => (span.after, span.after_id) = (Some(last.at), Some(last.id.to_string())),
                None => break,
            }
        }
        assert_eq!(found, scanned.lines().collect::<Vec<_>>(), "{run:?}");
    }
}
