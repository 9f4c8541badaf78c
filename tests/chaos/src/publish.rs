//! Records whose content is known before they are written: sealed here as intake does, or posted to intake.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use authority_api::AuthorityClient;
use bus::{Producer, Record};
use chrono::{DateTime, NaiveDate};
use jointuse::{
    Acquisition, AcquisitionMethod,
    records::{Contact, PersonName, Text, Transaction},
};
use serde_json::{Value, json};
use testkit::{
    Result,
    keys::{At, Sealer},
    seeded::Seeded,
    stack::Grant,
};

use crate::{
    bed::{Bed, CONTACT, PARTITIONS, TRANSACTION, now},
    content::{Content, Schemas},
    model::Place,
    pool::Pool,
};

/// Pause between two posts.
const PACE: Duration = Duration::from_millis(250);
const PURPOSE: &str = "group-services-guidance";

/// What is written under a ciphertext.
#[derive(Debug, Clone)]
pub struct Sealed {
    pub publisher: String,
    pub content: Content,
}

/// All that was written or tried.
#[derive(Debug, Default)]
pub struct Written {
    /// By envelope, from before it was sent.
    pub sealed: Mutex<HashMap<Vec<u8>, Sealed>>,
    /// Contacts by where their records were acknowledged.
    pub acknowledged: Mutex<BTreeMap<Place, String>>,
    /// Envelopes, and about whom they are, that were acknowledged without a place: so a broker answers when it was asked
    /// again for what it had taken already.
    pub unplaced: Mutex<HashMap<Vec<u8>, String>>,
    /// What was not acknowledged; it may lie there all the same.
    pub failed: AtomicU64,
    pub stop: AtomicBool,
}

/// Seals and produces.
#[derive(Debug, Clone)]
pub struct Publisher {
    producer: Producer,
    sealer: Sealer,
    schemas: Schemas,
    companies: Vec<String>,
    written: Arc<Written>,
}

impl Publisher {
    /// # Errors
    /// When the key store does not answer.
    pub async fn new(bed: &Bed, written: Arc<Written>) -> Result<Self> {
        Ok(Self {
            producer: bed.producer()?,
            sealer: bed.stack.keys.sealer().await?,
            schemas: bed.schemas.clone(),
            companies: bed.companies.clone(),
            written,
        })
    }

    /// What it seals with, and opens.
    pub const fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    /// Waits until nothing is on its way any more.
    pub async fn flush(&self) {
        // What fails in time is written, or not, by then.
        let _ = self.producer.flush(Duration::from_secs(30)).await;
    }

    /// Publishes until told to stop. Whatever happens to what it stands on, it goes on.
    pub async fn run(self, pool: Arc<Mutex<Pool>>, mut seeded: Seeded) {
        let mut number = 0;
        while !self.written.stop.load(Relaxed) {
            let mut records = Vec::new();
            for _ in 0..seeded.between(1, 8) {
                let (slot, contact, person) = pool.lock().unwrap().any(seeded.between(0, 1 << 20));
                number += 1;
                // A contact belongs to one company.
                let company = self.companies[slot % self.companies.len()].clone();
                let content = match seeded.one_in(2) {
                    true => card(&company, &contact, &person, number),
                    false => transaction(&company, &contact, number, &mut seeded),
                };
                let partition = i32::try_from(slot).unwrap_or(0) % PARTITIONS;
                records.extend(self.sealed(&company, &contact, partition, content).await);
            }
            let this = self.clone();
            // Brokers may be away for longer than the pace.
            tokio::spawn(async move { this.send(records).await });
            tokio::time::sleep(PACE).await;
        }
    }

    /// One record of a new contact into each partition of each topic, as far as they are acknowledged: who has read these
    /// has read to the end.
    pub async fn last(&self, seeded: &mut Seeded) -> Vec<Place> {
        let mut all = Vec::new();
        for partition in 0..PARTITIONS {
            let (contact, company) = (seeded.id(), &self.companies[0]);
            for content in [card(company, &contact, &contact, 0), transaction(company, &contact, 0, seeded)] {
                let record = self.sealed(company, &contact, partition, content).await;
                all.extend(self.send(record.into_iter().collect()).await);
            }
        }
        all
    }

    async fn sealed(&self, company: &str, contact: &str, partition: i32, content: Content) -> Option<Record> {
        let kind = content.kind();
        let topic = if matches!(content, Content::Contact(_)) { CONTACT } else { TRANSACTION };
        let framed = content.framed(&self.schemas);
        // Erased meanwhile, or the key store is away.
        let Ok(keys) = self.sealer.keys(&[contact]).await else { return self.not_written() };
        let at = At { topic, partition: Some(partition), key: contact, publisher: company, kind: kind.as_str() };
        let envelope = self.sealer.envelope(keys.first()?, &at, self.schemas.0[&kind], framed.get(5..)?).ok()?;
        let sealed = Sealed { publisher: company.to_owned(), content };
        self.written.sealed.lock().unwrap().insert(envelope.clone(), sealed);
        let mut record = Record::new(topic, contact.to_owned(), envelope)
            .header("publisher", company.to_owned())
            .header("kind", kind.as_str());
        record.partition = Some(partition);
        Some(record)
    }

    fn not_written<T>(&self) -> Option<T> {
        self.written.failed.fetch_add(1, Relaxed);
        None
    }

