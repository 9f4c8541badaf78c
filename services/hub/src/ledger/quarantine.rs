//! Records that do not leave because they are broken, noted once however often they are read.

use std::collections::BTreeMap;

use diesel::{PgConnection, QueryableByName, RunQueryDsl as _, sql_query, sql_types};
use jointuse::TopicName;
use store::StoreError;

use crate::delivery::Reason;

/// Where a broken record stands, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Broken {
    pub(crate) topic: TopicName,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) reason: Reason,
}

/// How many were not known before, by topic and reason.
pub(super) type New = BTreeMap<(String, String), u64>;

/// In the order of the key, so that two hubs that note the same never wait for each other in a circle.
const NOTE: &str = "INSERT INTO quarantined (topic, partition, record_offset, reason) \
    SELECT * FROM unnest($1, $2, $3, $4) AS broken(topic, partition, record_offset, reason) \
    ORDER BY topic, partition, record_offset ON CONFLICT DO NOTHING RETURNING topic, reason";

#[derive(QueryableByName)]
struct Noted {
    #[diesel(sql_type = sql_types::Text)]
    topic: String,
    #[diesel(sql_type = sql_types::Text)]
    reason: String,
}

/// Notes them.
pub(super) fn note(conn: &mut PgConnection, broken: &[Broken]) -> Result<New, StoreError> {
    use sql_types::{Array, BigInt, Integer, Text};
    let mut new = New::new();
    if broken.is_empty() {
        return Ok(new);
    }
    let rows: Vec<Noted> = sql_query(NOTE)
        .bind::<Array<Text>, _>(broken.iter().map(|one| one.topic.as_str()).collect::<Vec<_>>())
        .bind::<Array<Integer>, _>(broken.iter().map(|one| one.partition).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(broken.iter().map(|one| one.offset).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(broken.iter().map(|one| one.reason.label()).collect::<Vec<_>>())
        .load(conn)?;
    for Noted { topic, reason } in rows {
        *new.entry((topic, reason)).or_default() += 1;
    }
    Ok(new)
}
