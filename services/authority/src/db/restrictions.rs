//! Restrictions, their numbers, and the pages they are told in.

use authority_api::types::{Lifted, NewRestrictions, Restriction};
use chrono::{DateTime, Utc};
use diesel::{prelude::*, sql_query, sql_types};
use jointuse::{ContactId, OperatorName};
use restriction::{Entry, Flags, Subject, page_of};
use store::StoreError;
use uuid::Uuid;

use super::parsed;

#[derive(Debug, QueryableByName)]
struct Row {
    #[diesel(sql_type = sql_types::BigInt)]
    id: i64,
    #[diesel(sql_type = sql_types::Uuid)]
    contact: Uuid,
    #[diesel(sql_type = sql_types::Text)]
    measure: String,
    #[diesel(sql_type = sql_types::Text)]
    reach: String,
    #[diesel(sql_type = sql_types::Text)]
    reason: String,
    #[diesel(sql_type = sql_types::Text)]
    added_by: String,
    #[diesel(sql_type = sql_types::Timestamptz)]
    added_at: DateTime<Utc>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::BigInt>)]
    lifted_number: Option<i64>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Text>)]
    lifted_by: Option<String>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Timestamptz>)]
    lifted_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Text>)]
    lift_reason: Option<String>,
}

impl Row {
    fn read(self) -> Result<Restriction, StoreError> {
        let lifted = match (self.lifted_number, self.lifted_by, self.lifted_at, self.lift_reason) {
            (Some(number), Some(by), Some(at), Some(reason)) => {
                Some(Lifted { number: unsigned(number)?, by: parsed(&by)?, at, reason })
            }
            _ => None,
        };
        Ok(Restriction {
            id: unsigned(self.id)?,
            contact: parsed(&self.contact.simple().to_string())?,
            measure: parsed(&self.measure)?,
            reach: parsed(&self.reach)?,
            reason: self.reason,
            added_by: parsed(&self.added_by)?,
            added_at: self.added_at,
            lifted,
        })
    }
}

const COLUMNS: &str = "id, contact, measure, reach, reason, added_by, added_at, lifted_number, lifted_by, lifted_at, \
    lift_reason";

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = sql_types::BigInt)]
    number: i64,
}

fn unsigned(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| StoreError::Mapping("result"))
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn uuid(contact: &ContactId) -> Uuid {
    Uuid::from_bytes(Subject::from(contact).0)
}

/// Takes the next numbers, and with them the lock of all that is numbered here until the transaction ends; tells the
/// last of them.
fn take_numbers(conn: &mut PgConnection, count: usize) -> Result<i64, StoreError> {
    let taken: Number = sql_query("UPDATE restriction_issue SET number = number + $1 RETURNING number")
        .bind::<sql_types::BigInt, _>(i64::try_from(count).unwrap_or(i64::MAX))
        .get_result(conn)?;
    Ok(taken.number)
}

/// The last number given.
pub(crate) fn number(conn: &mut PgConnection) -> Result<u64, StoreError> {
    let last: Number = sql_query("SELECT number FROM restriction_issue").get_result(conn)?;
    unsigned(last.number)
}

/// Enters restrictions; what is in force already stays as it is. Tells the id on each contact and which are new.
pub(crate) fn add(
    conn: &mut PgConnection,
    new: &NewRestrictions,
    by: &OperatorName,
    at: DateTime<Utc>,
) -> Result<(Vec<u64>, Vec<u64>), StoreError> {
    use sql_types::{Array, BigInt, Text, Timestamptz, Uuid as Id};
    #[derive(QueryableByName)]
    struct Made {
        #[diesel(sql_type = BigInt)]
        id: i64,
        #[diesel(sql_type = Id)]
        contact: Uuid,
    }
    let contacts: Vec<Uuid> = new.contacts.iter().map(uuid).collect();
    let before = take_numbers(conn, contacts.len())? - i64::try_from(contacts.len()).unwrap_or(i64::MAX);
    sql_query(
        "INSERT INTO restriction (id, contact, measure, reach, reason, added_by, added_at) \
         SELECT $1 + u.n, u.c, $3, $4, $5, $6, $7 FROM unnest($2) WITH ORDINALITY AS u (c, n) ON CONFLICT DO NOTHING",
    )
    .bind::<BigInt, _>(before)
    .bind::<Array<Id>, _>(&contacts)
    .bind::<Text, _>(new.measure.as_str())
    .bind::<Text, _>(new.reach.as_str())
    .bind::<Text, _>(new.reason.trim())
    .bind::<Text, _>(by.as_str())
    .bind::<Timestamptz, _>(at)
    .execute(conn)?;
    let standing: Vec<Made> = sql_query(
        "SELECT id, contact FROM restriction \
         WHERE contact = ANY($1) AND measure = $2 AND reach = $3 AND lifted_number IS NULL",
    )
    .bind::<Array<Id>, _>(&contacts)
    .bind::<Text, _>(new.measure.as_str())
    .bind::<Text, _>(new.reach.as_str())
    .load(conn)?;
    let mut ids = std::collections::HashMap::with_capacity(standing.len());
    let (mut made, mut pages) = (Vec::new(), std::collections::BTreeSet::new());
    for row in standing {
        let id = unsigned(row.id)?;
        if row.id > before {
            made.push(id);
            pages.insert(i32::from(page_of(&Subject(row.contact.into_bytes()))));
        }
        ids.insert(row.contact, id);
    }
    made.sort_unstable();
    change(conn, pages.into_iter().collect(), made.last().copied())?;
    Ok((contacts.iter().filter_map(|contact| ids.get(contact).copied()).collect(), made))
}

