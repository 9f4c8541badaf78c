//! Contacts that were erased: what was remembered of them is forgotten, and nothing is remembered any more.

use std::collections::HashSet;

use diesel::{
    PgConnection, QueryableByName, RunQueryDsl as _,
    connection::SimpleConnection as _,
    sql_query,
    sql_types::{Array, Uuid as SqlUuid},
};
use store::{Store, StoreError};
use uuid::Uuid;

use super::published::{Acknowledged, Changes};
use crate::judge::Id;

/// Held shared by whoever remembers what was published, and alone by whoever forgets: a batch that was sealed before its
/// contact was erased is remembered before, and forgotten, or comes after, and is not remembered.
const LOCK: i64 = 0x696e_7461_6b65_0001;

/// Forgets all digests of contacts and of what was published about them.
///
/// # Errors
/// When the database does not take it, or is not migrated yet.
pub async fn forget(store: &Store, contacts: Vec<Id>) -> Result<(), StoreError> {
    let contacts: Vec<Uuid> = contacts.into_iter().map(Uuid::from_bytes).collect();
    let statements = [
        "INSERT INTO erased (contact) SELECT * FROM unnest($1) ON CONFLICT DO NOTHING",
        "DELETE FROM superseded s WHERE s.record_id = ANY($1) \
            OR s.record_id IN (SELECT p.record_id FROM published p WHERE p.contact = ANY($1))",
        "DELETE FROM published WHERE record_id = ANY($1) OR contact = ANY($1)",
    ];
    let forget = move |conn: &mut PgConnection| {
        conn.batch_execute(&format!("SELECT pg_advisory_xact_lock({LOCK})"))?;
        for statement in statements {
            sql_query(statement).bind::<Array<SqlUuid>, _>(&contacts).execute(conn)?;
        }
        Ok::<_, StoreError>(())
    };
    store.run_tx("erased_forget", forget).await
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = SqlUuid)]
    contact: Uuid,
}

/// What may be remembered of a batch: nothing of those who were erased meanwhile.
pub(super) fn without(conn: &mut PgConnection, changes: &Changes) -> Result<Option<Changes>, StoreError> {
    conn.batch_execute(&format!("SELECT pg_advisory_xact_lock_shared({LOCK})"))?;
    let contacts: Vec<Uuid> = changes.new.iter().chain(&changes.changed).map(Acknowledged::about).collect();
    let rows: Vec<Row> = sql_query("SELECT e.contact FROM erased e WHERE e.contact = ANY($1)")
        .bind::<Array<SqlUuid>, _>(contacts)
        .load(conn)?;
    if rows.is_empty() {
        return Ok(None);
    }
    let erased: HashSet<Uuid> = rows.into_iter().map(|row| row.contact).collect();
    let of_erased = changes.new.iter().chain(&changes.changed).filter(|row| erased.contains(&row.about()));
    let records: HashSet<Id> = of_erased.map(|row| row.record_id.into_bytes()).collect();
    let mut rest = changes.clone();
    rest.new.retain(|row| !erased.contains(&row.about()));
    rest.changed.retain(|row| !erased.contains(&row.about()));
    rest.lost.retain(|(id, _)| !records.contains(id));
    Ok(Some(rest))
}
