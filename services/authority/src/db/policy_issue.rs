//! The one row that orders decisions and numbers snapshots.

use chrono::{DateTime, Utc};
use diesel::{dsl::sql, prelude::*, sql_types::Timestamptz};
use store::StoreError;

use super::schema::policy_issue;

/// Takes the lock of decisions until the transaction ends, and notes when the decision was asked for. First statement
/// of every transaction that decides something.
pub(crate) fn decide(conn: &mut PgConnection, at: DateTime<Utc>) -> Result<(), StoreError> {
    diesel::update(policy_issue::table)
        .set(
            policy_issue::changed_at
                .eq(sql::<Timestamptz>("greatest(changed_at, ").bind::<Timestamptz, _>(at).sql(")")),
        )
        .execute(conn)?;
    Ok(())
}

/// Takes the lock without deciding anything that the policy speaks of.
pub(crate) fn lock(conn: &mut PgConnection) -> Result<(), StoreError> {
    policy_issue::table.select(policy_issue::one).for_update().execute(conn)?;
    Ok(())
}

/// Goes on with numbers that were never used, whatever was forgotten by a restore: microseconds since 1970, of which far
/// fewer were used up since.
pub(crate) fn leap(conn: &mut PgConnection, at: DateTime<Utc>) -> Result<(), StoreError> {
    diesel::update(policy_issue::table.filter(policy_issue::number.lt(at.timestamp_micros())))
        .set(policy_issue::number.eq(at.timestamp_micros()))
        .execute(conn)?;
    Ok(())
}

/// What the next snapshot is numbered, and when the last decision in it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbered {
    pub(crate) number: u64,
    pub(crate) changed_at: DateTime<Utc>,
}

/// Takes the lock and the next number. Numbers grow for ever, also over restarts; one is never used twice.
pub(crate) fn next(conn: &mut PgConnection, at: DateTime<Utc>) -> Result<Numbered, StoreError> {
    let (number, changed_at): (i64, DateTime<Utc>) = diesel::update(policy_issue::table)
        .set((policy_issue::number.eq(policy_issue::number + 1), policy_issue::issued_at.eq(at)))
        .returning((policy_issue::number, policy_issue::changed_at))
        .get_result(conn)?;
    Ok(Numbered { number: u64::try_from(number).map_err(|_| StoreError::Mapping("result"))?, changed_at })
}
