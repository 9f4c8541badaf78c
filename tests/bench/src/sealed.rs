//! Contacts sealed as intake seals them, written directly to the broker.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bus::{Compression, KafkaConfig, Partitions, ProduceOptions, Producer, Record};
use chrono::{DateTime, NaiveDate};
use jointuse::{
    Acquisition, AcquisitionMethod, Kind,
    records::{Contact, PersonName},
};
use seal::ContactKey;
use testkit::{
    kafka::ADMIN,
    keys::{At, Sealer},
};

use crate::{Failure, Result, bed::Bed, consume::payload};

const AT_ONCE: u64 = 20_000;
/// One in so many is an outsider's.
pub(crate) const OUTSIDE: u64 = 100;

/// Where reading a filled topic begins, by partition.
pub(crate) type Begin = BTreeMap<i32, i64>;

/// Writes sealed contacts to one topic.
pub(crate) struct Writer {
    producer: Producer,
    sealer: Sealer,
    schema: u32,
    company: String,
    topic: Arc<str>,
    partitions: Partitions,
}

impl Writer {
    pub(crate) async fn new(bed: &Bed, topic: &str) -> Result<Self> {
        Self::with(bed, topic, ProduceOptions::default().linger).await
    }

    /// One that sends each record at once.
    pub(crate) async fn at_once(bed: &Bed, topic: &str) -> Result<Self> {
        Self::with(bed, topic, Duration::ZERO).await
    }

    async fn with(bed: &Bed, topic: &str, linger: Duration) -> Result<Self> {
        let password = bed.stack.directory().join("bench-password");
        testkit::dir::write_secret(&password, bed.stack.kafka.password(ADMIN))?;
        let kafka = serde_json::json!({
            "bootstrap": bed.stack.broker_bootstrap(), "login": ADMIN, "password_file": password,
        });
        let kafka: KafkaConfig = serde_json::from_value(kafka).map_err(|_| Failure::Setup("no Kafka configuration"))?;
        // Uncompressed, so that nothing but the hub's own work differs between the ways.
        let options = ProduceOptions { compression: Compression::None, linger, ..ProduceOptions::default() };
        let producer = Producer::new(&kafka, "bench", options).map_err(|_| Failure::Setup("no producer"))?;
        let topic: Arc<str> = topic.into();
        let partitions = producer.partitions(&topic, Duration::from_secs(10)).await;
        Ok(Self {
            schema: schema_id(bed).await?,
            sealer: bed.stack.keys.sealer().await?,
            company: bed.member.company.to_string(),
            partitions: partitions.map_err(|_| Failure::Setup("no partitions"))?,
            producer,
            topic,
        })
    }

    /// Writes `count` records about so many contacts, in turn.
    pub(crate) async fn fill(&self, contacts: u64, count: u64) -> Result<Begin> {
        let mut begin = Begin::new();
        let mut from = 0;
        while from < count {
            let numbers = from..count.min(from + AT_ONCE);
            from = numbers.end;
            let ids: Vec<String> = numbers.clone().map(|n| id(n % contacts)).collect();
            let keys = self.sealer.keys(&ids.iter().map(String::as_str).collect::<Vec<_>>()).await?;
            let records = numbers.zip(ids.iter().zip(keys)).map(|(n, (id, key))| self.record(n, id, &key));
            for delivery in self.producer.send_all(records.collect::<Result<_>>()?).await {
                let delivery = delivery.map_err(|_| Failure::Setup("the broker did not take the contacts"))?;
                begin.entry(delivery.partition).or_insert(delivery.offset);
            }
        }
        Ok(begin)
    }

    /// One sealed record about a contact of its own, for partition 0.
    pub(crate) async fn one(&self) -> Result<Record> {
        let mine = |n: &u64| self.partitions.of(id(*n).as_bytes()) == 0;
        let n = (1..).find(mine).ok_or(Failure::Setup("no contact of partition 0"))?;
        let id = id(n);
        let keys = self.sealer.keys(&[&id]).await?;
        self.record(n, &id, keys.first().ok_or(Failure::Setup("no key"))?)
    }

