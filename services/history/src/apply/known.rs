//! What the clusterer asks, answered by the database; and its outcome, stored.

use std::collections::{BTreeSet, HashMap, HashSet};

use diesel::{PgConnection, prelude::*, sql_query, sql_types};
use store::StoreError;
use uuid::Uuid;

use crate::cluster::{Facts, Known, Link, Member, Name, Outcome, PersonRef};

type UuidArray = sql_types::Array<sql_types::Uuid>;

#[derive(QueryableByName)]
struct KeyRow {
    #[diesel(sql_type = sql_types::Uuid)]
    key: Uuid,
}

#[derive(QueryableByName)]
struct MemberRow {
    #[diesel(sql_type = sql_types::Uuid)]
    id: Uuid,
    #[diesel(sql_type = sql_types::Text)]
    name_key: String,
    #[diesel(sql_type = sql_types::Bool)]
    name_whole: bool,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Uuid>)]
    person_id: Option<Uuid>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::BigInt>)]
    age: Option<i64>,
}

#[derive(QueryableByName)]
struct LinkRow {
    #[diesel(sql_type = sql_types::Uuid)]
    contact_id: Uuid,
    #[diesel(sql_type = sql_types::Uuid)]
    key: Uuid,
    #[diesel(sql_type = sql_types::Bool)]
    by_email: bool,
}

/// The contacts in the database, less those that the clusterer was given.
pub(super) struct Database<'a> {
    pub(super) conn: &'a mut PgConnection,
    pub(super) given: Vec<Uuid>,
}

/// How many whole names carry a link: exactly, except that counting stops where the first 64 carriers have enough.
/// `$2` are contacts not to be counted.
const NAMES: &str = "\
    CROSS JOIN LATERAL ( \
        SELECT count(*) AS carriers, count(DISTINCT f.name_key) FILTER (WHERE f.name_whole) AS names FROM ( \
            SELECT c.name_key, c.name_whole FROM contact_link l JOIN contact c ON c.id = l.contact_id \
            WHERE l.key = u.key AND l.contact_id <> ALL($2) LIMIT 64) f) few \
    CROSS JOIN LATERAL ( \
        SELECT CASE WHEN few.carriers < 64 OR few.names >= $3 THEN few.names ELSE ( \
            SELECT count(DISTINCT c.name_key) FILTER (WHERE c.name_whole) \
            FROM contact_link l JOIN contact c ON c.id = l.contact_id \
            WHERE l.key = u.key AND l.contact_id <> ALL($2)) END AS names) n";

/// `key` of those links whose number of names is as `condition` says.
fn by_names(
    conn: &mut PgConnection,
    keys: &[Uuid],
    without: &[Uuid],
    condition: &str,
) -> Result<HashSet<Uuid>, StoreError> {
    if keys.is_empty() {
        return Ok(HashSet::new());
    }
    let rows: Vec<KeyRow> = sql_query(format!("SELECT u.key FROM unnest($1) AS u(key) {NAMES} WHERE {condition}"))
        .bind::<UuidArray, _>(keys)
        .bind::<UuidArray, _>(without)
        .bind::<sql_types::BigInt, _>(i64::try_from(crate::cluster::SHARED_BY).unwrap_or(i64::MAX))
        .load(conn)?;
    Ok(rows.into_iter().map(|row| row.key).collect())
}

const IS_MAIN: &str = "EXISTS (SELECT 1 FROM main_number m WHERE m.key = u.key)";

fn dead(conn: &mut PgConnection, keys: &[Uuid]) -> Result<HashSet<Uuid>, StoreError> {
    by_names(conn, keys, &[], &format!("n.names >= $3 OR {IS_MAIN}"))
}

/// Those of `keys` that link nobody now, but did before the contacts `put` and the main numbers `new_mains` came (or may
/// have: a contact that was put may have had another name before).
pub(super) fn lately_alive(
    conn: &mut PgConnection,
    keys: &BTreeSet<Uuid>,
    put: &[Uuid],
    new_mains: &[Uuid],
) -> Result<Vec<Uuid>, StoreError> {
    let keys: Vec<Uuid> = keys.iter().copied().collect();
    let dead: Vec<Uuid> = dead(conn, &keys)?.into_iter().collect();
    let alive_before = by_names(conn, &dead, put, "n.names < $3")?;
    let old_mains: HashSet<Uuid> = by_names(conn, &dead, put, IS_MAIN)?;
    let was_main = |key: &Uuid| old_mains.contains(key) && !new_mains.contains(key);
    Ok(alive_before.into_iter().filter(|key| !was_main(key)).collect())
}

