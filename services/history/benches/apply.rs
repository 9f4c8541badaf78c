//! Applied rows per second against COPY of the same rows, on a private PostgreSQL.
//!
//! `cargo bench -p history --bench apply -- <contacts a round> <rounds> <contacts there already>`. In each round new contacts
//! and ten interactions of each are applied, and COPY takes the very rows: the server's own, all in one statement from a
//! file on its disk into an empty table with the same indexes, which no client can beat. Applying is what the service does
//! with a record after Kafka: decoding Avro, finding what is there already, clustering, storing, moving offsets, a commit
//! a batch. What counts is the median of the rounds' ratios.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    reason = "a program for people"
)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, NaiveDate};
use contract::avro::{WriterSchema, encode};
use history::{
    apply::{Batch, apply},
    opening::Value,
    record::Incoming,
};
use jointuse::{
    Acquisition, AcquisitionMethod, Kind,
    records::{Contact, PersonName, Transaction},
};
use secret::SecretFile;
use store::{DatabaseConfig, Store, StoreError};
use testkit::{dir::Dir, postgres::Postgres};

const BATCH: usize = 2_000;
const PASSWORD: &str = "a-password-of-the-bench";

#[tokio::main]
async fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|arg| arg.parse::<usize>().ok());
    let contacts = numbers.next().unwrap_or(10_000);
    let rounds = numbers.next().unwrap_or(5);
    let already = numbers.next().unwrap_or(0);
    let dir = Dir::temporary("bench").unwrap();
    let postgres = Postgres::start().await.unwrap();
    postgres.create_role("history", PASSWORD).await.unwrap();
    postgres.create_database("history", "history").await.unwrap();
    let password = dir.path().join("password");
    testkit::dir::write_secret(&password, PASSWORD).unwrap();
    let config = DatabaseConfig {
        url: postgres.url("history", "history"),
        password_file: Some(SecretFile::new(password)),
        max_connections: 4,
        connection_timeout_ms: 3_000,
        statement_timeout_ms: 0,
    };
    let store = Store::connect("bench", &config).unwrap();
    store.migrate(history::MIGRATIONS).await.unwrap();

    println!(
        "{already} contacts there, {contacts} contacts and {} interactions a round, batches of {BATCH}",
        contacts * 10
    );
    apply_all(&store, Kind::Contact, &cards(0, already)).await;
    let mut ratios: [Vec<f64>; 2] = Default::default();
    for round in 0..rounds {
        let from = already + round * contacts;
        let (cards, events) = (cards(from, contacts), events(from, contacts));
        ratios[0].push(run(&store, &postgres, "contact", Kind::Contact, &cards).await);
        ratios[1].push(run(&store, &postgres, "interaction", Kind::Transaction, &events).await);
    }
    for (what, ratios) in ["contact", "interaction"].into_iter().zip(&mut ratios) {
        ratios.sort_by(f64::total_cmp);
        println!("{what}: median ratio {:.2}", ratios[ratios.len() / 2]);
    }
    println!("persons: {}", postgres.sql("history", "SELECT count(*) FROM person").await.unwrap().trim());
}

fn cards(from: usize, count: usize) -> Vec<bus::Message> {
    (from..from + count).map(|n| message(Kind::Contact, n, contact_id(n), &card(n))).collect()
}

fn events(from: usize, contacts: usize) -> Vec<bus::Message> {
    let event = |n: usize| {
        let contact = from + n % contacts;
        message(Kind::Transaction, from * 10 + n, contact_id(contact), &event(from * 10 + n, contact))
    };
    (0..contacts * 10).map(event).collect()
}

/// Gives the time it took, and how much of it was decoding.
async fn apply_all(store: &Store, kind: Kind, messages: &[bus::Message]) -> (Duration, Duration) {
    let schema = WriterSchema::embedded(kind).unwrap();
    let begun = Instant::now();
    let mut decoding = Duration::ZERO;
    for chunk in messages.chunks(BATCH) {
        let from = Instant::now();
        let batch = Arc::new(batch(kind, chunk, &schema));
        decoding += from.elapsed();
        let applied: Result<(), StoreError> = store.run_tx("apply", move |conn| apply(conn, &batch).map(|_| ())).await;
        applied.unwrap();
    }
    (begun.elapsed(), decoding)
}