    /// A record of so many bytes that is not sealed, for partition 0.
    pub(crate) fn plain(&self, bytes: usize) -> Record {
        let mut record = Record::new(Arc::clone(&self.topic), id(0), payload(1, bytes));
        record.partition = Some(0);
        record.headers = vec![("publisher".into(), self.company.clone().into()), ("kind".into(), "contact".into())];
        record
    }

    /// Writes one record: its partition and offset.
    pub(crate) async fn send(&self, record: Record) -> Result<(i32, i64)> {
        let delivery =
            self.producer.send(record).await.map_err(|_| Failure::Setup("the broker did not take a record"))?;
        Ok((delivery.partition, delivery.offset))
    }

    fn record(&self, n: u64, id: &str, key: &ContactKey) -> Result<Record> {
        let card = card(n, id, &self.company)?;
        let value =
            contract::avro::encode(self.schema, Kind::Contact, &card).map_err(|_| Failure::Setup("no contact"))?;
        let publisher = if n.is_multiple_of(OUTSIDE) { Bed::OUTSIDER } else { &self.company };
        let partition = self.partitions.of(id.as_bytes());
        let at = At { topic: &self.topic, partition: Some(partition), key: id, publisher, kind: "contact" };
        let sealed = self.sealer.envelope(key, &at, self.schema, value.get(5..).unwrap_or_default())?;
        let mut record = Record::new(Arc::clone(&self.topic), id.to_owned(), sealed);
        record.partition = Some(partition);
        record.headers = vec![("publisher".into(), publisher.to_owned().into()), ("kind".into(), "contact".into())];
        Ok(record)
    }
}

async fn schema_id(bed: &Bed) -> Result<u32> {
    let url = format!("{}/subjects/jointuse.contact-value/versions/latest", bed.stack.registry_url());
    let answer: serde_json::Value = reqwest::get(url).await?.error_for_status()?.json().await?;
    let id = answer.get("id").and_then(serde_json::Value::as_u64).and_then(|id| u32::try_from(id).ok());
    id.ok_or(Failure::Answer("the registry"))
}

fn id(n: u64) -> String {
    format!("{:032x}", (u128::from(n) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

fn card(n: u64, id: &str, company: &str) -> Result<Contact> {
    let wrong = |_| Failure::Setup("no contact");
    let day = NaiveDate::from_ymd_opt(2026, 4, 1).unwrap_or_default();
    Ok(Contact {
        contact_id: id.parse().map_err(wrong)?,
        company: company.parse().map_err(wrong)?,
        recorded_at: DateTime::from_timestamp(1_780_000_000, 0).unwrap_or_default(),
        acquisition: Acquisition {
            method: AcquisitionMethod::BusinessCard,
            acquired_on: day,
            purpose: "group-services-guidance".parse().map_err(wrong)?,
            source: "bench".into(),
        },
        name: Some(PersonName { full: Some(format!("見本 太郎{n}").into()), ..PersonName::default() }),
        organisation: Some(format!("株式会社見本商事{}", n / 8).into()),
        department: Some("人事部採用推進室".to_owned().into()),
        title: Some("部長".to_owned().into()),
        postal_code: Some("151-0053".to_owned().into()),
        address: Some("東京都渋谷区見本町1-1-1 見本ビルディング12階".to_owned().into()),
        email: Some(format!("taro.mihon{n}@mihon{}.example", n / 8).into()),
        telephone: Some(format!("+813{:08}", n / 8).into()),
        direct_telephone: Some(format!("+8145{n:07}").into()),
        mobile: Some(format!("+8190{n:08}").into()),
        fax: Some(format!("+813{:08}", n / 8 + 1).into()),
    })
}
