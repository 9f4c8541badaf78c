//! The organisations that contacts work at.

use std::collections::{BTreeMap, HashMap};

use diesel::{PgConnection, prelude::*, sql_query, sql_types};
use store::StoreError;
use uuid::Uuid;

use crate::record::ContactRecord;

#[derive(QueryableByName)]
struct OrganisationRow {
    #[diesel(sql_type = sql_types::Uuid)]
    id: Uuid,
    #[diesel(sql_type = sql_types::Text)]
    key: String,
}

/// Ids of the organisations by normalised name; new ones are made.
pub(super) fn find_or_make<'a>(
    conn: &mut PgConnection,
    records: impl Iterator<Item = &'a ContactRecord>,
) -> Result<HashMap<String, Uuid>, StoreError> {
    let named: BTreeMap<&str, &str> = records
        .filter_map(|record| record.organisation.as_ref())
        .map(|(key, name)| (key.expose().as_str(), name.expose().as_str()))
        .collect();
    let keys: Vec<&str> = named.keys().copied().collect();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<OrganisationRow> =
        sql_query("SELECT o.id, o.key FROM unnest($1) AS u(key) JOIN organisation o ON o.key = u.key COLLATE \"C\"")
            .bind::<sql_types::Array<sql_types::Text>, _>(&keys)
            .load(conn)?;
    let mut ids: HashMap<String, Uuid> = rows.into_iter().map(|row| (row.key, row.id)).collect();
    let new: Vec<(&str, &str)> = named.into_iter().filter(|(key, _)| !ids.contains_key(*key)).collect();
    let (keys, names): (Vec<&str>, Vec<&str>) = new.iter().copied().unzip();
    let made: Vec<Uuid> = keys.iter().map(|_| Uuid::new_v4()).collect();
    if !keys.is_empty() {
        sql_query("INSERT INTO organisation (id, key, name) SELECT * FROM unnest($1, $2, $3)")
            .bind::<sql_types::Array<sql_types::Uuid>, _>(&made)
            .bind::<sql_types::Array<sql_types::Text>, _>(&keys)
            .bind::<sql_types::Array<sql_types::Text>, _>(&names)
            .execute(conn)?;
    }
    ids.extend(keys.into_iter().map(str::to_owned).zip(made));
    Ok(ids)
}

/// The organisation of a record.
pub(super) fn of(record: &ContactRecord, organisations: &HashMap<String, Uuid>) -> Option<Uuid> {
    record.organisation.as_ref().and_then(|(key, _)| organisations.get(key.expose()).copied())
}
