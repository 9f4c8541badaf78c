//! What the clusterer asks, answered by the database; and its outcome, stored.

use std::collections::{HashMap, HashSet};

use diesel::{ExecuteCopyFromDsl as _, PgConnection, prelude::*, sql_query, sql_types};
use store::StoreError;
use uuid::Uuid;

use super::rows::PersonRow;
use crate::{
    cluster::{Facts, Known, Link, Member, Name, Outcome, PersonRef, SHARED_BY},
    schema::person,
};

pub(super) type UuidArray = sql_types::Array<sql_types::Uuid>;

#[derive(QueryableByName)]
struct KeyRow {
    #[diesel(sql_type = sql_types::Uuid)]
    key: Uuid,
}

/// The links of a contact, as its row has them.
#[derive(Debug, Default, QueryableByName)]
pub(super) struct LinkColumns {
    #[diesel(sql_type = sql_types::Nullable<sql_types::Uuid>)]
    pub(super) email_link: Option<Uuid>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Uuid>)]
    pub(super) number_link: Option<Uuid>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Uuid>)]
    pub(super) other_number_link: Option<Uuid>,
}

impl LinkColumns {
    pub(super) fn of(links: &[Link]) -> Self {
        let mut numbers = links.iter().filter(|link| !link.by_email).map(|link| link.key);
        Self {
            email_link: links.iter().find(|link| link.by_email).map(|link| link.key),
            number_link: numbers.next(),
            other_number_link: numbers.next(),
        }
    }

    /// As [`Facts::links`] has them.
    pub(super) fn links(&self) -> Vec<Link> {
        let columns = [(self.email_link, true), (self.number_link, false), (self.other_number_link, false)];
        let mut links: Vec<Link> =
            columns.into_iter().filter_map(|(key, by_email)| Some(Link { key: key?, by_email })).collect();
        links.sort_unstable();
        links
    }
}

#[derive(QueryableByName)]
struct MemberRow {
    #[diesel(sql_type = sql_types::Uuid)]
    id: Uuid,
    #[diesel(sql_type = sql_types::Text)]
    name_key: String,
    #[diesel(sql_type = sql_types::Bool)]
    name_whole: bool,
    #[diesel(sql_type = sql_types::Uuid)]
    person_id: Uuid,
    #[diesel(sql_type = sql_types::BigInt)]
    age: i64,
    #[diesel(embed)]
    links: LinkColumns,
}

impl From<MemberRow> for Member {
    fn from(row: MemberRow) -> Self {
        let name = Name::from_parts(row.name_key, row.name_whole);
        Self {
            facts: Facts { contact: row.id, name, links: row.links.links() },
            person: Some(PersonRef { age: row.age, id: row.person_id }),
        }
    }
}

#[derive(QueryableByName)]
struct CarrierRow {
    /// The link that it carries.
    #[diesel(sql_type = sql_types::Uuid)]
    key: Uuid,
    #[diesel(embed)]
    member: MemberRow,
}

/// What a [`MemberRow`] is made of.
macro_rules! member {
    () => {
        "c.id, c.name_key, c.name_whole, c.person_id, c.email_link, c.number_link, c.other_number_link"
    };
}

const CARRIERS: &str = concat!(
    "SELECT l.*, p.age FROM ( \
       SELECT u.key, c.* FROM unnest($1) AS u(key) \
       CROSS JOIN LATERAL (SELECT ",
    member!(),
    " FROM contact c WHERE c.email_link = u.key LIMIT $3) c \
       UNION ALL \
       SELECT u.key, c.* FROM unnest($2) AS u(key) CROSS JOIN LATERAL ( \
         (SELECT ",
    member!(),
    " FROM contact c WHERE c.number_link = u.key LIMIT $3) \
         UNION ALL \
         (SELECT ",
    member!(),
    " FROM contact c WHERE c.other_number_link = u.key LIMIT $3)) c) l \
     JOIN person p ON p.id = l.person_id"
);

const MEMBERS: &str = concat!(
    "SELECT ",
    member!(),
    ", p.age FROM unnest($1) AS u(id) JOIN contact c ON c.person_id = u.id JOIN person p ON p.id = u.id"
);

/// The contacts in the database, and those that are about to be put there. The database must not hold the latter, nor
/// older records of them, while it is asked.
pub(super) struct Database<'a> {
    conn: &'a mut PgConnection,
    /// Whole names that are about to carry a link; [`SHARED_BY`] of them tell enough.
    coming: HashMap<Uuid, Vec<&'a Name>>,
    /// Links that were asked for.
    carriers: HashMap<Uuid, Carriers>,
}

/// Who carries a link in the database.
#[derive(Debug, Default)]
struct Carriers {
    /// Different whole names among them; [`SHARED_BY`] tell enough.
    names: Vec<Name>,
    main: bool,
    /// Not all of them, when they are many and of many names.
    members: Vec<Member>,
}

impl Carriers {
    fn add(&mut self, member: Member) {
        let name = &member.facts.name;
        if name.is_whole() && self.names.len() < SHARED_BY && !self.names.contains(name) {
            self.names.push(name.clone());
        }
        self.members.push(member);
    }
}

/// So many carriers of a link are looked at first. A switchboard that some take for a direct line has thousands.
const FEW: usize = 64;

