//! Timelines: newest first, by keyset, so that new rows neither shift nor repeat what follows.

use chrono::{DateTime, Utc};
use diesel::{PgConnection, prelude::*, sql_query, sql_types};
use store::StoreError;
use uuid::Uuid;

use super::{EntryRow, Scope};

/// Where a page ended: (occurred at, record id, contact id) of its last entry.
pub type Position = (DateTime<Utc>, Uuid, Uuid);

/// Which part of a timeline.
#[derive(Debug, Clone)]
pub struct Window {
    /// Kinds, as they are named in the database.
    pub kinds: Vec<&'static str>,
    /// From then on.
    pub from: DateTime<Utc>,
    /// Before then.
    pub to: DateTime<Utc>,
    /// Only what comes after (is older than) this.
    pub after: Option<Position>,
    /// At most so many.
    pub limit: i64,
}

const INTERACTION: &str = "i.kind, i.record_id, i.contact_id, i.organisation_id, i.company, i.occurred_at, i.recorded_at, \
    i.acquired_by, i.acquired_on, i.acquired_for, i.acquired_from, i.content";
const CONTACT: &str = "'contact' AS kind, c.id AS record_id, c.id AS contact_id, c.organisation_id, c.company, \
    c.occurred_at, c.recorded_at, c.acquired_by, c.acquired_on, c.acquired_for, c.acquired_from, c.content";

/// The timeline of a person. The interactions of each of its contacts come from one index, at most a page of each.
///
/// # Errors
/// When the database does not answer.
pub fn of_person(
    conn: &mut PgConnection,
    person: Uuid,
    window: &Window,
    scope: &Scope,
) -> Result<Vec<EntryRow>, StoreError> {
    let query = format!(
        "SELECT e.*, $1 AS person_id FROM ( \
           SELECT x.* FROM contact mine CROSS JOIN LATERAL ( \
             SELECT {INTERACTION} FROM interaction i \
             WHERE i.contact_id = mine.id AND i.kind = ANY($2) AND i.company <> ALL($3) \
               AND i.occurred_at >= $4 AND i.occurred_at < $5 AND (i.occurred_at, i.record_id) <= ($6, $7) \
               AND (i.occurred_at, i.record_id, i.contact_id) < ($6, $7, $8) \
             ORDER BY i.occurred_at DESC, i.record_id DESC LIMIT $9) x WHERE mine.person_id = $1 \
           UNION ALL \
           SELECT {CONTACT} FROM contact c WHERE c.person_id = $1 AND 'contact' = ANY($2) AND c.company <> ALL($3) \
             AND c.occurred_at >= $4 AND c.occurred_at < $5 AND (c.occurred_at, c.id, c.id) < ($6, $7, $8)) e \
         ORDER BY e.occurred_at DESC, e.record_id DESC, e.contact_id DESC LIMIT $9"
    );
    run(conn, query, person, window, scope)
}

/// The timeline of an organisation: of all contacts that work there.
///
/// # Errors
/// When the database does not answer.
pub fn of_organisation(
    conn: &mut PgConnection,
    organisation: Uuid,
    window: &Window,
    scope: &Scope,
) -> Result<Vec<EntryRow>, StoreError> {
    let query = format!(
        "SELECT e.*, whose.person_id FROM ( \
           SELECT * FROM ( \
             (SELECT {INTERACTION} FROM interaction i \
              WHERE i.organisation_id = $1 AND i.kind = ANY($2) AND i.company <> ALL($3) \
                AND i.occurred_at >= $4 AND i.occurred_at < $5 \
                AND (i.occurred_at, i.record_id, i.contact_id) < ($6, $7, $8) \
              ORDER BY i.occurred_at DESC, i.record_id DESC, i.contact_id DESC LIMIT $9) \
             UNION ALL \
             (SELECT {CONTACT} FROM contact c \
              WHERE c.organisation_id = $1 AND 'contact' = ANY($2) AND c.company <> ALL($3) \
                AND c.occurred_at >= $4 AND c.occurred_at < $5 \
                AND (c.occurred_at, c.id) <= ($6, $7) AND (c.occurred_at, c.id, c.id) < ($6, $7, $8) \
              ORDER BY c.occurred_at DESC, c.id DESC LIMIT $9)) both_kinds \
           ORDER BY occurred_at DESC, record_id DESC, contact_id DESC LIMIT $9) e \
         LEFT JOIN contact whose ON whose.id = e.contact_id \
         ORDER BY e.occurred_at DESC, e.record_id DESC, e.contact_id DESC"
    );
    run(conn, query, organisation, window, scope)
}

fn run(
    conn: &mut PgConnection,
    query: String,
    whose: Uuid,
    window: &Window,
    scope: &Scope,
) -> Result<Vec<EntryRow>, StoreError> {
    let (at, record, contact) = window.after.unwrap_or((window.to, Uuid::max(), Uuid::max()));
    let rows = sql_query(query)
        .bind::<sql_types::Uuid, _>(whose)
        .bind::<sql_types::Array<sql_types::Text>, _>(&window.kinds)
        .bind::<sql_types::Array<sql_types::Text>, _>(&scope.except)
        .bind::<sql_types::Timestamptz, _>(window.from)
        .bind::<sql_types::Timestamptz, _>(window.to)
        .bind::<sql_types::Timestamptz, _>(at)
        .bind::<sql_types::Uuid, _>(record)
        .bind::<sql_types::Uuid, _>(contact)
        .bind::<sql_types::BigInt, _>(window.limit)
        .load(conn)?;
    Ok(rows)
}
