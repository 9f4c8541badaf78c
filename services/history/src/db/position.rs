//! Where the records of contacts stand, as [`crate::apply`] kept it.

use authority_api::types::ReadPartition;
use diesel::{PgConnection, connection::SimpleConnection as _, prelude::*, sql_query, sql_types};
use store::StoreError;
use uuid::Uuid;

/// Records of one contact in one partition.
#[derive(Debug, QueryableByName)]
pub struct Run {
    /// Whose.
    #[diesel(sql_type = sql_types::Uuid)]
    pub contact_id: Uuid,
    /// Topic.
    #[diesel(sql_type = sql_types::Text)]
    pub topic: String,
    /// Partition.
    #[diesel(sql_type = sql_types::Integer)]
    pub partition: i32,
    /// Offsets, ascending.
    #[diesel(sql_type = sql_types::Array<sql_types::BigInt>)]
    pub offsets: Vec<i64>,
}

/// The records of contacts on a topic, or on all.
///
/// # Errors
/// When the database does not answer.
pub fn of(conn: &mut PgConnection, contacts: &[Uuid], topic: Option<&str>) -> Result<Vec<Run>, StoreError> {
    // The table is as large as the topics, and grows faster than statistics are made.
    conn.batch_execute("SET LOCAL enable_seqscan = off; SET LOCAL jit = off")?;
    let rows = sql_query(
        "SELECT r.contact_id, o.topic, o.partition, array_agg(r.record_offset ORDER BY r.record_offset) AS offsets \
         FROM record_position r JOIN applied_offset o ON o.place = r.place \
         WHERE r.contact_id = ANY($1) AND ($2 IS NULL OR o.topic = $2) \
         GROUP BY r.contact_id, o.topic, o.partition ORDER BY r.contact_id, o.topic, o.partition",
    )
    .bind::<sql_types::Array<sql_types::Uuid>, _>(contacts)
    .bind::<sql_types::Nullable<sql_types::Text>, _>(topic)
    .load(conn)?;
    Ok(rows)
}

/// A contact, and what is left of it.
#[derive(Debug, QueryableByName)]
pub struct Known {
    /// Which.
    #[diesel(sql_type = sql_types::Uuid)]
    pub id: Uuid,
    /// Who shares it, if it is there.
    #[diesel(sql_type = sql_types::Nullable<sql_types::Text>)]
    pub company: Option<String>,
    /// It was taken back, or erased.
    #[diesel(sql_type = sql_types::Bool)]
    pub gone: bool,
}

/// What is known of these contacts, each once.
///
/// # Errors
/// When the database does not answer.
pub fn known(conn: &mut PgConnection, contacts: &[Uuid]) -> Result<Vec<Known>, StoreError> {
    let rows = sql_query(
        "SELECT u.id, c.company, c.id IS NULL AND (r.contact_id IS NOT NULL OR e.contact_id IS NOT NULL) AS gone \
         FROM (SELECT DISTINCT id FROM unnest($1) AS asked(id)) u LEFT JOIN contact c ON c.id = u.id \
         LEFT JOIN removed_contact r ON r.contact_id = u.id LEFT JOIN erased_contact e ON e.contact_id = u.id \
         ORDER BY u.id",
    )
    .bind::<sql_types::Array<sql_types::Uuid>, _>(contacts)
    .load(conn)?;
    Ok(rows)
}

/// How far each partition was read.
///
/// # Errors
/// When the database does not answer.
pub fn read(conn: &mut PgConnection) -> Result<Vec<ReadPartition>, StoreError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = sql_types::Text)]
        topic: String,
        #[diesel(sql_type = sql_types::Integer)]
        partition: i32,
        #[diesel(sql_type = sql_types::BigInt)]
        positions_from: i64,
        #[diesel(sql_type = sql_types::BigInt)]
        next_offset: i64,
    }
    let rows: Vec<Row> =
        sql_query("SELECT topic, partition, positions_from, next_offset FROM applied_offset ORDER BY topic, partition")
            .load(conn)?;
    let partition = |row: Row| ReadPartition {
        topic: row.topic,
        partition: row.partition,
        from_offset: row.positions_from,
        next_offset: row.next_offset,
    };
    Ok(rows.into_iter().map(partition).collect())
}
