//! What the database says after any batches is what the rule says of the contacts that are left, all at once.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use chrono::{DateTime, NaiveDate};
use contract::avro::{WriterSchema, encode};
use history::{
    apply::{Batch, apply},
    cluster::{
        Facts,
        partition::{partition, shared_by_names},
    },
    opening::Value,
    record::{Incoming, What},
};
use jointuse::{
    Acquisition, AcquisitionMethod, Kind,
    records::{Contact, PersonName},
};
use secret::SecretFile;
use store::{DatabaseConfig, Store, StoreError};
use testkit::{dir::Dir, postgres::Postgres};
use uuid::Uuid;

const PASSWORD: &str = "a-password-of-the-test";
const TOPIC: &str = "jointuse.contact";
const NAMES: [&str; 4] = ["見本 太郎", "見本 花子", "例 一郎", "見本"];
const ORGANISATIONS: [&str; 2] = ["株式会社見本商事", "例示工業"];
const ADDRESSES: [&str; 6] = ["a@mihon.example", "b@mihon.example", "c@mihon.example", "info@mihon.example", "", ""];
const NUMBERS: [&str; 6] = ["+819000000001", "+819000000002", "+819000000003", "", "", ""];

struct Rig {
    postgres: Postgres,
    store: Store,
    schema: WriterSchema,
    offset: i64,
    /// The contacts that are left.
    facts: BTreeMap<Uuid, Facts>,
    /// Main numbers ever stored.
    mains: HashSet<Uuid>,
    _dir: Dir,
}

impl Rig {
    async fn start() -> Self {
        let dir = Dir::temporary("apply").unwrap();
        let postgres = Postgres::start().await.unwrap();
        postgres.create_role("history", PASSWORD).await.unwrap();
        postgres.create_database("history", "history").await.unwrap();
        let password = dir.path().join("password");
        testkit::dir::write_secret(&password, PASSWORD).unwrap();
        let config = DatabaseConfig {
            url: postgres.url("history", "history"),
            password_file: Some(SecretFile::new(password)),
            max_connections: 2,
            connection_timeout_ms: 3_000,
            statement_timeout_ms: 0,
        };
        let store = Store::connect("test", &config).unwrap();
        store.migrate(history::MIGRATIONS).await.unwrap();
        let schema = WriterSchema::embedded(Kind::Contact).unwrap();
        let (facts, mains) = (BTreeMap::new(), HashSet::new());
        Self { postgres, store, schema, offset: 0, facts, mains, _dir: dir }
    }

    /// Applies a batch: a card, or nothing for a tombstone, of each contact.
    async fn apply(&mut self, records: Vec<(u64, Option<Contact>)>) {
        let (mut incoming, mut put) = (Vec::new(), BTreeMap::new());
        for (contact, card) in records {
            let message = message(self.offset, contact, card.as_ref());
            let record = Incoming::new(&message, Value::plain(&message), Kind::Contact, Some(&self.schema));
            match &record.what {
                What::Contact(record) => {
                    put.insert(record.facts.contact, (record.facts.clone(), record.main_number));
                }
                What::Removed { contact, .. } => {
                    put.remove(contact);
                    self.facts.remove(contact);
                }
                other => panic!("{other:?}"),
            }
            incoming.push(record);
            self.offset += 1;
        }
        for (id, (facts, main)) in put {
            self.facts.insert(id, facts);
            self.mains.extend(main);
        }
        let batch = Arc::new(Batch {
            records: incoming,
            next: [((TOPIC.to_owned(), 0), self.offset)].into(),
            topics: [(Kind::Contact, TOPIC.to_owned())].into(),
        });
        let applied: Result<(), StoreError> =
            self.store.run_tx("apply", move |conn| apply(conn, &batch).map(|_| ())).await;
        applied.unwrap();
    }

    async fn sql(&self, sql: &str) -> String {
        self.postgres.sql("history", sql).await.unwrap().trim().to_owned()
    }

    async fn compare(&self) {
        let groups = self.sql("SELECT string_agg(id::text, ' ') FROM contact GROUP BY person_id").await;
        let group = |line: &str| line.split(' ').map(|id| id.parse().unwrap()).collect::<BTreeSet<Uuid>>();
        let stored: BTreeSet<BTreeSet<Uuid>> = groups.lines().map(group).collect();
        let facts: Vec<Facts> = self.facts.values().cloned().collect();
        let dead = shared_by_names(facts.iter()).union(&self.mains).copied().collect();
        let ids = |group: Vec<usize>| group.into_iter().map(|index| facts[index].contact).collect();
        let at_once: BTreeSet<BTreeSet<Uuid>> = partition(&facts, &dead).into_iter().map(ids).collect();
        assert_eq!(stored, at_once);
        let astray = "SELECT count(*) FROM contact c LEFT JOIN person p ON p.id = c.person_id \
            WHERE p.id IS NULL OR p.merged_into IS NOT NULL";
        assert_eq!(self.sql(astray).await, "0", "contacts without a person of their own");
        let empty = "SELECT count(*) FROM person p WHERE merged_into IS NULL \
            AND NOT EXISTS (SELECT FROM contact WHERE person_id = p.id)";
        assert_eq!(self.sql(empty).await, "0", "persons without contact");
        let lost = "SELECT count(*) FROM person p LEFT JOIN person o ON o.id = p.merged_into \
            WHERE p.merged_into IS NOT NULL AND (o.id IS NULL OR o.merged_into IS NOT NULL)";
        assert_eq!(self.sql(lost).await, "0", "redirects to nobody, or to redirects");
    }
}

