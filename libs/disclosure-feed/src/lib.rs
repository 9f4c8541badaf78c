//! How disclosures get into the audit log without anybody waiting for the authority.
//!
//! Every few seconds a ledger's new and changed rows become one **seal**: their text, a salt, and a leaf that commits to both,
//! kept in the table `disclosure_seal` of the ledger's own database. Then the leaf is produced on the audit topic, from which
//! the authority takes it into the log; it holds neither a row nor the number of them. A seal that was not acknowledged
//! is produced again, also after a restart; the authority knows a leaf that it has. Delivery depends on none of this.
//!
//! Seals are numbered without gaps and say their number, so that one that is missing in the log is missed.

use std::{convert::Infallible, sync::Arc, time::Duration};

use audit::{Actor, Entry, EntryError, EntryKind, Opening, Salt, Service, Subject};
use bus::{BusError, KafkaConfig, ProduceError, ProduceOptions, Producer, Record};
use chrono::{DateTime, Utc};
use diesel::{OptionalExtension as _, PgConnection, QueryableByName, RunQueryDsl as _, sql_query, sql_types};
use jointuse::Clock;
use opentelemetry::{global, metrics::Counter};
use serde::Deserialize;
use store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

/// Most rows in one seal, whose locks are held while it is made.
pub const MOST_ROWS: i64 = 1_000;
/// Seals made in one turn; a ledger that writes faster is caught up with at the next.
const MOST_SEALS: usize = 100;
/// Seals produced at a time.
const PRODUCED: i64 = 100;

/// `[audit]` of a service that discloses.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditConfig {
    /// Where leaves go.
    pub topic: String,
    /// How often rows are sealed.
    pub interval_seconds: f64,
}

impl AuditConfig {
    /// What is wrong with it: a key and a sentence.
    pub fn problem(&self) -> Option<(&'static str, &'static str)> {
        if !self.topic.starts_with("jointuse.") {
            return Some(("audit.topic", "must begin with jointuse., the prefix that the authority manages"));
        }
        let good = self.interval_seconds.is_finite() && (0.05..=3600.0).contains(&self.interval_seconds);
        (!good).then_some(("audit.interval_seconds", "must be between 0.05 and 3600"))
    }
}

/// Rows of a ledger that are due.
#[derive(Debug)]
pub struct Rows {
    /// A JSON array of them.
    pub text: String,
    /// How many.
    pub count: i64,
}

/// Takes the rows that are due, at most [`MOST_ROWS`], and marks them in the same transaction as sealed by the seal of this number;
/// `None` when none are.
pub type Gather = fn(&mut PgConnection, i64) -> Result<Option<Rows>, StoreError>;

/// Why the rows were not sealed or the leaves not produced; tried again.
#[derive(Debug, thiserror::Error)]
enum FeedError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the brokers did not take a leaf")]
    Produce(#[from] ProduceError),
}

