//! Questions who received somebody's data, and what erasures have to do with them.

use std::collections::BTreeSet;

use authority_api::types::{ErasedContact, NewDisclosureQuestion};
use chrono::{DateTime, Utc};
use diesel::{prelude::*, sql_query, sql_types};
use jointuse::{ContactId, OperatorName};
use store::StoreError;
use uuid::Uuid;

use super::parsed;

/// Records a question.
pub(crate) fn add(
    conn: &mut PgConnection,
    id: Uuid,
    new: &NewDisclosureQuestion,
    by: &OperatorName,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let contacts: Vec<&str> = new.contacts.iter().map(ContactId::as_str).collect();
    sql_query(
        "INSERT INTO disclosure_question (id, contacts, person, asked_by, asked_at, reason) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind::<sql_types::Uuid, _>(id)
    .bind::<sql_types::Array<sql_types::Text>, _>(contacts)
    .bind::<sql_types::Nullable<sql_types::Uuid>, _>(new.person)
    .bind::<sql_types::Text, _>(by.as_str())
    .bind::<sql_types::Timestamptz, _>(at)
    .bind::<sql_types::Text, _>(new.reason.trim())
    .execute(conn)?;
    Ok(())
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = sql_types::Uuid)]
    erasure: Uuid,
    #[diesel(sql_type = sql_types::Text)]
    contact: String,
    #[diesel(sql_type = sql_types::Timestamptz)]
    asked_at: DateTime<Utc>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Timestamptz>)]
    heard_at: Option<DateTime<Utc>>,
}

/// Erasures of these contacts, and of all contacts that were erased as this person's.
pub(crate) fn erased(
    conn: &mut PgConnection,
    contacts: &[ContactId],
    person: Option<Uuid>,
) -> Result<Vec<ErasedContact>, StoreError> {
    let contacts: Vec<&str> = contacts.iter().map(ContactId::as_str).collect();
    let rows: Vec<Row> = sql_query(
        "SELECT e.id AS erasure, u.contact, e.asked_at, s.at AS heard_at \
         FROM erasure e CROSS JOIN LATERAL unnest(e.contacts) AS u(contact) \
         LEFT JOIN erasure_step s ON s.erasure = e.id AND s.step = 'heard' \
         WHERE (e.contacts && $1 AND u.contact = ANY($1)) OR e.person = $2 ORDER BY u.contact, e.asked_at",
    )
    .bind::<sql_types::Array<sql_types::Text>, _>(contacts)
    .bind::<sql_types::Nullable<sql_types::Uuid>, _>(person)
    .load(conn)?;
    let erased = |row: Row| {
        let contact = parsed(&row.contact)?;
        Ok(ErasedContact { contact, erasure: row.erasure, asked_at: row.asked_at, heard_at: row.heard_at })
    };
    rows.into_iter().map(erased).collect()
}

/// The contacts of erasures, each once.
pub(crate) fn contacts(erased: &[ErasedContact]) -> BTreeSet<ContactId> {
    erased.iter().map(|one| one.contact.clone()).collect()
}
