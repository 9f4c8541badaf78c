//! A real broker, a real database, the authority and the history service. Records are produced with intake's login and
//! the registry's schema ids, as intake would: what history does must follow from what lies on the topics.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::{collections::BTreeMap, time::Duration};

use bus::{KafkaConfig, ProduceOptions, Producer, Record, Security};
use chrono::{DateTime, NaiveDate, Utc};
use jointuse::{
    Acquisition, AcquisitionMethod, Kind,
    records::{Behaviour, Contact, LinkClick, Meeting, MeetingStatus, OnlineBasis, PersonName, Transaction},
};
use secret::SecretFile;
use serde::Serialize;
use serde_json::Value;
use testkit::{
    keys::Sealer,
    stack::{Desk, Grant, Name, Stack, StackBuilder},
};

pub const DEADLINE: Duration = Duration::from_secs(60);

pub struct Rig {
    pub stack: Stack,
    pub desk: Desk,
    pub producer: Producer,
    pub sealer: Sealer,
    pub http: reqwest::Client,
    schemas: BTreeMap<Kind, u32>,
    /// For each topic and partition the offset after the last record produced here.
    next: BTreeMap<(String, i32), i64>,
}

impl Rig {
    pub async fn start() -> Self {
        Self::start_with(Stack::builder()).await
    }

    pub async fn start_with(builder: StackBuilder) -> Self {
        Self::start_services(builder, &[Name::Authority, Name::History]).await
    }

    pub async fn start_services(builder: StackBuilder, services: &[Name]) -> Self {
        let stack = builder.services(services).start().await.unwrap();
        let desk = stack.desk().await.unwrap();
        let kafka = KafkaConfig {
            bootstrap: stack.broker_bootstrap(),
            login: "ju-intake".into(),
            password_file: SecretFile::new(stack.directory().join("secrets/intake-kafka")),
            security: Security::default(),
            trust_file: None,
        };
        let producer = Producer::new(&kafka, "tests", ProduceOptions::default()).unwrap();
        let sealer = stack.keys.sealer().await.unwrap();
        let http = reqwest::Client::new();
        let mut schemas = BTreeMap::new();
        for kind in Kind::ALL {
            let url = format!("{}/subjects/{}-value/versions/latest", stack.registry_url(), topic(kind));
            let answer: Value = http.get(url).send().await.unwrap().json().await.unwrap();
            schemas.insert(kind, u32::try_from(answer["id"].as_u64().unwrap()).unwrap());
        }
        Self { stack, desk, producer, sealer, http, schemas, next: BTreeMap::new() }
    }

    /// A record of `kind`, as intake would produce it.
    pub fn record<T: Serialize>(&self, kind: Kind, contact: &str, company: &str, value: &T) -> Record {
        let value = contract::avro::encode(self.schemas[&kind], kind, value).unwrap();
        Record::new(topic(kind), contact.to_owned(), value)
            .header("publisher", company.to_owned())
            .header("kind", kind.as_str())
    }

    pub fn card(&self, card: &Card) -> Record {
        self.record(Kind::Contact, &card.id, card.company, &card.record())
    }

    /// Seals what can be sealed and produces, and remembers up to where history has to read.
    pub async fn produce(&mut self, records: Vec<Record>) {
        let mut sealed = Vec::with_capacity(records.len());
        for record in records {
            let plain = record.clone();
            sealed.push(self.sealer.seal(record).await.unwrap_or(plain));
        }
        self.produce_as_they_are(sealed).await;
    }

    pub async fn produce_as_they_are(&mut self, records: Vec<Record>) {
        let topics: Vec<String> = records.iter().map(|record| record.topic.to_string()).collect();
        for (topic, result) in topics.into_iter().zip(self.producer.send_all(records).await) {
            let delivery = result.unwrap();
            let next = self.next.entry((topic, delivery.partition)).or_default();
            *next = (*next).max(delivery.offset + 1);
        }
    }

    /// Waits until everything that was produced is applied.
    pub async fn applied(&self) {
        testkit::wait::until("everything to be applied", DEADLINE, async || {
            let rows =
                self.stack.postgres.sql("history", "SELECT topic, partition, next_offset FROM applied_offset").await;
            let rows = rows.ok()?;
            let applied: BTreeMap<(String, i32), i64> = rows
                .lines()
                .filter_map(|line| {
                    let mut columns = line.split('|');
                    Some(((columns.next()?.into(), columns.next()?.parse().ok()?), columns.next()?.parse().ok()?))
                })
                .collect();
            self.next.iter().all(|(partition, next)| applied.get(partition).is_some_and(|at| at >= next)).then_some(())
        })
        .await
        .unwrap();
    }

    pub async fn publish(&mut self, records: Vec<Record>) {
        self.produce(records).await;
        self.applied().await;
    }

    pub async fn sql(&self, sql: &str) -> String {
        self.stack.postgres.sql("history", sql).await.unwrap().trim().to_owned()
    }

    pub async fn count(&self, sql: &str) -> i64 {
        self.sql(sql).await.parse().unwrap()
    }

    pub async fn reader(&self, grant: &Grant) -> Reader {
        let token = self.stack.access_token(grant, "history").await.unwrap();
        Reader { base: self.stack.history_url(), token, http: self.http.clone() }
    }

