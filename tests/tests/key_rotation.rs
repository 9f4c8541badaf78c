//! `hubctl keys`: a key-encryption key is changed while services run, no record is touched, and everything stays readable.

use std::{path::Path, time::Duration};

use serde_json::{Value, json};
use testkit::{
    clients::{Client, Request, run},
    paths,
    process::{self, Launch},
    stack::{Grant, Member, Name, Stack},
};

const LONG: Duration = Duration::from_secs(60);
const CONTACT: &str = "jointuse.contact";

async fn hubctl(config: &Path, arguments: &[&str]) -> Result<Value, String> {
    let launch = Launch::new(paths::binary("hubctl").unwrap())
        .args(["--json", "keys"])
        .args(arguments.iter().copied())
        .args(["--config".to_owned(), config.display().to_string()]);
    let said = process::run(&launch, "").await.map_err(|error| error.to_string())?;
    Ok(serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}")))
}

async fn publish(stack: &Stack, publisher: &Member, from: usize) {
    let token = stack.access_token(&publisher.publication, "intake").await.unwrap();
    let cards: Vec<Value> = (from..from + 40)
        .map(|n| {
            json!({
                "reference": format!("card-{n}"), "name": { "full": format!("見本 {n}") },
                "acquisition": {
                    "method": "BUSINESS_CARD", "acquired_on": "2025-04-01",
                    "purpose": "group-services-guidance", "source": "test",
                },
            })
        })
        .collect();
    let url = format!("{}/v1/records/contact", stack.intake_url());
    testkit::wait::until("intake to take the cards", LONG, async || {
        let answer = reqwest::Client::new().post(&url).bearer_auth(&token).json(&cards).send().await.ok()?;
        let answer: Value = answer.json().await.ok()?;
        (answer["summary"]["accepted"] == 40).then_some(())
    })
    .await
    .unwrap();
}

async fn readable(stack: &Stack, grant: &Grant, group: &str) -> usize {
    let group = format!("ju.{}.{group}", grant.id);
    let request = Request::consume(&stack.hub_bootstrap(), grant.login.as_str(), &grant.secret, &group, &[CONTACT]);
    run(Client::Confluent, &request.with("until_end", true), LONG).await.unwrap().records().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_encryption_key_is_changed_while_all_runs() {
    let mut stack = Stack::builder().services(&[Name::Authority, Name::Intake, Name::Hub]).start().await.unwrap();
    let desk = stack.desk().await.unwrap();
    let member = desk.member("acme").await.unwrap();
    let config = stack.config_file(Name::Hub);
    publish(&stack, &member, 0).await;
    assert_eq!(hubctl(&config, &["status"]).await, Ok(json!([{"id": "kek-1", "current": true, "keys": 40}])));

    // Services share the file here: with one command each has the new key, with the next it wraps.
    hubctl(&config, &["add", "kek-2"]).await.unwrap();
    assert!(hubctl(&config, &["add", "kek-2"]).await.unwrap_err().contains("two keys of the id kek-2"));
    assert!(hubctl(&config, &["retire", "kek-1"]).await.unwrap_err().contains("is the current key"));
    hubctl(&config, &["use", "kek-2"]).await.unwrap();
    assert!(hubctl(&config, &["retire", "kek-1"]).await.unwrap_err().contains("40 keys are still wrapped"));
    let service = stack.service(Name::Intake).unwrap();
    service.stop().await.unwrap();
    service.restart().await.unwrap();
    publish(&stack, &member, 40).await;
    let counts = json!([{"id": "kek-1", "current": false, "keys": 40}, {"id": "kek-2", "current": true, "keys": 40}]);
    assert_eq!(hubctl(&config, &["status"]).await, Ok(counts.clone()));
    // The hub was not restarted: it meets a key that it does not know, and reads the file again.
    assert_eq!(readable(&stack, &member.subscription, "both").await, 80);

    assert_eq!(hubctl(&config, &["rotate", "--plan"]).await, Ok(counts));
    assert_eq!(hubctl(&config, &["rotate", "--batch", "7"]).await, Ok(json!({"moved": 40, "damaged": []})));
    assert_eq!(hubctl(&config, &["rotate"]).await, Ok(json!({"moved": 0, "damaged": []})));
    hubctl(&config, &["retire", "kek-1"]).await.unwrap();
    let file = std::fs::read_to_string(stack.keys.key_file()).unwrap();
    assert!(file.contains("current kek-2") && !file.contains("kek-1"), "the old key is gone");
    let service = stack.service(Name::Hub).unwrap();
    service.stop().await.unwrap();
    service.restart().await.unwrap();
    assert_eq!(readable(&stack, &member.subscription, "after").await, 80);
    publish(&stack, &member, 80).await;
    assert_eq!(hubctl(&config, &["status"]).await, Ok(json!([{"id": "kek-2", "current": true, "keys": 120}])));
}
