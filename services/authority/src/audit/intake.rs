//! Leaves that hub and history made of their disclosures, from the audit topic into the log.
//!
//! Offsets are kept in the transaction that appends, so a leaf that was read twice is appended once; a leaf that was produced twice,
//! because its ledger was killed before it knew, is known by its hash. What is no leaf of a ledger is left out and counted: it
//! wedges nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use audit::{Actor, Entry, EntryKind, Service, Subject};
use bus::{Batch, BusError, ConsumeOptions, Consumer, KafkaConfig, Message};
use diesel::prelude::*;
use runtime::BoxError;
use store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

use super::{db, record::append_all};
use crate::metrics::Metrics;

diesel::table! {
    audit_source (topic, partition) {
        topic -> Text,
        partition -> Integer,
        next_offset -> BigInt,
    }
}

/// Takes leaves in. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Intake {
    store: Store,
    metrics: Metrics,
}

impl Intake {
    pub(crate) const fn new(store: Store, metrics: Metrics) -> Self {
        Self { store, metrics }
    }

    /// Reads until cancelled; waits for brokers and topic.
    ///
    /// # Errors
    /// When Kafka's client fails for good, or the database does at the start.
    pub(crate) async fn run(
        self,
        kafka: KafkaConfig,
        topic: String,
        cancel: CancellationToken,
    ) -> Result<(), BoxError> {
        let offsets = self.store.read("audit_offsets", offsets).await?;
        let consumer = Consumer::new(&kafka, "authority-audit", &[&topic], offsets, ConsumeOptions::default())?;
        let reading = consumer.run(cancel, move |batch| {
            let intake = self.clone();
            async move { intake.take(batch).await }
        });
        reading.await.map_err(|error: BusError| error.into())
    }

    async fn take(&self, batch: Arc<Batch>) -> Result<(), StoreError> {
        let mut leaves = Vec::with_capacity(batch.len());
        for message in batch.messages() {
            match leaf(message) {
                Some(entry) => leaves.push(entry),
                None => {
                    self.metrics.audit_refused();
                    let (partition, offset) = (message.partition, message.offset);
                    tracing::error!(partition, offset, "a record on the audit topic is no leaf of a ledger: left out");
                }
            }
        }
        let next: Vec<_> = batch.next_offsets().into_iter().collect();
        self.store.run_tx("audit_take", move |conn| take(conn, &leaves, &next)).await
    }
}

/// The leaf, if it is one that a ledger may write: a disclosure by the service that the key names.
fn leaf(message: &Message) -> Option<Entry> {
    let entry = Entry::read(std::str::from_utf8(message.payload.as_deref()?).ok()?).ok()?;
    let by = Service::read(std::str::from_utf8(message.key.as_deref()?).ok()?)?;
    let a_ledgers = matches!(by, Service::Hub | Service::History) && *entry.actor() == Actor::Service(by);
    (a_ledgers && entry.kind() == EntryKind::Disclosure && *entry.subject() == Subject::Hub).then_some(entry)
}

fn take(conn: &mut PgConnection, leaves: &[Entry], next: &[((Arc<str>, i32), i64)]) -> Result<(), StoreError> {
    db::lock(conn)?;
    let (mut new, mut seen) = (Vec::new(), BTreeSet::new());
    for entry in leaves {
        let hash = entry.hash();
        if seen.insert(hash) && db::find(conn, &hash)?.is_none() {
            new.push((entry.clone(), None));
        }
    }
    if !new.is_empty() {
        append_all(conn, new)?;
    }
    for ((topic, partition), offset) in next {
        diesel::insert_into(audit_source::table)
            .values((
                audit_source::topic.eq(&**topic),
                audit_source::partition.eq(partition),
                audit_source::next_offset.eq(offset),
            ))
            .on_conflict((audit_source::topic, audit_source::partition))
            .do_update()
            .set(audit_source::next_offset.eq(offset))
            .execute(conn)?;
    }
    Ok(())
}

fn offsets(conn: &mut PgConnection) -> Result<BTreeMap<(String, i32), i64>, StoreError> {
    let rows: Vec<(String, i32, i64)> = audit_source::table.load(conn)?;
    Ok(rows.into_iter().map(|(topic, partition, next)| ((topic, partition), next)).collect())
}
