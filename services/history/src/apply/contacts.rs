//! Contacts: the newest record of each, by (recorded at, offset), then the organisations and persons they belong to.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use diesel::{ExecuteCopyFromDsl as _, PgConnection, prelude::*, sql_query, sql_types};
use jointuse::Kind;
use store::StoreError;
use uuid::Uuid;

use super::{
    Applied,
    known::{self, Database},
    rows::{ContactRow, JsonText, LinkRow},
};
use crate::{
    cluster::{Member, Outcome, PersonRef, regroup, regroup::Change},
    record::{ContactRecord, method},
    schema::{contact, contact_link},
};

type UuidArray = sql_types::Array<sql_types::Uuid>;

/// What a batch does to each contact, in the order of its records.
#[derive(Debug, Default)]
pub(super) struct Changes<'a> {
    put: BTreeMap<Uuid, (&'a ContactRecord, i64)>,
    removed: BTreeMap<Uuid, DateTime<Utc>>,
}

impl<'a> Changes<'a> {
    pub(super) fn put(&mut self, record: &'a ContactRecord, offset: i64, applied: &mut Applied) {
        match self.put.get_mut(&record.common.contact) {
            Some(held) => {
                applied.count(Kind::Contact, "older");
                if (record.common.recorded_at, offset) > (held.0.common.recorded_at, held.1) {
                    *held = (record, offset);
                }
            }
            None => {
                self.put.insert(record.common.contact, (record, offset));
            }
        }
    }

    pub(super) fn remove(&mut self, contact: Uuid, at: DateTime<Utc>, applied: &mut Applied) {
        if self.put.remove(&contact).is_some() {
            applied.count(Kind::Contact, "older");
        }
        self.removed.insert(contact, at);
        applied.count(Kind::Contact, "removed");
    }
}

#[derive(QueryableByName)]
struct ExistingRow {
    #[diesel(sql_type = sql_types::Uuid)]
    id: Uuid,
    #[diesel(sql_type = sql_types::Timestamptz)]
    recorded_at: DateTime<Utc>,
    #[diesel(sql_type = sql_types::BigInt)]
    record_offset: i64,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Uuid>)]
    organisation_id: Option<Uuid>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Uuid>)]
    person_id: Option<Uuid>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::BigInt>)]
    age: Option<i64>,
}

impl ExistingRow {
    fn person(&self) -> Option<PersonRef> {
        Some(PersonRef { age: self.age?, id: self.person_id? })
    }
}

pub(super) fn apply(
    conn: &mut PgConnection,
    mut changes: Changes<'_>,
    applied: &mut Applied,
) -> Result<(), StoreError> {
    if changes.put.is_empty() && changes.removed.is_empty() {
        return Ok(());
    }
    let existing = existing(conn, &changes)?;
    changes.put.retain(|id, (record, offset)| {
        // A tombstone before it in the same batch makes it new.
        let there = existing.get(id).filter(|_| !changes.removed.contains_key(id));
        let newer = there.is_none_or(|row| (record.common.recorded_at, *offset) > (row.recorded_at, row.record_offset));
        applied.count(Kind::Contact, if newer { "stored" } else { "older" });
        newer
    });
    // Everything that stands of what is changed or removed goes; what is put comes anew.
    let gone: Vec<Uuid> =
        changes.put.keys().chain(changes.removed.keys()).copied().collect::<BTreeSet<_>>().into_iter().collect();
    let gone: Vec<Uuid> = gone.into_iter().filter(|id| existing.contains_key(id)).collect();
    let mut touched = known::links_of(conn, &gone)?;
    remove(conn, &changes.removed)?;
    for statement in ["DELETE FROM contact_link WHERE contact_id = ANY($1)", "DELETE FROM contact WHERE id = ANY($1)"] {
        sql_query(statement).bind::<UuidArray, _>(&gone).execute(conn)?;
    }
    let new_mains = main_numbers(conn, &changes)?;
    touched.extend(new_mains.iter().copied());
    // Now that the database has no record of the contacts that are put, the clusterer may ask it.
    let outcome = cluster(conn, &changes, &existing, touched, &new_mains)?;
    applied.created += outcome.created.len() as u64;
    applied.merged += outcome.merged.len() as u64;

    let organisations = organisations(conn, changes.put.values().map(|(record, _)| *record))?;
    copy(conn, &changes, &organisations)?;
    move_interactions(conn, &changes, &organisations, &existing)?;
    known::store(conn, &outcome)
}