/// The task.
pub struct Feed {
    service: Service,
    store: Store,
    producer: Producer,
    topic: Arc<str>,
    interval: Duration,
    clock: Arc<dyn Clock>,
    gather: Gather,
    sealed: Counter<u64>,
    failures: Counter<u64>,
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").field("service", &self.service).field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl Feed {
    /// For the ledger in `store`; call after telemetry is set up. Succeeds while brokers and database are away.
    ///
    /// # Errors
    /// The configuration of the brokers cannot be used.
    pub fn new(
        service: Service,
        store: Store,
        kafka: &KafkaConfig,
        config: &AuditConfig,
        clock: Arc<dyn Clock>,
        gather: Gather,
    ) -> Result<Self, BusError> {
        let (meter, word) = (global::meter("disclosures"), service.as_str());
        let counter = |what: &str, help: &'static str| {
            meter.u64_counter(format!("{word}_disclosure_{what}_total")).with_description(help).build()
        };
        Ok(Self {
            service,
            store,
            producer: Producer::new(kafka, &format!("{word}-audit"), ProduceOptions::low_latency())?,
            topic: config.topic.as_str().into(),
            interval: Duration::from_secs_f64(config.interval_seconds),
            clock,
            gather,
            sealed: counter("seals", "Seals whose leaves the brokers acknowledged"),
            failures: counter("seal_failures", "Times that rows could not be sealed or leaves not produced"),
        })
    }

    /// Seals and produces until cancelled. What fails is tried again at the next turn.
    ///
    /// # Errors
    /// Never.
    pub async fn run(self, cancel: CancellationToken) -> Result<(), Infallible> {
        let mut failing = false;
        loop {
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                () = tokio::time::sleep(self.interval) => {}
            }
            let turn = tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                turn = self.turn() => turn,
            };
            match turn {
                Ok(()) => failing = false,
                Err(error) => {
                    self.failures.add(1, &[]);
                    // Once, and again when it has been well in between.
                    if !failing {
                        tracing::warn!(%error, "disclosures do not get into the audit log, trying again");
                    }
                    failing = true;
                }
            }
        }
    }

    async fn turn(&self) -> Result<(), FeedError> {
        for _ in 0..MOST_SEALS {
            if !self.seal().await? {
                break;
            }
        }
        while self.produce().await? {}
        Ok(())
    }

    /// Makes one seal, if rows are due; whether more may be.
    async fn seal(&self) -> Result<bool, StoreError> {
        let (service, at, gather) = (self.service, self.clock.now(), self.gather);
        self.store.run_tx("disclosure_seal", move |conn| seal(conn, service, at, gather)).await
    }

    /// Produces leaves in their order; `false` when none are left.
    async fn produce(&self) -> Result<bool, FeedError> {
        let seals = self.store.read("disclosure_seals_left", left).await?;
        for Left { id, leaf } in &seals {
            let record = Record::new(Arc::clone(&self.topic), self.service.as_str(), leaf.clone());
            self.producer.send(record).await?;
            let (id, at) = (*id, self.clock.now());
            self.store.run_tx("disclosure_seal_produced", move |conn| produced(conn, id, at)).await?;
            self.sealed.add(1, &[]);
        }
        Ok(!seals.is_empty())
    }
}

#[derive(Debug, QueryableByName)]
struct Left {
    #[diesel(sql_type = sql_types::BigInt)]
    id: i64,
    #[diesel(sql_type = sql_types::Text)]
    leaf: String,
}

fn seal(conn: &mut PgConnection, service: Service, at: DateTime<Utc>, gather: Gather) -> Result<bool, StoreError> {
    #[derive(QueryableByName)]
    struct Last {
        #[diesel(sql_type = sql_types::BigInt)]
        id: i64,
    }
    let last = sql_query("SELECT id FROM disclosure_seal ORDER BY id DESC LIMIT 1").get_result::<Last>(conn);
    let number = last.optional()?.map_or(1, |last| last.id + 1);
    let Some(rows) = gather(conn, number)? else { return Ok(false) };
    let payload = format!(r#"{{"service":"{}","seal":{number},"rows":{}}}"#, service.as_str(), rows.text);
    let mut salt = [0; 32];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| StoreError::Mapping("salt"))?;
    let opening = Opening::new(Salt::new(salt), payload.into_bytes());
    let entry = Entry::new(EntryKind::Disclosure, at, Actor::Service(service), Subject::Hub, opening.commitment());
    let entry = entry.map_err(|_: EntryError| StoreError::Mapping("parameter"))?;
    // The number is the primary key: should two instances seal at once, one of them is turned back, with its rows.
    sql_query("INSERT INTO disclosure_seal (id, sealed_at, leaf, salt, payload) VALUES ($1, $2, $3, $4, $5)")
        .bind::<sql_types::BigInt, _>(number)
        .bind::<sql_types::Timestamptz, _>(at)
        .bind::<sql_types::Text, _>(entry.leaf())
        .bind::<sql_types::Binary, _>(opening.salt.expose().as_slice())
        .bind::<sql_types::Binary, _>(opening.payload.expose())
        .execute(conn)?;
    Ok(rows.count >= MOST_ROWS)
}

fn left(conn: &mut PgConnection) -> Result<Vec<Left>, StoreError> {
    let sql = "SELECT id, leaf FROM disclosure_seal WHERE produced_at IS NULL ORDER BY id LIMIT $1";
    Ok(sql_query(sql).bind::<sql_types::BigInt, _>(PRODUCED).load(conn)?)
}

fn produced(conn: &mut PgConnection, id: i64, at: DateTime<Utc>) -> Result<(), StoreError> {
    sql_query("UPDATE disclosure_seal SET produced_at = $2 WHERE id = $1")
        .bind::<sql_types::BigInt, _>(id)
        .bind::<sql_types::Timestamptz, _>(at)
        .execute(conn)?;
    Ok(())
}
