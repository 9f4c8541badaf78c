//! SASL/OAUTHBEARER beside SCRAM: tokens of the authority are logins at the hub, which checks them, and at the broker, which
//! checks them again; stock clients get them by themselves and go on past their ends.

mod flow_rig;

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use authority_api::{
    SigningKey, TokenSigner,
    types::{Credential, GrantView, Reason},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::Utc;
use flow_rig::{Rig, card};
use jointuse::Kind;
use serde_json::{Value, json};
use testkit::{
    clients::{Client, Request, Running},
    paths,
    process::{Launch, run},
    raw::{Raw, Reply},
    stack::{Grant, Name, Stack},
    wait::until,
};
use wire::{
    messages::{
        MetadataRequest, SaslAuthenticateResponse, SaslHandshakeRequest, TopicName,
        metadata_request::MetadataRequestTopic,
    },
    protocol::StrBytes,
};

const LONG: Duration = Duration::from_secs(120);
const CONTACT: &str = "jointuse.contact";
const SASL_AUTHENTICATION_FAILED: i16 = 58;
const TOPIC_AUTHORIZATION_FAILED: i16 = 29;
const UNSUPPORTED_SASL_MECHANISM: i16 = 33;
/// Seconds that a token of the authority lives here.
const LIFE: i64 = 30;

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_logins() {
    let life = LIFE.to_string();
    let rig =
        Rig::start(Stack::builder().tls().env(Name::Authority, "AUTHORITY__TOKENS__LIFETIME_SECONDS", life)).await;
    let bench = Bench::new(rig).await;
    what_holds(&bench).await;
    what_does_not_hold(&bench).await;
    the_broker_is_a_second_wall(&bench).await;
    a_session_ends_with_its_token(&bench).await;
    a_session_is_made_again_by_its_own_login_only(&bench).await;
    stock_clients_go_on_past_the_end_of_a_token(&bench).await;
    decisions_end_sessions_and_tokens(&bench).await;
    let mut bench = bench;
    keys_are_changed_without_a_break(&mut bench).await;
    no_token_is_in_a_log(&mut bench);
}

struct Bench {
    rig: Rig,
    signer: TokenSigner,
    /// What a good token of the member's subscription says.
    claims: Value,
    /// Tokens that were used.
    used: std::sync::Mutex<Vec<String>>,
}

impl Bench {
    async fn new(rig: Rig) -> Self {
        let signer = TokenSigner::new(&SigningKey::read(&rig.stack.directory().join("keys/token.key")).unwrap());
        let token = rig.stack.access_token(&rig.member.subscription, "hub").await.unwrap();
        let payload = token.split('.').nth(1).unwrap();
        let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
        assert_eq!((&claims["aud"], &claims["iss"]), (&json!("hub"), &json!(rig.stack.authority_url())));
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), LIFE);
        claims["exp"] = json!(Utc::now().timestamp() + 3600);
        Self { rig, signer, claims, used: std::sync::Mutex::default() }
    }

    fn sign(&self, claims: &Value) -> String {
        let token = self.signer.sign(claims).unwrap();
        self.used.lock().unwrap().push(token.clone());
        token
    }

    /// A token as the good one, but for this.
    fn with(&self, key: &str, value: impl Into<Value>) -> String {
        let mut claims = self.claims.clone();
        claims[key] = value.into();
        self.sign(&claims)
    }

    /// One of the good login that ends in so many seconds.
    fn ending(&self, seconds: i64) -> String {
        self.with("exp", Utc::now().timestamp() + seconds)
    }

    /// The member's own token of another grant.
    fn of(&self, grant: &Grant, kind: &str) -> String {
        let mut claims = self.claims.clone();
        claims["sub"] = json!(grant.login);
        claims["grant"] = json!({ kind: grant.id });
        self.sign(&claims)
    }

    async fn hub(&self) -> Raw {
        Raw::secured(&self.rig.stack.hub_bootstrap(), &self.rig.stack.trust().unwrap()).await
    }

    async fn broker(&self) -> Raw {
        Raw::secured(&self.rig.stack.broker_bootstrap(), &self.rig.stack.trust().unwrap()).await
    }

    /// The hub's answer to a client response, the refusal counted once.
    async fn refused(&self, reason: &str, response: &str) -> Option<SaslAuthenticateResponse> {
        let before = self.refusals(reason).await;
        let answer = self.hub().await.bear(response, 2).await;
        self.counted(reason, before).await;
        if let Some(answer) = &answer {
            assert_eq!(answer.error_code, SASL_AUTHENTICATION_FAILED, "{reason}");
            let says = answer.error_message.as_ref().unwrap().as_str();
            assert!(says.len() > 20 && !says.contains("eyJ"), "{reason}: {says}");
        }
        answer
    }

    async fn refusals(&self, reason: &str) -> f64 {
        self.rig.metric(Name::Hub, "hub_refusals_total", &format!("reason=\"{reason}\"")).await
    }

    async fn counted(&self, reason: &str, before: f64) {
        until(format!("{reason} to be counted"), LONG, async || (self.refusals(reason).await > before).then_some(()))
            .await
            .unwrap();
    }

    async fn publish(&self, prefix: &str, count: usize) {
        let publisher = self.rig.publisher(&self.rig.member.publication).await;
        let cards: Vec<_> = (0..count).map(|n| card(&format!("{prefix}-{n}"), "部長")).collect();
        let answer = publisher.records(Kind::Contact, &cards).await.unwrap();
        assert_eq!(answer.status, 200, "{:?}", answer.body);
    }
}

