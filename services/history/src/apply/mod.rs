//! Rows, persons and offsets into the database, in one transaction.
//!
//! Kafka delivers at least once. The offset up to which a partition was applied is a row that is locked and moved in the
//! transaction that stores the records, and records below it are passed over: so each is applied exactly once, whoever
//! is killed whenever, and even with two instances reading.
//!
//! New rows go in by COPY. What is there already is found by its key first; changed rows are deleted and copied anew.

mod contacts;
mod erased;
mod interactions;
mod known;
mod organisations;
mod positions;
mod rows;

use std::collections::{BTreeMap, HashMap};

use diesel::{PgConnection, connection::SimpleConnection as _, prelude::*, sql_query, sql_types};
use jointuse::Kind;
use store::StoreError;

pub use self::erased::{erase, is_ready};
use crate::record::{Incoming, What};

/// Records of several topics, in offset order within each partition, and where reading goes on after them.
#[derive(Debug, Default)]
pub struct Batch {
    /// The records.
    pub records: Vec<Incoming>,
    /// For each topic and partition among them the offset after the last.
    pub next: BTreeMap<(String, i32), i64>,
    /// Topic of each kind.
    pub topics: BTreeMap<Kind, String>,
}

/// What became of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Records by kind and outcome: `stored`, `older`, `repeated`, `removed`, `withdrawn`, `erased`, `quarantined`.
    pub records: BTreeMap<(Kind, &'static str), u64>,
    /// Reasons of those that were quarantined.
    pub quarantined: BTreeMap<&'static str, u64>,
    /// New persons.
    pub created: u64,
    /// Persons that became part of another.
    pub merged: u64,
}

impl Applied {
    fn count(&mut self, kind: Kind, outcome: &'static str) {
        *self.records.entry((kind, outcome)).or_default() += 1;
    }

    /// Adds what became of another batch.
    pub fn add(&mut self, other: Self) {
        for (key, count) in other.records {
            *self.records.entry(key).or_default() += count;
        }
        for (reason, count) in other.quarantined {
            *self.quarantined.entry(reason).or_default() += count;
        }
        self.created += other.created;
        self.merged += other.merged;
    }
}

/// Held shared by whoever stores interactions and alone by whoever changes contacts, so that neither clusters nor the
/// organisations of interactions are made from half of the truth.
const CONTACTS_LOCK: i64 = 0x6869_7374_6f72_7931;

/// Every query here is a bounded number of probes of an index, whatever statistics say: those of fast-growing tables
/// are always late, and costs guessed from them begin to look worth compiling, which takes longer than the query.
const PLANS: &str = "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; \
    SET LOCAL jit = off";

/// Applies a batch, and keeps where its records stand. To be run in a transaction, and again as a whole when that fails.
///
/// # Errors
/// When the database does not take it; nothing may then be committed.
pub fn apply(conn: &mut PgConnection, batch: &Batch) -> Result<Applied, StoreError> {
    let mut applied = Applied::default();
    let changes_contacts =
        batch.records.iter().any(|record| matches!(record.what, What::Contact(_) | What::Removed { .. }));
    let lock = if changes_contacts { "pg_advisory_xact_lock" } else { "pg_advisory_xact_lock_shared" };
    conn.batch_execute(&format!("{PLANS}; SELECT {lock}({CONTACTS_LOCK})"))?;

    let Locked { done, places } = lock_offsets(conn, batch)?;
    let erased = erased::among(conn, &batch.records)?;
    let topic = |record: &Incoming| batch.topics.get(&record.kind).map_or("", String::as_str);
    let fresh =
        |record: &&Incoming| done.get(&(topic(record), record.partition)).is_none_or(|next| record.offset >= *next);
    let new = batch.records.iter().filter(fresh).map(|record| (record, topic(record)));
    positions::store(conn, new, &places)?;
    let (mut put, mut interactions, mut broken) = (contacts::Changes::default(), Vec::new(), Vec::new());
    for record in &batch.records {
        if !fresh(&record) {
            applied.count(record.kind, "repeated");
            continue;
        }
        if erased::of(record).is_some_and(|contact| erased.contains(&contact)) {
            applied.count(record.kind, "erased");
            continue;
        }
        match &record.what {
            What::Contact(contact) => put.put(contact, record.offset, &mut applied),
            What::Removed { contact, at } => put.remove(*contact, *at, &mut applied),
            What::Interaction(interaction) => interactions.push((&**interaction, record.offset)),
            What::Erased => applied.count(record.kind, "erased"),
            What::Broken(why) => broken.push((record, why)),
        }
    }
    contacts::apply(conn, put, &mut applied)?;
    interactions::apply(conn, interactions, &mut applied)?;
    quarantine(conn, batch, &broken, &mut applied)?;
    move_offsets(conn, batch)?;
    Ok(applied)
}

#[derive(QueryableByName)]
struct OffsetRow {
    #[diesel(sql_type = sql_types::Text)]
    topic: String,
    #[diesel(sql_type = sql_types::Integer)]
    partition: i32,
    #[diesel(sql_type = sql_types::BigInt)]
    next_offset: i64,
    #[diesel(sql_type = sql_types::Integer)]
    place: i32,
}

