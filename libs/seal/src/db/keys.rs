//! Wrapped keys.

use std::collections::BTreeMap;

use diesel::{
    PgConnection, QueryableByName, RunQueryDsl as _, sql_query,
    sql_types::{Array, BigInt, Binary, Bool, Integer, Nullable, Text},
};
use store::StoreError;

use super::{bytes, contact, unsigned};
use crate::{
    Contact, KeyName,
    kek::{KekId, Wrapped},
};

/// What the store has of a contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stored {
    /// All versions, ascending.
    Keys(Vec<Wrapped>),
    Erased,
    Unknown,
}

impl Stored {
    pub(crate) fn keys(&self) -> &[Wrapped] {
        match self {
            Self::Keys(keys) => keys,
            Self::Erased | Self::Unknown => &[],
        }
    }
}

/// The state of many contacts at one moment.
#[derive(Debug)]
pub(crate) struct Moment {
    pub(crate) epoch: u64,
    pub(crate) contacts: BTreeMap<Contact, Stored>,
}

#[derive(QueryableByName)]
struct StateRow {
    #[diesel(sql_type = BigInt)]
    n: i64,
    #[diesel(sql_type = Binary)]
    contact: Vec<u8>,
    #[diesel(sql_type = Bool)]
    fenced: bool,
    #[diesel(sql_type = Nullable<Integer>)]
    version: Option<i32>,
    #[diesel(sql_type = Nullable<Text>)]
    kek: Option<String>,
    #[diesel(sql_type = Nullable<Binary>)]
    wrapped: Option<Vec<u8>>,
}

/// One statement, so that keys, fences and epoch are of one moment in any transaction. A fenced contact's keys are not
/// even read, whether or not they are destroyed yet.
pub(crate) fn states(conn: &mut PgConnection, contacts: &[Contact]) -> Result<Moment, StoreError> {
    let rows = sql_query(
        "SELECT (SELECT n FROM keys.epoch) AS n, c.contact, f.contact IS NOT NULL AS fenced, w.version, w.kek, w.wrapped \
         FROM UNNEST($1::bytea[]) AS c(contact) \
         LEFT JOIN keys.fence f ON f.contact = c.contact \
         LEFT JOIN keys.wrapped w ON w.contact = c.contact AND f.contact IS NULL \
         ORDER BY c.contact, w.version",
    )
    .bind::<Array<Binary>, _>(bytes(contacts))
    .load::<StateRow>(conn)?;
    let mut moment = Moment { epoch: 0, contacts: BTreeMap::new() };
    for row in rows {
        moment.epoch = unsigned(row.n);
        let name = contact(&row.contact)?;
        let state = moment.contacts.entry(name).or_insert(Stored::Unknown);
        if row.fenced {
            *state = Stored::Erased;
        } else if let (Some(version), Some(kek), Some(bytes)) = (row.version, row.kek, row.wrapped) {
            let key = wrapped(name, version, &kek, bytes)?;
            match state {
                Stored::Keys(keys) => keys.push(key),
                other => *other = Stored::Keys(vec![key]),
            }
        }
    }
    Ok(moment)
}

/// The same in a transaction of its own.
pub(crate) fn read_states(conn: &mut PgConnection, contacts: &[Contact]) -> Result<Moment, StoreError> {
    super::by_key(conn)?;
    states(conn, contacts)
}

fn wrapped(contact: Contact, version: i32, kek: &str, bytes: Vec<u8>) -> Result<Wrapped, StoreError> {
    let version = u32::try_from(version).map_err(|_| StoreError::Mapping("key version"))?;
    let kek = kek.parse().map_err(|_| StoreError::Mapping("key-encryption key id"))?;
    Ok(Wrapped { name: KeyName { contact, version }, kek, bytes })
}

fn columns(keys: &[Wrapped]) -> (Vec<&[u8]>, Vec<i32>, Vec<&[u8]>) {
    let contacts = keys.iter().map(|key| key.name.contact.as_bytes().as_slice()).collect();
    let versions = keys.iter().map(|key| i32::try_from(key.name.version).unwrap_or(i32::MAX)).collect();
    (contacts, versions, keys.iter().map(|key| key.bytes.as_slice()).collect())
}

