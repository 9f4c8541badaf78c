//! Where a restriction stands with what was delivered: a question that only a pass of the authority opens.

use std::sync::Arc;

use authority_api::{
    Audience, ProofClaims,
    token::verify_claims,
    types::{HubProof, Watermark},
};
use axum::{Router, extract::State, http::HeaderMap, http::header::AUTHORIZATION, routing::get};
use chrono::{DateTime, Utc};
use diesel::{PgConnection, QueryableByName, RunQueryDsl, sql_query, sql_types};
use restriction::Reach;
use runtime::{Problem, extract::Json};
use store::{Store, StoreError};

use crate::hub::Hub;

/// What the endpoint needs.
#[derive(Debug, Clone)]
struct Proving {
    hub: Arc<Hub>,
    store: Store,
}

/// `GET /v1/restrictions/proof`.
pub(crate) fn router(hub: Arc<Hub>, store: Store) -> Router {
    Router::new().route("/v1/restrictions/proof", get(prove)).with_state(Proving { hub, store })
}

async fn prove(State(proving): State<Proving>, headers: HeaderMap) -> Result<Json<HubProof>, Problem> {
    let gate = &proving.hub.gate;
    let now = gate.now();
    let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let token = token.ok_or_else(|| Problem::unauthorized("Bearer", "send the authority's pass for a proof"))?;
    let policy = gate.handle().current(now).ok_or_else(unavailable)?;
    let claims: ProofClaims = verify_claims(token, Audience::Proof, &policy.snapshot().token_keys, now)
        .map_err(|error| Problem::unauthorized("Bearer error=\"invalid_token\"", error.to_string()))?;
    let (number, whole) = (claims.restriction, claims.reach == Reach::Person);
    let found = proving.store.read("proof", move |conn| watermarks(conn, number, whole)).await;
    let watermarks = found.map_err(|error| {
        tracing::warn!(%error, "a proof could not be made");
        unavailable()
    })?;
    let in_force = proving.hub.stops.current(now);
    let in_force = in_force.map(|held| if whole { held.persons_sequence() } else { held.sequence() });
    Ok(Json(HubProof { restriction: number, in_force, watermarks }))
}

fn unavailable() -> Problem {
    Problem::unavailable("nothing can be proved now", std::time::Duration::from_secs(1))
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = sql_types::Text)]
    subscription: String,
    #[diesel(sql_type = sql_types::Text)]
    topic: String,
    #[diesel(sql_type = sql_types::Integer)]
    partition: i32,
    #[diesel(sql_type = sql_types::BigInt)]
    from_offset: i64,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Timestamptz>)]
    last_without: Option<DateTime<Utc>>,
    #[diesel(sql_type = sql_types::BigInt)]
    delivered: i64,
}

/// A range says under which number it was made; what was made under a smaller one did not know the restriction. Rows that
/// are open still tell too much rather than too little, so a watermark is never too early.
fn watermarks(conn: &mut PgConnection, number: u64, whole: bool) -> Result<Vec<Watermark>, StoreError> {
    let rows: Vec<Row> = sql_query(
        "SELECT subscription, topic, partition, \
         coalesce(max(last_offset + 1) FILTER (WHERE number < $1), min(first_offset)) AS from_offset, \
         max(until) FILTER (WHERE number < $1) AS last_without, \
         coalesce(sum(delivered) FILTER (WHERE number >= $1), 0)::bigint AS delivered \
         FROM (SELECT *, CASE WHEN $2 THEN least(restrictions, person_restrictions) ELSE restrictions END AS number \
         FROM disclosure) d GROUP BY subscription, topic, partition ORDER BY subscription, topic, partition",
    )
    .bind::<sql_types::BigInt, _>(i64::try_from(number).unwrap_or(i64::MAX))
    .bind::<sql_types::Bool, _>(whole)
    .load(conn)?;
    let mark = |row: Row| Watermark {
        subscription: row.subscription,
        topic: row.topic,
        partition: row.partition,
        from_offset: row.from_offset,
        last_without: row.last_without,
        delivered: row.delivered,
    };
    Ok(rows.into_iter().map(mark).collect())
}
