//! Queries of the registry.

use chrono::{DateTime, Utc};
use contract::{Level, Schema};
use diesel::{prelude::*, sql_types::BigInt};
use store::StoreError;

use super::model::{Registered, Which};

diesel::table! {
    registry_schema (id) {
        id -> Integer,
        identity -> Binary,
        text -> Text,
        registered_at -> Timestamptz,
        registered_by -> Text,
    }
}

diesel::table! {
    registry_version (subject, version) {
        subject -> Text,
        version -> Integer,
        schema_id -> Integer,
        registered_at -> Timestamptz,
        registered_by -> Text,
    }
}

diesel::table! {
    registry_config (subject) {
        subject -> Text,
        compatibility -> Text,
        set_at -> Timestamptz,
        set_by -> Text,
    }
}

diesel::joinable!(registry_version -> registry_schema (schema_id));
diesel::allow_tables_to_appear_in_same_query!(registry_version, registry_schema);

/// The registry's own level, kept under the empty subject.
const GLOBAL: &str = "";

/// The level until a steward sets another: topics keep old records and old readers for years, so every version must
/// read every other.
pub(super) const DEFAULT_LEVEL: Level = Level::FullTransitive;

/// Any number that no other lock of this database has.
const LOCK: i64 = 0x6a75_7265_6769_7374;

/// Registrations go one after another until the transaction ends.
pub(super) fn lock(conn: &mut PgConnection) -> Result<(), StoreError> {
    diesel::sql_query("SELECT pg_advisory_xact_lock($1)").bind::<BigInt, _>(LOCK).execute(conn)?;
    Ok(())
}

pub(super) fn text(conn: &mut PgConnection, id: i32) -> Result<Option<String>, StoreError> {
    Ok(registry_schema::table.find(id).select(registry_schema::text).first(conn).optional()?)
}

pub(super) fn max_id(conn: &mut PgConnection) -> Result<Option<i32>, StoreError> {
    Ok(registry_schema::table.select(diesel::dsl::max(registry_schema::id)).first(conn)?)
}

pub(super) fn subjects(conn: &mut PgConnection) -> Result<Vec<String>, StoreError> {
    Ok(registry_version::table
        .select(registry_version::subject)
        .distinct()
        .order(registry_version::subject)
        .load(conn)?)
}

pub(super) fn versions(conn: &mut PgConnection, subject: &str) -> Result<Vec<i32>, StoreError> {
    Ok(registry_version::table
        .filter(registry_version::subject.eq(subject))
        .order(registry_version::version)
        .select(registry_version::version)
        .load(conn)?)
}

type Row = (String, i32, i32, String);

fn registered((subject, id, version, schema): Row) -> Registered {
    Registered { subject, id, version, schema }
}

/// One version; of a subject without any, nothing.
pub(super) fn version(conn: &mut PgConnection, subject: &str, which: Which) -> Result<Option<Registered>, StoreError> {
    let mut query = registry_version::table
        .inner_join(registry_schema::table)
        .filter(registry_version::subject.eq(subject))
        .order(registry_version::version.desc())
        .select((registry_version::subject, registry_schema::id, registry_version::version, registry_schema::text))
        .into_boxed();
    if let Which::Number(number) = which {
        query = query.filter(registry_version::version.eq(number));
    }
    Ok(query.first::<Row>(conn).optional()?.map(registered))
}

/// All versions of all subjects.
pub(super) fn all(conn: &mut PgConnection) -> Result<Vec<Registered>, StoreError> {
    let rows: Vec<Row> = registry_version::table
        .inner_join(registry_schema::table)
        .order((registry_version::subject, registry_version::version))
        .select((registry_version::subject, registry_schema::id, registry_version::version, registry_schema::text))
        .load(conn)?;
    Ok(rows.into_iter().map(registered).collect())
}

/// The version under which a subject has this schema.
pub(super) fn find(conn: &mut PgConnection, subject: &str, schema: &Schema) -> Result<Option<Registered>, StoreError> {
    let row: Option<Row> = registry_version::table
        .inner_join(registry_schema::table)
        .filter(registry_version::subject.eq(subject))
        .filter(registry_schema::identity.eq(schema.identity().to_vec()))
        .select((registry_version::subject, registry_schema::id, registry_version::version, registry_schema::text))
        .first(conn)
        .optional()?;
    Ok(row.map(registered))
}

