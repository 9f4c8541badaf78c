//! Persons and their contacts.

use diesel::{PgConnection, prelude::*, sql_query, sql_types};
use store::StoreError;
use uuid::Uuid;

use super::{EntryRow, Scope, beginning};

/// A search that meets more contacts than this is to be narrowed.
pub const MOST_MATCHES: i64 = 1_000;

#[derive(QueryableByName)]
struct PersonRow {
    #[diesel(sql_type = sql_types::Uuid)]
    id: Uuid,
}

#[derive(QueryableByName)]
struct MatchRow {
    #[diesel(sql_type = sql_types::Uuid)]
    person_id: Uuid,
    #[diesel(sql_type = sql_types::Text)]
    sort: String,
    #[diesel(sql_type = sql_types::BigInt)]
    matches: i64,
}

/// The person of that id, or the one that it became part of.
///
/// # Errors
/// When the database does not answer.
pub fn resolve(conn: &mut PgConnection, id: Uuid) -> Result<Option<Uuid>, StoreError> {
    let row: Option<PersonRow> = sql_query("SELECT coalesce(merged_into, id) AS id FROM person WHERE id = $1")
        .bind::<sql_types::Uuid, _>(id)
        .get_result(conn)
        .optional()?;
    Ok(row.map(|row| row.id))
}

/// The contacts of persons, newest first within each.
///
/// # Errors
/// When the database does not answer.
pub fn contacts(conn: &mut PgConnection, persons: &[Uuid], scope: &Scope) -> Result<Vec<EntryRow>, StoreError> {
    let rows = sql_query(
        "SELECT 'contact' AS kind, c.id AS record_id, c.id AS contact_id, c.person_id, c.organisation_id, c.company, \
         c.occurred_at, c.recorded_at, c.acquired_by, c.acquired_on, c.acquired_for, c.acquired_from, c.content \
         FROM contact c WHERE c.person_id = ANY($1) AND c.company <> ALL($2) \
         ORDER BY c.person_id, c.occurred_at DESC, c.id DESC",
    )
    .bind::<sql_types::Array<sql_types::Uuid>, _>(persons)
    .bind::<sql_types::Array<sql_types::Text>, _>(&scope.except)
    .load(conn)?;
    Ok(rows)
}

#[derive(QueryableByName)]
struct MemberRow {
    #[diesel(sql_type = sql_types::Uuid)]
    id: Uuid,
    #[diesel(sql_type = sql_types::Uuid)]
    person_id: Uuid,
}

/// All contacts of persons, whoever shares them, each with its person.
///
/// # Errors
/// When the database does not answer.
pub fn members(conn: &mut PgConnection, persons: &[Uuid]) -> Result<Vec<(Uuid, Uuid)>, StoreError> {
    let rows: Vec<MemberRow> = sql_query("SELECT id, person_id FROM contact WHERE person_id = ANY($1)")
        .bind::<sql_types::Array<sql_types::Uuid>, _>(persons)
        .load(conn)?;
    Ok(rows.into_iter().map(|row| (row.id, row.person_id)).collect())
}

#[derive(QueryableByName)]
struct BesideRow {
    #[diesel(sql_type = sql_types::Uuid)]
    anchor: Uuid,
    #[diesel(sql_type = sql_types::Uuid)]
    other: Uuid,
}

/// For each of these contacts all contacts of its person, itself included.
///
/// # Errors
/// When the database does not answer.
pub fn beside(conn: &mut PgConnection, contacts: &[Uuid]) -> Result<Vec<(Uuid, Uuid)>, StoreError> {
    let rows: Vec<BesideRow> = sql_query(
        "SELECT one.id AS anchor, other.id AS other FROM contact one JOIN contact other \
         ON other.person_id = one.person_id WHERE one.id = ANY($1)",
    )
    .bind::<sql_types::Array<sql_types::Uuid>, _>(contacts)
    .load(conn)?;
    Ok(rows.into_iter().map(|row| (row.anchor, row.other)).collect())
}

