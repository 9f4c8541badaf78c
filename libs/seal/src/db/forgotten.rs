//! Who keeps nothing of an erased contact any more.

use chrono::{DateTime, Utc};
use diesel::{
    PgConnection, QueryableByName, RunQueryDsl as _, sql_query,
    sql_types::{Array, BigInt, Binary, Text, Timestamptz},
};
use store::StoreError;

use super::{bytes, contact};
use crate::{Contact, keystore::Forgotten};

pub(crate) fn insert(
    conn: &mut PgConnection,
    service: &str,
    contacts: &[Contact],
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sql_query(
        "INSERT INTO keys.forgotten (contact, service, at) SELECT c.contact, $2, $3 \
         FROM UNNEST($1::bytea[]) AS c(contact) ORDER BY c.contact ON CONFLICT DO NOTHING",
    )
    .bind::<Array<Binary>, _>(bytes(contacts))
    .bind::<Text, _>(service)
    .bind::<Timestamptz, _>(at)
    .execute(conn)?;
    Ok(())
}

#[derive(QueryableByName)]
struct ForgottenRow {
    #[diesel(sql_type = Binary)]
    contact: Vec<u8>,
    #[diesel(sql_type = Text)]
    service: String,
    #[diesel(sql_type = Timestamptz)]
    at: DateTime<Utc>,
}

pub(crate) fn of(conn: &mut PgConnection, contacts: &[Contact]) -> Result<Vec<Forgotten>, StoreError> {
    let rows = sql_query(
        "SELECT contact, service, at FROM keys.forgotten WHERE contact = ANY($1::bytea[]) ORDER BY service, contact",
    )
    .bind::<Array<Binary>, _>(bytes(contacts))
    .load::<ForgottenRow>(conn)?;
    let row = |row: ForgottenRow| Ok(Forgotten { contact: contact(&row.contact)?, service: row.service, at: row.at });
    rows.into_iter().map(row).collect()
}

/// How far somebody is who goes through the fences in the order in which they were set. Fences of one change share its
/// number, so the contact is part of it.
pub(crate) type Cursor = (i64, Contact);

/// Before all fences.
pub(crate) const START: Cursor = (0, Contact::new([0; 16]));

#[derive(QueryableByName)]
struct NextRow {
    #[diesel(sql_type = Binary)]
    contact: Vec<u8>,
    #[diesel(sql_type = BigInt)]
    epoch: i64,
}

/// The next fences.
pub(crate) fn after(
    conn: &mut PgConnection,
    (epoch, after): Cursor,
    limit: u32,
) -> Result<Vec<(Contact, i64)>, StoreError> {
    let rows = sql_query(
        "SELECT contact, epoch FROM keys.fence WHERE epoch >= $1 AND (epoch, contact) > ($1, $2) \
         ORDER BY epoch, contact LIMIT $3",
    )
    .bind::<BigInt, _>(epoch)
    .bind::<Binary, _>(after.as_bytes().as_slice())
    .bind::<BigInt, _>(i64::from(limit))
    .load::<NextRow>(conn)?;
    rows.iter().map(|row| Ok((contact(&row.contact)?, row.epoch))).collect()
}
