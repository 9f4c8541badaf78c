//! PostgreSQL for services: a pool, named transactions, migrations. No tables: those are the services' own.
//!
//! Every statement runs in a named transaction on a blocking thread; this crate has the only `spawn_blocking` for it.
//! The name is the metric label (`store_transaction_seconds{name=...}`) and the span's name.
//!
//! ```no_run
//! # use diesel::{prelude::*, sql_types::BigInt};
//! # #[derive(diesel::QueryableByName)] struct Row { #[diesel(sql_type = BigInt)] n: i64 }
//! # async fn example(store: store::Store) -> Result<(), store::StoreError> {
//! let count: i64 = store
//!     .read("count_cards", |conn| Ok::<_, store::StoreError>(diesel::sql_query("SELECT count(*) AS n FROM card").get_result::<Row>(conn)?.n))
//!     .await?;
//! # Ok(()) }
//! ```
//!
//! A transaction's own error type needs `From<StoreError>` (for what the pool does) and, to use `?` on queries,
//! `From<diesel::result::Error>`:
//!
//! ```
//! #[derive(Debug, thiserror::Error)]
//! enum CardError {
//!     #[error("the card was withdrawn")]
//!     Withdrawn,
//!     #[error(transparent)]
//!     Store(#[from] store::StoreError),
//! }
//! impl From<diesel::result::Error> for CardError {
//!     fn from(error: diesel::result::Error) -> Self {
//!         Self::Store(error.into())
//!     }
//! }
//! ```

mod config;
mod error;
mod manager;
mod metrics;
mod migrate;
mod patience;
mod transaction;

use std::{sync::Arc, time::Duration};

use diesel::{PgConnection, connection::SimpleConnection as _};
use tokio::sync::Semaphore;

pub use config::DatabaseConfig;
pub use error::{Constraint, ConstraintKind, StoreError};
pub use patience::patiently;

use crate::{manager::Manager, metrics::Metrics, transaction::Mode};

/// A database. Cheap to clone; all clones share the pool.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    pool: r2d2::Pool<Manager>,
    /// One permit a connection, so that waiting for one occupies no blocking thread.
    permits: Arc<Semaphore>,
    patience: Duration,
    metrics: Metrics,
}

impl Store {
    /// Makes the pool. Connections are opened when they are needed, so this succeeds while the database is away;
    /// [`Store::ping`] and [`Store::wait_up`] tell whether it is there.
    ///
    /// `application` is what `pg_stat_activity` shows: the service's name.
    ///
    /// # Errors
    /// The configuration or its password file cannot be used.
    pub fn connect(application: &str, config: &DatabaseConfig) -> Result<Self, StoreError> {
        let manager = Manager::new(config.url(application)?);
        let patience = Duration::from_millis(config.connection_timeout_ms);
        let pool = r2d2::Pool::builder()
            .max_size(config.max_connections)
            .min_idle(Some(0))
            .connection_timeout(patience)
            .idle_timeout(Some(Duration::from_secs(300)))
            .test_on_check_out(false)
            .error_handler(Box::new(manager::Quiet))
            .build_unchecked(manager);
        let permits = Arc::new(Semaphore::new(usize::try_from(config.max_connections).unwrap_or(1)));
        Ok(Self { inner: Arc::new(Inner { pool, permits, patience, metrics: Metrics::new() }) })
    }

    /// Runs a read-write transaction (read committed). On a serialization failure, a deadlock or a connection lost
    /// before the commit it is run again, a bounded number of times, so `f` must have no effect but on `conn`.
    ///
    /// When the returned future is dropped the transaction still runs to its end.
    ///
    /// # Errors
    /// What `f` returns (rolled back), or a [`StoreError`] of the pool or the commit. After
    /// [`StoreError::LostInCommit`] it is unknown whether the transaction was committed.
    pub async fn run_tx<T, E, F>(&self, name: &'static str, f: F) -> Result<T, E>
    where
        F: FnMut(&mut PgConnection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.transact(name, Mode::Write, f).await
    }

    /// Runs a read-only transaction that sees one state of the database throughout (repeatable read).
    ///
    /// # Errors
    /// As [`Store::run_tx`].
    pub async fn read<T, E, F>(&self, name: &'static str, f: F) -> Result<T, E>
    where
        F: FnMut(&mut PgConnection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.transact(name, Mode::Read, f).await
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.read("ping", |conn| Ok(conn.batch_execute("SELECT 1")?)).await
    }

    /// Waits until the database answers, asking again every quarter of a second.
    ///
    /// # Errors
    /// Why it did not when `deadline` had passed.
    pub async fn wait_up(&self, deadline: Duration) -> Result<(), StoreError> {
        let end = tokio::time::Instant::now() + deadline;
        loop {
            match self.ping().await {
                Err(error) if tokio::time::Instant::now() < end => {
                    tracing::debug!(%error, "the database is away");
                    tokio::time::sleep(Duration::from_millis(250)).await;
                }
                result => return result,
            }
        }
    }

    /// Pings for ever, telling `report` the outcome each time: the task behind a service's readiness check.
    pub async fn monitor(&self, every: Duration, mut report: impl FnMut(Result<(), StoreError>) + Send) {
        loop {
            report(self.ping().await);
            tokio::time::sleep(every).await;
        }
    }
}
