//! Logs one after another. The first has the name of `audit.origin`, the second `<origin>/2`, and so on, all under one key.
//!
//! A database that was restored from a backup is shorter than what was signed, and to go on from there would show two histories
//! under one name. So the log is put aside as it is, with all that belongs to it, and another begins whose first entry commits
//! to the newest checkpoint that was signed of the one before: whoever kept one of those can tell what was lost.

use audit::{
    Entry,
    checkpoint::{Checkpoint, SignedCheckpoint},
    export::ExportedEntry,
    tree::verify_consistency,
};
use authority_api::audit::{BEGIN, Beginning};
use chrono::{DateTime, Utc};
use diesel::{connection::SimpleConnection as _, prelude::*};
use store::StoreError;

use super::{
    db::{self, BROKEN, Kept},
    identity::Identity,
    record,
    signer::{self, Found},
};
use crate::{
    db::activity::{self, Step},
    error::Refusal,
};

diesel::table! {
    audit_log (number) {
        number -> Integer,
        begun_at -> Timestamptz,
        former -> Text,
    }
}

/// A log that was begun after another.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub(crate) struct Begun {
    pub(crate) number: i32,
    pub(crate) begun_at: DateTime<Utc>,
    /// The newest checkpoint that was signed of the one before.
    pub(crate) former: String,
}

/// The log that entries go to; none was begun after the first.
pub(crate) fn current(conn: &mut PgConnection) -> Result<Option<Begun>, StoreError> {
    Ok(audit_log::table.order(audit_log::number.desc()).first(conn).optional()?)
}

/// All that were begun after the first.
pub(super) fn begun(conn: &mut PgConnection) -> Result<Vec<Begun>, StoreError> {
    Ok(audit_log::table.order(audit_log::number).load(conn)?)
}

/// From here to the end of the transaction, queries are of this log.
pub(super) fn choose(conn: &mut PgConnection, number: Option<i32>) -> Result<(), Refusal> {
    let newest = current(conn)?.map_or(1, |begun| begun.number);
    let Some(number) = number.filter(|number| *number != newest) else { return Ok(()) };
    if number < 1 || number > newest || !is_here(conn, number)? {
        return Err(Refusal::NotFound("audit log of this number"));
    }
    Ok(conn.batch_execute(&format!("SET LOCAL search_path TO audit_{number}, public")).map_err(StoreError::from)?)
}

/// Whether a log was put aside here; one that a restore lost has a number but no tables.
pub(super) fn is_here(conn: &mut PgConnection, number: i32) -> Result<bool, StoreError> {
    let table = format!("to_regclass('audit_{number}.audit_leaf') IS NOT NULL");
    Ok(diesel::select(diesel::dsl::sql::<diesel::sql_types::Bool>(&table)).get_result(conn)?)
}

/// Erases what entries commit to that name any of these contacts and persons, in every log that is here: leaves stay, and with them
/// all that was signed. Gives how many openings there were. What is recorded at the same time is waited for.
pub(crate) fn forget(conn: &mut PgConnection, names: &[String]) -> Result<usize, StoreError> {
    db::lock(conn)?;
    let newest = current(conn)?.map_or(1, |begun| begun.number);
    let mut forgotten = db::forget(conn, "audit_opening", names)?;
    for number in 1..newest {
        if is_here(conn, number)? {
            forgotten += db::forget(conn, &format!("audit_{number}.audit_opening"), names)?;
        }
    }
    Ok(forgotten)
}

/// Why no log is begun.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BeginError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the log can be continued, there is no reason to begin another")]
    Sound,
    #[error("log {0} was begun after this checkpoint already: start the authority")]
    Already(i32),
    #[error("the checkpoint that was kept is not of this authority's logs")]
    Foreign,
    #[error(
        "the checkpoint that was kept is of log {kept}, and log {here} was begun since: put the newest checkpoint in its place"
    )]
    Old { kept: i32, here: i32 },
}

/// What was done.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) number: i32,
    /// Entries that the newest checkpoint of the log before covers, and those of them that are here.
    pub(crate) signed: u64,
    pub(crate) here: u64,
    /// Entries that no checkpoint in the database covers: they are in the new log too.
    pub(crate) carried: u64,
}

