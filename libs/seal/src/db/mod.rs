//! Queries of the key store, one file per aggregate. All take many contacts at a time.

pub(crate) mod fences;
pub(crate) mod forgotten;
pub(crate) mod keks;
pub(crate) mod keys;

use diesel::{
    OptionalExtension as _, PgConnection, QueryableByName, RunQueryDsl as _,
    connection::SimpleConnection as _,
    sql_query,
    sql_types::{BigInt, Bool, Uuid as SqlUuid},
};
use store::StoreError;
use uuid::Uuid;

use crate::{Contact, KeyError};

/// An advisory lock of the key store's database: those who create keys share it, those who fence, renew or retire have
/// it alone. So whoever fences afterwards sees every key that was created before, and nobody creates one unseen.
const LOCK: i64 = 0x6a75_6b65_7973_0001;

/// Every statement here looks rows up by their key, a thousand at a time. The planner guesses otherwise (it has no
/// statistics of arrays, and none of young tables): it walked the whole table to merge, and compiled for a tenth of a
/// second what takes five milliseconds.
const BY_KEY: &str = "SET LOCAL jit = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off";

/// For the rest of the transaction, rows are looked up one by one by their key.
pub(crate) fn by_key(conn: &mut PgConnection) -> Result<(), StoreError> {
    Ok(conn.batch_execute(BY_KEY)?)
}

/// Until the end of the transaction, no one fences.
pub(crate) fn lock_shared(conn: &mut PgConnection) -> Result<(), StoreError> {
    Ok(conn.batch_execute(&format!("{BY_KEY}; SELECT pg_advisory_xact_lock_shared({LOCK})"))?)
}

/// Until the end of the transaction, no one creates a key. What is committed with it is on disk, whatever the server's
/// settings.
pub(crate) fn lock_alone(conn: &mut PgConnection) -> Result<(), StoreError> {
    Ok(conn
        .batch_execute(&format!("{BY_KEY}; SET LOCAL synchronous_commit = on; SELECT pg_advisory_xact_lock({LOCK})"))?)
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// The next number of a change; see the migration.
pub(crate) fn next_epoch(conn: &mut PgConnection) -> Result<i64, StoreError> {
    Ok(sql_query("UPDATE keys.epoch SET n = n + 1 RETURNING n").get_result::<Number>(conn)?.n)
}

/// The number of the last change, and whether all fences stand here.
#[derive(QueryableByName)]
pub(crate) struct Epoch {
    #[diesel(sql_type = BigInt)]
    pub(crate) n: i64,
    #[diesel(sql_type = Bool)]
    pub(crate) complete: bool,
}

pub(crate) fn epoch(conn: &mut PgConnection) -> Result<Epoch, StoreError> {
    let query = "SELECT n, EXISTS (SELECT FROM keys.complete WHERE place = keys.here()) AS complete FROM keys.epoch";
    Ok(sql_query(query).get_result(conn)?)
}

/// The number of the last change, if all fences stand here.
pub(crate) fn standing(conn: &mut PgConnection) -> Result<i64, KeyError> {
    let epoch = epoch(conn)?;
    if epoch.complete { Ok(epoch.n) } else { Err(KeyError::Restored) }
}

/// All fences stand here. They are told anew, under a number that none was ever told under: caches that outlived a
/// restore may know greater ones than what was restored.
pub(crate) fn complete(conn: &mut PgConnection) -> Result<(), StoreError> {
    conn.batch_execute(
        "UPDATE keys.epoch SET n = greatest(n + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint); \
         UPDATE keys.fence SET epoch = (SELECT n FROM keys.epoch)",
    )?;
    sql_query("INSERT INTO keys.complete (place) SELECT keys.here() ON CONFLICT DO NOTHING").execute(conn)?;
    Ok(())
}

#[derive(QueryableByName)]
struct LedgerRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

pub(crate) fn ledger(conn: &mut PgConnection) -> Result<Option<Uuid>, StoreError> {
    let row = sql_query("SELECT id FROM keys.ledger").get_result::<LedgerRow>(conn).optional()?;
    Ok(row.map(|row| row.id))
}

pub(crate) fn kept_in(conn: &mut PgConnection, ledger: Uuid) -> Result<(), StoreError> {
    sql_query("INSERT INTO keys.ledger (id) VALUES ($1)").bind::<SqlUuid, _>(ledger).execute(conn)?;
    Ok(())
}

/// Contacts as the parameter of `$n::bytea[]`.
pub(crate) fn bytes(contacts: &[Contact]) -> Vec<&[u8]> {
    contacts.iter().map(|contact| contact.as_bytes().as_slice()).collect()
}

/// A contact from a row; its length is checked by the table.
pub(crate) fn contact(bytes: &[u8]) -> Result<Contact, StoreError> {
    Contact::try_from(bytes).map_err(|_| StoreError::Mapping("contact id"))
}

pub(crate) fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}