/// Finds the persons anew that the changes touch.
fn cluster(
    conn: &mut PgConnection,
    changes: &Changes<'_>,
    existing: &HashMap<Uuid, ExistingRow>,
    touched: Vec<Uuid>,
    new_mains: &[Uuid],
) -> Result<Outcome, StoreError> {
    let still_of =
        |id: &Uuid| existing.get(id).filter(|_| !changes.removed.contains_key(id)).and_then(ExistingRow::person);
    let put: Vec<Member> = changes
        .put
        .iter()
        .map(|(id, (record, _))| Member { facts: record.facts.clone(), person: still_of(id) })
        .collect();
    let bereft = changes.removed.keys().filter_map(|id| existing.get(id).and_then(ExistingRow::person)).collect();
    let links = put.iter().flat_map(|member| &member.facts.links).map(|link| link.key);
    let keys: Vec<Uuid> = links.chain(touched.iter().copied()).collect::<BTreeSet<_>>().into_iter().collect();
    let mut database = Database::new(conn, &put);
    let lately_alive = database.lately_alive(&keys, new_mains)?;
    regroup(&mut database, Change { put, touched, bereft, lately_alive }, Uuid::new_v4)
}

fn existing(conn: &mut PgConnection, changes: &Changes<'_>) -> Result<HashMap<Uuid, ExistingRow>, StoreError> {
    let ids: Vec<Uuid> = changes.put.keys().chain(changes.removed.keys()).copied().collect();
    let rows: Vec<ExistingRow> = sql_query(
        "SELECT c.id, c.recorded_at, c.record_offset, c.organisation_id, p.id AS person_id, p.age FROM contact c \
         LEFT JOIN person_contact pc ON pc.contact_id = c.id LEFT JOIN person p ON p.id = pc.person_id \
         WHERE c.id = ANY($1)",
    )
    .bind::<UuidArray, _>(&ids)
    .load(conn)?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// All that hangs on contacts that were taken back.
fn remove(conn: &mut PgConnection, removed: &BTreeMap<Uuid, DateTime<Utc>>) -> Result<(), StoreError> {
    if removed.is_empty() {
        return Ok(());
    }
    let (ids, at): (Vec<Uuid>, Vec<DateTime<Utc>>) = removed.iter().map(|(id, at)| (*id, *at)).unzip();
    for statement in
        ["DELETE FROM interaction WHERE contact_id = ANY($1)", "DELETE FROM person_contact WHERE contact_id = ANY($1)"]
    {
        sql_query(statement).bind::<UuidArray, _>(&ids).execute(conn)?;
    }
    sql_query(
        "INSERT INTO removed_contact (contact_id, removed_at) SELECT * FROM unnest($1, $2) \
         ON CONFLICT (contact_id) DO UPDATE SET removed_at = greatest(removed_contact.removed_at, excluded.removed_at)",
    )
    .bind::<UuidArray, _>(&ids)
    .bind::<sql_types::Array<sql_types::Timestamptz>, _>(&at)
    .execute(conn)?;
    Ok(())
}

#[derive(QueryableByName)]
struct OrganisationRow {
    #[diesel(sql_type = sql_types::Uuid)]
    id: Uuid,
    #[diesel(sql_type = sql_types::Text)]
    key: String,
}

/// Ids of the organisations by normalised name; new ones are made.
fn organisations<'a>(
    conn: &mut PgConnection,
    records: impl Iterator<Item = &'a ContactRecord>,
) -> Result<HashMap<String, Uuid>, StoreError> {
    let named: BTreeMap<&str, &str> = records
        .filter_map(|record| record.organisation.as_ref())
        .map(|(key, name)| (key.expose().as_str(), name.expose().as_str()))
        .collect();
    let keys: Vec<&str> = named.keys().copied().collect();
    let rows: Vec<OrganisationRow> = sql_query("SELECT id, key FROM organisation WHERE key = ANY($1)")
        .bind::<sql_types::Array<sql_types::Text>, _>(&keys)
        .load(conn)?;
    let mut ids: HashMap<String, Uuid> = rows.into_iter().map(|row| (row.key, row.id)).collect();
    let new: Vec<(&str, &str)> = named.into_iter().filter(|(key, _)| !ids.contains_key(*key)).collect();
    let (keys, names): (Vec<&str>, Vec<&str>) = new.iter().copied().unzip();
    let made: Vec<Uuid> = keys.iter().map(|_| Uuid::new_v4()).collect();
    if !keys.is_empty() {
        sql_query("INSERT INTO organisation (id, key, name) SELECT * FROM unnest($1, $2, $3)")
            .bind::<UuidArray, _>(&made)
            .bind::<sql_types::Array<sql_types::Text>, _>(&keys)
            .bind::<sql_types::Array<sql_types::Text>, _>(&names)
            .execute(conn)?;
    }
    ids.extend(keys.into_iter().map(str::to_owned).zip(made));
    Ok(ids)
}

