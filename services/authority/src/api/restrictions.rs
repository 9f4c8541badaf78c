//! Restrictions: in force from receipt, told as a signed stop list, lifted by a second operator.

use std::sync::Arc;

use authority_api::{
    Audience, ProofClaims,
    types::{MadeRestrictions, NewRestrictions, ProofPass, Reason, Restriction},
};
use axum::{Extension, extract::State, http::StatusCode};
use chrono::{DateTime, TimeDelta, Utc};
use diesel::PgConnection;
use jointuse::{ContactId, OperatorName};
use runtime::{
    Problem,
    extract::{Json, Path, Query},
};
use serde::Deserialize;
use store::StoreError;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::decide::{note_about, read};
use crate::{
    auth::Operator,
    db::{
        self,
        activity::{self, Full, Step},
    },
    error::Refusal,
    state::AppState,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(add_restrictions, list_restrictions))
        .routes(routes!(get_restriction))
        .routes(routes!(lift_restriction))
        .routes(routes!(prove_restriction))
}

/// Most contacts in one call.
const MOST: usize = 5_000;
/// Most restrictions in one answer.
const PAGE: i64 = 1_000;
/// How long a proof may be asked for.
const PASS: TimeDelta = TimeDelta::minutes(5);

/// Restricts contacts, at once: what a principal asks for applies provisionally from receipt. What is in force already stays
/// as it is, so a call may be repeated.
#[utoipa::path(post, path = "/v1/restrictions", tag = "restrictions", request_body = NewRestrictions, responses(
    (status = 201, description = "In force, and the services are told", body = MadeRestrictions),
    (status = 422, description = "No contact, too many, one twice, or no reason", body = Problem),
    (status = 503, description = "Recorded, but the services could not be told yet", body = Problem)))]
async fn add_restrictions(
    State(app): State<AppState>,
    Extension(operator): Extension<Operator>,
    Json(new): Json<NewRestrictions>,
) -> Result<(StatusCode, Json<MadeRestrictions>), Problem> {
    let distinct = new.contacts.iter().collect::<std::collections::HashSet<_>>().len();
    if !(1..=MOST).contains(&new.contacts.len()) || distinct != new.contacts.len() {
        return Err(Refusal::invalid("contacts", format!("must be 1 to {MOST} contact ids, each once")).into());
    }
    required_reason(&new.reason)?;
    let made = restrict(&app, "restriction.add", move |conn, at| {
        let (ids, made) = db::restrictions::add(conn, &new, &operator.name, at)?;
        note_added(conn, at, &operator.name, &made)?;
        Ok(MadeRestrictions { ids, made: made.len() })
    });
    Ok((StatusCode::CREATED, Json(made.await?)))
}

/// An activity for each, as it stands: what the log commits to of one contact is erased without that of the others.
fn note_added(conn: &mut PgConnection, at: DateTime<Utc>, by: &OperatorName, made: &[u64]) -> Result<(), StoreError> {
    let standing = db::restrictions::numbered(conn, made)?;
    let subjects: Vec<String> = standing.iter().map(|one| format!("restriction {}", one.id)).collect();
    let mut steps = Vec::with_capacity(standing.len());
    for (one, subject) in standing.iter().zip(&subjects) {
        let step = Step { at, operator: Some(by), action: "restriction.add", subject, reason: &one.reason };
        let details = serde_json::to_value(one).map_err(|_| StoreError::Mapping("parameter"))?;
        steps.push(Full { step, details, about: vec![one.contact.to_string()] });
    }
    activity::record_all(conn, &steps)
}

/// Lifts a restriction, by another operator than the one who entered it.
#[utoipa::path(post, path = "/v1/restrictions/{id}/lift", tag = "restrictions", params(("id" = u64, Path)),
    request_body = Reason, responses(
    (status = 200, description = "Lifted, and the services are told", body = Restriction),
    (status = 403, description = "Another operator must do it", body = Problem),
    (status = 404, description = "None has this id", body = Problem),
    (status = 409, description = "It is lifted already", body = Problem),
    (status = 422, description = "A reason is missing", body = Problem),
    (status = 503, description = "Recorded, but the services could not be told yet", body = Problem)))]
