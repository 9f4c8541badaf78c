//! Answers that held contacts, for whoever asks later who received somebody's data.

use authority_api::types::{DisclosedAnswer, Span};
use chrono::{DateTime, Utc};
use diesel::{PgConnection, connection::SimpleConnection as _, prelude::*, sql_query, sql_types};
use jointuse::ContactId;
use store::StoreError;
use uuid::Uuid;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = sql_types::BigInt)]
    id: i64,
    #[diesel(sql_type = sql_types::Timestamptz)]
    at: DateTime<Utc>,
    #[diesel(sql_type = sql_types::Text)]
    login: String,
    #[diesel(sql_type = sql_types::Text)]
    subscription: String,
    #[diesel(sql_type = sql_types::Text)]
    company: String,
    #[diesel(sql_type = sql_types::Text)]
    purpose: String,
    #[diesel(sql_type = sql_types::Integer)]
    notice_version: i32,
    #[diesel(sql_type = sql_types::BigInt)]
    snapshot: i64,
    #[diesel(sql_type = sql_types::Text)]
    endpoint: String,
    #[diesel(sql_type = sql_types::Array<sql_types::Text>)]
    topics: Vec<String>,
    #[diesel(sql_type = sql_types::Array<sql_types::Text>)]
    decisions: Vec<String>,
    #[diesel(sql_type = sql_types::Array<sql_types::Uuid>)]
    held: Vec<Uuid>,
    #[diesel(sql_type = sql_types::Integer)]
    entries: i32,
}

/// Answers that held one of these contacts, by when they were made; those after `after_id` of the span's place.
///
/// # Errors
/// When the database does not answer.
pub fn holding(
    conn: &mut PgConnection,
    contacts: &[Uuid],
    span: &Span,
    after_id: i64,
) -> Result<Vec<DisclosedAnswer>, StoreError> {
    use sql_types::{Array, BigInt, Nullable, Timestamptz, Uuid as Id};
    conn.batch_execute("SET LOCAL enable_seqscan = off; SET LOCAL jit = off")?;
    // Apart, lest the order be taken from another index that leads past everybody's answers.
    let rows: Vec<Row> = sql_query(
        "WITH met AS MATERIALIZED (SELECT * FROM disclosure WHERE contacts && $1) \
         SELECT id, at, login, subscription, company, purpose, notice_version, snapshot, endpoint, topics, decisions, \
         entries, ARRAY(SELECT c FROM unnest(contacts) AS c WHERE c = ANY($1)) AS held FROM met \
         WHERE ($2 IS NULL OR at >= $2) AND ($3 IS NULL OR at <= $3) AND ($4 IS NULL OR (at, id) > ($4, $5)) \
         ORDER BY at, id LIMIT $6",
    )
    .bind::<Array<Id>, _>(contacts)
    .bind::<Nullable<Timestamptz>, _>(span.since)
    .bind::<Nullable<Timestamptz>, _>(span.until)
    .bind::<Nullable<Timestamptz>, _>(span.after)
    .bind::<BigInt, _>(after_id)
    .bind::<BigInt, _>(i64::from(span.limit))
    .load(conn)?;
    rows.into_iter().map(answer).collect()
}

fn answer(row: Row) -> Result<DisclosedAnswer, StoreError> {
    Ok(DisclosedAnswer {
        id: row.id,
        login: row.login,
        subscription: row.subscription,
        company: row.company,
        purpose: row.purpose,
        notice_version: row.notice_version,
        topics: row.topics,
        decisions: row.decisions,
        snapshot: row.snapshot,
        endpoint: row.endpoint,
        contacts: row.held.iter().map(contact_id).collect::<Result<_, _>>()?,
        entries: row.entries,
        at: row.at,
    })
}

/// A contact's id as everybody writes it.
///
/// # Errors
/// Never, for what is stored here.
pub fn contact_id(id: &Uuid) -> Result<ContactId, StoreError> {
    id.simple().to_string().parse().map_err(|_| StoreError::Mapping("result"))
}