/// Notes that pages have to be told anew.
fn change(conn: &mut PgConnection, pages: Vec<i32>, number: Option<u64>) -> Result<(), StoreError> {
    let Some(number) = number else { return Ok(()) };
    sql_query(
        "INSERT INTO restriction_page (page, changed) SELECT p, $2 FROM unnest($1) AS u (p) \
         ON CONFLICT (page) DO UPDATE SET changed = EXCLUDED.changed",
    )
    .bind::<sql_types::Array<sql_types::Integer>, _>(pages)
    .bind::<sql_types::BigInt, _>(signed(number))
    .execute(conn)?;
    Ok(())
}

/// Lifts one that is in force.
pub(crate) fn lift(
    conn: &mut PgConnection,
    standing: &Restriction,
    by: &OperatorName,
    at: DateTime<Utc>,
    reason: &str,
) -> Result<(), StoreError> {
    let number = take_numbers(conn, 1)?;
    sql_query(
        "UPDATE restriction SET lifted_number = $2, lifted_by = $3, lifted_at = $4, lift_reason = $5 WHERE id = $1",
    )
    .bind::<sql_types::BigInt, _>(signed(standing.id))
    .bind::<sql_types::BigInt, _>(number)
    .bind::<sql_types::Text, _>(by.as_str())
    .bind::<sql_types::Timestamptz, _>(at)
    .bind::<sql_types::Text, _>(reason.trim())
    .execute(conn)?;
    let page = page_of(&Subject::from(&standing.contact));
    change(conn, vec![i32::from(page)], Some(unsigned(number)?))
}

/// One of them, locked until the transaction ends.
pub(crate) fn find(conn: &mut PgConnection, id: u64, lock: bool) -> Result<Option<Restriction>, StoreError> {
    let lock = if lock { "FOR UPDATE" } else { "" };
    let row: Option<Row> = sql_query(format!("SELECT {COLUMNS} FROM restriction WHERE id = $1 {lock}"))
        .bind::<sql_types::BigInt, _>(signed(id))
        .get_result(conn)
        .optional()?;
    row.map(Row::read).transpose()
}

/// Those with these ids, by id.
pub(crate) fn numbered(conn: &mut PgConnection, ids: &[u64]) -> Result<Vec<Restriction>, StoreError> {
    let ids: Vec<i64> = ids.iter().copied().map(signed).collect();
    let rows: Vec<Row> = sql_query(format!("SELECT {COLUMNS} FROM restriction WHERE id = ANY($1) ORDER BY id"))
        .bind::<sql_types::Array<sql_types::BigInt>, _>(ids)
        .load(conn)?;
    rows.into_iter().map(Row::read).collect()
}

/// Those on a contact, or on all, with ids after `after`, at most `limit`, by id.
pub(crate) fn list(
    conn: &mut PgConnection,
    contact: Option<&ContactId>,
    after: u64,
    limit: i64,
) -> Result<Vec<Restriction>, StoreError> {
    let of = if contact.is_some() { "contact = $3 AND" } else { "" };
    let rows: Vec<Row> =
        sql_query(format!("SELECT {COLUMNS} FROM restriction WHERE {of} id > $1 ORDER BY id LIMIT $2"))
            .bind::<sql_types::BigInt, _>(signed(after))
            .bind::<sql_types::BigInt, _>(limit)
            .bind::<sql_types::Nullable<sql_types::Uuid>, _>(contact.map(uuid))
            .load(conn)?;
    rows.into_iter().map(Row::read).collect()
}

