//! Queries of the cluster's tables.

use std::collections::{BTreeMap, BTreeSet};

use authority_api::types::{Applied, DriftReport};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use jointuse::{KafkaTopicId, OperatorName, TopicName};
use store::StoreError;

use crate::db::{parsed, word};

diesel::table! {
    cluster_topic (name) {
        name -> Text,
        kafka_id -> Text,
        recorded_at -> Timestamptz,
        accepted_by -> Nullable<Text>,
    }
}

diesel::table! {
    cluster_fact (fact) {
        fact -> Text,
    }
}

diesel::table! {
    cluster_drift (id) {
        id -> BigInt,
        found_at -> Timestamptz,
        applied -> Jsonb,
    }
}

/// Reports that are kept.
const REPORTS: i64 = 1000;

/// Kafka's ids of the shared topics, as they were first seen or accepted: what snapshots carry.
pub(crate) fn recorded_topic_ids(conn: &mut PgConnection) -> Result<BTreeMap<TopicName, KafkaTopicId>, StoreError> {
    let rows: Vec<(String, String)> =
        cluster_topic::table.select((cluster_topic::name, cluster_topic::kafka_id)).load(conn)?;
    rows.into_iter().map(|(name, id)| Ok((parsed(&name)?, word(&id)?))).collect()
}

/// Records ids of topics that have none yet; gives whether there were any.
pub(super) fn record_new_topic_ids(
    conn: &mut PgConnection,
    ids: &BTreeMap<String, KafkaTopicId>,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let mut new = 0;
    for (name, id) in ids {
        new += diesel::insert_into(cluster_topic::table)
            .values((
                cluster_topic::name.eq(name),
                cluster_topic::kafka_id.eq(hex::encode(id.0)),
                cluster_topic::recorded_at.eq(at),
            ))
            .on_conflict_do_nothing()
            .execute(conn)?;
    }
    Ok(new > 0)
}

/// A topic that was made anew is the one that grants mean from now on.
pub(super) fn accept_topic_id(
    conn: &mut PgConnection,
    name: &TopicName,
    id: KafkaTopicId,
    by: &OperatorName,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    diesel::update(cluster_topic::table.find(name.as_str()))
        .set((
            cluster_topic::kafka_id.eq(hex::encode(id.0)),
            cluster_topic::recorded_at.eq(at),
            cluster_topic::accepted_by.eq(by.as_str()),
        ))
        .execute(conn)?;
    Ok(())
}

pub(super) fn facts(conn: &mut PgConnection) -> Result<BTreeSet<String>, StoreError> {
    let facts: Vec<String> = cluster_fact::table.select(cluster_fact::fact).load(conn)?;
    Ok(facts.into_iter().collect())
}

/// Replaces `before` by `after`, touching only what differs.
pub(super) fn replace_facts(
    conn: &mut PgConnection,
    before: &BTreeSet<String>,
    after: &BTreeSet<String>,
) -> Result<(), StoreError> {
    let gone: Vec<_> = before.difference(after).collect();
    let new: Vec<_> = after.difference(before).map(|fact| cluster_fact::fact.eq(fact)).collect();
    if !gone.is_empty() {
        diesel::delete(cluster_fact::table.filter(cluster_fact::fact.eq_any(gone))).execute(conn)?;
    }
    if !new.is_empty() {
        diesel::insert_into(cluster_fact::table).values(new).on_conflict_do_nothing().execute(conn)?;
    }
    Ok(())
}

pub(super) fn report(conn: &mut PgConnection, applied: &Applied, at: DateTime<Utc>) -> Result<(), StoreError> {
    let json = serde_json::to_value(applied).map_err(|_| StoreError::Mapping("parameter"))?;
    let id: i64 = diesel::insert_into(cluster_drift::table)
        .values((cluster_drift::found_at.eq(at), cluster_drift::applied.eq(json)))
        .returning(cluster_drift::id)
        .get_result(conn)?;
    diesel::delete(cluster_drift::table.filter(cluster_drift::id.le(id - REPORTS))).execute(conn)?;
    Ok(())
}

/// Newest first.
pub(super) fn reports(conn: &mut PgConnection, limit: i64) -> Result<Vec<DriftReport>, StoreError> {
    let rows: Vec<(DateTime<Utc>, serde_json::Value)> = cluster_drift::table
        .order(cluster_drift::id.desc())
        .limit(limit)
        .select((cluster_drift::found_at, cluster_drift::applied))
        .load(conn)?;
    let report = |(found_at, json)| {
        let applied = serde_json::from_value(json).map_err(|_| StoreError::Mapping("result"))?;
        Ok(DriftReport { found_at, applied })
    };
    rows.into_iter().map(report).collect()
}
