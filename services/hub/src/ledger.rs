//! Disclosures: ranges of records, durable before the bytes leave.
//!
//! One writer for all connections takes whatever has gathered while the previous transaction was on its way to the disk,
//! and commits it together: the cost of a commit is shared, and it never grows with the number of records.

use std::{
    fmt,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use diesel::{PgConnection, RunQueryDsl, sql_query, sql_types};
use jointuse::TopicName;
use policy::Permit;
use store::{Store, StoreError};
use tokio::sync::{mpsc, oneshot};
use wire::batch::Extent;

use crate::metrics::Metrics;

/// Most rows in one transaction.
const MOST_ROWS: usize = 2_000;
/// Most disclosures waiting; beyond, connections wait.
const QUEUE: usize = 4_096;

/// One partition's range, delivered under one permit.
#[derive(Debug, Clone)]
pub(crate) struct Disclosure {
    permit: std::sync::Arc<Permit>,
    topic: TopicName,
    partition: i32,
    extent: Extent,
    at: DateTime<Utc>,
}

impl Disclosure {
    /// That `extent` of a partition is about to be delivered. Only for what is permitted.
    pub(crate) fn new(permit: std::sync::Arc<Permit>, partition: i32, extent: Extent, at: DateTime<Utc>) -> Self {
        let topic = permit.topic().clone();
        Self { permit, topic, partition, extent, at }
    }
}

/// It is not durable, so nothing may leave. Clients are told to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotDurable;

impl fmt::Display for NotDurable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the disclosure could not be made durable")
    }
}

impl std::error::Error for NotDurable {}

struct Entry {
    rows: Vec<Disclosure>,
    durable: oneshot::Sender<bool>,
}

/// Where connections hand disclosures in. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Ledger(mpsc::Sender<Entry>);

impl Ledger {
    /// The ledger and the writer behind it; run the writer as a task. It ends when all ledgers are dropped.
    pub(crate) fn new(store: Store, metrics: std::sync::Arc<Metrics>) -> (Self, Writer) {
        let (sender, queue) = mpsc::channel(QUEUE);
        (Self(sender), Writer { store, queue, metrics })
    }

    /// Answers when the rows are durable.
    pub(crate) async fn record(&self, rows: Vec<Disclosure>) -> Result<(), NotDurable> {
        if rows.is_empty() {
            return Ok(());
        }
        let (durable, done) = oneshot::channel();
        self.0.send(Entry { rows, durable }).await.map_err(|_| NotDurable)?;
        match done.await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(NotDurable),
        }
    }
}

/// Commits what is handed in.
pub(crate) struct Writer {
    store: Store,
    queue: mpsc::Receiver<Entry>,
    metrics: std::sync::Arc<Metrics>,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

impl Writer {
    /// Runs until the ledgers are gone. A database that is away fails what waits, and is asked again with what comes next.
    pub(crate) async fn run(mut self) -> Result<(), StoreError> {
        let mut entries = Vec::with_capacity(64);
        while self.queue.recv_many(&mut entries, MOST_ROWS).await > 0 {
            let columns = Columns::of(entries.iter().flat_map(|entry| &entry.rows));
            let rows = columns.partition.len();
            let began = Instant::now();
            let outcome = self.store.run_tx("disclose", move |conn| columns.insert(conn)).await;
            if let Err(error) = &outcome {
                tracing::error!(%error, rows, "disclosures could not be made durable: deliveries are refused");
            } else {
                self.metrics.disclosed(rows, began.elapsed());
            }
            for entry in entries.drain(..) {
                // A connection that is gone no longer waits.
                let _ = entry.durable.send(outcome.is_ok());
            }
            if outcome.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }
}

/// Rows as columns, for one `INSERT .. SELECT FROM UNNEST`.
#[derive(Debug, Default)]
struct Columns {
    at: Vec<DateTime<Utc>>,
    login: Vec<String>,
    subscription: Vec<String>,
    company: Vec<String>,
    purpose: Vec<String>,
    notice_version: Vec<i32>,
    decision: Vec<String>,
    snapshot: Vec<i64>,
    topic: Vec<String>,
    partition: Vec<i32>,
    first_offset: Vec<i64>,
    last_offset: Vec<i64>,
    delivered: Vec<i64>,
}

const INSERT: &str = "INSERT INTO disclosure (at, login, subscription, company, purpose, notice_version, decision, \
    snapshot, topic, partition, first_offset, last_offset, delivered) \
    SELECT * FROM UNNEST($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";

impl Columns {
    fn of<'a>(rows: impl Iterator<Item = &'a Disclosure>) -> Self {
        let mut columns = Self::default();
        for row in rows {
            columns.at.push(row.at);
            columns.login.push(row.permit.login().to_string());
            columns.subscription.push(row.permit.grant().as_str().to_owned());
            columns.company.push(row.permit.company().to_string());
            columns.purpose.push(row.permit.purpose().to_string());
            columns.notice_version.push(i32::try_from(row.permit.notice_version()).unwrap_or(i32::MAX));
            columns.decision.push(row.permit.decision().to_owned());
            columns.snapshot.push(i64::try_from(row.permit.snapshot()).unwrap_or(i64::MAX));
            columns.topic.push(row.topic.to_string());
            columns.partition.push(row.partition);
            columns.first_offset.push(row.extent.first);
            columns.last_offset.push(row.extent.last);
            columns.delivered.push(i64::try_from(row.extent.records).unwrap_or(i64::MAX));
        }
        columns
    }

    fn insert(&self, conn: &mut PgConnection) -> Result<(), StoreError> {
        use sql_types::{Array, BigInt, Integer, Text, Timestamptz};
        sql_query(INSERT)
            .bind::<Array<Timestamptz>, _>(&self.at)
            .bind::<Array<Text>, _>(&self.login)
            .bind::<Array<Text>, _>(&self.subscription)
            .bind::<Array<Text>, _>(&self.company)
            .bind::<Array<Text>, _>(&self.purpose)
            .bind::<Array<Integer>, _>(&self.notice_version)
            .bind::<Array<Text>, _>(&self.decision)
            .bind::<Array<BigInt>, _>(&self.snapshot)
            .bind::<Array<Text>, _>(&self.topic)
            .bind::<Array<Integer>, _>(&self.partition)
            .bind::<Array<BigInt>, _>(&self.first_offset)
            .bind::<Array<BigInt>, _>(&self.last_offset)
            .bind::<Array<BigInt>, _>(&self.delivered)
            .execute(conn)?;
        Ok(())
    }
}
