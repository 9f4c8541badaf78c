//! Disclosures: what was answered to whom, for which purpose, under which decisions. Durable before the answer leaves.

use authority_api::types::AnswersWith;
use chrono::{DateTime, Utc};
use diesel::{PgConnection, prelude::*, sql_query, sql_types};
use store::StoreError;
use uuid::Uuid;

/// One answer.
#[derive(Debug, Clone)]
pub struct Disclosure {
    /// When.
    pub at: DateTime<Utc>,
    /// To whom: the credential,
    pub login: String,
    /// its subscription,
    pub subscription: String,
    /// and the company.
    pub company: String,
    /// For which purpose.
    pub purpose: String,
    /// Version of the company's notice.
    pub notice_version: u32,
    /// Number of the policy snapshot decided by.
    pub snapshot: u64,
    /// Which kind of answer.
    pub endpoint: &'static str,
    /// The topics that the answer drew on.
    pub topics: Vec<String>,
    /// The decision on each.
    pub decisions: Vec<String>,
    /// The person asked for.
    pub person: Option<Uuid>,
    /// The organisation asked for.
    pub organisation: Option<Uuid>,
    /// Whose records the answer holds, each contact once.
    pub contacts: Vec<Uuid>,
    /// How many entries it holds.
    pub entries: usize,
    /// Number up to which the stop list was whole.
    pub restrictions: u64,
}

/// Writes the row. The caller commits before it answers.
///
/// # Errors
/// When the database does not take it: then nothing may be answered.
pub fn insert(conn: &mut PgConnection, row: &Disclosure) -> Result<(), StoreError> {
    use sql_types::{Array, BigInt, Integer, Nullable, Text, Timestamptz, Uuid as Id};
    sql_query(
        "INSERT INTO disclosure (at, login, subscription, company, purpose, notice_version, snapshot, endpoint, \
         topics, decisions, person_id, organisation_id, contacts, entries, restrictions) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    )
    .bind::<Timestamptz, _>(row.at)
    .bind::<Text, _>(&row.login)
    .bind::<Text, _>(&row.subscription)
    .bind::<Text, _>(&row.company)
    .bind::<Text, _>(&row.purpose)
    .bind::<Integer, _>(i32::try_from(row.notice_version).unwrap_or(i32::MAX))
    .bind::<BigInt, _>(i64::try_from(row.snapshot).unwrap_or(i64::MAX))
    .bind::<Text, _>(row.endpoint)
    .bind::<Array<Text>, _>(&row.topics)
    .bind::<Array<Text>, _>(&row.decisions)
    .bind::<Nullable<Id>, _>(row.person)
    .bind::<Nullable<Id>, _>(row.organisation)
    .bind::<Array<Id>, _>(&row.contacts)
    .bind::<Integer, _>(i32::try_from(row.entries).unwrap_or(i32::MAX))
    .bind::<BigInt, _>(i64::try_from(row.restrictions).unwrap_or(i64::MAX))
    .execute(conn)?;
    Ok(())
}

/// Answers that held one of these contacts, by subscription: those made without regard to the restriction of this number,
/// and those made with regard to it.
///
/// # Errors
/// When the database does not answer.
pub fn answers_with(conn: &mut PgConnection, contacts: &[Uuid], number: u64) -> Result<Vec<AnswersWith>, StoreError> {
    use sql_types::{Array, BigInt, Nullable, Text, Timestamptz, Uuid as Id};
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        subscription: String,
        #[diesel(sql_type = BigInt)]
        without: i64,
        #[diesel(sql_type = Nullable<Timestamptz>)]
        last_without: Option<DateTime<Utc>>,
        #[diesel(sql_type = BigInt)]
        regarding: i64,
    }
    let rows: Vec<Row> = sql_query(
        "SELECT subscription, count(*) FILTER (WHERE restrictions < $2) AS without, \
         max(at) FILTER (WHERE restrictions < $2) AS last_without, \
         count(*) FILTER (WHERE restrictions >= $2) AS regarding \
         FROM disclosure WHERE contacts && $1 GROUP BY subscription ORDER BY subscription",
    )
    .bind::<Array<Id>, _>(contacts)
    .bind::<BigInt, _>(i64::try_from(number).unwrap_or(i64::MAX))
    .load(conn)?;
    let answers = |row: Row| AnswersWith {
        subscription: row.subscription,
        without: row.without,
        last_without: row.last_without,
        with: row.regarding,
    };
    Ok(rows.into_iter().map(answers).collect())
}