fn bearer(token: &str) -> String {
    format!("n,,\u{1}auth=Bearer {token}\u{1}\u{1}")
}

/// The error by which a topic is answered.
async fn topic_error(raw: &mut Raw) -> Option<i16> {
    let topic = MetadataRequestTopic::default().with_name(Some(TopicName(StrBytes::from_static_str(CONTACT))));
    let answer = raw.call(&MetadataRequest::default().with_topics(Some(vec![topic])), 9).await?;
    Some(answer.topics[0].error_code)
}

async fn what_holds(bench: &Bench) {
    let login = bench.rig.member.subscription.login.as_str();
    let given = bench.rig.stack.access_token(&bench.rig.member.subscription, "hub").await.unwrap();
    let token = bench.ending(3600);
    for (response, life) in [
        (bearer(&given), LIFE),
        (format!("n,a={login},\u{1}auth=Bearer {token}\u{1}\u{1}"), 3600),
        (format!("n,,\u{1}auth=Bearer {token}\u{1}poolId=twelve\u{1}\u{1}"), 3600),
    ] {
        let mut raw = bench.hub().await;
        let answer = raw.bear(&response, 2).await.unwrap();
        assert_eq!(answer.error_code, 0, "{:?}", answer.error_message);
        // KIP-368: the client is told how long the session is, which is no longer than the token.
        assert!((1..=life * 1000).contains(&answer.session_lifetime_ms), "{}", answer.session_lifetime_ms);
        assert_eq!(topic_error(&mut raw).await, Some(0));
    }
    // A client of before KIP-368 logs in all the same.
    assert_eq!(bench.hub().await.bear(&bearer(&token), 0).await.unwrap().error_code, 0);
    // SCRAM is what it was.
    let mut raw = bench.hub().await;
    assert_eq!(raw.authenticate(login, &bench.rig.member.subscription.secret, "n,,", "").await, Some(0));
    assert_eq!(topic_error(&mut raw).await, Some(0));
}

