//! Key-encryption keys that were used here, each with its proof.

use chrono::{DateTime, Utc};
use diesel::{
    PgConnection, QueryableByName, RunQueryDsl as _, sql_query,
    sql_types::{BigInt, Binary, Bool, Text, Timestamptz},
};
use store::StoreError;

use super::unsigned;
use crate::kek::{KekId, PROOF, Wrapped};

/// A KEK as the store knows it.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) proof: Wrapped,
    pub(crate) retired: bool,
}

#[derive(QueryableByName)]
struct KekRow {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Binary)]
    proof: Vec<u8>,
    #[diesel(sql_type = Bool)]
    retired: bool,
}

pub(crate) fn known(conn: &mut PgConnection) -> Result<Vec<Known>, StoreError> {
    let rows =
        sql_query("SELECT id, proof, retired IS NOT NULL AS retired FROM keys.kek ORDER BY id").load::<KekRow>(conn)?;
    let known = |row: KekRow| {
        let kek = row.id.parse().map_err(|_| StoreError::Mapping("key-encryption key id"))?;
        Ok(Known { proof: Wrapped { name: PROOF, kek, bytes: row.proof }, retired: row.retired })
    };
    rows.into_iter().map(known).collect()
}

/// Notes a KEK by its proof, unless there is one of its id.
pub(crate) fn insert(conn: &mut PgConnection, proof: &Wrapped) -> Result<(), StoreError> {
    sql_query("INSERT INTO keys.kek (id, proof) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind::<Text, _>(proof.kek.as_str())
        .bind::<Binary, _>(&proof.bytes)
        .execute(conn)?;
    Ok(())
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// Whether keys may be wrapped under it: it is known here and not retired.
pub(crate) fn wraps(conn: &mut PgConnection, kek: &KekId) -> Result<bool, StoreError> {
    Ok(sql_query("SELECT count(*) AS n FROM keys.kek WHERE id = $1 AND retired IS NULL")
        .bind::<Text, _>(kek.as_str())
        .get_result::<Number>(conn)?
        .n
        > 0)
}

/// How many keys are wrapped under it.
pub(crate) fn used(conn: &mut PgConnection, kek: &KekId) -> Result<u64, StoreError> {
    let row = sql_query("SELECT count(*) AS n FROM keys.wrapped WHERE kek = $1").bind::<Text, _>(kek.as_str());
    Ok(unsigned(row.get_result::<Number>(conn)?.n))
}

/// From now on nothing is wrapped under it. Under the lock alone. Gives whether it is known.
pub(crate) fn retire(conn: &mut PgConnection, kek: &KekId, at: DateTime<Utc>) -> Result<bool, StoreError> {
    Ok(sql_query("UPDATE keys.kek SET retired = coalesce(retired, $2) WHERE id = $1")
        .bind::<Text, _>(kek.as_str())
        .bind::<Timestamptz, _>(at)
        .execute(conn)?
        > 0)
}
