//! Erasures: asked for here, carried out by the task.

use authority_api::{
    SignedCertificate,
    erasure::{Asked, Erasure, NewErasure},
};
use axum::{Extension, extract::State, http::StatusCode};
use runtime::{
    Problem,
    extract::{Json, Path},
};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::decide::{note_about, read};
use crate::{
    auth::Operator,
    db::{self, activity::Step},
    error::Refusal,
    state::AppState,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(erase, list_erasures))
        .routes(routes!(get_erasure))
        .routes(routes!(get_certificate))
}

/// Most contacts of one erasure.
const MOST: usize = 1_000;
/// Most erasures in one answer.
const LISTED: i64 = 1_000;

/// Erases contacts. It is carried out when this returns, whatever happens, and cannot be undone.
#[utoipa::path(post, path = "/v1/erasures", tag = "erasures", request_body = NewErasure, responses(
    (status = 202, description = "Recorded; it is being carried out", body = Erasure),
    (status = 422, description = "No contact, or too many", body = Problem)))]
async fn erase(
    State(app): State<AppState>,
    Extension(operator): Extension<Operator>,
    Json(new): Json<NewErasure>,
) -> Result<(StatusCode, Json<Erasure>), Problem> {
    if new.contacts.is_empty() || new.contacts.len() > MOST {
        return Err(Refusal::invalid("contacts", format!("name 1 to {MOST} contacts")).into());
    }
    let (id, at, by) = (Uuid::new_v4(), app.clock.now(), operator.name);
    let asked =
        Asked { contacts: new.contacts, person: new.person, reason: new.reason, asked_by: by.clone(), asked_at: at };
    let ask = move |conn: &mut diesel::PgConnection| {
        db::erasures::add(conn, id, &asked)?;
        let (subject, reason) = (id.to_string(), asked.reason.as_str());
        let step = Step { at, operator: Some(&by), action: "erasure.ask", subject: &subject, reason };
        // Kept, whoever is erased: what was asked for is part of the proof that it was done.
        note_about(conn, step, &asked, Vec::new())?;
        db::erasures::find(conn, id)?.ok_or(Refusal::NotFound("erasure"))
    };
    let erasure = app.store.run_tx("erasure_ask", ask).await?;
    app.metrics.changed("erasure.ask");
    app.erasing.notify_one();
    Ok((StatusCode::ACCEPTED, Json(erasure)))
}

/// Erasures, newest first, at most 1,000.
#[utoipa::path(get, path = "/v1/erasures", tag = "erasures", responses(
    (status = 200, description = "Erasures and how far they are", body = [Erasure])))]
async fn list_erasures(State(app): State<AppState>) -> Result<Json<Vec<Erasure>>, Problem> {
    Ok(Json(read(&app, "list_erasures", |conn| db::erasures::newest(conn, LISTED)).await?))
}

/// One erasure.
#[utoipa::path(get, path = "/v1/erasures/{id}", tag = "erasures", params(("id" = String, Path)), responses(
    (status = 200, description = "The erasure and how far it is", body = Erasure),
    (status = 404, description = "No such erasure", body = Problem)))]
async fn get_erasure(State(app): State<AppState>, Path(id): Path<Uuid>) -> Result<Json<Erasure>, Problem> {
    let found = read(&app, "get_erasure", move |conn| db::erasures::find(conn, id)).await?;
    Ok(Json(found.ok_or(Refusal::NotFound("erasure"))?))
}

/// The signed certificate of a finished erasure.
#[utoipa::path(get, path = "/v1/erasures/{id}/certificate", tag = "erasures", params(("id" = String, Path)), responses(
    (status = 200, description = "The certificate", body = SignedCertificate),
    (status = 404, description = "No such erasure", body = Problem),
    (status = 409, description = "It is not finished", body = Problem)))]
async fn get_certificate(
    State(app): State<AppState>,
    Path(id): Path<Uuid>,
) -> Result<Json<SignedCertificate>, Problem> {
    let found = read(&app, "get_certificate", move |conn| db::erasures::certificate(conn, id)).await?;
    let text = found.ok_or(Refusal::NotFound("erasure"))?;
    let text =
        text.ok_or_else(|| Refusal::Conflict("the erasure is not finished: its steps say how far it is".into()))?;
    serde_json::from_str(&text).map(Json).map_err(|error| Problem::internal(&error))
}