async fn what_does_not_hold(bench: &Bench) {
    let good = bench.ending(3600);
    let other = TokenSigner::new(&SigningKey::generate().unwrap());
    let foreign = other.sign(&bench.claims).unwrap();
    let parts: Vec<&str> = good.split('.').collect();
    let json = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let (header, kid) = (parts[0], &bench.signer.public().kid);
    let none = format!("{}.{}.", json(json!({ "alg": "none", "kid": kid })), parts[1]);
    let symmetric = format!("{}.{}.{}", json(json!({ "alg": "HS256", "kid": kid })), parts[1], parts[2]);
    // Another's signature under the name of the good key.
    let renamed = format!("{header}.{}.{}", parts[1], foreign.split('.').nth(2).unwrap());
    let mut later = bench.claims.clone();
    later["exp"] = json!(Utc::now().timestamp() + 7200);
    let edited = format!("{header}.{}.{}", json(later), parts[2]);
    for (reason, token, says) in [
        ("token_expired", bench.ending(-1), "has expired: get a new one"),
        ("token_audience", bench.with("aud", "history"), "ask the authority for one of scope hub"),
        ("token_audience", bench.with("aud", "intake"), "ask the authority for one of scope hub"),
        ("token_audience", bench.with("aud", "authority"), "ask the authority for one of scope hub"),
        ("token_issuer", bench.with("iss", "https://other.example"), "another issuer"),
        ("token_signature", foreign, "not signed by the authority of this hub"),
        ("token_signature", renamed, "not signed by the authority of this hub"),
        ("token_signature", edited, "not signed by the authority of this hub"),
        ("token_signature", symmetric, "not signed by the authority of this hub"),
        ("token_malformed", none, "no access token of the authority"),
        ("token_malformed", "garbage".to_owned(), "no access token of the authority"),
        ("token_binding", bench.with("sub", "ju-sub-nobody-1"), "credential is gone"),
        ("token_binding", bench.with("grant", json!({ "subscription": "another" })), "credential is gone"),
        // No subscription's, though signed by the right key for the right audience.
        ("login", bench.of(&bench.rig.member.publication, "publication"), "no live credential of a subscription"),
    ] {
        let answer = bench.refused(reason, &bearer(&token)).await.unwrap();
        let said = answer.error_message.unwrap();
        assert!(said.contains(says), "{reason}: {}", said.as_str());
    }
    let another = format!("n,a=ju-sub-other-1,\u{1}auth=Bearer {good}\u{1}\u{1}");
    bench.refused("authzid", &another).await.unwrap();
    for response in [
        "",
        "n,,",
        "\0user\0password",
        "n,,n=user,r=nonce",
        &format!("p=tls-unique,,\u{1}auth=Bearer {good}\u{1}\u{1}"),
    ] {
        bench.refused("token_malformed", response).await.unwrap();
    }
    // Longer than a frame before the login may be: closed unread.
    let before = bench.refusals("frame_size").await;
    assert!(bench.hub().await.bear(&bearer(&good.repeat(50)), 2).await.is_none());
    bench.counted("frame_size", before).await;
}

/// Who goes past the hub meets the same check, and then the ACLs of the login that the token names.
async fn the_broker_is_a_second_wall(bench: &Bench) {
    let mut own = bench.broker().await;
    assert_eq!(own.bear(&bearer(&bench.ending(3600)), 2).await.unwrap().error_code, 0);
    assert_eq!(topic_error(&mut own).await, Some(0), "the ACLs are those of the login");
    let mut without = bench.broker().await;
    assert_eq!(without.bear(&bearer(&bench.with("sub", "ju-sub-nobody-1")), 2).await.unwrap().error_code, 0);
    assert_eq!(topic_error(&mut without).await, Some(TOPIC_AUTHORIZATION_FAILED));
    let foreign = TokenSigner::new(&SigningKey::generate().unwrap()).sign(&bench.claims).unwrap();
    for (what, token) in [
        // Of an operator's session, say: signed by the same key, and its subject may be called like a super user.
        (
            "audience",
            bench.sign(&json!({ "iss": bench.claims["iss"], "sub": "admin", "aud": "authority",
            "iat": bench.claims["iat"], "exp": bench.claims["exp"] })),
        ),
        ("issuer", bench.with("iss", "https://other.example")),
        ("signature", foreign),
        ("expiry", bench.ending(-3600)),
    ] {
        let answer = bench.broker().await.bear(&bearer(&token), 2).await.unwrap();
        let challenge = String::from_utf8(answer.auth_bytes.to_vec()).unwrap();
        assert!(answer.error_code != 0 || challenge.contains("invalid_token"), "{what}: {challenge}");
    }
}

async fn a_session_ends_with_its_token(bench: &Bench) {
    let before = bench.refusals("session_expired").await;
    let mut raw = bench.hub().await;
    assert_eq!(raw.bear(&bearer(&bench.ending(12)), 2).await.unwrap().error_code, 0);
    assert_eq!(raw.reply().await, Reply::Closed);
    bench.counted("session_expired", before).await;
}