async fn lift_restriction(
    State(app): State<AppState>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<u64>,
    Json(reason): Json<Reason>,
) -> Result<Json<Restriction>, Problem> {
    required_reason(&reason.reason)?;
    let lifted = restrict(&app, "restriction.lift", move |conn, at| {
        let standing = db::restrictions::find(conn, id, true)?.ok_or(Refusal::NotFound("restriction"))?;
        if standing.lifted.is_some() {
            return Err(Refusal::Conflict("it is lifted already".into()));
        }
        if standing.added_by == operator.name {
            return Err(Refusal::FourEyes("another operator than the one who entered the restriction must lift it"));
        }
        db::restrictions::lift(conn, &standing, &operator.name, at, &reason.reason)?;
        let lifted = db::restrictions::find(conn, id, false)?.ok_or(Refusal::NotFound("restriction"))?;
        let (subject, reason) = (format!("restriction {id}"), reason.reason.trim());
        let step = Step { at, operator: Some(&operator.name), action: "restriction.lift", subject: &subject, reason };
        note_about(conn, step, &lifted, vec![lifted.contact.to_string()])?;
        Ok(lifted)
    });
    Ok(Json(lifted.await?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    #[serde(default)]
    contact: Option<ContactId>,
    #[serde(default)]
    after: u64,
    #[serde(default)]
    limit: Option<i64>,
}

/// Restrictions by id, those of a contact or all, lifted ones too. `after` is the last id of the page before.
#[utoipa::path(get, path = "/v1/restrictions", tag = "restrictions", params(
    ("contact" = Option<String>, Query), ("after" = Option<u64>, Query), ("limit" = Option<i64>, Query, maximum = 1000)),
    responses((status = 200, description = "Restrictions, oldest first", body = [Restriction])))]
async fn list_restrictions(
    State(app): State<AppState>,
    Query(which): Query<Which>,
) -> Result<Json<Vec<Restriction>>, Problem> {
    let limit = which.limit.unwrap_or(100).clamp(1, PAGE);
    let list = move |conn: &mut PgConnection| db::restrictions::list(conn, which.contact.as_ref(), which.after, limit);
    Ok(Json(read(&app, "list_restrictions", list).await?))
}

/// One of them.
#[utoipa::path(get, path = "/v1/restrictions/{id}", tag = "restrictions", params(("id" = u64, Path)), responses(
    (status = 200, description = "The restriction", body = Restriction),
    (status = 404, description = "None has this id", body = Problem)))]
async fn get_restriction(State(app): State<AppState>, Path(id): Path<u64>) -> Result<Json<Restriction>, Problem> {
    Ok(Json(found(&app, id).await?))
}

/// A pass to ask hub and history where the restriction stands with what they delivered. It lasts five minutes.
#[utoipa::path(get, path = "/v1/restrictions/{id}/proof", tag = "restrictions", params(("id" = u64, Path)), responses(
    (status = 200, description = "The restriction and the pass", body = ProofPass),
    (status = 404, description = "None has this id", body = Problem)))]
async fn prove_restriction(
    State(app): State<AppState>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<u64>,
) -> Result<Json<ProofPass>, Problem> {
    let restriction = found(&app, id).await?;
    let now = app.clock.now();
    let claims = ProofClaims {
        iss: app.public_url.clone(),
        sub: operator.name,
        aud: Audience::Proof.as_str().to_owned(),
        iat: now.timestamp(),
        exp: (now + PASS).timestamp(),
        restriction: id,
        contact: restriction.contact.clone(),
        reach: restriction.reach,
    };
    let token = app.tokens.sign(&claims).map_err(|error| Problem::internal(&error))?;
    Ok(Json(ProofPass { restriction, token }))
}

async fn found(app: &AppState, id: u64) -> Result<Restriction, Problem> {
    let found = read(app, "get_restriction", move |conn| db::restrictions::find(conn, id, false)).await?;
    Ok(found.ok_or(Refusal::NotFound("restriction"))?)
}

fn required_reason(reason: &str) -> Result<(), Refusal> {
    if reason.trim().is_empty() { Err(Refusal::invalid("reason", "must be given")) } else { Ok(()) }
}

/// Records with its activity, has the stop list told, and only then answers.
async fn restrict<T, F>(app: &AppState, name: &'static str, mut f: F) -> Result<T, Problem>
where
    T: Send + 'static,
    F: FnMut(&mut PgConnection, DateTime<Utc>) -> Result<T, Refusal> + Send + 'static,
{
    let at = app.clock.now();
    let task = Arc::clone(app);
    // In a task of its own: a caller who hangs up must not keep a recorded restriction from being told.
    let deciding = tokio::spawn(async move {
        let recorded = task.store.run_tx(name, move |conn| f(conn, at)).await;
        match recorded {
            Ok(value) => {
                task.metrics.changed(name);
                task.stop_list.tell(task.told_within()).await.map(|()| value)
            }
            Err(refusal) => {
                // It may have been committed: told is what stands in the database.
                if matches!(refusal, Refusal::Store(StoreError::LostInCommit)) {
                    let _ = task.stop_list.tell(task.told_within()).await;
                }
                Err(refusal)
            }
        }
    });
    let outcome = deciding.await.map_err(|error| Problem::internal(&error))?;
    Ok(outcome?)
}
