//! Credentials: issued once, shown once, rotated and revoked.

use authority_api::{
    ClientConfig,
    types::{Credential, GrantView, IssuedCredential, Reason},
};
use axum::{Extension, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use diesel::PgConnection;
use jointuse::{GrantState, Login, OperatorName};
use policy::{GrantId, GrantKind};
use runtime::{
    Problem,
    extract::{Json, Path},
};
use serde_json::json;
use std::time::Duration;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    decide::{decide, note, note_in_full, read, recorded},
    grants,
};
use crate::{
    auth::Operator,
    db::{
        self,
        credentials::{NewCredential, Verifier},
    },
    error::Refusal,
    secrets,
    state::{App, AppState},
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(issue_publication_credential))
        .routes(routes!(issue_subscription_credential))
        .routes(routes!(list_credentials))
        .routes(routes!(rotate_credential))
        .routes(routes!(revoke_credential))
}

/// Issues a credential for a publication. The secret is shown this once.
#[utoipa::path(post, path = "/v1/publications/{id}/credentials", tag = "credentials", params(("id" = String, Path)), responses(
    (status = 201, description = "Issued; usable now", body = IssuedCredential),
    (status = 202, description = "Issued; the services or the cluster could not be told yet", body = IssuedCredential),
    (status = 404, description = "No such publication", body = Problem),
    (status = 409, description = "It is not approved", body = Problem)))]
async fn issue_publication_credential(
    State(app): State<AppState>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<IssuedCredential>), Problem> {
    issue(&app, operator.name, grants::typed(GrantKind::Publication, &id)?).await
}

/// Issues a credential for a subscription. The secret is shown this once; a ready client configuration comes with it.
#[utoipa::path(post, path = "/v1/subscriptions/{id}/credentials", tag = "credentials", params(("id" = String, Path)), responses(
    (status = 201, description = "Issued; usable now", body = IssuedCredential),
    (status = 202, description = "Issued; the services or the cluster could not be told yet", body = IssuedCredential),
    (status = 404, description = "No such subscription", body = Problem),
    (status = 409, description = "It is not approved", body = Problem)))]
async fn issue_subscription_credential(
    State(app): State<AppState>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<IssuedCredential>), Problem> {
    issue(&app, operator.name, grants::typed(GrantKind::Subscription, &id)?).await
}

/// All credentials, revoked ones too.
#[utoipa::path(get, path = "/v1/credentials", tag = "credentials", responses(
    (status = 200, description = "All credentials, by grant", body = [Credential])))]
async fn list_credentials(State(app): State<AppState>) -> Result<Json<Vec<Credential>>, Problem> {
    let all = read(&app, "list_credentials", db::credentials::all).await?;
    Ok(Json(all.into_iter().map(|(credential, _)| credential).collect()))
}

/// Replaces a credential: a new one is issued and the old one is revoked, at once and together.
#[utoipa::path(post, path = "/v1/credentials/{login}/rotate", tag = "credentials", params(("login" = String, Path)), responses(
    (status = 201, description = "Replaced; usable now", body = IssuedCredential),
    (status = 202, description = "Replaced; the services or the cluster could not be told yet", body = IssuedCredential),
    (status = 404, description = "No such credential", body = Problem),
    (status = 409, description = "It is revoked, or its grant is not approved", body = Problem)))]
async fn rotate_credential(
    State(app): State<AppState>,
    Extension(operator): Extension<Operator>,
    Path(login): Path<Login>,
) -> Result<(StatusCode, Json<IssuedCredential>), Problem> {
    let (secret, verifier) = secrets::fresh()?;
    let by = operator.name;
    let replaced = recorded(&app, "credential.rotate", move |conn, at| {
        let (old, _) = db::credentials::find(conn, &login)?.ok_or(Refusal::NotFound("credential"))?;
        if !db::credentials::revoke(conn, &login, &by, at)? {
            return Err(Refusal::Conflict("the credential is revoked already: issue a new one".into()));
        }
        let (new, stored) = add(conn, &old.grant, &verifier, &by, at)?;
        note(conn, at, &by, "credential.rotate", login.as_str(), &format!("replaced by {new}"))?;
        Ok((new, stored))
    });
    hand_over(&app, replaced.await?, secret).await
}

