//! Queries of the key store, one file per aggregate. All take many contacts at a time.

pub(crate) mod fences;
pub(crate) mod keks;
pub(crate) mod keys;

use diesel::{
    PgConnection, QueryableByName, RunQueryDsl as _, connection::SimpleConnection as _, sql_query, sql_types::BigInt,
};
use store::StoreError;

use crate::Contact;

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

pub(crate) fn epoch(conn: &mut PgConnection) -> Result<i64, StoreError> {
    Ok(sql_query("SELECT n FROM keys.epoch").get_result::<Number>(conn)?.n)
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
