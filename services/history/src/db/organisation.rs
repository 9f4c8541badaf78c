//! Organisations.

use diesel::{PgConnection, prelude::*, sql_query, sql_types};
use jointuse::Personal;
use store::StoreError;
use uuid::Uuid;

use super::{Scope, beginning};

/// An organisation that some visible contact belongs to.
#[derive(Debug, Clone)]
pub struct Organisation {
    /// Id.
    pub id: Uuid,
    /// Normal form of its name: what lists are sorted by.
    pub key: Personal<String>,
    /// Its name as first written.
    pub name: Personal<String>,
    /// Some of its contacts, whose records the name comes from as well, each with its person.
    pub contacts: Vec<(Uuid, Uuid)>,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = sql_types::Uuid)]
    id: Uuid,
    #[diesel(sql_type = sql_types::Text)]
    key: String,
    #[diesel(sql_type = sql_types::Text)]
    name: String,
    #[diesel(sql_type = sql_types::Uuid)]
    contact: Uuid,
    #[diesel(sql_type = sql_types::Uuid)]
    person: Uuid,
}

/// Rows of one organisation follow each other.
fn gathered(rows: Vec<Row>) -> Vec<Organisation> {
    let mut all: Vec<Organisation> = Vec::new();
    for row in rows {
        match all.last_mut() {
            Some(last) if last.id == row.id => last.contacts.push((row.contact, row.person)),
            _ => all.push(Organisation {
                id: row.id,
                key: row.key.into(),
                name: row.name.into(),
                contacts: vec![(row.contact, row.person)],
            }),
        }
    }
    all
}

/// Organisations of which `which` is true, with up to $2 visible contacts of each.
fn visible(which: &str) -> String {
    format!(
        "SELECT o.id, o.key, o.name, c.id AS contact, c.person_id AS person FROM \
         (SELECT o.id, o.key, o.name FROM organisation o WHERE EXISTS \
           (SELECT 1 FROM contact c WHERE c.organisation_id = o.id AND c.company <> ALL($1)) AND {which}) o \
         CROSS JOIN LATERAL (SELECT c.id, c.person_id FROM contact c \
           WHERE c.organisation_id = o.id AND c.company <> ALL($1) LIMIT $2) c ORDER BY o.key, o.id"
    )
}

/// The organisation of that id, if anybody visible belongs to it, with up to `contacts` of them.
///
/// # Errors
/// When the database does not answer.
pub fn find(
    conn: &mut PgConnection,
    id: Uuid,
    scope: &Scope,
    contacts: i64,
) -> Result<Option<Organisation>, StoreError> {
    let rows: Vec<Row> = sql_query(visible("o.id = $3"))
        .bind::<sql_types::Array<sql_types::Text>, _>(&scope.except)
        .bind::<sql_types::BigInt, _>(contacts)
        .bind::<sql_types::Uuid, _>(id)
        .load(conn)?;
    Ok(gathered(rows).pop())
}

/// Organisations whose name begins so, after `after`, at most `limit`, by name, with up to `contacts` of each.
///
/// # Errors
/// When the database does not answer.
pub fn search(
    conn: &mut PgConnection,
    name: &str,
    scope: &Scope,
    after: Option<&str>,
    (limit, contacts): (i64, i64),
) -> Result<Vec<Organisation>, StoreError> {
    let rows: Vec<Row> = sql_query(visible("o.key LIKE $3 AND o.key > $4 ORDER BY o.key LIMIT $5"))
        .bind::<sql_types::Array<sql_types::Text>, _>(&scope.except)
        .bind::<sql_types::BigInt, _>(contacts)
        .bind::<sql_types::Text, _>(beginning(name))
        .bind::<sql_types::Text, _>(after.unwrap_or_default())
        .bind::<sql_types::BigInt, _>(limit)
        .load(conn)?;
    Ok(gathered(rows))
}
