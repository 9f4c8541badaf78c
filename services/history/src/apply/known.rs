//! What the clusterer asks, answered by the database; and its outcome, stored.

use std::collections::{BTreeSet, HashMap, HashSet};

use diesel::{PgConnection, prelude::*, sql_query, sql_types};
use store::StoreError;
use uuid::Uuid;

use crate::cluster::{Facts, Known, Link, Member, Name, Outcome, PersonRef, SHARED_BY};

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

/// The contacts in the database, and those that are about to be put there. The database must not hold the latter, nor
/// older records of them, while it is asked.
pub(super) struct Database<'a> {
    conn: &'a mut PgConnection,
    /// Names that are about to carry a link.
    coming: HashMap<Uuid, HashSet<Name>>,
    /// Links that were asked for.
    carriers: HashMap<Uuid, Carriers>,
}

/// Who carries a link in the database.
#[derive(Debug, Default)]
struct Carriers {
    names: HashSet<Name>,
    main: bool,
    /// Not all of them, when they are many and of many names; some of them twice.
    contacts: Vec<Uuid>,
}

#[derive(QueryableByName)]
struct CarrierRow {
    #[diesel(sql_type = sql_types::Uuid)]
    key: Uuid,
    #[diesel(sql_type = sql_types::Uuid)]
    contact_id: Uuid,
    #[diesel(sql_type = sql_types::Text)]
    name_key: String,
    #[diesel(sql_type = sql_types::Bool)]
    name_whole: bool,
}

/// So many carriers of a link are looked at first. A switchboard that some take for a direct line has thousands.
const FEW: usize = 64;

impl<'a> Database<'a> {
    pub(super) fn new(conn: &'a mut PgConnection, put: &[Member]) -> Self {
        let mut coming: HashMap<Uuid, HashSet<Name>> = HashMap::new();
        for facts in put.iter().map(|member| &member.facts).filter(|facts| facts.name.is_whole()) {
            for link in &facts.links {
                coming.entry(link.key).or_default().insert(facts.name.clone());
            }
        }
        Self { conn, coming, carriers: HashMap::new() }
    }

    /// Those of `keys` that link nobody any more, but did (or may have: a contact that is put may have had another name)
    /// before the contacts that are put and the main numbers `new_mains`.
    pub(super) fn lately_alive(&mut self, keys: &[Uuid], new_mains: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
        self.look_up(keys)?;
        let was_alive = |key: &&Uuid| {
            self.carriers.get(*key).is_some_and(|carriers| {
                carriers.names.len() < SHARED_BY && (!carriers.main || new_mains.contains(*key))
            })
        };
        Ok(keys.iter().filter(|key| self.is_dead(**key)).filter(was_alive).copied().collect())
    }

    fn is_dead(&self, key: Uuid) -> bool {
        let Some(carriers) = self.carriers.get(&key) else { return false };
        let coming = self.coming.get(&key).into_iter().flatten().filter(|name| !carriers.names.contains(name));
        carriers.main || carriers.names.len() + coming.count() >= SHARED_BY
    }

    /// Asks for links that were not asked for before.
    fn look_up(&mut self, keys: &[Uuid]) -> Result<(), StoreError> {
        let new: Vec<Uuid> = keys.iter().filter(|key| !self.carriers.contains_key(key)).copied().collect();
        if new.is_empty() {
            return Ok(());
        }
        self.carriers.extend(new.iter().map(|key| (*key, Carriers::default())));
        let mains: Vec<KeyRow> =
            sql_query("SELECT key FROM main_number WHERE key = ANY($1)").bind::<UuidArray, _>(&new).load(self.conn)?;
        for row in mains {
            self.carriers.entry(row.key).or_default().main = true;
        }
        self.load_carriers(&new, Some(FEW))?;
        let crowded =
            |key: &Uuid| self.carriers.get(key).is_some_and(|c| c.contacts.len() >= FEW && c.names.len() < SHARED_BY);
        let crowded: Vec<Uuid> = new.into_iter().filter(crowded).collect();
        if crowded.is_empty() { Ok(()) } else { self.load_carriers(&crowded, None) }
    }

    fn load_carriers(&mut self, keys: &[Uuid], most: Option<usize>) -> Result<(), StoreError> {
        let rows: Vec<CarrierRow> = sql_query(
            "SELECT u.key, l.contact_id, c.name_key, c.name_whole FROM unnest($1) AS u(key) \
             CROSS JOIN LATERAL (SELECT contact_id FROM contact_link WHERE key = u.key LIMIT $2) l \
             JOIN contact c ON c.id = l.contact_id",
        )
        .bind::<UuidArray, _>(keys)
        .bind::<sql_types::Nullable<sql_types::BigInt>, _>(most.and_then(|most| i64::try_from(most).ok()))
        .load(self.conn)?;
        for row in rows {
            let carriers = self.carriers.entry(row.key).or_default();
            carriers.contacts.push(row.contact_id);
            if row.name_whole {
                carriers.names.insert(Name::from_parts(row.name_key, true));
            }
        }
        Ok(())
    }
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
             LEFT JOIN person p ON p.id = pc.person_id"
        ))
        .bind::<UuidArray, _>(ids)
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
        self.look_up(keys)?;
        Ok(keys.iter().copied().filter(|key| self.is_dead(*key)).collect())
    }

    fn holders(&mut self, keys: &[Uuid]) -> Result<Vec<Member>, StoreError> {
        self.look_up(keys)?;
        let carriers = keys.iter().filter_map(|key| self.carriers.get(key)).flat_map(|carriers| &carriers.contacts);
        let contacts: Vec<Uuid> = carriers.copied().collect::<BTreeSet<_>>().into_iter().collect();
        self.load("SELECT * FROM unnest($1) AS u(contact_id)", &contacts)
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