fn organisation_of(record: &ContactRecord, organisations: &HashMap<String, Uuid>) -> Option<Uuid> {
    record.organisation.as_ref().and_then(|(key, _)| organisations.get(key.expose()).copied())
}

fn copy(
    conn: &mut PgConnection,
    changes: &Changes<'_>,
    organisations: &HashMap<String, Uuid>,
) -> Result<(), StoreError> {
    let rows: Vec<ContactRow<'_>> = changes
        .put
        .values()
        .map(|(record, offset)| {
            let common = &record.common;
            ContactRow {
                id: common.contact,
                company: &common.company,
                recorded_at: common.recorded_at,
                record_offset: *offset,
                occurred_at: record.occurred_at(),
                acquired_by: method(common.acquisition.method),
                acquired_on: common.acquisition.acquired_on,
                acquired_for: common.acquisition.purpose.as_str(),
                acquired_from: &common.acquisition.source,
                organisation_id: organisation_of(record, organisations),
                name_key: record.facts.name.key(),
                name_whole: record.facts.name.is_whole(),
                email_key: record.email.as_ref().map(|email| email.expose().as_str()),
                content: JsonText(common.content.expose()),
            }
        })
        .collect();
    if !rows.is_empty() {
        diesel::copy_from(contact::table).from_insertable(&rows).execute(conn)?;
    }
    let links: Vec<LinkRow> = changes
        .put
        .iter()
        .flat_map(|(id, (record, _))| {
            let row = |link: &crate::cluster::Link| LinkRow { key: link.key, contact_id: *id, by_email: link.by_email };
            record.facts.links.iter().map(row)
        })
        .collect();
    if !links.is_empty() {
        diesel::copy_from(contact_link::table).from_insertable(&links).execute(conn)?;
    }
    Ok(())
}

/// Interactions stand on the timeline of the organisation at which their contact works now; they may have come first.
fn move_interactions(
    conn: &mut PgConnection,
    changes: &Changes<'_>,
    organisations: &HashMap<String, Uuid>,
    existing: &HashMap<Uuid, ExistingRow>,
) -> Result<(), StoreError> {
    let mut moved: (Vec<Uuid>, Vec<Option<Uuid>>) = Default::default();
    for (id, (record, _)) in &changes.put {
        let organisation = organisation_of(record, organisations);
        if existing.get(id).is_none_or(|row| row.organisation_id != organisation) {
            moved.0.push(*id);
            moved.1.push(organisation);
        }
    }
    if !moved.0.is_empty() {
        sql_query(
            "UPDATE interaction i SET organisation_id = u.o FROM unnest($1, $2) AS u(c, o) \
             WHERE i.contact_id = u.c AND i.organisation_id IS DISTINCT FROM u.o",
        )
        .bind::<UuidArray, _>(&moved.0)
        .bind::<sql_types::Array<sql_types::Nullable<sql_types::Uuid>>, _>(&moved.1)
        .execute(conn)?;
    }
    Ok(())
}

#[derive(QueryableByName)]
struct KeyRow {
    #[diesel(sql_type = sql_types::Uuid)]
    key: Uuid,
}

/// Remembers main numbers; gives those that were not known as such.
fn main_numbers(conn: &mut PgConnection, changes: &Changes<'_>) -> Result<Vec<Uuid>, StoreError> {
    let numbers: BTreeSet<Uuid> = changes.put.values().filter_map(|(record, _)| record.main_number).collect();
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    let numbers: Vec<Uuid> = numbers.into_iter().collect();
    let rows: Vec<KeyRow> =
        sql_query("INSERT INTO main_number (key) SELECT * FROM unnest($1) ON CONFLICT DO NOTHING RETURNING key")
            .bind::<UuidArray, _>(&numbers)
            .load(conn)?;
    Ok(rows.into_iter().map(|row| row.key).collect())
}
