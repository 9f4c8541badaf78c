//! The transaction loop.

use std::{
    thread,
    time::{Duration, Instant},
};

use diesel::{
    PgConnection, RunQueryDsl as _,
    connection::{AnsiTransactionManager, SimpleConnection as _, TransactionManager as _},
    dsl::sql,
    result::Error as DieselError,
    sql_types::Bool,
};

use crate::{
    Inner, Store, StoreError,
    manager::{Pooled, Trouble},
};

/// A transaction that keeps meeting conflicts is given up after this many times.
const ATTEMPTS: u32 = 8;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Mode {
    Read,
    Write,
}

impl Mode {
    const fn begin(self) -> &'static str {
        match self {
            Self::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Self::Write => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
        }
    }
}

/// How one attempt ended.
enum Attempt<T, E> {
    Done(Result<T, E>),
    /// Nothing was changed, and it may work next time; the error for when there is no next time.
    Again(Trouble, E),
}

impl Store {
    pub(crate) async fn transact<T, E, F>(&self, name: &'static str, mode: Mode, f: F) -> Result<T, E>
    where
        F: FnMut(&mut PgConnection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let inner = self.inner.clone();
        let begun = Instant::now();
        let permit = tokio::time::timeout(inner.patience, inner.permits.clone().acquire_owned()).await;
        inner.metrics.waited(begun.elapsed());
        let Ok(Ok(permit)) = permit else {
            inner.metrics.transaction(name, false, begun.elapsed());
            return Err(StoreError::Busy.into());
        };
        let span = tracing::debug_span!("transaction", otel.name = name, name);
        let task = tokio::task::spawn_blocking(move || {
            let _held = permit;
            let result = span.in_scope(|| attempts(&inner, name, mode, f));
            inner.metrics.transaction(name, result.is_ok(), begun.elapsed());
            result
        });
        outcome(task).await.unwrap_or_else(|| Err(StoreError::Panicked.into()))
    }

    /// A connection by itself, for what cannot be in a transaction; it is closed afterwards.
    pub(crate) async fn exclusive<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut PgConnection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = self.inner.clone();
        let permit = inner.permits.clone().acquire_owned().await.map_err(|_| StoreError::Busy)?;
        let task = tokio::task::spawn_blocking(move || {
            let _held = permit;
            let mut connection = checkout(&inner)?;
            connection.broken = true;
            f(&mut connection.pg)
        });
        outcome(task).await.unwrap_or(Err(StoreError::Panicked))
    }
}

/// What a blocking task came to, or nothing when it panicked.
///
/// A blocking task is never cancelled but by the end of its runtime: who waits for it is about to be dropped, at its next
/// await. This is that await; an error would only make it log and answer to nobody, after the service said it had stopped.
async fn outcome<T>(task: tokio::task::JoinHandle<T>) -> Option<T> {
    match task.await {
        Ok(result) => Some(result),
        Err(error) if error.is_cancelled() => std::future::pending().await,
        Err(_) => None,
    }
}

fn attempts<T, E, F>(inner: &Inner, name: &'static str, mode: Mode, mut f: F) -> Result<T, E>
where
    F: FnMut(&mut PgConnection) -> Result<T, E>,
    E: From<StoreError>,
{
    let mut attempt = 1;
    // After a restart of the server every pooled connection is dead: each must be met once.
    let mut dead = inner.pool.max_size();
    loop {
        let mut connection = checkout(inner)?;
        if let Err(error) = AnsiTransactionManager::begin_transaction_sql(&mut connection.pg, mode.begin()) {
            connection.broken = true;
            if is_recovering(&mut connection.pg) == Ok(true) {
                return Err(StoreError::ReadOnly.into());
            }
            drop(connection);
            if dead == 0 {
                return Err(StoreError::from(error).into());
            }
            dead -= 1;
            continue;
        }
        let (trouble, error) = match once(&mut connection, &mut f) {
            Attempt::Done(result) => return result,
            Attempt::Again(trouble, error) => (trouble, error),
        };
        drop(connection);
        if attempt == ATTEMPTS {
            return Err(if trouble == Trouble::Conflict {
                StoreError::Contended { attempts: attempt }.into()
            } else {
                error
            });
        }
        let reason = if trouble == Trouble::Lost { "connection_lost" } else { "conflict" };
        inner.metrics.retry(name, reason);
        tracing::debug!(reason, attempt, "running the transaction again");
        thread::sleep(backoff(attempt));
        attempt += 1;
    }
}

fn once<T, E, F>(connection: &mut Pooled, f: &mut F) -> Attempt<T, E>
where
    F: FnMut(&mut PgConnection) -> Result<T, E>,
    E: From<StoreError>,
{
    connection.reset();
    let mut result = f(&mut connection.pg);
    // The server answers COMMIT in a failed transaction with a rollback, and calls that success. So when a statement
    // failed and the closure went on, ask whether the transaction is still alive (the failure was in a savepoint).
    if result.is_ok() && connection.trouble() != Trouble::None && connection.pg.batch_execute("SELECT 1").is_err() {
        result = Err(StoreError::Aborted.into());
    }
    match result {
        Ok(value) => commit(connection, value),
        Err(error) => {
            let trouble = connection.trouble();
            let rolled_back = AnsiTransactionManager::rollback_transaction(&mut connection.pg).is_ok();
            connection.broken = !rolled_back || trouble == Trouble::Lost;
            match trouble {
                Trouble::Conflict | Trouble::Lost => Attempt::Again(trouble, error),
                Trouble::None | Trouble::Failed => Attempt::Done(Err(error)),
            }
        }
    }
}

fn commit<T, E: From<StoreError>>(connection: &mut Pooled, value: T) -> Attempt<T, E> {
    let Err(error) = AnsiTransactionManager::commit_transaction(&mut connection.pg) else {
        return Attempt::Done(Ok(value));
    };
    let trouble = Trouble::of(&error).max(connection.trouble());
    connection.broken = true;
    match trouble {
        Trouble::Lost => Attempt::Done(Err(StoreError::LostInCommit.into())),
        Trouble::Conflict => Attempt::Again(trouble, StoreError::from(error).into()),
        Trouble::None | Trouble::Failed => Attempt::Done(Err(StoreError::from(error).into())),
    }
}

/// Whether the server only reads: it replays its log, as after a restore, or is a standby.
pub(crate) fn is_recovering(pg: &mut PgConnection) -> Result<bool, DieselError> {
    diesel::select(sql::<Bool>("pg_is_in_recovery()")).get_result(pg)
}

fn checkout(inner: &Inner) -> Result<r2d2::PooledConnection<crate::manager::Manager>, StoreError> {
    // A permit is held, so a connection is free or may be opened; what takes time is opening it.
    inner.pool.get().map_err(|error| {
        let text = error.to_string();
        let text = text.strip_prefix("timed out waiting for connection: ").unwrap_or(&text);
        StoreError::Unreachable(text.to_owned())
    })
}

/// 2 ms, doubling, to a quarter of a second; the clock's low bits keep two that collided apart.
fn backoff(attempt: u32) -> Duration {
    let base = Duration::from_millis(2u64.saturating_pow(attempt).min(250));
    let jitter = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |now| now.subsec_nanos());
    base + base.mul_f64(f64::from(jitter % 1_000) / 1_000.0)
}
