//! What opening and rewriting cost through sockets: sealed Avro contacts, read directly and through the forwarder (which give
//! ciphertext), and through the hub: opened, with one in a hundred withheld because its publisher is no member, and with
//! three items blanked; with keys at hand, and with a million contacts, whose keys are never at hand.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bus::{Compression, KafkaConfig, ProduceOptions, Producer, Record};
use chrono::{DateTime, NaiveDate};
use jointuse::{
    Acquisition, AcquisitionMethod, Kind,
    records::{Contact, PersonName},
};
use serde::Serialize;
use testkit::{kafka::ADMIN, keys::At};

use crate::{
    Failure, Result,
    bed::{Bed, Way},
    consume::librdkafka,
    usage::{cpu_seconds, median},
};

const RECORDS: u64 = 1_200_000;
const AT_ONCE: u64 = 20_000;
/// One in so many is withheld.
const OUTSIDE: u64 = 100;

/// How many contacts the records are about.
#[derive(Debug, Clone, Copy)]
struct Of {
    name: &'static str,
    topic: &'static str,
    contacts: u64,
}

/// Half of what the hub keeps keys of by default: after the first round all are at hand.
const WARM: Of = Of { name: "50,000 contacts", topic: "jointuse.contact", contacts: 50_000 };
/// Ten times as many as it keeps, read from first to last: none is at hand.
const COLD: Of = Of { name: "1,000,000 contacts", topic: "jointuse.behaviour", contacts: 1_000_000 };

/// Medians over the rounds, one way.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    keys: &'static str,
    way: &'static str,
    records_per_second: f64,
    ratio_to_direct: f64,
    ratio_to_forwarder: f64,
    cpu_microseconds_per_record: Option<f64>,
}

pub(crate) async fn run(bed: &mut Bed, runs: usize, percent: u64) -> Result<Vec<Row>> {
    let count = RECORDS * percent / 100 / AT_ONCE * AT_ONCE;
    let mut rows = Vec::new();
    for of in [WARM, COLD] {
        fill(bed, of, count).await?;
        rows.extend(measure(bed, of, &[Way::Direct, Way::Forwarder, Way::Opened], runs, count).await?);
    }
    bed.narrow().await?;
    for of in [WARM, COLD] {
        let ways = [Way::Direct, Way::Forwarder, Way::Withheld, Way::Blanked];
        rows.extend(measure(bed, of, &ways, runs, count).await?);
    }
    Ok(rows)
}

async fn measure(bed: &mut Bed, of: Of, ways: &[Way], runs: usize, count: u64) -> Result<Vec<Row>> {
    let mut figures: BTreeMap<Way, Vec<(f64, Option<f64>)>> = BTreeMap::new();
    for round in 0..=runs {
        for &way in ways {
            let withheld = if matches!(way, Way::Withheld | Way::Blanked) { count / OUTSIDE } else { 0 };
            let before = bed.between(way).and_then(cpu_seconds);
            let (records, seconds) = librdkafka(bed, way, of.topic, count - withheld).await?;
            let after = bed.between(way).and_then(cpu_seconds);
            let cpu = before.zip(after).map(|(before, after)| (after - before) * 1e6 / count as f64);
            // The first round warms caches, pages and connections.
            if round > 0 {
                figures.entry(way).or_default().push((records / seconds, cpu));
            }
        }
    }
    Ok(ways.iter().map(|&way| row(of, way, &figures)).collect())
}

fn row(of: Of, way: Way, figures: &BTreeMap<Way, Vec<(f64, Option<f64>)>>) -> Row {
    let rates = |way: Way| figures.get(&way).into_iter().flatten().map(|(rate, _)| *rate);
    let ratio = |to: Way| median(&rates(way).zip(rates(to)).map(|(a, b)| a / b).collect::<Vec<_>>());
    let cpu: Vec<f64> = figures.get(&way).into_iter().flatten().filter_map(|(_, cpu)| *cpu).collect();
    Row {
        keys: of.name,
        way: way.name(),
        records_per_second: median(&rates(way).collect::<Vec<_>>()).unwrap_or(f64::NAN),
        ratio_to_direct: ratio(Way::Direct).unwrap_or(f64::NAN),
        ratio_to_forwarder: ratio(Way::Forwarder).unwrap_or(f64::NAN),
        cpu_microseconds_per_record: median(&cpu),
    }
}

/// Sealed as intake does and written uncompressed, so that nothing but the hub's own work differs between the ways.
async fn fill(bed: &Bed, of: Of, count: u64) -> Result<()> {
    let password = bed.stack.directory().join("bench-password");
    testkit::dir::write_secret(&password, bed.stack.kafka.password(ADMIN))?;
    let kafka = serde_json::json!({
        "bootstrap": bed.stack.broker_bootstrap(), "login": ADMIN, "password_file": password,
    });
    let kafka: KafkaConfig = serde_json::from_value(kafka).map_err(|_| Failure::Setup("no Kafka configuration"))?;
    let options = ProduceOptions { compression: Compression::None, ..ProduceOptions::default() };
    let producer = Producer::new(&kafka, "bench", options).map_err(|_| Failure::Setup("no producer"))?;
    let schema = schema_id(bed).await?;
    let sealer = bed.stack.keys.sealer().await?;
    let topic: Arc<str> = of.topic.into();
    let partitions = producer.partitions(&topic, Duration::from_secs(10)).await;
    let partitions = partitions.map_err(|_| Failure::Setup("no partitions"))?;
    for from in (0..count).step_by(usize::try_from(AT_ONCE).unwrap_or(usize::MAX)) {
        let ids: Vec<String> = (from..from + AT_ONCE).map(|n| id(n % of.contacts)).collect();
        let keys = sealer.keys(&ids.iter().map(String::as_str).collect::<Vec<_>>()).await?;
        let mut records = Vec::new();
        for ((n, id), key) in (from..from + AT_ONCE).zip(ids).zip(keys) {
            let card = card(n, &id, bed.member.company.as_str())?;
            let value =
                contract::avro::encode(schema, Kind::Contact, &card).map_err(|_| Failure::Setup("no contact"))?;
            let publisher = if n % OUTSIDE == 0 { Bed::OUTSIDER } else { bed.member.company.as_str() };
            let partition = partitions.of(id.as_bytes());
            let at = At { topic: &topic, partition: Some(partition), key: &id, publisher, kind: "contact" };
            let sealed = sealer.envelope(&key, &at, schema, value.get(5..).unwrap_or_default())?;
            let mut record = Record::new(Arc::clone(&topic), id, sealed);
            record.partition = Some(partition);
            record.headers = vec![("publisher".into(), publisher.to_owned().into()), ("kind".into(), "contact".into())];
            records.push(record);
        }
        if producer.send_all(records).await.iter().any(std::result::Result::is_err) {
            return Err(Failure::Setup("the broker did not take the contacts"));
        }
    }
    Ok(())
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
