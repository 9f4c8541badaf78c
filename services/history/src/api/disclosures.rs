//! Where the records of contacts stand, and which answers held them: questions that only a pass of the authority opens. Not
//! part of the subscribers' API.

use std::{collections::BTreeSet, sync::Arc};

use authority_api::{
    Audience, DisclosureClaims,
    token::verify_claims,
    types::{DisclosedAnswer, KnownContact, PositionRun, Positions, Span},
};
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, header::AUTHORIZATION},
    routing::{get, post},
};
use diesel::PgConnection;
use jointuse::ContactId;
use restriction::Subject;
use runtime::{
    Problem,
    extract::{Json, Query},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{App, answer::Failure, auth::no_policy};
use crate::db::{answered, person, position};

/// Most answers in one answer.
const MOST: u32 = 1_000;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/v1/disclosures/positions", get(positions)).route("/v1/disclosures/answers", post(answers))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Where {
    #[serde(default)]
    topic: Option<String>,
}

/// `GET /v1/disclosures/positions?topic=`.
async fn positions(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Query(Where { topic }): Query<Where>,
) -> Result<Json<Positions>, Problem> {
    let claims = pass(&app, &headers)?;
    let found = app.store.read("positions", move |conn: &mut PgConnection| -> Result<_, Failure> {
        let contacts = about(conn, &claims)?;
        let known = |known: position::Known| {
            let contact = answered::contact_id(&known.id)?;
            Ok(KnownContact { contact, company: known.company, gone: known.gone })
        };
        let run = |run: position::Run| {
            let contact = answered::contact_id(&run.contact_id)?;
            Ok(PositionRun { contact, topic: run.topic, partition: run.partition, offsets: run.offsets })
        };
        Ok(Positions {
            contacts: position::known(conn, &contacts)?.into_iter().map(known).collect::<Result<_, Failure>>()?,
            runs: position::of(conn, &contacts, topic.as_deref())?
                .into_iter()
                .map(run)
                .collect::<Result<_, Failure>>()?,
            read: position::read(conn)?,
        })
    });
    Ok(Json(found.await?))
}

/// `POST /v1/disclosures/answers`.
async fn answers(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Json(span): Json<Span>,
) -> Result<Json<Vec<DisclosedAnswer>>, Problem> {
    let claims = pass(&app, &headers)?;
    if !(1..=MOST).contains(&span.limit) {
        return Err(Problem::unprocessable(format!("limit must be 1 to {MOST}")).with("field", "limit"));
    }
    let after_id = span.after_id.as_deref().map_or(Ok(0), str::parse);
    let after_id = after_id.map_err(|_| Problem::unprocessable("no id of an answer").with("field", "after_id"))?;
    let found = app.store.read("answered", move |conn: &mut PgConnection| -> Result<_, Failure> {
        let contacts = about(conn, &claims)?;
        Ok(answered::holding(conn, &contacts, &span, after_id)?)
    });
    Ok(Json(found.await?))
}

fn pass(app: &App, headers: &HeaderMap) -> Result<DisclosureClaims, Problem> {
    let now = app.clock.now();
    let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let token = token.ok_or_else(|| Problem::unauthorized("Bearer", "send the authority's pass for disclosures"))?;
    let policy = app.policy.current(now).ok_or_else(no_policy)?;
    verify_claims(token, Audience::Disclosures, &policy.snapshot().token_keys, now)
        .map_err(|error| Problem::unauthorized("Bearer error=\"invalid_token\"", error.to_string()))
}

/// The contacts of a pass: those it names, and all that its person has now, whoever shares them.
fn about(conn: &mut PgConnection, claims: &DisclosureClaims) -> Result<Vec<Uuid>, Failure> {
    let mut contacts: BTreeSet<Uuid> = claims.contacts.iter().map(uuid).collect();
    if let Some(person) = claims.person
        && let Some(person) = person::resolve(conn, person)?
    {
        contacts.extend(person::members(conn, &[person])?.into_iter().map(|(contact, _)| contact));
    }
    Ok(contacts.into_iter().collect())
}

fn uuid(contact: &ContactId) -> Uuid {
    Uuid::from_bytes(Subject::from(contact).0)
}
