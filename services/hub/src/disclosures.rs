//! Which ranges that were delivered hold given places: a question that only a pass of the authority opens.
//!
//! Where the records of a contact stand, history knows; here they are places in partitions, of nobody. Ranges of different
//! logins overlap, so an index by their beginnings alone would have to be walked from the partition's start. It is by
//! their reach first (`migrations/2026-11-26-000021_disclosure_reach`), and each place is looked up once for each reach
//! there is, between the place before it and itself: so every range is met once, at its first place.

use std::sync::Arc;

use authority_api::{
    Audience, DisclosureClaims,
    token::verify_claims,
    types::{DisclosedRange, RangesHolding},
};
use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::HeaderMap,
    http::header::AUTHORIZATION,
    routing::post,
};
use chrono::{DateTime, Utc};
use diesel::{PgConnection, QueryableByName, RunQueryDsl, connection::SimpleConnection as _, sql_query, sql_types};
use runtime::{Problem, extract::Json};
use store::{Store, StoreError};
use uuid::Uuid;

use crate::hub::Hub;

/// Most offsets in one question.
const MOST_OFFSETS: usize = 100_000;
/// Most ranges in one answer.
const MOST_RANGES: u32 = 1_000;
/// Bytes of a question: as many offsets of 19 digits, and what is around them.
const BODY: usize = 4 << 20;

/// What the endpoint needs.
#[derive(Debug, Clone)]
struct Asking {
    hub: Arc<Hub>,
    store: Store,
}

/// `POST /v1/disclosures`.
pub(crate) fn router(hub: Arc<Hub>, store: Store) -> Router {
    let asked = post(ranges).layer(DefaultBodyLimit::max(BODY));
    Router::new().route("/v1/disclosures", asked).with_state(Asking { hub, store })
}

async fn ranges(
    State(asking): State<Asking>,
    headers: HeaderMap,
    Json(asked): Json<RangesHolding>,
) -> Result<Json<Vec<DisclosedRange>>, Problem> {
    let gate = &asking.hub.gate;
    let now = gate.now();
    let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let token = token.ok_or_else(|| Problem::unauthorized("Bearer", "send the authority's pass for disclosures"))?;
    let policy = gate.handle().current(now).ok_or_else(unavailable)?;
    let _: DisclosureClaims = verify_claims(token, Audience::Disclosures, &policy.snapshot().token_keys, now)
        .map_err(|error| Problem::unauthorized("Bearer error=\"invalid_token\"", error.to_string()))?;
    if asked.runs.iter().map(|run| run.offsets.len()).sum::<usize>() > MOST_OFFSETS {
        let most = format!("at most {MOST_OFFSETS} offsets can be asked for at once: ask for one topic at a time");
        return Err(Problem::unprocessable(most).with("field", "runs"));
    }
    if !(1..=MOST_RANGES).contains(&asked.span.limit) {
        return Err(Problem::unprocessable(format!("limit must be 1 to {MOST_RANGES}")).with("field", "limit"));
    }
    let after_id = asked.span.after_id.as_deref().map_or(Ok(Uuid::nil()), str::parse);
    let after_id = after_id.map_err(|_| Problem::unprocessable("no id of a range").with("field", "after_id"))?;
    let found = asking.store.read("disclosures", move |conn| holding(conn, &asked, after_id)).await;
    let found = found.map_err(|error| {
        tracing::warn!(%error, "a question for disclosures could not be answered");
        unavailable()
    })?;
    Ok(Json(found))
}

fn unavailable() -> Problem {
    Problem::unavailable("disclosures cannot be told now", std::time::Duration::from_secs(1))
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = sql_types::Uuid)]
    id: Uuid,
    #[diesel(sql_type = sql_types::Text)]
    login: String,
    #[diesel(sql_type = sql_types::Text)]
    subscription: String,
    #[diesel(sql_type = sql_types::Text)]
    company: String,
    #[diesel(sql_type = sql_types::Text)]
    purpose: String,
    #[diesel(sql_type = sql_types::Integer)]
    notice_version: i32,
    #[diesel(sql_type = sql_types::Text)]
    decision: String,
    #[diesel(sql_type = sql_types::BigInt)]
    snapshot: i64,
    #[diesel(sql_type = sql_types::Text)]
    topic: String,
    #[diesel(sql_type = sql_types::Integer)]
    partition: i32,
    #[diesel(sql_type = sql_types::BigInt)]
    first_offset: i64,
    #[diesel(sql_type = sql_types::BigInt)]
    last_offset: i64,
    #[diesel(sql_type = sql_types::BigInt)]
    delivered: i64,
    #[diesel(sql_type = sql_types::BigInt)]
    withheld: i64,
    #[diesel(sql_type = sql_types::Bool)]
    open: bool,
    #[diesel(sql_type = sql_types::BigInt)]
    restrictions: i64,
    #[diesel(sql_type = sql_types::Timestamptz)]
    at: DateTime<Utc>,
    #[diesel(sql_type = sql_types::Timestamptz)]
    until: DateTime<Utc>,
}