    /// A subscription with these topics and items only.
    pub async fn subscription(&self, company: &str, id: &str, topics: &[&str], items: &[&str]) -> Grant {
        let company = company.parse().unwrap();
        self.desk.grant_items(&company, "subscription", id, topics, items).await.unwrap()
    }
}

/// Somebody with a token.
#[derive(Clone)]
pub struct Reader {
    pub base: String,
    pub token: String,
    pub http: reqwest::Client,
}

impl Reader {
    pub async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.http.get(format!("{}{path}", self.base)).bearer_auth(&self.token)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        answer(self.http.post(format!("{}{path}", self.base)).bearer_auth(&self.token).json(body)).await
    }

    /// The only person that a search finds.
    pub async fn one(&self, search: &Value) -> Value {
        let (status, page) = self.post("/v1/persons/search", search).await;
        assert_eq!(status, 200, "{page}");
        assert_eq!(page["persons"].as_array().unwrap().len(), 1, "{page}");
        page["persons"][0].clone()
    }

    /// All entries of a timeline, page by page.
    pub async fn all(&self, path: &str, limit: usize) -> Vec<Value> {
        let mut entries = Vec::new();
        let mut cursor = String::new();
        loop {
            let sign = if path.contains('?') { '&' } else { '?' };
            let (status, page) = self.get(&format!("{path}{sign}limit={limit}{cursor}")).await;
            assert_eq!(status, 200, "{page}");
            entries.extend(page["entries"].as_array().unwrap().iter().cloned());
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return entries,
            }
        }
    }
}

pub async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

pub fn topic(kind: Kind) -> String {
    format!("jointuse.{}", kind.as_str())
}

/// A pseudonym that a test can tell apart.
pub fn id(what: &str, number: u64) -> String {
    let what = what.bytes().fold(7_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    format!("{what:016x}{number:016x}")
}

pub fn acquisition() -> Acquisition {
    Acquisition {
        method: AcquisitionMethod::BusinessCard,
        acquired_on: NaiveDate::from_ymd_opt(2026, 4, 1).unwrap(),
        purpose: "group-services-guidance".parse().unwrap(),
        source: "eight-csv".into(),
    }
}

pub fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_780_000_000 + seconds, 0).unwrap()
}

/// A business card.
#[derive(Clone)]
pub struct Card {
    pub id: String,
    pub company: &'static str,
    pub name: &'static str,
    pub organisation: &'static str,
    pub email: &'static str,
    pub telephone: &'static str,
    pub direct: &'static str,
    pub recorded: i64,
}

pub fn card(company: &'static str, number: u64, name: &'static str, email: &'static str) -> Card {
    let id = id(company, number);
    Card { id, company, name, organisation: "株式会社見本商事", email, telephone: "", direct: "", recorded: 0 }
}

impl Card {
    pub fn record(&self) -> Contact {
        let text = |text: &str| Some(text).filter(|text| !text.is_empty()).map(|text| text.to_owned().into());
        Contact {
            contact_id: self.id.parse().unwrap(),
            company: self.company.parse().unwrap(),
            recorded_at: at(self.recorded),
            acquisition: acquisition(),
            name: Some(PersonName { full: text(self.name), ..PersonName::default() }),
            organisation: text(self.organisation),
            department: None,
            title: text("部長"),
            postal_code: None,
            address: None,
            email: text(self.email),
            telephone: text(self.telephone),
            direct_telephone: text(self.direct),
            mobile: None,
            fax: None,
        }
    }
}

pub fn transaction(card: &Card, number: u64, occurred: i64) -> Transaction {
    Transaction {
        record_id: id("transaction", number).parse().unwrap(),
        contact_id: card.id.parse().unwrap(),
        company: card.company.parse().unwrap(),
        occurred_at: at(occurred),
        recorded_at: at(occurred + 1),
        acquisition: Acquisition { method: AcquisitionMethod::ApplicationForTransaction, ..acquisition() },
        service: Some("人材紹介".to_owned().into()),
        subject: None,
        stage: Some("契約".to_owned().into()),
        amount_jpy: Some(1_200_000.into()),
    }
}

pub fn meeting(card: &Card, number: u64, occurred: i64, sequence: i32) -> Meeting {
    Meeting {
        record_id: id("meeting", number).parse().unwrap(),
        contact_id: card.id.parse().unwrap(),
        company: card.company.parse().unwrap(),
        occurred_at: at(occurred),
        recorded_at: at(occurred + 1),
        acquisition: Acquisition { method: AcquisitionMethod::BusinessMeeting, ..acquisition() },
        meeting_id: id("meeting-of", number).parse().unwrap(),
        sequence,
        status: MeetingStatus::Confirmed,
        role: None,
        subject: Some(format!("打合せ {sequence}").into()),
        place: None,
        ends_at: None,
    }
}

pub fn click(card: &Card, number: u64, occurred: i64) -> Behaviour {
    Behaviour {
        record_id: id("behaviour", number).parse().unwrap(),
        contact_id: card.id.parse().unwrap(),
        company: card.company.parse().unwrap(),
        occurred_at: at(occurred),
        recorded_at: at(occurred + 1),
        acquisition: acquisition(),
        basis: OnlineBasis::HeldAsPersonalData,
        mail_open: None,
        link_click: Some(LinkClick { campaign: None, url: Some("https://service.example/".to_owned().into()) }),
        page_view: None,
        cookie: Some("c-0001".to_owned().into()),
        device: None,
        ip_address: None,
        location: None,
        advertising_id: None,
        attributes: None,
    }
}