async fn run(store: &Store, postgres: &Postgres, table: &str, kind: Kind, messages: &[bus::Message]) -> f64 {
    let (took, decoding) = apply_all(store, kind, messages).await;
    // From here on as superuser, on a copy of the rows of this round.
    let file = format!("/tmp/history-bench-{}-{table}", std::process::id());
    let rows = format!("SELECT * FROM {table} WHERE record_offset >= {}", messages[0].offset);
    let sql = async |text: String| postgres.sql("history", &text).await.unwrap();
    sql(format!("CREATE TABLE baseline (LIKE {table} INCLUDING ALL); COPY ({rows}) TO '{file}' (FORMAT binary)")).await;
    let begun = Instant::now();
    sql(format!("COPY baseline FROM '{file}' (FORMAT binary)")).await;
    let copied = begun.elapsed();
    sql(format!("DROP TABLE baseline; COPY (SELECT 1) TO PROGRAM 'rm {file}'")).await;
    let rate = |took: Duration| messages.len() as f64 / took.as_secs_f64();
    let (ratio, decode) = (rate(took) / rate(copied), decoding.as_secs_f64() * 1e6 / messages.len() as f64);
    println!(
        "{table}: applied {:.0} rows/s, COPY {:.0} rows/s, ratio {ratio:.2}; decoding {decode:.1} us a row",
        rate(took),
        rate(copied)
    );
    ratio
}

fn batch(kind: Kind, messages: &[bus::Message], schema: &WriterSchema) -> Batch {
    let topic = format!("jointuse.{}", kind.as_str());
    let incoming = |message: &bus::Message| Incoming::new(message, Value::plain(message), kind, Some(schema));
    Batch {
        records: messages.iter().map(incoming).collect(),
        next: [((topic.clone(), 0), messages[messages.len() - 1].offset + 1)].into(),
        topics: [(kind, topic)].into(),
    }
}

/// Two companies have a card of everybody.
fn contact_id(n: usize) -> String {
    // Scattered like pseudonyms.
    format!("{:032x}", (n as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

fn message<T: serde::Serialize>(kind: Kind, n: usize, key: String, value: &T) -> bus::Message {
    bus::Message {
        topic: Arc::from(format!("jointuse.{}", kind.as_str())),
        partition: 0,
        offset: n as i64,
        timestamp: None,
        key: Some(key.into()),
        headers: vec![],
        payload: Some(encode(1, kind, value).unwrap().into()),
    }
}

fn acquisition() -> Acquisition {
    Acquisition {
        method: AcquisitionMethod::BusinessCard,
        acquired_on: NaiveDate::from_ymd_opt(2026, 4, 1).unwrap(),
        purpose: "group-services-guidance".parse().unwrap(),
        source: "eight-csv".into(),
    }
}

fn card(n: usize) -> Contact {
    let person = n / 2;
    Contact {
        contact_id: contact_id(n).parse().unwrap(),
        company: if n.is_multiple_of(2) { "persol-career" } else { "persol-tech" }.parse().unwrap(),
        recorded_at: DateTime::from_timestamp(1_780_000_000, 0).unwrap(),
        acquisition: acquisition(),
        name: Some(PersonName { full: Some(format!("見本 太郎{person}").into()), ..PersonName::default() }),
        organisation: Some(format!("株式会社見本商事{}", person / 8).into()),
        department: Some("人事部".to_owned().into()),
        title: Some("部長".to_owned().into()),
        postal_code: Some("151-0053".to_owned().into()),
        address: Some("東京都渋谷区見本町1-1".to_owned().into()),
        email: Some(format!("taro{person}@mihon.example").into()),
        telephone: Some(format!("+813{:08}", person / 8).into()),
        direct_telephone: None,
        mobile: Some(format!("+8190{person:08}").into()),
        fax: None,
    }
}

fn event(n: usize, contact: usize) -> Transaction {
    Transaction {
        record_id: format!("{:032x}", (n as u128 + 1).wrapping_mul(0xd134_2543_de82_ef95_a4ea_9d9b_1c29_4b1f))
            .parse()
            .unwrap(),
        contact_id: contact_id(contact).parse().unwrap(),
        company: "persol-career".parse().unwrap(),
        occurred_at: DateTime::from_timestamp(1_780_000_000 + n as i64, 0).unwrap(),
        recorded_at: DateTime::from_timestamp(1_780_000_001 + n as i64, 0).unwrap(),
        acquisition: acquisition(),
        service: Some("人材紹介".to_owned().into()),
        subject: Some("営業職の採用支援".to_owned().into()),
        stage: Some("契約".to_owned().into()),
        amount_jpy: Some(1_200_000.into()),
    }
}