/// Probes of an index, whatever statistics say of a table that grows all the time.
const PLAN: &str = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_hashjoin = off; \
    SET LOCAL enable_mergejoin = off; SET LOCAL jit = off";

const HOLDING: &str = "WITH place AS MATERIALIZED ( \
        SELECT topic, partition, spot, coalesce(lag(spot) OVER (PARTITION BY topic, partition ORDER BY spot), -1) AS before \
        FROM (SELECT DISTINCT * FROM unnest($1, $2, $3) AS asked(topic, partition, spot)) asked), \
    reached AS MATERIALIZED ( \
        SELECT topic, partition, (SELECT max(d.reach) FROM disclosure d WHERE d.topic = one.topic AND d.partition = one.partition) AS most \
        FROM (SELECT DISTINCT topic, partition FROM place) one) \
    SELECT d.* FROM reached JOIN place USING (topic, partition) \
    CROSS JOIN LATERAL generate_series(0, reached.most) AS step(bits) \
    CROSS JOIN LATERAL (SELECT id, login, subscription, company, purpose, notice_version, decision, snapshot, topic, \
        partition, first_offset, last_offset, delivered, withheld, open, restrictions, at, until FROM disclosure d \
        WHERE d.topic = place.topic AND d.partition = place.partition AND d.reach = step.bits AND d.first_offset <= place.spot \
        AND d.first_offset > greatest(place.before, place.spot - (1::bigint << least(step.bits, 62))) \
        AND d.last_offset >= place.spot AND d.until >= $4 AND d.at <= $5 AND (d.at, d.id) > ($6, $7) OFFSET 0) d \
    ORDER BY d.at, d.id LIMIT $8";

/// The ranges that hold one of the places, by when they began.
fn holding(conn: &mut PgConnection, asked: &RangesHolding, after_id: Uuid) -> Result<Vec<DisclosedRange>, StoreError> {
    use sql_types::{Array, BigInt, Integer, Text, Timestamptz};
    let (mut topics, mut partitions, mut offsets) = (Vec::new(), Vec::new(), Vec::new());
    for run in &asked.runs {
        for offset in &run.offsets {
            topics.push(run.topic.as_str());
            partitions.push(run.partition);
            offsets.push(*offset);
        }
    }
    let span = &asked.span;
    conn.batch_execute(PLAN)?;
    let rows: Vec<Row> = sql_query(HOLDING)
        .bind::<Array<Text>, _>(topics)
        .bind::<Array<Integer>, _>(partitions)
        .bind::<Array<BigInt>, _>(offsets)
        .bind::<Timestamptz, _>(span.since.unwrap_or(DateTime::UNIX_EPOCH))
        .bind::<Timestamptz, _>(span.until.unwrap_or(LATER))
        .bind::<Timestamptz, _>(span.after.unwrap_or(DateTime::UNIX_EPOCH))
        .bind::<sql_types::Uuid, _>(after_id)
        .bind::<BigInt, _>(i64::from(span.limit))
        .load(conn)?;
    Ok(rows.into_iter().map(range).collect())
}

/// After everything: the last second of the year 9999.
const LATER: DateTime<Utc> = match DateTime::from_timestamp(253_402_300_799, 0) {
    Some(later) => later,
    None => DateTime::UNIX_EPOCH,
};

fn range(row: Row) -> DisclosedRange {
    let Row { id, login, subscription, company, purpose, notice_version, decision, snapshot, topic, partition, .. } =
        row;
    let Row { first_offset, last_offset, delivered, withheld, open, restrictions, at, until, .. } = row;
    DisclosedRange {
        id,
        login,
        subscription,
        company,
        purpose,
        notice_version,
        decision,
        snapshot,
        topic,
        partition,
        first_offset,
        last_offset,
        delivered,
        withheld,
        open,
        restrictions,
        at,
        until,
    }
}
