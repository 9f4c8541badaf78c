//! Erasing a person by its id: whatever history takes for it goes, also what it would tell no subscriber.

mod flow_rig;

use flow_rig::{DEADLINE, Rig, card, quick_to_erase};
use jointuse::Kind;
use serde_json::{Value, json};
use testkit::{
    process::{Launch, run},
    stack::Name,
    wait::until,
};

/// `hubctl` as the first operator.
fn hubctl(rig: &Rig, args: &[&str]) -> Launch {
    let session = rig.stack.directory().join("session.json").display().to_string();
    Launch::new(testkit::paths::binary("hubctl").unwrap())
        .args(args.iter().copied())
        .env("AUTHORITY_URL", rig.stack.authority_url())
        .env("HISTORY_URL", rig.stack.history_url())
        .env("HUBCTL_SESSION", session)
}

async fn told(rig: &Rig, args: &[&str]) -> Value {
    let said = run(&hubctl(rig, &[&["--json", "erase"], args].concat()), "").await.unwrap();
    serde_json::from_str(&said).unwrap()
}

fn ids(told: &Value) -> Vec<&str> {
    let mut ids: Vec<_> = told.as_array().unwrap().iter().map(|known| known["contact"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_erased_with_all_its_contacts() {
    let rig = Rig::start(quick_to_erase()).await;
    let second = rig.desk.member("persol-tech").await.unwrap();
    let history = rig.caller(Name::History, &rig.member.subscription).await;
    // The same person's card at two companies, and somebody else's.
    let mut contacts = Vec::new();
    for publication in [&rig.member.publication, &second.publication] {
        let answer = rig.publisher(publication).await.records(Kind::Contact, &[card("same", "部長")]).await.unwrap();
        contacts.push(answer.body["rows"][0]["id"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned());
    }
    let publisher = rig.publisher(&rig.member.publication).await;
    assert_eq!(publisher.records(Kind::Contact, &[card("other", "課長")]).await.unwrap().status, 200);
    contacts.sort();
    let search = json!({ "name": "見本 same" });
    let person = until("history to take both cards for one person", DEADLINE, async || {
        let answer = history.post("/v1/persons/search", &search).await.ok()?;
        let persons = answer.body["persons"].as_array()?.clone();
        let found =
            persons.first().filter(|one| persons.len() == 1 && one["contacts"].as_array().unwrap().len() == 2)?;
        Some(found["id"].as_str()?.to_owned())
    })
    .await
    .unwrap();
    // History tells nothing of a suspended company any more.
    let because = json!({ "reason": "test" });
    let _: Value = rig.desk.asks.post("/v1/companies/persol-tech/suspend", &because).await.unwrap();
    until("the suspension to be in force", DEADLINE, async || {
        let answer = history.post("/v1/persons/search", &search).await.ok()?;
        (answer.body["persons"][0]["contacts"].as_array()?.len() == 1).then_some(())
    })
    .await
    .unwrap();

    let password = rig.stack.directory().join("secrets/operator-first").display().to_string();
    run(&hubctl(&rig, &["sign-in", "--operator", "first", "--password-file", &password]), "").await.unwrap();
    let ask = ["--person", person.as_str(), "--reason", "principal-request"];
    // First it is only shown.
    let shown = run(&hubctl(&rig, &[&["erase"], &ask[..]].concat()), "").await.unwrap();
    assert!(contacts.iter().all(|contact| shown.contains(contact.as_str())), "{shown}");
    assert!(shown.contains("persol-tech") && shown.contains("Nothing is erased yet"), "{shown}");
    let plan = told(&rig, &ask).await;
    assert_eq!(
        (ids(&plan["contacts"]), &plan["erasures"]),
        (contacts.iter().map(String::as_str).collect(), &json!([]))
    );
    assert_eq!(rig.sql(Name::Authority, "SELECT count(*) FROM erasure").await.trim(), "0");

    let done = told(&rig, &[&ask[..], &["--yes", "--wait"]].concat()).await;
    assert_eq!(done["erasures"].as_array().unwrap().len(), 1, "{done}");
    let erasure = &done["erasures"][0];
    assert_eq!((&erasure["next"], &erasure["person"]), (&Value::Null, &json!(person)), "{done}");
    for contact in &contacts {
        let rows = format!("SELECT count(*) FROM contact WHERE id = '{contact}'");
        assert_eq!(rig.sql(Name::History, &rows).await.trim(), "0");
        let keys = format!("SELECT count(*) FROM keys.wrapped WHERE contact = '\\x{contact}'");
        assert_eq!(rig.stack.postgres.sql("keys", &keys).await.unwrap().trim(), "0");
    }
    assert_eq!(rig.sql(Name::History, "SELECT count(*) FROM contact").await.trim(), "1", "nobody else is erased");

    // Again there is nothing to do, and it says what was done before; an id of nobody is told as such.
    let again = told(&rig, &[&ask[..], &["--yes"]].concat()).await;
    assert_eq!((&again["contacts"], &again["erasures"]), (&json!([]), &json!([])), "{again}");
    assert_eq!(ids(&again["erased"]), contacts);
    let nobody = ["erase", "--person", "00000000-0000-4000-8000-000000000000", "--reason", "unlawful", "--yes"];
    let said = run(&hubctl(&rig, &nobody), "").await.unwrap();
    assert!(said.contains("check the id"), "{said}");
    // What is named is erased without being shown: the two ways do not mix.
    let mixed = ["erase", "--contact", &contacts[0], "--person", &person, "--reason", "unlawful", "--yes"];
    assert!(run(&hubctl(&rig, &mixed), "").await.is_err());
}
