//! Contacts: the newest record of each, by (recorded at, offset), then the organisations and persons they belong to.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use diesel::{ExecuteCopyFromDsl as _, PgConnection, prelude::*, sql_query, sql_types};
use jointuse::Kind;
use store::StoreError;
use uuid::Uuid;

use super::{
    Applied,
    known::{self, Database, LinkColumns, UuidArray},
    organisations,
    rows::{ContactRow, JsonText},
};
use crate::{
    cluster::{Link, Member, Outcome, PersonRef, regroup, regroup::Change},
    record::{ContactRecord, method},
    schema::contact,
};

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

    /// The row of a contact that goes on: a tombstone makes what comes after it new.
    fn still<'r>(&self, contact: &Uuid, existing: &'r HashMap<Uuid, ExistingRow>) -> Option<&'r ExistingRow> {
        existing.get(contact).filter(|_| !self.removed.contains_key(contact))
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
    #[diesel(sql_type = sql_types::Uuid)]
    person_id: Uuid,
    #[diesel(sql_type = sql_types::BigInt)]
    age: i64,
    #[diesel(embed)]
    links: LinkColumns,
}

impl ExistingRow {
    const fn person(&self) -> PersonRef {
        PersonRef { age: self.age, id: self.person_id }
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
        let there = existing.get(id).filter(|_| !changes.removed.contains_key(id));
        let newer = there.is_none_or(|row| (record.common.recorded_at, *offset) > (row.recorded_at, row.record_offset));
        applied.count(Kind::Contact, if newer { "stored" } else { "older" });
        newer
    });
    // What stands of what is changed or removed goes; what is put comes anew.
    let gone = |id: &&Uuid| changes.put.contains_key(id) || changes.removed.contains_key(id);
    let gone: Vec<Uuid> = existing.keys().filter(gone).copied().collect();
    let mut touched: Vec<Link> =
        gone.iter().filter_map(|id| existing.get(id)).flat_map(|row| row.links.links()).collect();
    remove(conn, &changes.removed)?;
    if !gone.is_empty() {
        sql_query("DELETE FROM contact WHERE id = ANY($1)").bind::<UuidArray, _>(&gone).execute(conn)?;
    }
    let new_mains = main_numbers(conn, &changes)?;
    touched.extend(new_mains.iter().map(|key| Link { key: *key, by_email: false }));
    // Now that the database has no record of the contacts that are put, the clusterer may ask it.
    let outcome = cluster(conn, &changes, &existing, touched, &new_mains)?;
    applied.created += outcome.created.len() as u64;
    applied.merged += outcome.merged.len() as u64;

    let organisations = organisations::find_or_make(conn, changes.put.values().map(|(record, _)| *record))?;
    copy(conn, &changes, &existing, &outcome, &organisations)?;
    move_interactions(conn, &changes, &organisations, &existing)?;
    known::store(conn, &outcome, |contact| changes.put.contains_key(contact))
}

/// Finds the persons anew that the changes touch.
fn cluster(
    conn: &mut PgConnection,
    changes: &Changes<'_>,
    existing: &HashMap<Uuid, ExistingRow>,
    touched: Vec<Link>,
    new_mains: &[Uuid],
) -> Result<Outcome, StoreError> {
    let member = |(id, (record, _)): (&Uuid, &(&ContactRecord, i64))| Member {
        facts: record.facts.clone(),
        person: changes.still(id, existing).map(ExistingRow::person),
    };
    let put: Vec<Member> = changes.put.iter().map(member).collect();
    let bereft = changes.removed.keys().filter_map(|id| existing.get(id)).map(ExistingRow::person).collect();
    let links: HashSet<Link> = put.iter().flat_map(|member| &member.facts.links).chain(&touched).copied().collect();
    let links: Vec<Link> = links.into_iter().collect();
    let mut database = Database::new(conn, changes.put.values().map(|(record, _)| &record.facts));
    let lately_alive = database.lately_alive(&links, new_mains)?;
    regroup(&mut database, Change { put, touched, bereft, lately_alive }, Uuid::new_v4)
}

fn existing(conn: &mut PgConnection, changes: &Changes<'_>) -> Result<HashMap<Uuid, ExistingRow>, StoreError> {
    let ids: Vec<Uuid> = changes.put.keys().chain(changes.removed.keys()).copied().collect();
    let rows: Vec<ExistingRow> = sql_query(
        "SELECT c.id, c.recorded_at, c.record_offset, c.organisation_id, c.person_id, p.age, \
         c.email_link, c.number_link, c.other_number_link \
         FROM unnest($1) AS u(id) JOIN contact c ON c.id = u.id JOIN person p ON p.id = c.person_id",
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
    sql_query("DELETE FROM interaction WHERE contact_id = ANY($1)").bind::<UuidArray, _>(&ids).execute(conn)?;
    sql_query(
        "INSERT INTO removed_contact (contact_id, removed_at) SELECT * FROM unnest($1, $2) \
         ON CONFLICT (contact_id) DO UPDATE SET removed_at = greatest(removed_contact.removed_at, excluded.removed_at)",
    )
    .bind::<UuidArray, _>(&ids)
    .bind::<sql_types::Array<sql_types::Timestamptz>, _>(&at)
    .execute(conn)?;
    Ok(())
}

fn copy(
    conn: &mut PgConnection,
    changes: &Changes<'_>,
    existing: &HashMap<Uuid, ExistingRow>,
    outcome: &Outcome,
    organisations: &HashMap<String, Uuid>,
) -> Result<(), StoreError> {
    let rows: Vec<ContactRow<'_>> = changes
        .put
        .values()
        .map(|(record, offset)| {
            let common = &record.common;
            let links = LinkColumns::of(&record.facts.links);
            let still = || changes.still(&common.contact, existing).map(|row| row.person_id);
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
                organisation_id: organisations::of(record, organisations),
                name_key: record.facts.name.key(),
                name_whole: record.facts.name.is_whole(),
                email_key: record.email.as_ref().map(|email| email.expose().as_str()),
                content: JsonText(common.content.expose()),
                person_id: outcome.person_of(common.contact).or_else(still),
                email_link: links.email_link,
                number_link: links.number_link,
                other_number_link: links.other_number_link,
            }
        })
        .collect();
    if !rows.is_empty() {
        diesel::copy_from(contact::table).from_insertable(&rows).execute(conn)?;
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
        let organisation = organisations::of(record, organisations);
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