/// Pages that are not told as they stand.
pub(crate) fn untold(conn: &mut PgConnection) -> Result<Vec<u16>, StoreError> {
    #[derive(QueryableByName)]
    struct Untold {
        #[diesel(sql_type = sql_types::Integer)]
        page: i32,
    }
    let rows: Vec<Untold> =
        sql_query("SELECT page FROM restriction_page WHERE told < changed ORDER BY page").load(conn)?;
    rows.into_iter().map(|row| u16::try_from(row.page).map_err(|_| StoreError::Mapping("result"))).collect()
}

/// What is in force on a page, by contact.
pub(crate) fn page(conn: &mut PgConnection, page: u16) -> Result<Vec<Entry>, StoreError> {
    #[derive(QueryableByName)]
    struct Standing {
        #[diesel(sql_type = sql_types::Uuid)]
        contact: Uuid,
        #[diesel(sql_type = sql_types::Text)]
        measure: String,
        #[diesel(sql_type = sql_types::Text)]
        reach: String,
    }
    let first = u128::from(page) << 116;
    let rows: Vec<Standing> = sql_query(
        "SELECT contact, measure, reach FROM restriction \
         WHERE contact BETWEEN $1 AND $2 AND lifted_number IS NULL ORDER BY contact",
    )
    .bind::<sql_types::Uuid, _>(Uuid::from_u128(first))
    .bind::<sql_types::Uuid, _>(Uuid::from_u128(first | ((1 << 116) - 1)))
    .load(conn)?;
    let mut entries: Vec<Entry> = Vec::with_capacity(rows.len());
    for row in rows {
        let (subject, flags) =
            (Subject(row.contact.into_bytes()), Flags::of(parsed(&row.measure)?, parsed(&row.reach)?));
        match entries.last_mut() {
            Some((last, standing)) if *last == subject => *standing = standing.union(flags),
            _ => entries.push((subject, flags)),
        }
    }
    Ok(entries)
}

/// A page as it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) page: u16,
    pub(crate) entries: u64,
    /// SHA-256 of the page's bytes.
    pub(crate) digest: [u8; 32],
}

/// All pages that were ever told.
pub(crate) fn told(conn: &mut PgConnection) -> Result<Vec<Told>, StoreError> {
    #[derive(QueryableByName)]
    struct Page {
        #[diesel(sql_type = sql_types::Integer)]
        page: i32,
        #[diesel(sql_type = sql_types::BigInt)]
        entries: i64,
        #[diesel(sql_type = sql_types::Bytea)]
        digest: Vec<u8>,
    }
    let rows: Vec<Page> =
        sql_query("SELECT page, entries, digest FROM restriction_page WHERE digest IS NOT NULL ORDER BY page")
            .load(conn)?;
    let told = |row: Page| {
        let (page, digest) = (u16::try_from(row.page).ok()?, row.digest.try_into().ok()?);
        Some(Told { page, entries: u64::try_from(row.entries).ok()?, digest })
    };
    rows.into_iter().map(|row| told(row).ok_or(StoreError::Mapping("result"))).collect()
}

/// Notes what was told, up to which number.
pub(crate) fn set_told(conn: &mut PgConnection, pages: &[Told], number: u64) -> Result<(), StoreError> {
    use sql_types::{Array, BigInt, Bytea, Integer};
    sql_query(
        "UPDATE restriction_page p SET told = $1, entries = u.e, digest = u.d \
         FROM unnest($2, $3, $4) AS u (n, e, d) WHERE p.page = u.n",
    )
    .bind::<BigInt, _>(signed(number))
    .bind::<Array<Integer>, _>(pages.iter().map(|told| i32::from(told.page)).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(pages.iter().map(|told| signed(told.entries)).collect::<Vec<_>>())
    .bind::<Array<Bytea>, _>(pages.iter().map(|told| told.digest.to_vec()).collect::<Vec<_>>())
    .execute(conn)?;
    Ok(())
}

/// Has pages told anew, whose records are gone from the topic.
pub(crate) fn tell_again(conn: &mut PgConnection, pages: &[u16]) -> Result<(), StoreError> {
    sql_query("UPDATE restriction_page SET told = 0 WHERE page = ANY($1)")
        .bind::<sql_types::Array<sql_types::Integer>, _>(pages.iter().map(|page| i32::from(*page)).collect::<Vec<_>>())
        .execute(conn)?;
    Ok(())
}