/// Where reading is to go on: topic, partition, next offset.
///
/// # Errors
/// When the database does not answer.
pub fn offsets(conn: &mut PgConnection) -> Result<BTreeMap<(String, i32), i64>, StoreError> {
    let rows: Vec<OffsetRow> =
        sql_query("SELECT topic, partition, next_offset, place FROM applied_offset").load(conn)?;
    Ok(rows.into_iter().map(|row| ((row.topic, row.partition), row.next_offset)).collect())
}

fn columns(batch: &Batch) -> (Vec<&str>, Vec<i32>, Vec<i64>) {
    let mut columns = (Vec::new(), Vec::new(), Vec::new());
    for ((topic, partition), next) in &batch.next {
        columns.0.push(topic.as_str());
        columns.1.push(*partition);
        columns.2.push(*next);
    }
    columns
}

/// The partitions of a batch, locked.
struct Locked<'a> {
    /// How far each had come.
    done: HashMap<(&'a str, i32), i64>,
    /// Its number.
    places: HashMap<(&'a str, i32), i32>,
}

/// Locks the offsets of the batch's partitions and tells how far they had come.
fn lock_offsets<'a>(conn: &mut PgConnection, batch: &'a Batch) -> Result<Locked<'a>, StoreError> {
    use sql_types::{Array, Integer, Text};
    let (topics, partitions, _) = columns(batch);
    let lock = |conn: &mut PgConnection| -> Result<Vec<OffsetRow>, StoreError> {
        let rows = sql_query(
            "SELECT o.topic, o.partition, o.next_offset, o.place FROM applied_offset o \
             JOIN unnest($1, $2) AS u(t, p) ON o.topic = u.t AND o.partition = u.p \
             ORDER BY o.topic, o.partition FOR UPDATE OF o",
        )
        .bind::<Array<Text>, _>(&topics)
        .bind::<Array<Integer>, _>(&partitions)
        .load(conn)?;
        Ok(rows)
    };
    let mut rows = lock(conn)?;
    if rows.len() < batch.next.len() {
        sql_query(
            "INSERT INTO applied_offset (topic, partition, next_offset) \
             SELECT t, p, 0 FROM unnest($1, $2) AS u(t, p) ORDER BY t, p ON CONFLICT DO NOTHING",
        )
        .bind::<Array<Text>, _>(&topics)
        .bind::<Array<Integer>, _>(&partitions)
        .execute(conn)?;
        rows = lock(conn)?;
    }
    let mut locked = Locked { done: HashMap::new(), places: HashMap::new() };
    for row in rows {
        if let Some(((topic, partition), _)) = batch.next.get_key_value(&(row.topic, row.partition)) {
            locked.done.insert((topic.as_str(), *partition), row.next_offset);
            locked.places.insert((topic.as_str(), *partition), row.place);
        }
    }
    Ok(locked)
}

fn move_offsets(conn: &mut PgConnection, batch: &Batch) -> Result<(), StoreError> {
    use sql_types::{Array, BigInt, Integer, Text};
    let (topics, partitions, next) = columns(batch);
    sql_query(
        "UPDATE applied_offset o SET next_offset = greatest(o.next_offset, u.n) \
         FROM unnest($1, $2, $3) AS u(t, p, n) WHERE o.topic = u.t AND o.partition = u.p",
    )
    .bind::<Array<Text>, _>(&topics)
    .bind::<Array<Integer>, _>(&partitions)
    .bind::<Array<BigInt>, _>(&next)
    .execute(conn)?;
    Ok(())
}

fn quarantine(
    conn: &mut PgConnection,
    batch: &Batch,
    broken: &[(&Incoming, &crate::record::Broken)],
    applied: &mut Applied,
) -> Result<(), StoreError> {
    use sql_types::{Array, BigInt, Integer, Nullable, Text};
    if broken.is_empty() {
        return Ok(());
    }
    let (mut topics, mut partitions, mut offsets) = (Vec::new(), Vec::new(), Vec::new());
    let (mut reasons, mut schemas) = (Vec::new(), Vec::new());
    for (record, why) in broken {
        applied.count(record.kind, "quarantined");
        *applied.quarantined.entry(why.reason.as_str()).or_default() += 1;
        topics.push(batch.topics.get(&record.kind).map_or("", String::as_str));
        partitions.push(record.partition);
        offsets.push(record.offset);
        reasons.push(why.reason.as_str());
        schemas.push(why.schema_id.map(i64::from));
    }
    // One statement, so that a flood of broken records does not hold up what is whole.
    sql_query(
        "INSERT INTO quarantined (topic, partition, record_offset, reason, schema_id) \
         SELECT * FROM unnest($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
    )
    .bind::<Array<Text>, _>(topics)
    .bind::<Array<Integer>, _>(partitions)
    .bind::<Array<BigInt>, _>(offsets)
    .bind::<Array<Text>, _>(reasons)
    .bind::<Array<Nullable<BigInt>>, _>(schemas)
    .execute(conn)?;
    Ok(())
}
