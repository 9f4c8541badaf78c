//! Disclosures: ranges of records, durable before the bytes leave.
//!
//! One writer for all connections takes whatever has gathered while the previous transaction was on its way to the disk,
//! and commits it together: the cost of a commit is shared, and it never grows with the number of records. Which rows
//! there are, and which of them must be waited for, is decided in [`crate::runs`].

pub(crate) mod leaves;
mod quarantine;

use std::{
    collections::HashMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use diesel::{PgConnection, RunQueryDsl, sql_query, sql_types};
use policy::Permit;
use runtime::Check;
use store::{Store, StoreError};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

pub(crate) use self::quarantine::Broken;
use crate::metrics::Metrics;

/// Most hand-ins in one transaction.
const MOST_ENTRIES: usize = 1_000;
/// Most corrections kept while the database is away.
const MOST_OWED: usize = 10_000;
/// Most disclosures waiting; beyond, connections wait.
const QUEUE: usize = 4_096;

/// A row as it shall stand: one run of consecutive offsets, delivered under one permit and one state of the stop list.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) permit: Arc<Permit>,
    pub(crate) partition: i32,
    /// Numbers up to which the stop lists were whole: what was decided, and what reaches persons.
    pub(crate) restrictions: (u64, u64),
    /// When the run began, and when it was last added to.
    pub(crate) at: DateTime<Utc>,
    pub(crate) until: DateTime<Utc>,
    pub(crate) first: i64,
    /// The last offset that was delivered or, while open, may be.
    pub(crate) last: i64,
    pub(crate) delivered: u64,
    /// Records within the range that were not delivered.
    pub(crate) withheld: u64,
    pub(crate) open: bool,
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
    rows: Vec<Row>,
    broken: Vec<Broken>,
    durable: Option<oneshot::Sender<bool>>,
}

/// Where connections hand disclosures in. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Ledger(mpsc::Sender<Entry>);

impl Ledger {
    /// The ledger and the writer behind it; run the writer as a task. It says so to `check` when nothing can be written;
    /// who watches the database says when it can be again.
    pub(crate) fn new(store: Store, metrics: Arc<Metrics>, check: Check) -> (Self, Writer) {
        let (sender, queue) = mpsc::channel(QUEUE);
        (Self(sender), Writer { store, queue, metrics, check, owed: HashMap::new() })
    }

    /// Answers when the rows, and which records are broken, are durable.
    pub(crate) async fn record(&self, rows: Vec<Row>, broken: Vec<Broken>) -> Result<(), NotDurable> {
        if rows.is_empty() && broken.is_empty() {
            return Ok(());
        }
        let (durable, done) = oneshot::channel();
        self.0.send(Entry { rows, broken, durable: Some(durable) }).await.map_err(|_| NotDurable)?;
        match done.await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(NotDurable),
        }
    }

    /// Hands a row in ahead of need; the receiver tells when it is durable. `None` when the writer is behind.
    pub(crate) fn ahead(&self, row: Row) -> Option<oneshot::Receiver<bool>> {
        let (durable, done) = oneshot::channel();
        self.0.try_send(Entry { rows: vec![row], broken: Vec::new(), durable: Some(durable) }).ok().map(|()| done)
    }

    /// Corrects a row, some time; when the writer is too far behind the row stays open, which tells too much, never too little.
    pub(crate) fn correct(&self, row: Row) {
        let _ = self.0.try_send(Entry { rows: vec![row], broken: Vec::new(), durable: None });
    }
}

/// Commits what is handed in.
pub(crate) struct Writer {
    store: Store,
    queue: mpsc::Receiver<Entry>,
    metrics: Arc<Metrics>,
    check: Check,
    /// Corrections that could not be written yet.
    owed: HashMap<Uuid, Row>,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("owed", &self.owed.len()).finish_non_exhaustive()
    }
}