/// Where a schema is registered.
pub(super) fn uses(conn: &mut PgConnection, id: i32) -> Result<Vec<(String, i32)>, StoreError> {
    Ok(registry_version::table
        .filter(registry_version::schema_id.eq(id))
        .order((registry_version::subject, registry_version::version))
        .select((registry_version::subject, registry_version::version))
        .load(conn)?)
}

/// The subject's versions with their schemas, oldest first.
pub(super) fn history(conn: &mut PgConnection, subject: &str) -> Result<Vec<(i32, Schema)>, StoreError> {
    let rows: Vec<(i32, String)> = registry_version::table
        .inner_join(registry_schema::table)
        .filter(registry_version::subject.eq(subject))
        .order(registry_version::version)
        .select((registry_version::version, registry_schema::text))
        .load(conn)?;
    let parse = |(version, text): (i32, String)| {
        let schema = Schema::parse(&text).map_err(|_| StoreError::Mapping("result"))?;
        Ok((version, schema))
    };
    rows.into_iter().map(parse).collect()
}

/// Adds the schema under the subject as its next version. The caller holds the [`lock`] and found that it is not there.
pub(super) fn add(
    conn: &mut PgConnection,
    subject: &str,
    schema: &Schema,
    text: &str,
    by: &str,
    at: DateTime<Utc>,
) -> Result<Registered, StoreError> {
    let identity = schema.identity().to_vec();
    let known: Option<i32> = registry_schema::table
        .filter(registry_schema::identity.eq(&identity))
        .select(registry_schema::id)
        .first(conn)
        .optional()?;
    let id = match known {
        Some(id) => id,
        None => diesel::insert_into(registry_schema::table)
            .values((
                registry_schema::identity.eq(&identity),
                registry_schema::text.eq(text),
                registry_schema::registered_at.eq(at),
                registry_schema::registered_by.eq(by),
            ))
            .returning(registry_schema::id)
            .get_result(conn)?,
    };
    let version: i32 = diesel::insert_into(registry_version::table)
        .values((
            registry_version::subject.eq(subject),
            registry_version::version.eq(versions(conn, subject)?.last().copied().unwrap_or(0) + 1),
            registry_version::schema_id.eq(id),
            registry_version::registered_at.eq(at),
            registry_version::registered_by.eq(by),
        ))
        .returning(registry_version::version)
        .get_result(conn)?;
    Ok(Registered { subject: subject.to_owned(), id, version, schema: text.to_owned() })
}

/// The level set for a subject itself.
pub(super) fn subject_level(conn: &mut PgConnection, subject: &str) -> Result<Option<Level>, StoreError> {
    let level: Option<String> =
        registry_config::table.find(subject).select(registry_config::compatibility).first(conn).optional()?;
    level.map(|level| level.parse().map_err(|_| StoreError::Mapping("result"))).transpose()
}

/// The registry's level.
pub(super) fn global_level(conn: &mut PgConnection) -> Result<Level, StoreError> {
    Ok(subject_level(conn, GLOBAL)?.unwrap_or(DEFAULT_LEVEL))
}

/// The level that holds for a subject.
pub(super) fn level(conn: &mut PgConnection, subject: &str) -> Result<Level, StoreError> {
    match subject_level(conn, subject)? {
        Some(level) => Ok(level),
        None => global_level(conn),
    }
}

/// Sets a level: the registry's when `subject` is absent.
pub(super) fn set_level(
    conn: &mut PgConnection,
    subject: Option<&str>,
    level: Level,
    by: &str,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let values = (
        registry_config::subject.eq(subject.unwrap_or(GLOBAL)),
        registry_config::compatibility.eq(level.as_str()),
        registry_config::set_at.eq(at),
        registry_config::set_by.eq(by),
    );
    diesel::insert_into(registry_config::table)
        .values(values)
        .on_conflict(registry_config::subject)
        .do_update()
        .set((
            registry_config::compatibility.eq(level.as_str()),
            registry_config::set_at.eq(at),
            registry_config::set_by.eq(by),
        ))
        .execute(conn)?;
    Ok(())
}

/// Takes back a subject's own level; gives what it was.
pub(super) fn unset_level(conn: &mut PgConnection, subject: &str) -> Result<Option<Level>, StoreError> {
    let level = subject_level(conn, subject)?;
    diesel::delete(registry_config::table.find(subject)).execute(conn)?;
    Ok(level)
}
