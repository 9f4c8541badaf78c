//! An authority on a real broker and a real database, the operators it needs, and an ear on the policy topic.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use authority_api::{
    AuthorityClient, ClientError, PublicKey, signed,
    types::{Company, GrantView, IssuedCredential, Manager, NewCompany, NewGrant, NewNotice, Notice, Reason, Role},
};
use bus::{KafkaConfig, Security, TailEvent};
use chrono::{DateTime, TimeDelta, Utc};
use jointuse::{CorporateNumber, GrantState, Login};
use policy::{GrantId, Snapshot};
use secret::SecretFile;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use testkit::{
    stack::{Name, Operator, Stack, StackBuilder},
    wait::until,
};
use tokio_util::sync::CancellationToken;

pub const PURPOSE: &str = "group-services-guidance";
pub const DEADLINE: Duration = Duration::from_secs(30);

/// A snapshot and when it was read from the topic.
#[derive(Debug, Clone)]
pub struct Heard {
    pub at: Instant,
    pub snapshot: Snapshot,
}

pub struct Rig {
    pub stack: Stack,
    /// Steward, access officer and privacy officer at once, twice.
    pub first: AuthorityClient,
    pub second: AuthorityClient,
    heard: Arc<Mutex<Vec<Heard>>>,
    forged: Arc<Mutex<usize>>,
    stop: CancellationToken,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Rig {
    pub async fn start(builder: StackBuilder) -> Self {
        let stack = builder.services(&[Name::Authority]).start().await.unwrap();
        let all = [Role::Steward, Role::AccessOfficer, Role::PrivacyOfficer];
        let first = stack.operator("first", &all).await.unwrap();
        let second = stack.operator("second", &all).await.unwrap();
        let (first, second) = (stack.signed_in(&first).await.unwrap(), stack.signed_in(&second).await.unwrap());
        let (heard, forged, stop) = (Arc::default(), Arc::default(), CancellationToken::new());
        listen(&stack, Arc::clone(&heard), Arc::clone(&forged), stop.clone());
        Self { stack, first, second, heard, forged, stop }
    }

    pub fn kafka(stack: &Stack) -> KafkaConfig {
        KafkaConfig {
            bootstrap: stack.broker_bootstrap(),
            login: "ju-authority".into(),
            password_file: SecretFile::new(stack.directory().join("secrets/authority-kafka")),
            security: Security::default(),
            trust_file: None,
        }
    }

    /// All snapshots so far that the public key verifies.
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// Records on the topic that the public key does not verify.
    pub fn forged(&self) -> usize {
        *self.forged.lock().unwrap()
    }

    /// Waits until a snapshot fits, and gives the first that does.
    pub async fn hears(&self, what: &str, fits: impl Fn(&Snapshot) -> bool) -> Heard {
        until(what, DEADLINE, async || self.heard.lock().unwrap().iter().find(|heard| fits(&heard.snapshot)).cloned())
            .await
            .unwrap()
    }

    /// The newest snapshot.
    pub fn newest(&self) -> Snapshot {
        self.heard().pop().expect("a snapshot").snapshot
    }

    pub async fn operator(&self, name: &str, roles: &[Role]) -> (Operator, AuthorityClient) {
        let operator = self.stack.operator(name, roles).await.unwrap();
        let client = self.stack.signed_in(&operator).await.unwrap();
        (operator, client)
    }

    /// A registered company without a notice.
    pub async fn company(&self, id: &str) -> Company {
        self.first.post("/v1/companies", &new_company(id)).await.unwrap()
    }

    /// A company with a notice in force since yesterday.
    pub async fn member(&self, id: &str) {
        self.company(id).await;
        let notice: Notice = self.first.post(&format!("/v1/companies/{id}/notices"), &notice()).await.unwrap();
        self.bring_in(id, notice.version, "").await.unwrap();
    }

    /// Takes a drafted notice through all its steps.
    pub async fn bring_in(&self, company: &str, version: u32, reason: &str) -> Result<Notice, ClientError> {
        let path = format!("/v1/companies/{company}/notices/{version}");
        let _: Notice = self.first.put_file(&format!("{path}/evidence"), "page.html", b"<p>".to_vec()).await?;
        for step in ["notify", "publish", "check-evidence"] {
            let _: Notice = self.first.post(&format!("{path}/{step}"), &Reason::default()).await?;
        }
        self.second.post(&format!("{path}/activate"), &because(reason)).await
    }

    /// An approved subscription with a credential.
    pub async fn subscription(&self, company: &str, id: &str) -> IssuedCredential {
        let _: GrantView = self.first.post("/v1/subscriptions", &grant(company, id)).await.unwrap();
        let _: GrantView =
            self.second.post(&format!("/v1/subscriptions/{id}/approve"), &Reason::default()).await.unwrap();
        self.first.post(&format!("/v1/subscriptions/{id}/credentials"), &json!({})).await.unwrap()
    }

    pub async fn sql(&self, sql: &str) -> testkit::Result<String> {
        self.stack.postgres.sql("authority", sql).await
    }
}

fn listen(stack: &Stack, heard: Arc<Mutex<Vec<Heard>>>, forged: Arc<Mutex<usize>>, stop: CancellationToken) {
    let kafka = Rig::kafka(stack);
    let key = PublicKey::read(&stack.directory().join("keys/policy.pub.pem")).unwrap();
    tokio::spawn(async move {
        let told = bus::tail(&kafka, "ear", "jointuse.policy", stop, |event| {
            let TailEvent::Record { key: name, value: Some(value), .. } = event else { return };
            assert_eq!(name, Some(b"snapshot".as_slice()));
            match signed::open(value, &[key]) {
                Ok(snapshot) => heard.lock().unwrap().push(Heard { at: Instant::now(), snapshot }),
                Err(_) => *forged.lock().unwrap() += 1,
            }
        });
        told.await.unwrap();
    });
}

pub fn because(reason: &str) -> Reason {
    Reason { reason: reason.into() }
}

pub fn new_company(id: &str) -> NewCompany {
    let base = id.bytes().fold(7_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    NewCompany {
        id: id.parse().unwrap(),
        corporate_number: CorporateNumber::from_base(base),
        name_ja: format!("株式会社{id}"),
        name_en: id.into(),
        country: "JP".into(),
        foreign_basis: None,
    }
}

/// A notice of two items, published yesterday.
pub fn notice() -> NewNotice {
    let yesterday = Utc::now() - TimeDelta::days(1);
    NewNotice {
        url: "https://member.example/joint-use".into(),
        items: ids(&["person.name", "organisation.email"]),
        scope_rule: "group companies that have notified and published under Art. 27(5)(iii)".into(),
        purposes: ids(&[PURPOSE]),
        manager: Manager::holdings(),
        published_at: yesterday,
        effective_from: yesterday,
    }
}

pub fn grant(company: &str, id: &str) -> NewGrant {
    let from: DateTime<Utc> = Utc::now() - TimeDelta::hours(1);
    NewGrant {
        id: id.into(),
        company: company.parse().unwrap(),
        topics: ids(&["jointuse.contact", "jointuse.meeting"]),
        items: ids(&["person.name"]),
        purpose: PURPOSE.parse().unwrap(),
        from,
        until: from + TimeDelta::days(30),
    }
}

pub fn ids<T: std::str::FromStr + Ord>(texts: &[&str]) -> BTreeSet<T>
where
    T::Err: std::fmt::Debug,
{
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

pub fn subscription_id(id: &str) -> GrantId {
    GrantId::Subscription(id.parse().unwrap())
}

pub fn grant_state(snapshot: &Snapshot, id: &str) -> Option<GrantState> {
    snapshot.grants.iter().find(|grant| grant.id == subscription_id(id)).map(|grant| grant.state)
}

pub fn live(snapshot: &Snapshot, login: &Login) -> Option<bool> {
    snapshot.credentials.iter().find(|credential| &credential.login == login).map(|credential| credential.live)
}

/// Status and body of a refusal.
pub fn refused<T: std::fmt::Debug>(answer: Result<T, ClientError>) -> (u16, Value) {
    match answer {
        Err(ClientError::Refused { status, problem, .. }) => (status.as_u16(), problem),
        other => panic!("not refused: {other:?}"),
    }
}

/// POSTs and gives status and problem of the refusal.
pub async fn no<B: serde::Serialize>(client: &AuthorityClient, path: &str, body: &B) -> (u16, Value) {
    refused(client.post::<B, Value>(path, body).await)
}

/// POSTs a step with a reason and expects it to be taken.
pub async fn step<T: DeserializeOwned>(client: &AuthorityClient, path: &str, reason: &str) -> T {
    match client.post(path, &because(reason)).await {
        Ok(answer) => answer,
        Err(ClientError::Refused { status, problem, .. }) => panic!("{path}: {status} {problem}"),
        Err(error) => panic!("{path}: {error}"),
    }
}
