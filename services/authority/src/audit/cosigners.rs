//! Members' cosigners: let in by two operators, taken at their signatures' word.

use audit::{
    checkpoint::SignedCheckpoint,
    keys::{KeyKind, VerifierKey},
};
use authority_api::{
    audit::{Cosigned, Cosigner, NewCosigner},
    types::Reason,
};
use axum::{
    Extension,
    body::{Body, to_bytes},
    extract::State,
    http::StatusCode,
};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use runtime::{
    Problem,
    extract::{Json, Path},
};
use store::StoreError;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::db;
use crate::{
    auth::Operator,
    db::{
        activity::{self, Step},
        parsed,
    },
    error::Refusal,
    state::AppState,
};

diesel::table! {
    audit_cosigner (id) {
        id -> Text,
        key -> Text,
        proposed_by -> Text,
        proposed_at -> Timestamptz,
        confirmed_by -> Nullable<Text>,
        confirmed_at -> Nullable<Timestamptz>,
        removed_by -> Nullable<Text>,
        removed_at -> Nullable<Timestamptz>,
    }
}

/// Largest note that is taken: a checkpoint with a hundred signatures has half of it.
const MOST_BYTES: usize = 32 << 10;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(propose_cosigner, list_cosigners))
        .routes(routes!(confirm_cosigner))
        .routes(routes!(remove_cosigner))
        .routes(routes!(post_cosignature))
}

/// Proposes the key of a member that will cosign checkpoints. Another operator confirms it.
#[utoipa::path(post, path = "/v1/audit/cosigners", tag = "audit", request_body = NewCosigner, responses(
    (status = 201, description = "Proposed", body = Cosigner),
    (status = 409, description = "It was proposed before", body = Problem),
    (status = 422, description = "Not a verifier key of type 4, or the reason is missing", body = Problem)))]
async fn propose_cosigner(
    State(app): State<AppState>,
    Extension(operator): Extension<Operator>,
    Json(new): Json<NewCosigner>,
) -> Result<(StatusCode, Json<Cosigner>), Problem> {
    let key: VerifierKey = new.key.parse().map_err(|error: audit::keys::KeyError| {
        // Never repeats the text, which may hold a private key.
        Problem::from(Refusal::invalid("key", error.to_string()))
    })?;
    if key.kind() != KeyKind::Cosignature {
        return Err(Refusal::invalid("key", "must be a cosigner's key (type 4, cosignature/v1)").into());
    }
    let reason = required(&new.reason)?;
    let at = app.clock.now();
    let propose = move |conn: &mut PgConnection| {
        let (id, by) = (key.id().to_string(), &operator.name);
        diesel::insert_into(audit_cosigner::table)
            .values((
                audit_cosigner::id.eq(&id),
                audit_cosigner::key.eq(key.to_string()),
                audit_cosigner::proposed_by.eq(by.as_str()),
                audit_cosigner::proposed_at.eq(at),
            ))
            .execute(conn)?;
        let step = Step { at, operator: Some(by), action: "audit.propose-cosigner", subject: &id, reason: &reason };
        activity::record_in_full(conn, step, &serde_json::json!({ "key": key.to_string() }))?;
        find(conn, &id)
    };
    Ok((StatusCode::CREATED, Json(app.store.run_tx("audit.propose-cosigner", propose).await?)))
}

/// All cosigners, removed ones too.
#[utoipa::path(get, path = "/v1/audit/cosigners", tag = "audit", responses(
    (status = 200, description = "All cosigners", body = [Cosigner])))]
async fn list_cosigners(State(app): State<AppState>) -> Result<Json<Vec<Cosigner>>, Problem> {
    let read = |conn: &mut PgConnection| {
        let rows: Vec<Row> = audit_cosigner::table.order(audit_cosigner::proposed_at).load(conn)?;
        rows.into_iter().map(cosigner).collect::<Result<Vec<_>, Refusal>>()
    };
    Ok(Json(app.store.read("audit_cosigners", read).await?))
}

/// Confirms a cosigner, by another operator than the one who proposed it. From now on its signatures are taken.
#[utoipa::path(post, path = "/v1/audit/cosigners/{id}/confirm", tag = "audit", params(("id" = String, Path)),
    request_body = Reason, responses(
    (status = 200, description = "Confirmed", body = Cosigner),
    (status = 403, description = "Another operator must do it", body = Problem),
    (status = 404, description = "No such cosigner", body = Problem),
    (status = 409, description = "It was confirmed or removed before", body = Problem)))]
async fn confirm_cosigner(
    State(app): State<AppState>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<String>,
    Json(Reason { reason }): Json<Reason>,
) -> Result<Json<Cosigner>, Problem> {
    let at = app.clock.now();
    let confirm = move |conn: &mut PgConnection| {
        let now = find(conn, &id)?;
        if now.proposed_by == operator.name {
            return Err(Refusal::FourEyes("another operator than the one who proposed the cosigner must confirm it"));
        }
        let open = audit_cosigner::table
            .find(&id)
            .filter(audit_cosigner::confirmed_at.is_null().and(audit_cosigner::removed_at.is_null()));
        let confirmed = diesel::update(open)
            .set((audit_cosigner::confirmed_by.eq(operator.name.as_str()), audit_cosigner::confirmed_at.eq(at)))
            .execute(conn)?;
        if confirmed == 0 {
            return Err(Refusal::Conflict("the cosigner was confirmed or removed before".into()));
        }
        note(conn, at, &operator, "audit.confirm-cosigner", &id, reason.trim())?;
        find(conn, &id)
    };
    Ok(Json(app.store.run_tx("audit.confirm-cosigner", confirm).await?))
}