/// Revokes a credential: its live connections are closed, its tokens are refused.
#[utoipa::path(post, path = "/v1/credentials/{login}/revoke", tag = "credentials", params(("login" = String, Path)),
    request_body = Reason, responses(
    (status = 200, description = "Revoked, and the services are told", body = Credential),
    (status = 404, description = "No such credential", body = Problem),
    (status = 409, description = "It is revoked already", body = Problem),
    (status = 422, description = "A reason is missing", body = Problem),
    (status = 503, description = "Recorded, but the services could not be told yet", body = Problem)))]
async fn revoke_credential(
    State(app): State<AppState>,
    Extension(operator): Extension<Operator>,
    Path(login): Path<Login>,
    Json(Reason { reason }): Json<Reason>,
) -> Result<Json<Credential>, Problem> {
    if reason.trim().is_empty() {
        return Err(Refusal::invalid("reason", "say why it is revoked").into());
    }
    let by = operator.name;
    let revoked = decide(&app, "credential.revoke", move |conn, at| {
        let known = db::credentials::find(conn, &login)?.is_some();
        if !db::credentials::revoke(conn, &login, &by, at)? {
            return Err(if known {
                Refusal::Conflict("the credential is revoked already".into())
            } else {
                Refusal::NotFound("credential")
            });
        }
        note(conn, at, &by, "credential.revoke", login.as_str(), &reason)?;
        let (credential, _) = db::credentials::find(conn, &login)?.ok_or(Refusal::NotFound("credential"))?;
        Ok(credential)
    });
    Ok(Json(revoked.await?))
}

/// A new login and the grant it belongs to.
type Added = (Login, GrantView);

async fn issue(
    app: &AppState,
    by: OperatorName,
    grant: GrantId,
) -> Result<(StatusCode, Json<IssuedCredential>), Problem> {
    let (secret, verifier) = secrets::fresh()?;
    let issued = recorded(app, "credential.issue", move |conn, at| {
        let (login, stored) = add(conn, &grant, &verifier, &by, at)?;
        note_in_full(conn, at, &by, "credential.issue", login.as_str(), &json!({ "grant": grant.to_string() }))?;
        Ok((login, stored))
    });
    hand_over(app, issued.await?, secret).await
}

fn add(
    conn: &mut PgConnection,
    grant: &GrantId,
    verifier: &Verifier,
    by: &OperatorName,
    at: DateTime<Utc>,
) -> Result<Added, Refusal> {
    let stored = grants::required(conn, grant)?;
    if stored.view.state != GrantState::Approved {
        return Err(Refusal::Conflict(format!(
            "what is {} gets no credential: it must be approved",
            stored.view.state.as_str()
        )));
    }
    let ordinal = db::credentials::next_ordinal(conn, grant)?;
    let login = secrets::login(grant, ordinal)?;
    db::credentials::add(conn, &NewCredential { login: &login, grant, ordinal, verifier }, by, at)?;
    Ok((login, stored.view))
}

/// The secret is shown whatever happens after it was recorded: nobody could read it again.
async fn hand_over(
    app: &AppState,
    ((login, grant), told): (Added, Result<(), Refusal>),
    secret: String,
) -> Result<(StatusCode, Json<IssuedCredential>), Problem> {
    let subscribes = grant.kind == GrantKind::Subscription;
    // A publication's secret is for tokens only, but its login is kept on the cluster like any other.
    let exists = app.link.login_exists(&login, Duration::from_millis(app.config.cluster.login_within_ms)).await;
    let status = if told.is_ok() && exists { StatusCode::CREATED } else { StatusCode::ACCEPTED };
    let client_config = subscribes.then(|| client_config(app, &grant, login.clone())).transpose()?;
    let id = grants::typed(grant.kind, &grant.asked.id)?;
    Ok((status, Json(IssuedCredential { login, secret, grant: id, client_config })))
}

/// What a stock client of this subscription needs, but for the secret.
pub(super) fn client_config(app: &App, grant: &GrantView, login: Login) -> Result<ClientConfig, Refusal> {
    let subscription = db::parsed(&grant.asked.id)?;
    Ok(ClientConfig {
        group_id: format!("ju.{subscription}.main"),
        subscription,
        bootstrap_servers: app.config.public.hub_bootstrap.clone(),
        login,
        topics: grant.asked.topics.iter().cloned().collect(),
        registry_url: format!("{}/registry", app.public_url),
        token_url: format!("{}/oauth/token", app.public_url),
        tls: app.config.public.hub_tls,
        trust: app.hub_trust.clone(),
    })
}
