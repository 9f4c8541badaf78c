//! Who did what to what, and why. Append-only; written in the transaction that did it, and into the audit log with it: every
//! change passes through [`record_all`].

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

/// A step whose subject and reason do not say all.
#[derive(Debug, Clone)]
pub(crate) struct Full<'a> {
    pub(crate) step: Step<'a>,
    /// What was decided; the audit log commits to it as well.
    pub(crate) details: Value,
    /// Contacts and persons that the details name: what the log commits to is erased with any of them.
    pub(crate) about: Vec<String>,
}

pub(crate) fn record(conn: &mut PgConnection, step: Step<'_>) -> Result<(), StoreError> {
    record_in_full(conn, step, &Value::Null)
}

/// Records a step with details that name nobody.
pub(crate) fn record_in_full(conn: &mut PgConnection, step: Step<'_>, details: &Value) -> Result<(), StoreError> {
    record_all(conn, &[Full { step, details: details.clone(), about: Vec::new() }])
}

/// Records steps, at most 5,000 (a statement takes 65,535 values). The audit log's lock is taken first, so that activities are
/// numbered in the order of the log.
pub(crate) fn record_all(conn: &mut PgConnection, steps: &[Full<'_>]) -> Result<(), StoreError> {
    if steps.is_empty() {
        return Ok(());
    }
    audit::activities(conn, steps)?;
    let row = |Full { step, .. }: &Full<'_>| {
        (
            activity::at.eq(step.at),
            activity::operator.eq(step.operator.map_or(AUTHORITY, OperatorName::as_str).to_owned()),
            activity::action.eq(step.action.to_owned()),
            activity::subject.eq(step.subject.to_owned()),
            activity::reason.eq(step.reason.to_owned()),
        )
    };
    diesel::insert_into(activity::table).values(steps.iter().map(row).collect::<Vec<_>>()).execute(conn)?;
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