/// All contacts of the person that a contact belongs to.
///
/// # Errors
/// When the database does not answer.
pub fn with(conn: &mut PgConnection, contact: Uuid) -> Result<Vec<Uuid>, StoreError> {
    let rows: Vec<PersonRow> = sql_query(
        "SELECT other.id FROM contact one JOIN contact other ON other.person_id = one.person_id WHERE one.id = $1",
    )
    .bind::<sql_types::Uuid, _>(contact)
    .load(conn)?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// What to look for; normal forms. All that is given must hold, of one contact of the person.
#[derive(Debug, Clone, Default)]
pub struct Criteria {
    /// Beginning of the name.
    pub name: Option<jointuse::Personal<String>>,
    /// E-mail address.
    pub email: Option<jointuse::Personal<String>>,
    /// Beginning of the organisation's name.
    pub organisation: Option<jointuse::Personal<String>>,
    /// The organisation.
    pub organisation_id: Option<Uuid>,
}

/// One page of persons, by name and id.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The persons, with what they are sorted by.
    pub persons: Vec<(jointuse::Personal<String>, Uuid)>,
    /// More contacts match than may be looked through.
    pub too_many: bool,
}

/// Persons with a contact that matches, after `after`, at most `limit`.
///
/// # Errors
/// When the database does not answer.
pub fn search(
    conn: &mut PgConnection,
    criteria: &Criteria,
    scope: &Scope,
    after: Option<&(String, Uuid)>,
    limit: i64,
) -> Result<Page, StoreError> {
    let text = |value: &Option<jointuse::Personal<String>>| value.as_ref().map(|value| value.expose().clone());
    let mut conditions = vec!["c.company <> ALL($1)"];
    if criteria.name.is_some() {
        conditions.push("c.name_key LIKE $2 AND c.name_key <> ''");
    }
    if criteria.email.is_some() {
        conditions.push("c.email_key = $3");
    }
    if criteria.organisation.is_some() {
        conditions.push("c.organisation_id IN (SELECT o.id FROM organisation o WHERE o.key LIKE $4)");
    }
    if criteria.organisation_id.is_some() {
        conditions.push("c.organisation_id = $5");
    }
    let query = format!(
        "WITH met AS MATERIALIZED (SELECT c.person_id, c.name_key FROM contact c WHERE {} LIMIT $6), \
         found AS (SELECT met.person_id, min(met.name_key) AS sort FROM met GROUP BY met.person_id) \
         SELECT f.person_id, f.sort, (SELECT count(*) FROM met) AS matches FROM found f \
         WHERE (f.sort, f.person_id) > ($7, $8) ORDER BY f.sort, f.person_id LIMIT $9",
        conditions.join(" AND ")
    );
    let (sort, person) = after.map_or(("", Uuid::nil()), |(sort, person)| (sort.as_str(), *person));
    let rows: Vec<MatchRow> = sql_query(query)
        .bind::<sql_types::Array<sql_types::Text>, _>(&scope.except)
        .bind::<sql_types::Nullable<sql_types::Text>, _>(text(&criteria.name).map(|name| beginning(&name)))
        .bind::<sql_types::Nullable<sql_types::Text>, _>(text(&criteria.email))
        .bind::<sql_types::Nullable<sql_types::Text>, _>(text(&criteria.organisation).map(|name| beginning(&name)))
        .bind::<sql_types::Nullable<sql_types::Uuid>, _>(criteria.organisation_id)
        .bind::<sql_types::BigInt, _>(MOST_MATCHES + 1)
        .bind::<sql_types::Text, _>(sort)
        .bind::<sql_types::Uuid, _>(person)
        .bind::<sql_types::BigInt, _>(limit)
        .load(conn)?;
    let too_many = rows.first().is_some_and(|row| row.matches > MOST_MATCHES);
    Ok(Page { persons: rows.into_iter().map(|row| (row.sort.into(), row.person_id)).collect(), too_many })
}
