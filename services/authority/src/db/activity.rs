//! Who did what to what, and why. Append-only; written in the transaction that did it, and into the audit log with it: every
//! change passes through [`record`] or [`record_in_full`].

use authority_api::types::Activity;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use jointuse::OperatorName;
use serde_json::Value;
use store::StoreError;

use super::schema::activity;
use crate::audit;

/// What the authority itself is called in the record.
pub(crate) const AUTHORITY: &str = "authority";

/// One step. `action` is `<aggregate>.<verb>`, `subject` the aggregate's id; `reason` is what the operator gave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step<'a> {
    pub(crate) at: DateTime<Utc>,
    /// `None`: the authority itself.
    pub(crate) operator: Option<&'a OperatorName>,
    pub(crate) action: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) reason: &'a str,
}

pub(crate) fn record(conn: &mut PgConnection, step: Step<'_>) -> Result<(), StoreError> {
    record_in_full(conn, step, &Value::Null)
}

/// Records a step whose subject and reason do not say all. The audit log commits to `details` as well; its lock is taken
/// first, so that activities are numbered in the order of the log.
pub(crate) fn record_in_full(conn: &mut PgConnection, step: Step<'_>, details: &Value) -> Result<(), StoreError> {
    audit::activity(conn, &step, details)?;
    diesel::insert_into(activity::table)
        .values((
            activity::at.eq(step.at),
            activity::operator.eq(step.operator.map_or(AUTHORITY, OperatorName::as_str)),
            activity::action.eq(step.action),
            activity::subject.eq(step.subject),
            activity::reason.eq(step.reason),
        ))
        .execute(conn)?;
    Ok(())
}

/// Newest first, those before `before` if given (keyset paging).
pub(crate) fn list(conn: &mut PgConnection, before: Option<i64>, limit: i64) -> Result<Vec<Activity>, StoreError> {
    let mut query = activity::table.order(activity::id.desc()).limit(limit).into_boxed();
    if let Some(before) = before {
        query = query.filter(activity::id.lt(before));
    }
    let rows: Vec<(i64, DateTime<Utc>, String, String, String, String)> = query.load(conn)?;
    Ok(rows
        .into_iter()
        .map(|(id, at, operator, action, subject, reason)| Activity { id, at, operator, action, subject, reason })
        .collect())
}
