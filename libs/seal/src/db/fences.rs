//! Fences: contacts that are erased for ever.

use chrono::{DateTime, Utc};
use diesel::{
    PgConnection, QueryableByName, RunQueryDsl as _, sql_query,
    sql_types::{Array, BigInt, Binary, Bool, Nullable, Timestamptz},
};
use store::StoreError;

use super::{bytes, contact, unsigned};
use crate::{
    Contact,
    keystore::{Fence, Remains},
};

/// Sets fences; those that stand keep their time. Under the lock alone.
pub(crate) fn insert(
    conn: &mut PgConnection,
    contacts: &[Contact],
    at: DateTime<Utc>,
    epoch: i64,
) -> Result<usize, StoreError> {
    Ok(sql_query(
        "INSERT INTO keys.fence (contact, fenced, epoch) SELECT c.contact, $2, $3 \
         FROM UNNEST($1::bytea[]) AS c(contact) ON CONFLICT DO NOTHING",
    )
    .bind::<Array<Binary>, _>(bytes(contacts))
    .bind::<Timestamptz, _>(at)
    .bind::<BigInt, _>(epoch)
    .execute(conn)?)
}

/// Notes that the keys are destroyed; the first time stays.
pub(crate) fn destroyed(conn: &mut PgConnection, contacts: &[Contact], at: DateTime<Utc>) -> Result<(), StoreError> {
    sql_query("UPDATE keys.fence SET destroyed = $2 WHERE contact = ANY($1::bytea[]) AND destroyed IS NULL")
        .bind::<Array<Binary>, _>(bytes(contacts))
        .bind::<Timestamptz, _>(at)
        .execute(conn)?;
    Ok(())
}

#[derive(QueryableByName)]
struct RemainsRow {
    #[diesel(sql_type = Binary)]
    contact: Vec<u8>,
    #[diesel(sql_type = Bool)]
    fenced: bool,
    #[diesel(sql_type = BigInt)]
    keys: i64,
}

/// What is left of contacts that should be gone: those without a fence, and those with keys.
pub(crate) fn remains(conn: &mut PgConnection, contacts: &[Contact]) -> Result<Vec<Remains>, StoreError> {
    let rows = sql_query(
        "SELECT c.contact, f.contact IS NOT NULL AS fenced, k.n AS keys FROM UNNEST($1::bytea[]) AS c(contact) \
         LEFT JOIN keys.fence f ON f.contact = c.contact \
         CROSS JOIN LATERAL (SELECT count(*) AS n FROM keys.wrapped w WHERE w.contact = c.contact) k \
         WHERE f.contact IS NULL OR k.n > 0 ORDER BY c.contact",
    )
    .bind::<Array<Binary>, _>(bytes(contacts))
    .load::<RemainsRow>(conn)?;
    let row =
        |row: RemainsRow| Ok(Remains { contact: contact(&row.contact)?, fenced: row.fenced, keys: unsigned(row.keys) });
    rows.into_iter().map(row).collect()
}

#[derive(QueryableByName)]
struct FenceRow {
    #[diesel(sql_type = Binary)]
    contact: Vec<u8>,
    #[diesel(sql_type = Timestamptz)]
    fenced: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    destroyed: Option<DateTime<Utc>>,
}

/// Fences in order of contacts, after `after`.
pub(crate) fn list(conn: &mut PgConnection, after: Option<Contact>, limit: u32) -> Result<Vec<Fence>, StoreError> {
    let after = after.as_ref().map_or(&[][..], |contact| contact.as_bytes());
    let rows =
        sql_query("SELECT contact, fenced, destroyed FROM keys.fence WHERE contact > $1 ORDER BY contact LIMIT $2")
            .bind::<Binary, _>(after)
            .bind::<BigInt, _>(i64::from(limit))
            .load::<FenceRow>(conn)?;
    let row =
        |row: FenceRow| Ok(Fence { contact: contact(&row.contact)?, fenced: row.fenced, destroyed: row.destroyed });
    rows.into_iter().map(row).collect()
}

#[derive(QueryableByName)]
struct ContactRow {
    #[diesel(sql_type = Binary)]
    contact: Vec<u8>,
}

/// Contacts whose keys changed in a way that caches must hear of, after `epoch`; at most `limit`.
pub(crate) fn changed(conn: &mut PgConnection, epoch: i64, limit: u32) -> Result<Vec<Contact>, StoreError> {
    let rows = sql_query(
        "SELECT contact FROM keys.fence WHERE epoch > $1 UNION ALL \
         SELECT contact FROM keys.wrapped WHERE epoch > $1 AND epoch > 0 LIMIT $2",
    )
    .bind::<BigInt, _>(epoch)
    .bind::<BigInt, _>(i64::from(limit))
    .load::<ContactRow>(conn)?;
    rows.iter().map(|row| contact(&row.contact)).collect()
}