/// Links of contacts as they stand.
pub(super) fn links_of(conn: &mut PgConnection, contacts: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
    if contacts.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<KeyRow> = sql_query("SELECT DISTINCT key FROM contact_link WHERE contact_id = ANY($1)")
        .bind::<UuidArray, _>(contacts)
        .load(conn)?;
    Ok(rows.into_iter().map(|row| row.key).collect())
}

impl Database<'_> {
    fn load(&mut self, which: &str, ids: &[Uuid]) -> Result<Vec<Member>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<MemberRow> = sql_query(format!(
            "SELECT c.id, c.name_key, c.name_whole, p.id AS person_id, p.age FROM ({which}) w \
             JOIN contact c ON c.id = w.contact_id LEFT JOIN person_contact pc ON pc.contact_id = c.id \
             LEFT JOIN person p ON p.id = pc.person_id WHERE c.id <> ALL($2)"
        ))
        .bind::<UuidArray, _>(ids)
        .bind::<UuidArray, _>(&self.given)
        .load(self.conn)?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let contacts: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
        let mut links: HashMap<Uuid, Vec<Link>> = HashMap::new();
        let link_rows: Vec<LinkRow> = sql_query(
            "SELECT contact_id, key, by_email FROM contact_link WHERE contact_id = ANY($1) ORDER BY contact_id, key",
        )
        .bind::<UuidArray, _>(&contacts)
        .load(self.conn)?;
        for row in link_rows {
            links.entry(row.contact_id).or_default().push(Link { key: row.key, by_email: row.by_email });
        }
        let member = |row: MemberRow| Member {
            facts: Facts {
                contact: row.id,
                name: Name::from_parts(row.name_key, row.name_whole),
                links: links.remove(&row.id).unwrap_or_default(),
            },
            person: row.age.zip(row.person_id).map(|(age, id)| PersonRef { age, id }),
        };
        Ok(rows.into_iter().map(member).collect())
    }
}

impl Known for Database<'_> {
    type Error = StoreError;

    fn dead(&mut self, keys: &[Uuid]) -> Result<HashSet<Uuid>, StoreError> {
        dead(self.conn, keys)
    }

    fn holders(&mut self, keys: &[Uuid]) -> Result<Vec<Member>, StoreError> {
        self.load("SELECT DISTINCT contact_id FROM contact_link WHERE key = ANY($1)", keys)
    }

    fn members(&mut self, persons: &[Uuid]) -> Result<Vec<Member>, StoreError> {
        self.load("SELECT contact_id FROM person_contact WHERE person_id = ANY($1)", persons)
    }
}

/// Stores what the clusterer found.
pub(super) fn store(conn: &mut PgConnection, outcome: &Outcome) -> Result<(), StoreError> {
    if !outcome.created.is_empty() {
        // One after the other, so that age follows the order.
        sql_query("INSERT INTO person (id) SELECT u.id FROM unnest($1) WITH ORDINALITY AS u(id, nth) ORDER BY u.nth")
            .bind::<UuidArray, _>(&outcome.created)
            .execute(conn)?;
    }
    if !outcome.moved.is_empty() {
        let (contacts, persons): (Vec<Uuid>, Vec<Uuid>) = outcome.moved.iter().copied().unzip();
        sql_query(
            "INSERT INTO person_contact (contact_id, person_id) SELECT * FROM unnest($1, $2) \
             ON CONFLICT (contact_id) DO UPDATE SET person_id = excluded.person_id",
        )
        .bind::<UuidArray, _>(&contacts)
        .bind::<UuidArray, _>(&persons)
        .execute(conn)?;
    }
    if !outcome.merged.is_empty() {
        let (from, into): (Vec<Uuid>, Vec<Uuid>) = outcome.merged.iter().copied().unzip();
        // Older redirects follow, so that none ever leads to a redirect.
        sql_query(
            "UPDATE person p SET merged_into = u.i FROM unnest($1, $2) AS u(f, i) \
             WHERE p.id = u.f OR p.merged_into = u.f",
        )
        .bind::<UuidArray, _>(&from)
        .bind::<UuidArray, _>(&into)
        .execute(conn)?;
    }
    if !outcome.emptied.is_empty() {
        sql_query("DELETE FROM person WHERE id = ANY($1)").bind::<UuidArray, _>(&outcome.emptied).execute(conn)?;
    }
    Ok(())
}