fn id(contact: u64) -> String {
    format!("{:032x}", u128::from(contact + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

fn card(contact: u64, name: &str, organisation: &str, email: &str, numbers: [&str; 3]) -> Contact {
    let text = |text: &str| Some(text).filter(|text| !text.is_empty()).map(|text| text.to_owned().into());
    let [telephone, direct, mobile] = numbers.map(text);
    // A name without space is a family name alone.
    let name = match name.contains(' ') {
        true => PersonName { full: text(name), ..PersonName::default() },
        false => PersonName { family: text(name), ..PersonName::default() },
    };
    Contact {
        contact_id: id(contact).parse().unwrap(),
        company: "persol-career".parse().unwrap(),
        recorded_at: DateTime::from_timestamp(1_780_000_000, 0).unwrap(),
        acquisition: Acquisition {
            method: AcquisitionMethod::BusinessCard,
            acquired_on: NaiveDate::from_ymd_opt(2026, 4, 1).unwrap(),
            purpose: "group-services-guidance".parse().unwrap(),
            source: "eight-csv".into(),
        },
        name: Some(name),
        organisation: text(organisation),
        department: None,
        title: None,
        postal_code: None,
        address: None,
        email: text(email),
        telephone,
        direct_telephone: direct,
        mobile,
        fax: None,
    }
}

fn message(offset: i64, contact: u64, card: Option<&Contact>) -> bus::Message {
    bus::Message {
        topic: Arc::from(TOPIC),
        partition: 0,
        offset,
        timestamp: Some(1_780_000_000_000),
        key: Some(id(contact).into()),
        headers: vec![],
        payload: card.map(|card| encode(1, Kind::Contact, card).unwrap().into()),
    }
}

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn of(&mut self, list: &[&'static str]) -> &'static str {
        list[self.below(list.len())]
    }
}

#[tokio::test]
async fn any_batches_lead_to_what_the_rule_says_at_once() {
    let mut rig = Rig::start().await;
    let mut dice = Dice(20_261_125);
    for _ in 0..120 {
        let mut records = Vec::new();
        for _ in 0..=dice.below(12) {
            let contact = dice.below(40) as u64;
            let main = if dice.below(60) == 0 { dice.of(&NUMBERS) } else { "" };
            let (organisation, numbers) = (dice.of(&ORGANISATIONS), [main, dice.of(&NUMBERS), dice.of(&NUMBERS)]);
            let card = card(contact, dice.of(&NAMES), organisation, dice.of(&ADDRESSES), numbers);
            records.push((contact, Some(card).filter(|_| dice.below(6) > 0)));
        }
        rig.apply(records).await;
        rig.compare().await;
    }
    let merged = rig.sql("SELECT count(*) FROM person WHERE merged_into IS NOT NULL").await;
    assert_ne!(merged, "0", "nothing ever merged: the dice are too kind");
}

#[tokio::test]
async fn an_address_of_a_crowd_joins_it_and_parts_it_when_shared() {
    let mut rig = Rig::start().await;
    let of = |contact, name| (contact, Some(card(contact, name, ORGANISATIONS[0], ADDRESSES[0], ["", "", NUMBERS[0]])));
    // More than are looked at first, in two batches.
    rig.apply((0..90).map(|contact| of(contact, NAMES[0])).collect()).await;
    rig.apply((90..150).map(|contact| of(contact, NAMES[0])).collect()).await;
    rig.compare().await;
    assert_eq!(rig.sql("SELECT count(DISTINCT person_id) FROM contact").await, "1");
    rig.apply(vec![of(150, NAMES[1])]).await;
    rig.compare().await;
    rig.apply(vec![of(151, NAMES[2])]).await;
    rig.compare().await;
    assert_eq!(rig.sql("SELECT count(DISTINCT person_id) FROM contact").await, "152", "three names share both links");
    // One of the names goes, and the address links again.
    rig.apply(vec![(151, None)]).await;
    rig.compare().await;
    assert_eq!(rig.sql("SELECT count(DISTINCT person_id) FROM contact").await, "2");
    // All go, and the redirects with them.
    rig.apply((0..151).map(|contact| (contact, None)).collect()).await;
    rig.compare().await;
    assert_eq!(rig.sql("SELECT count(*) FROM person").await, "0");
}