    async fn send(&self, records: Vec<Record>) -> Vec<Place> {
        let about = |record: &Record| {
            let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
            (record.topic.to_string(), key, record.value.as_deref().unwrap_or_default().to_vec())
        };
        let places: Vec<(String, String, Vec<u8>)> = records.iter().map(about).collect();
        let mut acknowledged = Vec::new();
        for ((topic, contact, envelope), result) in places.into_iter().zip(self.producer.send_all(records).await) {
            match result {
                Ok(delivery) if delivery.offset < 0 => {
                    self.written.unplaced.lock().unwrap().insert(envelope, contact);
                }
                Ok(delivery) => {
                    let place = Place { topic, partition: delivery.partition, offset: delivery.offset };
                    self.written.acknowledged.lock().unwrap().insert(place.clone(), contact);
                    acknowledged.push(place);
                }
                Err(_) => {
                    self.written.failed.fetch_add(1, Relaxed);
                }
            }
        }
        acknowledged
    }
}

/// Posts cards and transactions to intake until told to stop.
pub async fn post(
    authority: AuthorityClient,
    intake: String,
    http: reqwest::Client,
    grant: Grant,
    written: Arc<Written>,
    (pool, mut seeded): (Arc<Mutex<Pool>>, Seeded),
) {
    let mut number = 0_u64;
    let mut token = String::new();
    while !written.stop.load(Relaxed) {
        tokio::time::sleep(3 * PACE).await;
        if token.is_empty() {
            let Ok(answer) = authority.access_token(&grant.login, &grant.secret, "intake").await else { continue };
            token = answer.access_token;
        }
        number += 1;
        let whom = pool.lock().unwrap().reference(seeded.between(0, 1 << 20));
        let reference = format!("c-{whom}");
        let contact = json!([{
            "reference": reference, "title": format!("部長 {number}"), "name": {"full": format!("見本 {reference}")},
            "organisation": "株式会社見本商事", "acquisition": acquired(),
        }]);
        let deal = json!([{
            "reference": format!("t-{number}"), "contact": reference, "occurred_at": "2026-01-05T10:00:00+09:00",
            "service": "人材紹介", "amount_jpy": number, "acquisition": acquired(),
        }]);
        for (kind, rows) in [("contact", contact), ("transaction", deal)] {
            let sent = http.post(format!("{intake}/v1/records/{kind}")).bearer_auth(&token).json(&rows).send().await;
            let Ok(answer) = sent else {
                written.failed.fetch_add(1, Relaxed);
                continue;
            };
            if answer.status().as_u16() == 401 {
                token.clear();
            }
            let body: Value = answer.json().await.unwrap_or_default();
            let row = &body["rows"][0];
            let offset = row["offset"].as_i64().filter(|_| row["outcome"] == "accepted");
            let (Some(offset), Some(partition)) = (offset, row["partition"].as_i64()) else {
                written.failed.fetch_add(1, Relaxed);
                continue;
            };
            let topic = row["topic"].as_str().unwrap_or_default().to_owned();
            let place = Place { topic, partition: i32::try_from(partition).unwrap_or(-1), offset };
            let id = row["id"].as_str().unwrap_or_default().to_owned();
            if kind == "contact" {
                pool.lock().unwrap().named(whom, &id);
            }
            // The contact is not named beside a transaction's own id; what lies there is asked for it in the end.
            written.acknowledged.lock().unwrap().insert(place, if kind == "contact" { id } else { String::new() });
        }
    }
}

fn acquired() -> Value {
    json!({"method": "BUSINESS_CARD", "acquired_on": "2025-04-01", "purpose": PURPOSE, "source": "chaos"})
}

fn text(text: String) -> Text {
    Some(text.into())
}

fn acquisition() -> Acquisition {
    Acquisition {
        method: AcquisitionMethod::BusinessCard,
        acquired_on: NaiveDate::from_ymd_opt(2025, 4, 1).unwrap(),
        purpose: PURPOSE.parse().unwrap(),
        source: "chaos".to_owned(),
    }
}

/// A card with something in every field; those of one person are linked by name, organisation and address.
fn card(company: &str, contact: &str, person: &str, number: u64) -> Content {
    let mine = person.get(..12).unwrap_or_default();
    Content::Contact(Box::new(Contact {
        contact_id: contact.parse().unwrap(),
        company: company.parse().unwrap(),
        recorded_at: DateTime::from_timestamp_micros(now() / 1000 * 1000).unwrap(),
        acquisition: acquisition(),
        name: Some(PersonName {
            full: text(format!("見本 {mine}")),
            family: text("見本".to_owned()),
            ..PersonName::default()
        }),
        organisation: text(format!("株式会社見本{mine}")),
        department: text("営業部".to_owned()),
        title: text(format!("部長 {number}")),
        postal_code: text("100-0001".to_owned()),
        address: text("東京都千代田区千代田1-1".to_owned()),
        email: text(format!("{mine}@mihon.example")),
        telephone: text("+81312345678".to_owned()),
        direct_telephone: None,
        mobile: None,
        fax: text("+81312345679".to_owned()),
    }))
}

fn transaction(company: &str, contact: &str, number: u64, seeded: &mut Seeded) -> Content {
    let at = DateTime::from_timestamp_micros(now() / 1000 * 1000).unwrap();
    Content::Transaction(Box::new(Transaction {
        record_id: seeded.id().parse().unwrap(),
        contact_id: contact.parse().unwrap(),
        company: company.parse().unwrap(),
        occurred_at: at,
        recorded_at: at,
        acquisition: acquisition(),
        service: text("人材紹介".to_owned()),
        subject: None,
        stage: text(format!("契約 {number}")),
        amount_jpy: Some(i64::try_from(number).unwrap_or(0).into()),
    }))
}
