//! Operators of Holdings.

use std::collections::BTreeSet;

use authority_api::types::Role;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use jointuse::OperatorName;
use store::StoreError;

use super::{parsed, schema::operator, word};

/// A row, but for the hash.
#[derive(Debug, Clone)]
pub(crate) struct OperatorRow {
    pub(crate) name: OperatorName,
    pub(crate) roles: BTreeSet<Role>,
    pub(crate) added_at: DateTime<Utc>,
    pub(crate) disabled_at: Option<DateTime<Utc>>,
}

type Columns = (String, Vec<String>, DateTime<Utc>, Option<DateTime<Utc>>);

fn row((name, roles, added_at, disabled_at): Columns) -> Result<OperatorRow, StoreError> {
    let roles = roles.iter().map(|role| word(role)).collect::<Result<_, _>>()?;
    Ok(OperatorRow { name: parsed(&name)?, roles, added_at, disabled_at })
}

const COLUMNS: (operator::name, operator::roles, operator::added_at, operator::disabled_at) =
    (operator::name, operator::roles, operator::added_at, operator::disabled_at);

/// Adds an operator. A taken name violates `operator_pkey`.
pub(crate) fn add(
    conn: &mut PgConnection,
    name: &OperatorName,
    roles: &BTreeSet<Role>,
    password_hash: &str,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
    diesel::insert_into(operator::table)
        .values((
            operator::name.eq(name.as_str()),
            operator::roles.eq(roles),
            operator::password_hash.eq(password_hash),
            operator::added_at.eq(at),
        ))
        .execute(conn)?;
    Ok(())
}

pub(crate) fn find(conn: &mut PgConnection, name: &OperatorName) -> Result<Option<OperatorRow>, StoreError> {
    let found = operator::table.find(name.as_str()).select(COLUMNS).first(conn).optional()?;
    found.map(row).transpose()
}

/// With the password's hash, for signing in.
pub(crate) fn with_hash(
    conn: &mut PgConnection,
    name: &OperatorName,
) -> Result<Option<(OperatorRow, String)>, StoreError> {
    let found: Option<(String, Columns)> =
        operator::table.find(name.as_str()).select((operator::password_hash, COLUMNS)).first(conn).optional()?;
    found.map(|(hash, columns)| Ok((row(columns)?, hash))).transpose()
}

pub(crate) fn all(conn: &mut PgConnection) -> Result<Vec<OperatorRow>, StoreError> {
    let rows: Vec<Columns> = operator::table.order(operator::name).select(COLUMNS).load(conn)?;
    rows.into_iter().map(row).collect()
}

/// `false` when there is none of that name, or it is disabled already.
pub(crate) fn disable(conn: &mut PgConnection, name: &OperatorName, at: DateTime<Utc>) -> Result<bool, StoreError> {
    let live = operator::table.find(name.as_str()).filter(operator::disabled_at.is_null());
    Ok(diesel::update(live).set(operator::disabled_at.eq(at)).execute(conn)? == 1)
}