async fn a_session_is_made_again_by_its_own_login_only(bench: &Bench) {
    let first = Utc::now().timestamp() + 15;
    let mut raw = bench.hub().await;
    assert_eq!(raw.bear(&bearer(&bench.with("exp", first)), 2).await.unwrap().error_code, 0);
    let again = raw.bear(&bearer(&bench.ending(3600)), 2).await.unwrap();
    assert_eq!(again.error_code, 0);
    assert!(again.session_lifetime_ms > 3_000_000, "{}", again.session_lifetime_ms);
    until("the first token to have ended", LONG, async || (Utc::now().timestamp() > first + 1).then_some(()))
        .await
        .unwrap();
    assert_eq!(topic_error(&mut raw).await, Some(0), "the session outlives the first token");

    let other = bench.rig.desk.grant(&bench.rig.member.company, "subscription", "other", &[]).await.unwrap();
    let other = bench.of(&other, "subscription");
    until("the other login to be let in", LONG, async || {
        (bench.hub().await.bear(&bearer(&other), 2).await?.error_code == 0).then_some(())
    })
    .await
    .unwrap();
    for (reason, response) in [
        ("login_changed", bearer(&other)),
        ("token_expired", bearer(&bench.ending(-1))),
        ("token_malformed", "garbage".to_owned()),
    ] {
        let before = bench.refusals(reason).await;
        let mut raw = bench.hub().await;
        assert_eq!(raw.bear(&bearer(&bench.ending(3600)), 2).await.unwrap().error_code, 0);
        assert_eq!(raw.bear(&response, 2).await.unwrap().error_code, SASL_AUTHENTICATION_FAILED, "{reason}");
        assert_eq!(raw.reply().await, Reply::Closed, "{reason}");
        bench.counted(reason, before).await;
    }
    // Nor by a mechanism whose session has no end, nor the other way round.
    let handshake = |mechanism| SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(mechanism));
    let mut by_token = bench.hub().await;
    assert_eq!(by_token.bear(&bearer(&bench.ending(3600)), 2).await.unwrap().error_code, 0);
    let mut by_scram = bench.hub().await;
    let Grant { login, secret, .. } = &bench.rig.member.subscription;
    assert_eq!(by_scram.authenticate(login.as_str(), secret, "n,,", "").await, Some(0));
    for (mut raw, mechanism) in [(by_token, "SCRAM-SHA-512"), (by_scram, "OAUTHBEARER")] {
        let answer = raw.call(&handshake(mechanism), 1).await.unwrap();
        assert_eq!(answer.error_code, UNSUPPORTED_SASL_MECHANISM);
        assert_eq!(raw.reply().await, Reply::Closed);
    }
}

/// With the configurations that hubctl writes, and nothing else.
async fn stock_clients_go_on_past_the_end_of_a_token(bench: &Bench) {
    let rig = &bench.rig;
    let stem = client_config(bench).await;
    bench.publish("first", 40).await;
    let token_url = format!("{}/oauth/token", rig.stack.authority_url());
    let started = Utc::now().timestamp();
    let mut readers = Vec::new();
    for client in Client::MAIN {
        let group = format!("ju.{}.{client:?}", rig.member.subscription.id).to_lowercase();
        let request = Request::configured("consume", client, &stem, &token_url);
        let request = request.with("group", group).with("topics", vec![CONTACT]);
        readers.push((client, Running::start(client, &request).unwrap(), BTreeSet::new()));
    }
    // The first records by the first token, the last ones when two have ended.
    for (prefix, wanted, after) in [("first", 40, 0), ("second", 80, LIFE + 1), ("third", 120, 2 * LIFE + 2)] {
        let due = started + after;
        until("tokens to have ended", LONG, async || (Utc::now().timestamp() > due).then_some(())).await.unwrap();
        if prefix != "first" {
            bench.publish(prefix, 40).await;
        }
        for (client, reader, seen) in &mut readers {
            let events = reader
                .until(&format!("to read the {prefix} records"), LONG, |event| {
                    seen.extend(event.record().map(|record| (record.partition, record.offset)));
                    seen.len() >= wanted
                })
                .await
                .unwrap();
            let refused = |event: &testkit::clients::Event| {
                event.kind() == "error" && event.0.to_string().to_lowercase().contains("authenti")
            };
            assert!(!events.iter().any(refused), "{client:?}: {events:?}");
        }
    }
    for (client, reader, seen) in &mut readers {
        assert_eq!(seen.len(), 120, "{client:?}");
        reader.stop(LONG).await.unwrap();
    }
}

/// Configurations of the member's subscription, written by an operator; without their endings.
async fn client_config(bench: &Bench) -> PathBuf {
    let rig = &bench.rig;
    let roles = [authority_api::types::Role::Steward];
    let operator = rig.stack.operator("writer", &roles).await.unwrap();
    let folder = rig.stack.directory().join("clients");
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        testkit::dir::write_secret(&path, text).unwrap();
        path.display().to_string()
    };
    let (password, secret) = (file("password", &operator.password), file("secret", &rig.member.subscription.secret));
    let hubctl = |args: &[&str]| {
        Launch::new(paths::binary("hubctl").unwrap())
            .args(args.iter().copied())
            .env("AUTHORITY_URL", rig.stack.authority_url())
            .env("AUTHORITY_TRUST", rig.stack.trust().unwrap().display().to_string())
            .env("HUBCTL_SESSION", folder.join("session.json").display().to_string())
    };
    run(&hubctl(&["sign-in", "--operator", "writer", "--password-file", &password]), "").await.unwrap();
    let id = &rig.member.subscription.id;
    let out = folder.display().to_string();
    let args = ["client-config", id, "--mechanism", "oauthbearer", "--secret-file", &secret, "--out", &out];
    run(&hubctl(&args), "").await.unwrap();
    assert!(!folder.join(format!("{id}.properties")).exists(), "only what was asked for");
    folder.join(format!("{id}.oauthbearer"))
}

