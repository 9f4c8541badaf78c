//! `hubctl keys`: a key-encryption key is changed while services run, no record is touched, and everything stays readable.

use std::{path::Path, time::Duration};

use serde_json::{Value, json};
use testkit::{
    clients::{Client, Request, run},
    dir::Dir,
    paths,
    process::{self, Launch},
    stack::{Grant, Member, Name, Stack},
};

const LONG: Duration = Duration::from_secs(60);
const CONTACT: &str = "jointuse.contact";

/// SoftHSM2, a device in software, and how programs find its tokens.
const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const TOKENS: &str = "SOFTHSM2_CONF";
const PIN: &str = "7391-4820";

async fn hubctl(config: &Path, arguments: &[&str]) -> Result<Value, String> {
    let launch = Launch::new(paths::binary("hubctl").unwrap())
        .env(TOKENS, config.with_file_name("softhsm2.conf").display().to_string())
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

/// From a key file to a device that speaks PKCS#11, while what the file's key has wrapped stays readable.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_takes_over_from_a_key_file() {
    let dir = Dir::temporary("device").unwrap();
    let tokens = dir.path().join("softhsm2.conf");
    std::fs::create_dir(dir.path().join("tokens")).unwrap();
    std::fs::write(&tokens, format!("directories.tokendir = {}\n", dir.path().join("tokens").display())).unwrap();
    testkit::dir::write_secret(&dir.path().join("pin"), PIN).unwrap();
    let token = Launch::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", "jointuse", "--pin", PIN, "--so-pin", "so-pin-1"])
        .env(TOKENS, tokens.display().to_string());
    process::run(&token, "").await.unwrap();
    let readers = [Name::Intake, Name::Hub];
    let builder = Stack::builder().services(&[Name::Authority, Name::Intake, Name::Hub]);
    let builder = readers.iter().fold(builder, |b, name| b.env(*name, TOKENS, tokens.display().to_string()));
    let mut stack = builder.start().await.unwrap();
    let desk = stack.desk().await.unwrap();
    let member = desk.member("acme").await.unwrap();
    publish(&stack, &member, 0).await;

    // Both are named: the device is to wrap, the file opens. The key is made on the device first.
    let device = |file: bool, text: &str| {
        let (head, rest) = text.split_once("[keys]\n").unwrap();
        let (named, rest) = rest.split_once('\n').unwrap();
        assert!(named.starts_with("key_file"), "{named}");
        let named = if file { named } else { "key_file = ''" };
        let pin = dir.path().join("pin");
        format!(
            "{head}[keys]\n{named}\n[keys.pkcs11]\nmodule = '{MODULE}'\ntoken = 'jointuse'\npin_file = '{}'\n\
             current = 'device-1'\n{rest}",
            pin.display()
        )
    };
    let before: Vec<String> = readers.iter().map(|n| std::fs::read_to_string(stack.config_file(*n)).unwrap()).collect();
    let config = dir.path().join("hub.toml");
    for file in [true, false] {
        std::fs::write(&config, device(file, &before[1])).unwrap();
        if file {
            let missing = hubctl(&config, &["status"]).await.unwrap_err();
            assert!(missing.contains("device-1 is not here"), "{missing}");
            hubctl(&config, &["add", "device-1"]).await.unwrap();
        }
        for (name, text) in readers.into_iter().zip(&before) {
            std::fs::write(stack.config_file(name), device(file, text)).unwrap();
            let service = stack.service(name).unwrap();
            service.stop().await.unwrap();
            service.restart().await.unwrap();
        }
        publish(&stack, &member, if file { 40 } else { 80 }).await;
        let counts = if file {
            json!([{"id": "device-1", "current": true, "keys": 40}, {"id": "kek-1", "current": false, "keys": 40}])
        } else {
            json!([{"id": "device-1", "current": true, "keys": 120}])
        };
        assert_eq!(hubctl(&config, &["status"]).await, Ok(counts));
        let (group, all) = if file { ("both", 80) } else { ("device", 120) };
        assert_eq!(readable(&stack, &member.subscription, group).await, all);
        if file {
            assert_eq!(hubctl(&config, &["rotate"]).await, Ok(json!({"moved": 40, "damaged": []})));
            hubctl(&config, &["retire", "kek-1"]).await.unwrap();
        }
    }
}
