//! Signing in, and asking who one is.

use std::net::SocketAddr;

use authority_api::types::{Session, SignIn};
use axum::{
    Extension,
    extract::{ConnectInfo, State},
    http::StatusCode,
};
use runtime::{Problem, extract::Json};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::{Operator, session},
    state::AppState,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(sign_in)).routes(routes!(current_session))
}

/// Signs in: the token goes into `Authorization: Bearer …` of the other calls.
#[utoipa::path(post, path = "/v1/sessions", tag = "sessions", request_body = SignIn, security(()), responses(
    (status = 201, description = "Signed in", body = Session),
    (status = 401, description = "Name or password is wrong, or the operator is disabled", body = Problem),
    (status = 429, description = "Too many failed attempts", body = Problem)))]
async fn sign_in(
    State(app): State<AppState>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Json(body): Json<SignIn>,
) -> Result<(StatusCode, Json<Session>), Problem> {
    let session = session::begin(&app, body.operator.as_str(), &body.password, peer.ip()).await?;
    Ok((StatusCode::CREATED, Json(session)))
}

/// Who is signed in, with which roles, until when.
#[utoipa::path(get, path = "/v1/sessions/current", tag = "sessions", responses(
    (status = 200, description = "The present session, without its token", body = Session),
    (status = 401, description = "Not signed in", body = Problem)))]
async fn current_session(State(app): State<AppState>, Extension(operator): Extension<Operator>) -> Json<Session> {
    let expires_at = operator.until.unwrap_or_else(|| app.clock.now());
    Json(Session { operator: operator.name, roles: operator.roles, token: String::new(), expires_at })
}