/// Removes a cosigner: no further signatures are taken. Those that were stay.
#[utoipa::path(post, path = "/v1/audit/cosigners/{id}/remove", tag = "audit", params(("id" = String, Path)),
    request_body = Reason, responses(
    (status = 200, description = "Removed", body = Cosigner),
    (status = 404, description = "No such cosigner", body = Problem),
    (status = 409, description = "It was removed before", body = Problem),
    (status = 422, description = "A reason is missing", body = Problem)))]
async fn remove_cosigner(
    State(app): State<AppState>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<String>,
    Json(Reason { reason }): Json<Reason>,
) -> Result<Json<Cosigner>, Problem> {
    let reason = required(&reason)?;
    let at = app.clock.now();
    let remove = move |conn: &mut PgConnection| {
        find(conn, &id)?;
        let open = audit_cosigner::table.find(&id).filter(audit_cosigner::removed_at.is_null());
        let removed = diesel::update(open)
            .set((audit_cosigner::removed_by.eq(operator.name.as_str()), audit_cosigner::removed_at.eq(at)))
            .execute(conn)?;
        if removed == 0 {
            return Err(Refusal::Conflict("the cosigner was removed before".into()));
        }
        note(conn, at, &operator, "audit.remove-cosigner", &id, &reason)?;
        find(conn, &id)
    };
    Ok(Json(app.store.run_tx("audit.remove-cosigner", remove).await?))
}

/// Takes cosignatures of confirmed cosigners on a checkpoint of this log: the note as it was read, with signatures added. No
/// login: the signatures say who it is. Leaves no entry in the log, which would ask for the next cosignature.
#[utoipa::path(post, path = "/v1/audit/cosignatures", tag = "audit", security(()),
    request_body(content = String, content_type = "text/plain"), responses(
    (status = 200, description = "How many of its signatures are confirmed cosigners'", body = Cosigned),
    (status = 404, description = "This log signed no such checkpoint", body = Problem),
    (status = 413, description = "The note is too large", body = Problem),
    (status = 422, description = "Not a signed note, a wrong signature, or none of a confirmed cosigner", body = Problem)))]
async fn post_cosignature(State(app): State<AppState>, body: Body) -> Result<Json<Cosigned>, Problem> {
    let note = to_bytes(body, MOST_BYTES).await.map_err(|_| Problem::too_large(MOST_BYTES))?;
    let signed = std::str::from_utf8(&note).ok().and_then(|note| note.parse::<SignedCheckpoint>().ok());
    let signed = signed.ok_or_else(|| Refusal::invalid("body", "not a checkpoint in a signed note"))?;
    let (identity, at) = (app.audit.clone(), app.clock.now());
    let take = move |conn: &mut PgConnection| {
        let size = signed.claims().size;
        let ours = db::of_size(conn, size)?.filter(|ours| ours.note().text() == signed.note().text());
        ours.ok_or(Refusal::NotFound("checkpoint of this log"))?;
        let opened = identity.trust(confirmed(conn)?).open(&signed);
        let seen = opened.map_err(|error| Refusal::invalid("body", error.to_string()))?.seen;
        if seen.is_empty() {
            return Err(Refusal::invalid("body", "no signature is of a confirmed cosigner"));
        }
        for seen in &seen {
            let mut only = signed.clone();
            only.retain(std::slice::from_ref(&seen.key));
            db::keep_cosignature(conn, &only, &seen.key, at)?;
        }
        Ok(Cosigned { size, cosigners: seen.len() })
    };
    Ok(Json(app.store.run_tx("audit.cosign", take).await?))
}

/// Keys whose signatures are taken.
pub(super) fn confirmed(conn: &mut PgConnection) -> Result<Vec<VerifierKey>, StoreError> {
    let keys: Vec<String> = audit_cosigner::table
        .filter(audit_cosigner::confirmed_at.is_not_null().and(audit_cosigner::removed_at.is_null()))
        .order(audit_cosigner::id)
        .select(audit_cosigner::key)
        .load(conn)?;
    keys.iter().map(|key| parsed(key)).collect()
}

type Row = (
    String,
    String,
    String,
    DateTime<Utc>,
    Option<String>,
    Option<DateTime<Utc>>,
    Option<String>,
    Option<DateTime<Utc>>,
);

fn find(conn: &mut PgConnection, id: &str) -> Result<Cosigner, Refusal> {
    let row: Option<Row> = audit_cosigner::table.find(id).first(conn).optional()?;
    cosigner(row.ok_or(Refusal::NotFound("cosigner"))?)
}

fn cosigner((id, key, proposed_by, proposed_at, confirmed_by, _, _, removed_at): Row) -> Result<Cosigner, Refusal> {
    Ok(Cosigner {
        id,
        key,
        proposed_by: parsed(&proposed_by)?,
        proposed_at,
        confirmed_by: confirmed_by.as_deref().map(parsed).transpose()?,
        removed_at,
    })
}

fn required(reason: &str) -> Result<String, Refusal> {
    match reason.trim() {
        "" => Err(Refusal::invalid("reason", "say why")),
        reason => Ok(reason.to_owned()),
    }
}

fn note(
    conn: &mut PgConnection,
    at: DateTime<Utc>,
    by: &Operator,
    action: &'static str,
    id: &str,
    reason: &str,
) -> Result<(), StoreError> {
    activity::record(conn, Step { at, operator: Some(&by.name), action, subject: id, reason })
}
