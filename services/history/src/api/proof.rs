//! Where a restriction stands with what was answered: a question that only a pass of the authority opens. Not part of the
//! subscribers' API.

use std::sync::Arc;

use authority_api::{Audience, ProofClaims, token::verify_claims, types::HistoryProof};
use axum::{
    extract::State,
    http::{HeaderMap, header::AUTHORIZATION},
};
use diesel::PgConnection;
use jointuse::ContactId;
use restriction::{Reach, Subject};
use runtime::{Problem, extract::Json};
use uuid::Uuid;

use super::{App, answer::Failure, auth::no_policy};
use crate::db::{disclosure, person};

/// `GET /v1/restrictions/proof`.
pub(super) async fn prove(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Json<HistoryProof>, Problem> {
    let now = app.clock.now();
    let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let token = token.ok_or_else(|| Problem::unauthorized("Bearer", "send the authority's pass for a proof"))?;
    let policy = app.policy.current(now).ok_or_else(no_policy)?;
    let claims: ProofClaims = verify_claims(token, Audience::Proof, &policy.snapshot().token_keys, now)
        .map_err(|error| Problem::unauthorized("Bearer error=\"invalid_token\"", error.to_string()))?;
    let (contact, whole, number) = (uuid(&claims.contact), claims.reach == Reach::Person, claims.restriction);
    let answers = app.store.read("proof", move |conn: &mut PgConnection| {
        let mut contacts = vec![contact];
        if whole {
            contacts.extend(person::with(conn, contact)?);
        }
        disclosure::answers_with(conn, &contacts, number).map_err(Failure::Store)
    });
    let answers = answers.await.map_err(Problem::from)?;
    let in_force = app.stops.current(now).map(|held| held.sequence);
    Ok(Json(HistoryProof { restriction: number, in_force, answers }))
}

fn uuid(contact: &ContactId) -> Uuid {
    Uuid::from_bytes(Subject::from(contact).0)
}
