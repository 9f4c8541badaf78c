//! Contacts that were erased.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use diesel::{PgConnection, connection::SimpleConnection as _, prelude::*, sql_query, sql_types};
use store::StoreError;
use uuid::Uuid;

use super::{Applied, CONTACTS_LOCK, PLANS, contacts, known::UuidArray};
use crate::record::{Incoming, What};

/// Removes all that there is of contacts, for ever, and makes sure of it. A batch that was opened before they were
/// erased comes before this, and is removed, or after it, and finds them erased.
///
/// # Errors
/// When the database does not take it, or something would be left; nothing may then be committed.
pub fn erase(conn: &mut PgConnection, contacts: &[Uuid], at: DateTime<Utc>) -> Result<(), StoreError> {
    conn.batch_execute(&format!("{PLANS}; SELECT pg_advisory_xact_lock({CONTACTS_LOCK})"))?;
    sql_query(
        "INSERT INTO erased_contact (contact_id, at) SELECT u.id, $2 FROM unnest($1) AS u(id) ON CONFLICT DO NOTHING",
    )
    .bind::<UuidArray, _>(contacts)
    .bind::<sql_types::Timestamptz, _>(at)
    .execute(conn)?;
    let mut changes = contacts::Changes::default();
    let mut applied = Applied::default();
    for contact in contacts {
        changes.remove(*contact, at, &mut applied);
    }
    contacts::apply(conn, changes, &mut applied)?;
    if left(conn, contacts)? == 0 { Ok(()) } else { Err(StoreError::Aborted) }
}

/// Whether the tables are there.
///
/// # Errors
/// They are not, or the database does not answer.
pub fn is_ready(conn: &mut PgConnection) -> Result<(), StoreError> {
    Ok(conn.batch_execute("SELECT FROM erased_contact LIMIT 0")?)
}

#[derive(QueryableByName)]
struct CountRow {
    #[diesel(sql_type = sql_types::BigInt)]
    n: i64,
}

/// How many rows there are of contacts.
fn left(conn: &mut PgConnection, contacts: &[Uuid]) -> Result<i64, StoreError> {
    let row: CountRow = sql_query(
        "SELECT (SELECT count(*) FROM contact WHERE id = ANY($1)) \
         + (SELECT count(*) FROM interaction WHERE contact_id = ANY($1)) AS n",
    )
    .bind::<UuidArray, _>(contacts)
    .get_result(conn)?;
    Ok(row.n)
}

#[derive(QueryableByName)]
struct IdRow {
    #[diesel(sql_type = sql_types::Uuid)]
    id: Uuid,
}

/// Which contacts of a batch are erased. Under the lock of contacts.
pub(super) fn among(conn: &mut PgConnection, records: &[Incoming]) -> Result<HashSet<Uuid>, StoreError> {
    let mut contacts: Vec<Uuid> = records.iter().filter_map(of).collect();
    contacts.sort_unstable();
    contacts.dedup();
    let rows: Vec<IdRow> =
        sql_query("SELECT u.id FROM unnest($1) AS u(id) JOIN erased_contact e ON e.contact_id = u.id")
            .bind::<UuidArray, _>(&contacts)
            .load(conn)?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Of whom a record tells something.
pub(super) fn of(record: &Incoming) -> Option<Uuid> {
    match &record.what {
        What::Contact(contact) => Some(contact.common.contact),
        What::Interaction(interaction) => Some(interaction.common.contact),
        What::Removed { .. } | What::Erased | What::Broken(_) => None,
    }
}