impl Writer {
    /// Runs until `stop`, then writes what is left. A database that is away fails what waits, and is asked again with what
    /// comes next.
    pub(crate) async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), StoreError> {
        tokio::pin!(stop);
        let mut entries = Vec::with_capacity(64);
        loop {
            let got = tokio::select! {
                got = self.queue.recv_many(&mut entries, MOST_ENTRIES) => got,
                () = &mut stop, if !self.queue.is_closed() => {
                    self.queue.close();
                    continue;
                }
            };
            if got == 0 {
                return Ok(());
            }
            self.commit(&mut entries).await;
        }
    }

    async fn commit(&mut self, entries: &mut Vec<Entry>) {
        // The latest word on each row, corrections that are owed first.
        let mut rows: HashMap<Uuid, Row> = std::mem::take(&mut self.owed);
        for row in entries.iter().flat_map(|entry| &entry.rows) {
            rows.insert(row.id, row.clone());
        }
        let columns = Columns::of(rows.values());
        let began = Instant::now();
        let mut broken: Vec<Broken> = entries.iter_mut().flat_map(|entry| std::mem::take(&mut entry.broken)).collect();
        broken.sort_unstable();
        broken.dedup();
        let write = move |conn: &mut PgConnection| {
            columns.upsert(conn)?;
            quarantine::note(conn, &broken)
        };
        let outcome = self.store.run_tx("disclose", write).await;
        match &outcome {
            Ok(new) => {
                self.metrics.disclosed(rows.len(), began.elapsed());
                new.iter().for_each(|((topic, reason), count)| self.metrics.quarantined(topic, reason, *count));
            }
            Err(error) => {
                tracing::error!(%error, rows = rows.len(), "disclosures could not be made durable: deliveries are refused");
                // Before anyone is refused for it: readiness must not lag behind what clients see.
                self.check.not_ready(format!("disclosures cannot be written: {error}"));
                let corrections = entries.iter().filter(|entry| entry.durable.is_none()).flat_map(|entry| &entry.rows);
                self.owed.extend(corrections.take(MOST_OWED).map(|row| (row.id, row.clone())));
            }
        }
        for durable in entries.drain(..).filter_map(|entry| entry.durable) {
            // A connection that is gone no longer waits.
            let _ = durable.send(outcome.is_ok());
        }
        if outcome.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Rows as columns, for one `INSERT .. SELECT FROM UNNEST`.
#[derive(Debug, Default)]
struct Columns {
    id: Vec<Uuid>,
    until: Vec<DateTime<Utc>>,
    open: Vec<bool>,
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
    withheld: Vec<i64>,
    restrictions: Vec<i64>,
    person_restrictions: Vec<i64>,
}

const UPSERT: &str = "INSERT INTO disclosure (id, at, until, login, subscription, company, purpose, notice_version, decision, \
    snapshot, topic, partition, first_offset, last_offset, delivered, withheld, open, restrictions, person_restrictions) \
    SELECT * FROM UNNEST($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19) \
    ON CONFLICT (id) DO UPDATE SET until = EXCLUDED.until, last_offset = EXCLUDED.last_offset, \
    delivered = EXCLUDED.delivered, withheld = EXCLUDED.withheld, open = EXCLUDED.open, seal = NULL";

impl Columns {
    fn of<'a>(rows: impl Iterator<Item = &'a Row>) -> Self {
        let mut columns = Self::default();
        for row in rows {
            columns.id.push(row.id);
            columns.at.push(row.at);
            columns.until.push(row.until);
            columns.open.push(row.open);
            columns.login.push(row.permit.login().to_string());
            columns.subscription.push(row.permit.grant().as_str().to_owned());
            columns.company.push(row.permit.company().to_string());
            columns.purpose.push(row.permit.purpose().to_string());
            columns.notice_version.push(i32::try_from(row.permit.notice_version()).unwrap_or(i32::MAX));
            columns.decision.push(row.permit.decision().to_owned());
            columns.snapshot.push(i64::try_from(row.permit.snapshot()).unwrap_or(i64::MAX));
            columns.topic.push(row.permit.topic().to_string());
            columns.partition.push(row.partition);
            columns.first_offset.push(row.first);
            columns.last_offset.push(row.last);
            columns.delivered.push(i64::try_from(row.delivered).unwrap_or(i64::MAX));
            columns.withheld.push(i64::try_from(row.withheld).unwrap_or(i64::MAX));
            let (decided, persons) = row.restrictions;
            columns.restrictions.push(i64::try_from(decided).unwrap_or(i64::MAX));
            columns.person_restrictions.push(i64::try_from(persons).unwrap_or(i64::MAX));
        }
        columns
    }

    fn upsert(&self, conn: &mut PgConnection) -> Result<(), StoreError> {
        use sql_types::{Array, BigInt, Bool, Integer, Text, Timestamptz};
        sql_query(UPSERT)
            .bind::<Array<sql_types::Uuid>, _>(&self.id)
            .bind::<Array<Timestamptz>, _>(&self.at)
            .bind::<Array<Timestamptz>, _>(&self.until)
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
            .bind::<Array<BigInt>, _>(&self.withheld)
            .bind::<Array<Bool>, _>(&self.open)
            .bind::<Array<BigInt>, _>(&self.restrictions)
            .bind::<Array<BigInt>, _>(&self.person_restrictions)
            .execute(conn)?;
        Ok(())
    }
}
