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
    /// One of its contacts, whose record the name comes from as well.
    pub contact: Uuid,
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
}

impl From<Row> for Organisation {
    fn from(row: Row) -> Self {
        Self { id: row.id, key: row.key.into(), name: row.name.into(), contact: row.contact }
    }
}

const VISIBLE: &str = "SELECT o.id, o.key, o.name, c.id AS contact FROM organisation o CROSS JOIN LATERAL \
    (SELECT c.id FROM contact c WHERE c.organisation_id = o.id AND c.company <> ALL($1) LIMIT 1) c";

/// The organisation of that id, if anybody visible belongs to it.
///
/// # Errors
/// When the database does not answer.
pub fn find(conn: &mut PgConnection, id: Uuid, scope: &Scope) -> Result<Option<Organisation>, StoreError> {
    let row: Option<Row> = sql_query(format!("{VISIBLE} WHERE o.id = $2"))
        .bind::<sql_types::Array<sql_types::Text>, _>(&scope.except)
        .bind::<sql_types::Uuid, _>(id)
        .get_result(conn)
        .optional()?;
    Ok(row.map(Organisation::from))
}

/// Organisations whose name begins so, after `after`, at most `limit`, by name.
///
/// # Errors
/// When the database does not answer.
pub fn search(
    conn: &mut PgConnection,
    name: &str,
    scope: &Scope,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Organisation>, StoreError> {
    let query = format!("{VISIBLE} WHERE o.key LIKE $2 AND o.key > $3 ORDER BY o.key LIMIT $4");
    let rows: Vec<Row> = sql_query(query)
        .bind::<sql_types::Array<sql_types::Text>, _>(&scope.except)
        .bind::<sql_types::Text, _>(beginning(name))
        .bind::<sql_types::Text, _>(after.unwrap_or_default())
        .bind::<sql_types::BigInt, _>(limit)
        .load(conn)?;
    Ok(rows.into_iter().map(Organisation::from).collect())
}