impl<'a> Database<'a> {
    pub(super) fn new(conn: &'a mut PgConnection, put: impl Iterator<Item = &'a Facts>) -> Self {
        let mut coming: HashMap<Uuid, Vec<&Name>> = HashMap::new();
        for facts in put.filter(|facts| facts.name.is_whole()) {
            for link in &facts.links {
                let names = coming.entry(link.key).or_default();
                if names.len() < SHARED_BY && !names.contains(&&facts.name) {
                    names.push(&facts.name);
                }
            }
        }
        Self { conn, coming, carriers: HashMap::new() }
    }

    /// Keys of those of `links` that link nobody any more, but did (or may have: a contact that is put may have had
    /// another name) before the contacts that are put and the main numbers `new_mains`.
    pub(super) fn lately_alive(&mut self, links: &[Link], new_mains: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
        self.look_up(links)?;
        let was_alive = |key: &Uuid| {
            self.carriers
                .get(key)
                .is_some_and(|carriers| carriers.names.len() < SHARED_BY && (!carriers.main || new_mains.contains(key)))
        };
        Ok(links.iter().map(|link| link.key).filter(|key| self.is_dead(*key)).filter(was_alive).collect())
    }

    fn is_dead(&self, key: Uuid) -> bool {
        let Some(carriers) = self.carriers.get(&key) else { return false };
        let coming = self.coming.get(&key).into_iter().flatten().filter(|name| !carriers.names.contains(name));
        carriers.main || carriers.names.len() + coming.count() >= SHARED_BY
    }

    /// Asks for links that were not asked for before.
    fn look_up(&mut self, links: &[Link]) -> Result<(), StoreError> {
        let new: Vec<Link> = links.iter().filter(|link| !self.carriers.contains_key(&link.key)).copied().collect();
        if new.is_empty() {
            return Ok(());
        }
        self.carriers.extend(new.iter().map(|link| (link.key, Carriers::default())));
        let numbers: Vec<Uuid> = new.iter().filter(|link| !link.by_email).map(|link| link.key).collect();
        if !numbers.is_empty() {
            let mains: Vec<KeyRow> =
                sql_query("SELECT m.key FROM unnest($1) AS u(key) JOIN main_number m ON m.key = u.key")
                    .bind::<UuidArray, _>(&numbers)
                    .load(self.conn)?;
            for row in mains {
                self.carriers.entry(row.key).or_default().main = true;
            }
        }
        self.load_carriers(&new, Some(FEW))?;
        let crowded = |link: &Link| {
            self.carriers.get(&link.key).is_some_and(|c| c.members.len() >= FEW && c.names.len() < SHARED_BY)
        };
        let crowded: Vec<Link> = new.into_iter().filter(crowded).collect();
        if crowded.is_empty() {
            return Ok(());
        }
        for link in &crowded {
            self.carriers.entry(link.key).or_default().members.clear();
        }
        self.load_carriers(&crowded, None)
    }

    fn load_carriers(&mut self, links: &[Link], most: Option<usize>) -> Result<(), StoreError> {
        let keys = |by_email| links.iter().filter(move |link| link.by_email == by_email).map(|link| link.key);
        let rows: Vec<CarrierRow> = sql_query(CARRIERS)
            .bind::<UuidArray, _>(&keys(true).collect::<Vec<_>>())
            .bind::<UuidArray, _>(&keys(false).collect::<Vec<_>>())
            .bind::<sql_types::Nullable<sql_types::BigInt>, _>(most.and_then(|most| i64::try_from(most).ok()))
            .load(self.conn)?;
        for row in rows {
            self.carriers.entry(row.key).or_default().add(row.member.into());
        }
        Ok(())
    }
}

impl Known for Database<'_> {
    type Error = StoreError;

    fn dead(&mut self, links: &[Link]) -> Result<HashSet<Uuid>, StoreError> {
        self.look_up(links)?;
        Ok(links.iter().map(|link| link.key).filter(|key| self.is_dead(*key)).collect())
    }

    fn holders(&mut self, links: &[Link]) -> Result<Vec<Member>, StoreError> {
        self.look_up(links)?;
        let carriers = links.iter().filter_map(|link| self.carriers.get(&link.key));
        Ok(carriers.flat_map(|carriers| &carriers.members).cloned().collect())
    }

    fn members(&mut self, persons: &[Uuid]) -> Result<Vec<Member>, StoreError> {
        let rows: Vec<MemberRow> = sql_query(MEMBERS).bind::<UuidArray, _>(persons).load(self.conn)?;
        Ok(rows.into_iter().map(Member::from).collect())
    }
}

/// Stores what the clusterer found. Contacts that are `put` have their person in their new row.
pub(super) fn store(conn: &mut PgConnection, outcome: &Outcome, put: impl Fn(&Uuid) -> bool) -> Result<(), StoreError> {
    if !outcome.created.is_empty() {
        // One after the other, so that age follows the order.
        let rows: Vec<PersonRow> = outcome.created.iter().map(|id| PersonRow { id: *id }).collect();
        diesel::copy_from(person::table).from_insertable(&rows).execute(conn)?;
    }
    let moved = outcome.moved.iter().filter(|(contact, _)| !put(contact)).copied();
    let (contacts, persons): (Vec<Uuid>, Vec<Uuid>) = moved.unzip();
    if !contacts.is_empty() {
        sql_query("UPDATE contact c SET person_id = u.p FROM unnest($1, $2) AS u(c, p) WHERE c.id = u.c")
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
        // Redirects to nobody go with them.
        sql_query("DELETE FROM person WHERE id = ANY($1) OR merged_into = ANY($1)")
            .bind::<UuidArray, _>(&outcome.emptied)
            .execute(conn)?;
    }
    Ok(())
}
