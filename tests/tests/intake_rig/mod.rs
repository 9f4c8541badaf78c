//! A real broker, a real database, the authority and intake; companies with publications, and what lies on the topics.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::{sync::Mutex, time::Duration};

use bus::{KafkaConfig, Security, TailEvent};
use contract::avro::{WriterSchema, decode};
use jointuse::{Kind, records::Contact};
use reqwest::multipart::{Form, Part};
use secret::SecretFile;
use serde_json::{Value, json};
use testkit::{
    keys::At,
    stack::{Desk, Member, Name, Stack, StackBuilder},
};
use tokio_util::sync::CancellationToken;

pub const DEADLINE: Duration = Duration::from_secs(120);

/// How everything in these tests was acquired.
pub fn acquisition() -> Value {
    json!({"method": "BUSINESS_CARD", "acquired_on": "2025-04-01", "purpose": "group-services-guidance", "source": "test"})
}

pub struct Rig {
    pub stack: Stack,
    pub desk: Desk,
    http: reqwest::Client,
}

/// A record on a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lying {
    pub partition: i32,
    pub key: String,
    pub value: Vec<u8>,
}

impl Rig {
    pub async fn start(builder: StackBuilder) -> Self {
        let stack = builder.services(&[Name::Authority, Name::Intake]).start().await.unwrap();
        let desk = stack.desk().await.unwrap();
        Self { stack, desk, http: reqwest::Client::new() }
    }

    /// A member company, as its publication.
    pub async fn publisher(&self, company: &str) -> Publisher {
        let member = self.desk.member(company).await.unwrap();
        let token = self.token(&member).await;
        let publisher = Publisher { base: self.stack.intake_url(), token, http: self.http.clone(), member };
        publisher.until_known().await;
        publisher
    }

    pub async fn token(&self, member: &Member) -> String {
        self.stack.access_token(&member.publication, "intake").await.unwrap()
    }

    /// Everything on the topic of `kind` now.
    pub async fn lying(&self, kind: Kind) -> Vec<Lying> {
        let kafka = KafkaConfig {
            bootstrap: self.stack.broker_bootstrap(),
            login: "ju-authority".into(),
            password_file: SecretFile::new(self.stack.directory().join("secrets/authority-kafka")),
            security: Security::default(),
            trust_file: None,
        };
        let cancel = CancellationToken::new();
        let all = Mutex::new(Vec::new());
        let topic = format!("jointuse.{}", kind.as_str());
        let reading = bus::tail(&kafka, "tests", &topic, cancel.clone(), |event| match event {
            TailEvent::Record { key: Some(key), value: Some(value), position } => {
                let (partition, key) = (position.partition, String::from_utf8(key.to_vec()).unwrap());
                all.lock().unwrap().push(Lying { partition, key, value: value.to_vec() });
            }
            TailEvent::CaughtUp => cancel.cancel(),
            _ => {}
        });
        tokio::time::timeout(DEADLINE, reading).await.unwrap().unwrap();
        all.into_inner().unwrap()
    }

    /// What a company published, opened.
    pub async fn contact(&self, lying: &Lying, publisher: &str) -> Contact {
        let sealer = self.stack.keys.sealer().await.unwrap();
        let (topic, kind) = ("jointuse.contact", "contact");
        let at = At { topic, partition: Some(lying.partition), key: &lying.key, publisher, kind };
        let value = sealer.open(&at, &lying.value).await.unwrap().expect("it opens where it lies");
        decode(&value, &WriterSchema::embedded(Kind::Contact).unwrap()).unwrap()
    }

    pub async fn count(&self, kind: Kind) -> usize {
        self.lying(kind).await.len()
    }
}

/// A company that publishes.
#[derive(Clone)]
pub struct Publisher {
    pub base: String,
    pub token: String,
    pub http: reqwest::Client,
    pub member: Member,
}

/// An answer line by line.
pub struct Told {
    pub rows: Vec<Value>,
    pub summary: Value,
}

impl Publisher {
    /// Waits until intake has the policy that knows this publication.
    async fn until_known(&self) {
        testkit::wait::until("intake to know the publication", DEADLINE, async || {
            (self.json("contact", "?dry-run=true", &json!([])).await.0 == 200).then_some(())
        })
        .await
        .unwrap();
    }

    pub async fn json(&self, kind: &str, query: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}/v1/records/{kind}{query}", self.base);
        answer(self.http.post(url).bearer_auth(&self.token).json(body)).await
    }

    pub fn form(format: &str, acquisition: Option<&Value>, bytes: Vec<u8>) -> Form {
        let form = Form::new().text("format", format.to_owned());
        let form = match acquisition {
            Some(acquisition) => form.text("acquisition", acquisition.to_string()),
            None => form,
        };
        form.part("file", Part::bytes(bytes).file_name("cards"))
    }

    /// Sends a file that is refused as a whole.
    pub async fn refused(&self, form: Form) -> (u16, Value) {
        answer(self.http.post(format!("{}/v1/files", self.base)).bearer_auth(&self.token).multipart(form)).await
    }

    pub async fn file(&self, query: &str, form: Form) -> Told {
        let url = format!("{}/v1/files{query}", self.base);
        let answer = self.http.post(url).bearer_auth(&self.token).multipart(form).send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        assert_eq!(status, 200, "{text}");
        told(&text)
    }

    /// A file with the usual acquisition.
    pub async fn import(&self, format: &str, bytes: &[u8]) -> Told {
        self.file("", Self::form(format, Some(&acquisition()), bytes.to_vec())).await
    }
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

pub fn told(text: &str) -> Told {
    let mut rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = rows.pop().map_or(Value::Null, |last| last["summary"].clone());
    Told { rows, summary }
}

impl Told {
    /// `line outcome field:rule …` of each row.
    pub fn said(&self) -> Vec<String> {
        self.rows.iter().map(said).collect()
    }

    pub fn totals(&self) -> (u64, u64, u64) {
        let number = |name: &str| self.summary[name].as_u64().unwrap_or(u64::MAX);
        (number("accepted"), number("unchanged"), number("refused"))
    }

    pub fn ids(&self) -> Vec<String> {
        self.rows.iter().filter_map(|row| row["id"].as_str().map(str::to_owned)).collect()
    }
}

/// One row in a few words.
pub fn said(row: &Value) -> String {
    let place = row["line"].as_u64().or(row["index"].as_u64()).unwrap_or_default();
    let mut text = format!("{place} {}", row["outcome"].as_str().unwrap_or("?"));
    for (mark, list) in [("", "errors"), ("~", "warnings")] {
        for finding in row[list].as_array().into_iter().flatten() {
            text += &format!(" {mark}{}:{}", finding["field"].as_str().unwrap(), finding["rule"].as_str().unwrap());
        }
    }
    text
}
