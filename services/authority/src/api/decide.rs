//! How every decision is made: under the lock, recorded with its activity, told, and only then answered.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use diesel::PgConnection;
use jointuse::OperatorName;
use runtime::Problem;
use store::StoreError;

use crate::{
    db::{self, activity},
    error::Refusal,
    state::{App, AppState},
};

/// Decides, waits until the services are told, and answers.
///
/// # Errors
/// The refusal of `f` (nothing was changed), or `recorded-not-told`.
pub(super) async fn decide<T, F>(app: &AppState, name: &'static str, f: F) -> Result<T, Problem>
where
    T: Send + 'static,
    F: FnMut(&mut PgConnection, DateTime<Utc>) -> Result<T, Refusal> + Send + 'static,
{
    let (value, told) = recorded(app, name, f).await?;
    told?;
    Ok(value)
}

/// The same for answers that must be given even if the services could not be told yet, because they hold a secret that
/// is shown once.
///
/// # Errors
/// The refusal of `f`: nothing was changed.
pub(super) async fn recorded<T, F>(
    app: &AppState,
    name: &'static str,
    mut f: F,
) -> Result<(T, Result<(), Refusal>), Problem>
where
    T: Send + 'static,
    F: FnMut(&mut PgConnection, DateTime<Utc>) -> Result<T, Refusal> + Send + 'static,
{
    let at = app.clock.now();
    let task = Arc::clone(app);
    // In a task of its own: a caller who hangs up must not keep a recorded change from being told.
    let deciding = tokio::spawn(async move {
        let decided = task.store.run_tx(name, move |conn| {
            db::policy_issue::decide(conn, at)?;
            f(conn, at)
        });
        let value = match decided.await {
            Ok(value) => value,
            Err(refusal) => {
                if matches!(refusal, Refusal::Store(StoreError::LostInCommit)) {
                    task.publisher.nudge(at);
                }
                return Err(refusal);
            }
        };
        task.metrics.changed(name);
        task.link.wake();
        let told = task.publisher.tell(at, task.told_within()).await;
        Ok((value, told))
    });
    let outcome = deciding.await.map_err(|error| Problem::internal(&error))?;
    Ok(outcome?)
}

/// Writes the activity of a decision.
pub(super) fn note(
    conn: &mut PgConnection,
    at: DateTime<Utc>,
    by: &OperatorName,
    action: &str,
    subject: &str,
    reason: &str,
) -> Result<(), StoreError> {
    activity::record(conn, activity::Step { at, operator: Some(by), action, subject, reason: reason.trim() })
}

/// Writes the activity of a decision of which the subject's name does not say all.
pub(super) fn note_in_full(
    conn: &mut PgConnection,
    at: DateTime<Utc>,
    by: &OperatorName,
    action: &str,
    subject: &str,
    details: &impl serde::Serialize,
) -> Result<(), StoreError> {
    let details = serde_json::to_value(details).map_err(|_| StoreError::Mapping("parameter"))?;
    activity::record_in_full(conn, activity::Step { at, operator: Some(by), action, subject, reason: "" }, &details)
}

/// Writes the activity of a decision about contacts or persons, who are named in its details alone.
pub(super) fn note_about(
    conn: &mut PgConnection,
    step: activity::Step<'_>,
    details: &impl serde::Serialize,
    about: Vec<String>,
) -> Result<(), StoreError> {
    let details = serde_json::to_value(details).map_err(|_| StoreError::Mapping("parameter"))?;
    activity::record_all(conn, &[activity::Full { step, details, about }])
}

/// Reads without deciding.
pub(super) async fn read<T, F>(app: &App, name: &'static str, mut f: F) -> Result<T, Problem>
where
    T: Send + 'static,
    F: FnMut(&mut PgConnection) -> Result<T, StoreError> + Send + 'static,
{
    Ok(app.store.read(name, move |conn| f(conn).map_err(Refusal::Store)).await?)
}
