//! Erasures, their steps and their certificates.

use authority_api::erasure::{Asked, Erasure, ErasureStep, StepTaken, Tombstone};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use store::StoreError;
use uuid::Uuid;

use super::{parsed, set, texts, word};

diesel::table! {
    erasure (id) {
        id -> Uuid,
        contacts -> Array<Text>,
        person -> Nullable<Uuid>,
        reason -> Text,
        asked_by -> Text,
        asked_at -> Timestamptz,
        certificate -> Nullable<Text>,
    }
}

diesel::table! {
    erasure_step (erasure, step) {
        erasure -> Uuid,
        step -> Text,
        at -> Timestamptz,
    }
}

diesel::table! {
    erasure_tombstone (erasure, contact) {
        erasure -> Uuid,
        contact -> Text,
        topic -> Text,
        partition -> Integer,
        position -> BigInt,
    }
}

diesel::allow_tables_to_appear_in_same_query!(erasure, erasure_step, erasure_tombstone);

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = erasure, check_for_backend(diesel::pg::Pg))]
struct Row {
    id: Uuid,
    contacts: Vec<String>,
    person: Option<Uuid>,
    reason: String,
    asked_by: String,
    asked_at: DateTime<Utc>,
}

/// Adds one, unless it is there. Gives whether it was not.
pub(crate) fn add(conn: &mut PgConnection, id: Uuid, asked: &Asked) -> Result<bool, StoreError> {
    let added = diesel::insert_into(erasure::table)
        .values((
            erasure::id.eq(id),
            erasure::contacts.eq(texts(&asked.contacts)),
            erasure::person.eq(asked.person),
            erasure::reason.eq(asked.reason.as_str()),
            erasure::asked_by.eq(asked.asked_by.as_str()),
            erasure::asked_at.eq(asked.asked_at),
        ))
        .on_conflict_do_nothing()
        .execute(conn)?;
    Ok(added > 0)
}

/// One.
pub(crate) fn find(conn: &mut PgConnection, id: Uuid) -> Result<Option<Erasure>, StoreError> {
    let row = erasure::table.find(id).select(Row::as_select()).first(conn).optional()?;
    Ok(with_steps(conn, row.into_iter().collect())?.pop())
}

/// The newest, newest first.
pub(crate) fn newest(conn: &mut PgConnection, limit: i64) -> Result<Vec<Erasure>, StoreError> {
    let rows = erasure::table
        .order((erasure::asked_at.desc(), erasure::id))
        .limit(limit)
        .select(Row::as_select())
        .load(conn)?;
    with_steps(conn, rows)
}

/// Those that are not finished, oldest first.
pub(crate) fn unfinished(conn: &mut PgConnection, limit: i64) -> Result<Vec<Erasure>, StoreError> {
    let rows = erasure::table
        .filter(erasure::certificate.is_null())
        .order((erasure::asked_at, erasure::id))
        .limit(limit)
        .select(Row::as_select())
        .load(conn)?;
    with_steps(conn, rows)
}

fn with_steps(conn: &mut PgConnection, rows: Vec<Row>) -> Result<Vec<Erasure>, StoreError> {
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let steps: Vec<(Uuid, String, DateTime<Utc>)> =
        erasure_step::table.filter(erasure_step::erasure.eq_any(&ids)).load(conn)?;
    let whole = |row: Row| {
        let taken = steps.iter().filter(|(of, ..)| *of == row.id);
        let taken = taken.map(|(_, step, at)| Ok(StepTaken { step: word(step)?, at: *at }));
        let mut taken: Vec<StepTaken> = taken.collect::<Result<_, StoreError>>()?;
        taken.sort_unstable_by_key(|taken| taken.step);
        let next = ErasureStep::ALL.into_iter().find(|step| !taken.iter().any(|taken| taken.step == *step));
        Ok(Erasure {
            id: row.id,
            asked: Asked {
                contacts: set(&row.contacts)?,
                person: row.person,
                reason: word(&row.reason)?,
                asked_by: parsed(&row.asked_by)?,
                asked_at: row.asked_at,
            },
            steps: taken,
            next,
        })
    };
    rows.into_iter().map(whole).collect()
}

/// Notes that a step is done; the first time stays.
pub(crate) fn took(conn: &mut PgConnection, id: Uuid, step: ErasureStep, at: DateTime<Utc>) -> Result<(), StoreError> {
    diesel::insert_into(erasure_step::table)
        .values((erasure_step::erasure.eq(id), erasure_step::step.eq(step.as_str()), erasure_step::at.eq(at)))
        .on_conflict_do_nothing()
        .execute(conn)?;
    Ok(())
}

/// Notes where the tombstones are; the first ones stay.
pub(crate) fn buried(conn: &mut PgConnection, id: Uuid, tombstones: &[Tombstone]) -> Result<(), StoreError> {
    use erasure_tombstone::dsl;
    let row = |tombstone: &Tombstone| {
        (
            dsl::erasure.eq(id),
            dsl::contact.eq(tombstone.contact.as_str().to_owned()),
            dsl::topic.eq(tombstone.topic.clone()),
            dsl::partition.eq(tombstone.partition),
            dsl::position.eq(tombstone.offset),
        )
    };
    let rows: Vec<_> = tombstones.iter().map(row).collect();
    diesel::insert_into(dsl::erasure_tombstone).values(rows).on_conflict_do_nothing().execute(conn)?;
    Ok(())
}

/// Where the tombstones are.
pub(crate) fn tombstones(conn: &mut PgConnection, id: Uuid) -> Result<Vec<Tombstone>, StoreError> {
    use erasure_tombstone::dsl;
    let rows: Vec<(Uuid, String, String, i32, i64)> =
        dsl::erasure_tombstone.filter(dsl::erasure.eq(id)).order(dsl::contact).load(conn)?;
    let tombstone = |(_, contact, topic, partition, offset): (Uuid, String, String, i32, i64)| {
        Ok(Tombstone { contact: parsed(&contact)?, topic, partition, offset })
    };
    rows.into_iter().map(tombstone).collect()
}

/// Keeps the certificate; the first stays. Gives whether this is the first.
pub(crate) fn certify(conn: &mut PgConnection, id: Uuid, certificate: &str) -> Result<bool, StoreError> {
    let kept = diesel::update(erasure::table.find(id).filter(erasure::certificate.is_null()))
        .set(erasure::certificate.eq(certificate))
        .execute(conn)?;
    Ok(kept > 0)
}

/// The certificate: no such erasure, none yet, or this.
pub(crate) fn certificate(conn: &mut PgConnection, id: Uuid) -> Result<Option<Option<String>>, StoreError> {
    Ok(erasure::table.find(id).select(erasure::certificate).first(conn).optional()?)
}
