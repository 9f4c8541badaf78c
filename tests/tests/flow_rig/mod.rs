//! The whole stack with a member company, its publications as HTTP posts, and what lies on the topics.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::{sync::Mutex, time::Duration};

use bus::{KafkaConfig, ProduceOptions, Producer, Security, TailEvent};
use jointuse::Kind;
use secret::SecretFile;
use serde_json::{Value, json};
use testkit::{
    kafka::ADMIN,
    keys::At,
    stack::{Desk, Grant, Member, Name, Stack, StackBuilder},
    wait::until,
};
use tokio_util::sync::CancellationToken;

pub const DEADLINE: Duration = Duration::from_secs(90);
/// The services that decide by the policy.
pub const DECIDING: [Name; 3] = [Name::Hub, Name::Intake, Name::History];

pub struct Rig {
    pub stack: Stack,
    pub desk: Desk,
    /// Publishes and reads everything.
    pub member: Member,
    pub http: reqwest::Client,
}

/// A record on a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lying {
    pub partition: i32,
    pub offset: i64,
    pub key: Vec<u8>,
    pub value: Vec<u8>,
}

/// A stack in which fences are heard of quickly.
pub fn quick_to_erase() -> StackBuilder {
    let mut builder = Stack::builder().env(Name::Authority, "AUTHORITY__ERASURES__HEARD_WITHIN_MS", "2000");
    for (name, prefix) in [(Name::Hub, "HUB"), (Name::Intake, "INTAKE"), (Name::History, "HISTORY")] {
        let cache = format!("{prefix}__KEYS__CACHE__");
        builder = builder.env(name, &format!("{cache}POLL_MS"), "100");
        builder = builder.env(name, &format!("{cache}MAX_STALENESS_MS"), "2000");
    }
    builder
}

impl Rig {
    pub async fn start(builder: StackBuilder) -> Self {
        let stack = builder.start().await.unwrap();
        let desk = stack.desk().await.unwrap();
        let member = desk.member("acme").await.unwrap();
        let http = stack.http();
        Self { stack, desk, member, http }
    }

    /// The broker's administrator: may read and write everything.
    pub fn kafka(&self) -> KafkaConfig {
        let file = self.stack.directory().join("admin-password");
        testkit::dir::write_secret(&file, self.stack.kafka.password(ADMIN)).unwrap();
        KafkaConfig {
            bootstrap: self.stack.broker_bootstrap(),
            login: ADMIN.into(),
            password_file: SecretFile::new(file),
            security: self.stack.trust().map_or(Security::SaslPlaintext, |_| Security::SaslSsl),
            trust_file: self.stack.trust(),
        }
    }

    pub fn producer(&self) -> Producer {
        Producer::new(&self.kafka(), "tests", ProduceOptions::low_latency()).unwrap()
    }

    /// Everything on a topic now, as it lies there.
    pub async fn lying(&self, topic: &str) -> Vec<Lying> {
        let (cancel, all) = (CancellationToken::new(), Mutex::new(Vec::new()));
        let kafka = self.kafka();
        let reading = bus::tail(&kafka, "tests", topic, cancel.clone(), |event| match event {
            TailEvent::Record { key: Some(key), value: Some(value), position } => {
                let (partition, offset) = (position.partition, position.offset);
                all.lock().unwrap().push(Lying { partition, offset, key: key.to_vec(), value: value.to_vec() });
            }
            TailEvent::CaughtUp => cancel.cancel(),
            _ => {}
        });
        tokio::time::timeout(DEADLINE, reading).await.unwrap().unwrap();
        all.into_inner().unwrap()
    }

    /// The same, opened; all of it was published by the member.
    pub async fn opened(&self, topic: &str) -> Vec<Lying> {
        let mut all = self.lying(topic).await;
        let sealer = self.stack.keys.sealer().await.unwrap();
        let (publisher, kind) = (self.member.company.as_str(), topic.trim_start_matches("jointuse."));
        for record in &mut all {
            let key = std::str::from_utf8(&record.key).unwrap();
            let at = At { topic, partition: Some(record.partition), key, publisher, kind };
            record.value = sealer.open(&at, &record.value).await.unwrap().expect("it opens where it lies");
        }
        all
    }

    /// A company's publication, with a token and known to intake.
    pub async fn publisher(&self, publication: &Grant) -> Caller {
        let caller = self.caller(Name::Intake, publication).await;
        until("intake to know the publication", DEADLINE, async || {
            let answer = caller.post("/v1/records/contact?dry-run=true", &json!([])).await.ok()?;
            (answer.status == 200).then_some(())
        })
        .await
        .unwrap();
        caller
    }

    /// Somebody with a token for a service.
    pub async fn caller(&self, service: Name, grant: &Grant) -> Caller {
        let token = self.stack.access_token(grant, service.as_str()).await.unwrap();
        Caller { base: self.stack.admin_url(service), token, http: self.http.clone() }
    }

    /// Sum of a metric's series with this label; zero while the service has none or does not answer.
    pub async fn metric(&self, service: Name, name: &str, label: &str) -> f64 {
        let text = self.stack.metrics(service).await.unwrap_or_default();
        let series = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
        series.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    pub async fn sql(&self, service: Name, sql: &str) -> String {
        self.stack.postgres.sql(service.as_str(), sql).await.unwrap()
    }
}

/// Somebody who calls a service over HTTP with a token.
#[derive(Clone)]
pub struct Caller {
    base: String,
    token: String,
    http: reqwest::Client,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub media: String,
    pub body: Value,
}

impl Caller {
    pub async fn post(&self, path: &str, body: &Value) -> reqwest::Result<Answer> {
        let url = format!("{}{path}", self.base);
        let answer = self.http.post(url).bearer_auth(&self.token).json(body).send().await?;
        let status = answer.status().as_u16();
        let media = answer.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media = media.to_owned();
        let text = answer.text().await?;
        Ok(Answer { status, media, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) })
    }

    pub async fn records(&self, kind: Kind, rows: &[Value]) -> reqwest::Result<Answer> {
        self.post(&format!("/v1/records/{}", kind.as_str()), &Value::from(rows)).await
    }
}

/// A business card under the publisher's own reference.
pub fn card(reference: &str, title: &str) -> Value {
    json!({
        "reference": reference, "title": title, "name": {"full": format!("見本 {reference}")},
        "organisation": "株式会社見本商事", "email": format!("{reference}@mihon.example"), "acquisition": acquisition(),
    })
}

/// A transaction with a contact; the amount tells it apart.
pub fn transaction(number: i64, contact: &str) -> Value {
    json!({
        "reference": format!("t-{number}"), "contact": contact, "occurred_at": "2026-01-05T10:00:00+09:00",
        "service": "人材紹介", "amount_jpy": number, "acquisition": acquisition(),
    })
}

fn acquisition() -> Value {
    json!({"method": "BUSINESS_CARD", "acquired_on": "2025-04-01", "purpose": "group-services-guidance", "source": "test"})
}