/// Inserts those that are not there and whose contact is not fenced. Under one of the two locks, with the keys in order
/// of contacts, so that two that insert the same ones wait for each other in the same order.
///
/// `epoch` is 0 for first versions.
pub(crate) fn insert(conn: &mut PgConnection, kek: &KekId, keys: &[Wrapped], epoch: i64) -> Result<usize, StoreError> {
    let (contacts, versions, wrapped) = columns(keys);
    Ok(sql_query(
        "INSERT INTO keys.wrapped (contact, version, kek, wrapped, epoch) \
         SELECT k.contact, k.version, $1, k.wrapped, $2 \
         FROM UNNEST($3::bytea[], $4::integer[], $5::bytea[]) AS k(contact, version, wrapped) \
         WHERE NOT EXISTS (SELECT FROM keys.fence f WHERE f.contact = k.contact) \
         ORDER BY k.contact, k.version ON CONFLICT DO NOTHING",
    )
    .bind::<Text, _>(kek.as_str())
    .bind::<BigInt, _>(epoch)
    .bind::<Array<Binary>, _>(contacts)
    .bind::<Array<Integer>, _>(versions)
    .bind::<Array<Binary>, _>(wrapped)
    .execute(conn)?)
}

#[derive(QueryableByName)]
struct KeyRow {
    #[diesel(sql_type = Binary)]
    contact: Vec<u8>,
    #[diesel(sql_type = Integer)]
    version: i32,
    #[diesel(sql_type = Binary)]
    wrapped: Vec<u8>,
}

/// The next keys wrapped under `kek`, in order, after `after`.
pub(crate) fn wrapped_under(
    conn: &mut PgConnection,
    kek: &KekId,
    after: Option<KeyName>,
    limit: u32,
) -> Result<Vec<Wrapped>, StoreError> {
    let after = after.unwrap_or(KeyName { contact: Contact::new([0; 16]), version: 0 });
    let rows = sql_query(
        "SELECT contact, version, wrapped FROM keys.wrapped WHERE kek = $1 AND (contact, version) > ($2, $3) \
         ORDER BY contact, version LIMIT $4",
    )
    .bind::<Text, _>(kek.as_str())
    .bind::<Binary, _>(after.contact.as_bytes().as_slice())
    .bind::<Integer, _>(i32::try_from(after.version).unwrap_or(i32::MAX))
    .bind::<BigInt, _>(i64::from(limit))
    .load::<KeyRow>(conn)?;
    rows.into_iter().map(|row| wrapped(contact(&row.contact)?, row.version, kek.as_str(), row.wrapped)).collect()
}

/// Replaces what was wrapped under `old` by the same keys under `new`; what was erased in between stays erased.
pub(crate) fn replace(
    conn: &mut PgConnection,
    old: &KekId,
    new: &KekId,
    keys: &[Wrapped],
) -> Result<usize, StoreError> {
    let (contacts, versions, wrapped) = columns(keys);
    Ok(sql_query(
        "UPDATE keys.wrapped w SET kek = $1, wrapped = k.wrapped \
         FROM UNNEST($3::bytea[], $4::integer[], $5::bytea[]) AS k(contact, version, wrapped) \
         WHERE w.contact = k.contact AND w.version = k.version AND w.kek = $2",
    )
    .bind::<Text, _>(new.as_str())
    .bind::<Text, _>(old.as_str())
    .bind::<Array<Binary>, _>(contacts)
    .bind::<Array<Integer>, _>(versions)
    .bind::<Array<Binary>, _>(wrapped)
    .execute(conn)?)
}

#[derive(QueryableByName)]
struct CountRow {
    #[diesel(sql_type = Text)]
    kek: String,
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// How many keys are wrapped under which KEK.
pub(crate) fn counts(conn: &mut PgConnection) -> Result<Vec<(KekId, u64)>, StoreError> {
    let rows =
        sql_query("SELECT kek, count(*) AS n FROM keys.wrapped GROUP BY kek ORDER BY kek").load::<CountRow>(conn)?;
    let kek = |row: CountRow| {
        Ok((row.kek.parse().map_err(|_| StoreError::Mapping("key-encryption key id"))?, unsigned(row.n)))
    };
    rows.into_iter().map(kek).collect()
}

/// Deletes all versions of these contacts' keys.
pub(crate) fn delete(conn: &mut PgConnection, contacts: &[Contact]) -> Result<usize, StoreError> {
    Ok(sql_query("DELETE FROM keys.wrapped WHERE contact = ANY($1::bytea[])")
        .bind::<Array<Binary>, _>(bytes(contacts))
        .execute(conn)?)
}