async fn decisions_end_sessions_and_tokens(bench: &Bench) {
    let desk = &bench.rig.desk;
    let revoked = desk.grant(&bench.rig.member.company, "subscription", "revoked", &[]).await.unwrap();
    let suspended = desk.grant(&bench.rig.member.company, "subscription", "suspended", &[]).await.unwrap();
    for (grant, reason, path) in [
        (&revoked, "login", format!("/v1/credentials/{}/revoke", revoked.login)),
        (&suspended, "subscription", "/v1/subscriptions/suspended/suspend".to_owned()),
    ] {
        let token = bench.of(grant, "subscription");
        let mut raw = until("the login to be let in", LONG, async || {
            let mut raw = bench.hub().await;
            (raw.bear(&bearer(&token), 2).await?.error_code == 0).then_some(raw)
        })
        .await
        .unwrap();
        let because = Reason { reason: "a test".to_owned() };
        if reason == "login" {
            let _: Credential = desk.approves.post(&path, &because).await.unwrap();
        } else {
            let _: GrantView = desk.approves.post(&path, &because).await.unwrap();
        }
        assert_eq!(raw.reply().await, Reply::Closed, "{reason}");
        bench.refused(reason, &bearer(&token)).await.unwrap();
        // And past the hub: the broker believes the token until it ends, but its login has no rights left.
        until("the broker's ACLs to be gone", LONG, async || {
            let mut raw = bench.broker().await;
            raw.bear(&bearer(&token), 2).await?;
            (topic_error(&mut raw).await? == TOPIC_AUTHORIZATION_FAILED).then_some(())
        })
        .await
        .unwrap();
    }
}

/// Both keys are given to brokers and authority, then the new one signs.
async fn keys_are_changed_without_a_break(bench: &mut Bench) {
    let keys = bench.rig.stack.directory().join("keys");
    let authority = || Launch::new(paths::binary("authority").unwrap());
    let next = keys.join("next");
    run(&authority().args(["keygen", "--out", &next.display().to_string()]), "").await.unwrap();
    let path = |name: &str| keys.join(name).display().to_string();
    let both = ["jwks", "--key", &path("token.key"), "--key", &path("next/token.key")];
    let printed = run(&authority().args(both), "").await.unwrap();
    std::fs::write(keys.join("token.jwks.json"), printed).unwrap();
    std::fs::rename(next.join("token.key"), keys.join("token.key")).unwrap();
    let service = bench.rig.stack.service(Name::Authority).unwrap();
    service.stop().await.unwrap();
    service.start_again().unwrap();
    service.until_ready(LONG).await.unwrap();

    let jwks: Value = {
        let url = format!("{}/.well-known/jwks.json", bench.rig.stack.authority_url());
        bench.rig.stack.http().get(url).send().await.unwrap().json().await.unwrap()
    };
    assert_eq!(jwks["keys"].as_array().unwrap().len(), 2);
    let subscription = &bench.rig.member.subscription;
    let new =
        until("a token by the new key", LONG, async || bench.rig.stack.access_token(subscription, "hub").await.ok());
    let new = new.await.unwrap();
    let kid = |token: &str| -> Value {
        let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
        serde_json::from_slice::<Value>(&header).unwrap()["kid"].clone()
    };
    let old = bench.ending(3600);
    assert_ne!(kid(&old), kid(&new));
    for token in [new, old] {
        until("a token of either key to hold", LONG, async || {
            (bench.hub().await.bear(&bearer(&token), 2).await?.error_code == 0).then_some(())
        })
        .await
        .unwrap();
    }
}

fn no_token_is_in_a_log(bench: &mut Bench) {
    let used = bench.used.lock().unwrap().clone();
    assert!(used.len() > 10);
    for name in [Name::Hub, Name::Authority] {
        let log = std::fs::read_to_string(bench.rig.stack.service(name).unwrap().log()).unwrap();
        for token in &used {
            let signature = token.rsplit('.').next().unwrap();
            assert!(!log.contains(signature), "{name:?} logged a token");
        }
    }
}