/// Puts the log aside and begins another. `kept` is the newest checkpoint that was signed.
pub(crate) fn begin(
    conn: &mut PgConnection,
    identity: &Identity,
    kept: &SignedCheckpoint,
    reason: &str,
    at: DateTime<Utc>,
) -> Result<Done, BeginError> {
    db::lock(conn)?;
    let former = current(conn)?;
    let here = former.as_ref().map_or(1, |begun| begun.number);
    if former.is_some_and(|begun| begun.former == kept.to_string()) {
        return Err(BeginError::Already(here));
    }
    let of = identity.number_of(kept).ok_or(BeginError::Foreign)?;
    if of < here {
        return Err(BeginError::Old { kept: of, here });
    }
    let signed = kept.claims().size;
    let found = signer::find(conn, signed)?;
    if of == here && continues(&found, kept.claims()) {
        return Err(BeginError::Sound);
    }
    let size = found.size;
    let covered = db::newest(conn)?.map_or(0, |newest| newest.claims().size);
    let unsigned = tail(conn, covered, size)?;
    let (number, carried) = (of + 1, u64::try_from(unsigned.len()).map_err(|_| BROKEN)?);
    put_aside(conn, here)?;
    let new = Begun { number, begun_at: at, former: kept.to_string() };
    let row = (audit_log::number.eq(new.number), audit_log::begun_at.eq(at), audit_log::former.eq(&new.former));
    diesel::insert_into(audit_log::table).values(row).execute(conn).map_err(StoreError::from)?;
    let key = identity.key_of(number).map_err(|_| BROKEN)?;
    let step = Step { at, operator: None, action: BEGIN, subject: key.name().as_str(), reason };
    let details = Beginning { former: new.former, here: size, carried };
    let details = serde_json::to_value(details).map_err(|_| StoreError::Mapping("parameter"))?;
    activity::record_in_full(conn, step, &details)?;
    record::append_all(conn, unsigned)?;
    Ok(Done { number, signed, here: size, carried })
}

/// Whether the entries here continue what was signed.
fn continues(found: &Found, signed: &Checkpoint) -> bool {
    let Found { size, root, proof } = found;
    let holds = |proof: &Vec<_>| verify_consistency(signed.size, &signed.root, *size, root, proof).is_ok();
    proof.as_ref().is_some_and(holds)
}

/// Entries that no checkpoint covers, with their openings. One that cannot be read was altered by somebody, and stays where it is.
fn tail(conn: &mut PgConnection, from: u64, size: u64) -> Result<Vec<(Entry, Option<Kept>)>, StoreError> {
    let mut about = db::about(conn, from)?;
    let entries = db::entries(conn, from, i64::MAX, size, true)?;
    let read = |exported: ExportedEntry| {
        let entry = Entry::read(exported.leaf.as_deref()?).ok()?;
        let about = about.remove(&exported.index).unwrap_or_default();
        Some((entry, exported.opening.map(|opening| Kept { opening, about })))
    };
    Ok(entries.into_iter().filter_map(read).collect())
}

/// Moves the log's tables into a schema of their own, and makes new ones as the migrations made the first.
fn put_aside(conn: &mut PgConnection, number: i32) -> Result<(), StoreError> {
    let former = format!("audit_{number}");
    let mut sql = format!("CREATE SCHEMA {former};\n");
    let tables = ["leaf", "node", "opening", "checkpoint", "cosignature"];
    for table in tables {
        sql += &format!("ALTER TABLE audit_{table} SET SCHEMA {former};\n");
    }
    for table in tables {
        let keys = match table {
            "opening" => ", FOREIGN KEY (index) REFERENCES audit_leaf (index)",
            "cosignature" => {
                ", FOREIGN KEY (size) REFERENCES audit_checkpoint (size), FOREIGN KEY (cosigner) REFERENCES audit_cosigner (id)"
            }
            _ => "",
        };
        // What an opening holds may have to be forgotten.
        let (name, when) = match table {
            "opening" => ("never_changed", "UPDATE OR TRUNCATE"),
            _ => ("append_only", "UPDATE OR DELETE OR TRUNCATE"),
        };
        sql += &format!(
            "CREATE TABLE audit_{table} (LIKE {former}.audit_{table} INCLUDING ALL{keys});\n\
             CREATE TRIGGER audit_{table}_{name} BEFORE {when} ON audit_{table} \
             FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();\n"
        );
    }
    Ok(conn.batch_execute(&sql)?)
}
