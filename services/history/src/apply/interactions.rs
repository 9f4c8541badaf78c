//! Interactions: the newest version of each, by (sequence, recorded at, offset).

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{ExecuteCopyFromDsl as _, PgConnection, prelude::*, sql_query, sql_types};
use jointuse::Kind;
use store::StoreError;
use uuid::Uuid;

use super::{
    Applied,
    rows::{InteractionRow, JsonText},
};
use crate::{
    record::{InteractionRecord, method},
    schema::interaction,
};

type Version = (i32, DateTime<Utc>, i64);
type Incoming<'a> = (&'a InteractionRecord, i64);

fn version((record, offset): &Incoming<'_>) -> Version {
    (record.sequence, record.common.recorded_at, *offset)
}

#[derive(QueryableByName)]
struct ExistingRow {
    #[diesel(sql_type = sql_types::Uuid)]
    record_id: Uuid,
    #[diesel(sql_type = sql_types::Uuid)]
    contact_id: Uuid,
    #[diesel(sql_type = sql_types::Integer)]
    sequence: i32,
    #[diesel(sql_type = sql_types::Timestamptz)]
    recorded_at: DateTime<Utc>,
    #[diesel(sql_type = sql_types::BigInt)]
    record_offset: i64,
}

#[derive(QueryableByName)]
struct PlaceRow {
    #[diesel(sql_type = sql_types::Uuid)]
    contact_id: Uuid,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Uuid>)]
    organisation_id: Option<Uuid>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Timestamptz>)]
    removed_at: Option<DateTime<Utc>>,
}

pub(super) fn apply(
    conn: &mut PgConnection,
    incoming: Vec<Incoming<'_>>,
    applied: &mut Applied,
) -> Result<(), StoreError> {
    if incoming.is_empty() {
        return Ok(());
    }
    let places = places(conn, &incoming)?;
    let mut newest: HashMap<(Uuid, Uuid), Incoming<'_>> = HashMap::with_capacity(incoming.len());
    for one in incoming {
        let kind = one.0.kind;
        let removed = places.get(&one.0.common.contact).and_then(|place| place.removed_at);
        if removed.is_some_and(|removed| one.0.common.recorded_at <= removed) {
            applied.count(kind, "withdrawn");
            continue;
        }
        let slot = newest.entry((one.0.record, one.0.common.contact));
        match slot {
            std::collections::hash_map::Entry::Vacant(slot) => {
                slot.insert(one);
            }
            std::collections::hash_map::Entry::Occupied(mut slot) => {
                applied.count(kind, "older");
                if version(&one) > version(slot.get()) {
                    slot.insert(one);
                }
            }
        }
    }
    let replaced = drop_older(conn, &mut newest, applied)?;
    delete(conn, &replaced)?;
    let rows: Vec<InteractionRow<'_>> = newest
        .values()
        .map(|one| {
            applied.count(one.0.kind, "stored");
            row(one, places.get(&one.0.common.contact).and_then(|place| place.organisation_id))
        })
        .collect();
    if !rows.is_empty() {
        diesel::copy_from(interaction::table).from_insertable(&rows).execute(conn)?;
    }
    Ok(())
}

fn row<'a>((record, offset): &Incoming<'a>, organisation_id: Option<Uuid>) -> InteractionRow<'a> {
    let common = &record.common;
    InteractionRow {
        record_id: record.record,
        contact_id: common.contact,
        kind: record.kind.as_str(),
        company: &common.company,
        occurred_at: record.occurred_at,
        recorded_at: common.recorded_at,
        sequence: record.sequence,
        record_offset: *offset,
        acquired_by: method(common.acquisition.method),
        acquired_on: common.acquisition.acquired_on,
        acquired_for: common.acquisition.purpose.as_str(),
        acquired_from: &common.acquisition.source,
        organisation_id,
        content: JsonText(common.content.expose()),
    }
}

/// Where the contacts of the batch work, and which of them were taken back.
fn places(conn: &mut PgConnection, incoming: &[Incoming<'_>]) -> Result<HashMap<Uuid, PlaceRow>, StoreError> {
    let mut contacts: Vec<Uuid> = incoming.iter().map(|one| one.0.common.contact).collect();
    contacts.sort_unstable();
    contacts.dedup();
    let rows: Vec<PlaceRow> = sql_query(
        "SELECT u.id AS contact_id, c.organisation_id, r.removed_at FROM unnest($1) AS u(id) \
         LEFT JOIN contact c ON c.id = u.id LEFT JOIN removed_contact r ON r.contact_id = u.id",
    )
    .bind::<sql_types::Array<sql_types::Uuid>, _>(&contacts)
    .load(conn)?;
    Ok(rows.into_iter().map(|row| (row.contact_id, row)).collect())
}

/// Drops what the database has in the same or a newer version; gives the keys of what is to be replaced.
fn drop_older(
    conn: &mut PgConnection,
    newest: &mut HashMap<(Uuid, Uuid), Incoming<'_>>,
    applied: &mut Applied,
) -> Result<Vec<(Uuid, Uuid)>, StoreError> {
    let (records, contacts): (Vec<Uuid>, Vec<Uuid>) = newest.keys().copied().unzip();
    let existing: Vec<ExistingRow> = sql_query(
        "SELECT i.record_id, i.contact_id, i.sequence, i.recorded_at, i.record_offset \
         FROM unnest($1, $2) AS u(r, c) JOIN interaction i ON i.record_id = u.r AND i.contact_id = u.c",
    )
    .bind::<sql_types::Array<sql_types::Uuid>, _>(&records)
    .bind::<sql_types::Array<sql_types::Uuid>, _>(&contacts)
    .load(conn)?;
    let mut replaced = Vec::new();
    for row in existing {
        let key = (row.record_id, row.contact_id);
        let kind: Option<Kind> = newest.get(&key).map(|one| one.0.kind);
        let there = (row.sequence, row.recorded_at, row.record_offset);
        if newest.get(&key).is_some_and(|one| version(one) > there) {
            replaced.push(key);
        } else {
            newest.remove(&key);
            if let Some(kind) = kind {
                applied.count(kind, "older");
            }
        }
    }
    Ok(replaced)
}

fn delete(conn: &mut PgConnection, keys: &[(Uuid, Uuid)]) -> Result<(), StoreError> {
    if keys.is_empty() {
        return Ok(());
    }
    let (records, contacts): (Vec<Uuid>, Vec<Uuid>) = keys.iter().copied().unzip();
    sql_query(
        "DELETE FROM interaction i USING unnest($1, $2) AS u(r, c) WHERE i.record_id = u.r AND i.contact_id = u.c",
    )
    .bind::<sql_types::Array<sql_types::Uuid>, _>(&records)
    .bind::<sql_types::Array<sql_types::Uuid>, _>(&contacts)
    .execute(conn)?;
    Ok(())
}
