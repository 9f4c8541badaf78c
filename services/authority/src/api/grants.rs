//! Publications and subscriptions: asked for by one operator, decided by another, stopped by any who may.

use authority_api::{
    ClientConfig,
    types::{GrantView, NewGrant, Reason},
};
use axum::{Extension, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use diesel::PgConnection;
use jointuse::OperatorName;
use policy::{GrantId, GrantKind};
use runtime::{
    Problem,
    extract::{Json, Path},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    decide::{decide, note, note_in_full, read},
    policy::Present,
};
use crate::{
    auth::{Client, Operator},
    db::{
        self,
        grants::{StoredGrant, grant_id, kind_text},
    },
    error::Refusal,
    rules::grant::{self, GrantStep},
    state::AppState,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(request_publication, list_publications))
        .routes(routes!(get_publication))
        .routes(routes!(approve_publication))
        .routes(routes!(decline_publication))
        .routes(routes!(suspend_publication))
        .routes(routes!(resume_publication))
        .routes(routes!(revoke_publication))
        .routes(routes!(request_subscription, list_subscriptions))
        .routes(routes!(get_subscription))
        .routes(routes!(approve_subscription))
        .routes(routes!(decline_subscription))
        .routes(routes!(suspend_subscription))
        .routes(routes!(resume_subscription))
        .routes(routes!(revoke_subscription))
        .routes(routes!(get_client_config))
}

macro_rules! kind {
    ($kind:expr, $tag:tt, $all:tt, $one:tt, $request:ident, $list:ident, $get:ident) => {
        /// Asks for it. Another operator decides. What the rules do not allow now cannot be asked for.
        #[utoipa::path(post, path = $all, tag = $tag, request_body = NewGrant, responses(
            (status = 201, description = "Asked for", body = GrantView),
            (status = 409, description = "The id is taken", body = Problem),
            (status = 422, description = "Outside the catalogue, or the rules are not met: `rules` says which", body = Problem)))]
        async fn $request(
            State(app): State<AppState>,
            Extension(operator): Extension<Operator>,
            Json(new): Json<NewGrant>,
        ) -> Result<(StatusCode, Json<GrantView>), Problem> {
            request(&app, operator.name, $kind, new).await
        }

        /// All of them.
        #[utoipa::path(get, path = $all, tag = $tag, responses(
            (status = 200, description = "All of them, by id", body = [GrantView])))]
        async fn $list(State(app): State<AppState>) -> Result<Json<Vec<GrantView>>, Problem> {
            let all = read(&app, "list_grants", |conn| db::grants::of_kind(conn, $kind)).await?;
            Ok(Json(all.into_iter().map(|stored| stored.view).collect()))
        }

        /// One of them.
        #[utoipa::path(get, path = $one, tag = $tag, params(("id" = String, Path)), responses(
            (status = 200, description = "What was asked for and decided", body = GrantView),
            (status = 404, description = "None has this id", body = Problem)))]
        async fn $get(State(app): State<AppState>, Path(id): Path<String>) -> Result<Json<GrantView>, Problem> {
            let id = typed($kind, &id)?;
            let found = read(&app, "get_grant", move |conn| db::grants::find(conn, &id)).await?;
            Ok(Json(found.ok_or(Refusal::NotFound(kind_text($kind)))?.view))
        }
    };
}

kind!(
    GrantKind::Publication,
    "publications",
    "/v1/publications",
    "/v1/publications/{id}",
    request_publication,
    list_publications,
    get_publication
);
kind!(
    GrantKind::Subscription,
    "subscriptions",
    "/v1/subscriptions",
    "/v1/subscriptions/{id}",
    request_subscription,
    list_subscriptions,
    get_subscription
);

macro_rules! step {
    ($name:ident, $tag:tt, $path:tt, $kind:ident, $step:ident, $doc:tt) => {
        #[doc = $doc]
        #[utoipa::path(post, path = $path, tag = $tag, params(("id" = String, Path)), request_body = Reason, responses(
            (status = 200, description = "Done, and the services are told", body = GrantView),
            (status = 403, description = "Another operator must do it", body = Problem),
            (status = 404, description = "None has this id", body = Problem),
            (status = 409, description = "The step does not follow", body = Problem),
            (status = 422, description = "A reason is missing, or the rules are not met: `rules` says which", body = Problem),
            (status = 503, description = "Recorded, but the services could not be told yet", body = Problem)))]
        async fn $name(
            State(app): State<AppState>,
            Extension(operator): Extension<Operator>,
            Path(id): Path<String>,
            Json(reason): Json<Reason>,
        ) -> Result<Json<GrantView>, Problem> {
            let id = typed(GrantKind::$kind, &id)?;
            take(&app, operator.name, id, GrantStep::$step, reason.reason).await
        }
    };
}

step!(
    approve_publication,
    "publications",
    "/v1/publications/{id}/approve",
    Publication,
    Approve,
    "Approves a request, by another operator than the one who asked. The rules are asked again."
);
step!(
    decline_publication,
    "publications",
    "/v1/publications/{id}/decline",
    Publication,
    Decline,
    "Declines a request, by another operator than the one who asked."
);
step!(
    suspend_publication,
    "publications",
    "/v1/publications/{id}/suspend",
    Publication,
    Suspend,
    "Stops it for a time."
);
step!(
    resume_publication,
    "publications",
    "/v1/publications/{id}/resume",
    Publication,
    Resume,
    "Lifts a suspension; one's own request only if one suspended it oneself. The rules are asked again."
);
step!(
    revoke_publication,
    "publications",
    "/v1/publications/{id}/revoke",
    Publication,
    Revoke,
    "Ends it for good, and its credentials with it."
);
step!(
    approve_subscription,
    "subscriptions",
    "/v1/subscriptions/{id}/approve",
    Subscription,
    Approve,
    "Approves a request, by another operator than the one who asked. The rules are asked again."
);
step!(
    decline_subscription,
    "subscriptions",
    "/v1/subscriptions/{id}/decline",
    Subscription,
    Decline,
    "Declines a request, by another operator than the one who asked."
);
step!(
    suspend_subscription,
    "subscriptions",
    "/v1/subscriptions/{id}/suspend",
    Subscription,
    Suspend,
    "Stops it for a time: its live connections are closed."
);
step!(
    resume_subscription,
    "subscriptions",
    "/v1/subscriptions/{id}/resume",
    Subscription,
    Resume,
    "Lifts a suspension; one's own request only if one suspended it oneself. The rules are asked again."
);
step!(
    revoke_subscription,
    "subscriptions",
    "/v1/subscriptions/{id}/revoke",
    Subscription,
    Revoke,
    "Ends it for good, and its credentials with it: its live connections are closed."
);

/// A ready client configuration, but for the secret. It names the newest live credential; a subscriber that asks with its own
/// (login and secret by HTTP Basic), that one.
#[utoipa::path(get, path = "/v1/subscriptions/{id}/client-config", tag = "subscriptions",
    security(("session" = []), ("client" = [])), params(("id" = String, Path)), responses(
    (status = 200, description = "The configuration", body = ClientConfig),
    (status = 401, description = "No session; or an unknown login, a wrong secret or a revoked credential", body = Problem),
    (status = 403, description = "The credential is of another grant", body = Problem),
    (status = 404, description = "No such subscription", body = Problem),
    (status = 409, description = "It has no live credential", body = Problem),
    (status = 429, description = "Too many failed attempts with this login", body = Problem)))]
async fn get_client_config(
    State(app): State<AppState>,
    client: Option<Extension<Client>>,
    Path(id): Path<String>,
) -> Result<Json<ClientConfig>, Problem> {
    let own = client.map(|Extension(client)| client.login);
    let id = typed(GrantKind::Subscription, &id)?;
    let found = app.store.read("client_config", move |conn| {
        let stored = required(conn, &id)?;
        let live = match &own {
            Some(own) => own.clone(),
            None => {
                let live = db::credentials::newest_live(conn, &id)?;
                live.ok_or_else(|| Refusal::Conflict("it has no live credential: issue one first".into()))?.login
            }
        };
        Ok::<_, Refusal>((stored, live))
    });
    let (stored, login) = found.await?;
    Ok(Json(super::credentials::client_config(&app, &stored.view, login)?))
}

async fn request(
    app: &AppState,
    by: OperatorName,
    kind: GrantKind,
    new: NewGrant,
) -> Result<(StatusCode, Json<GrantView>), Problem> {
    grant::check_request(&new, contract::catalogue())?;
    let id =
        typed(kind, &new.id).map_err(|_| Refusal::invalid("id", "must be a slug: a-z, 0-9 and '-', at most 40"))?;
    let present = Present::new(app);
    let (action, noun) = (action(kind, "request"), kind_text(kind));
    let asked = decide(app, action, move |conn, at| {
        if db::companies::find(conn, &new.company, at)?.is_none() {
            return Err(Refusal::invalid("company", "there is no such company"));
        }
        let asked = db::snapshot::grant(id.clone(), jointuse::GrantState::Requested, new.clone());
        policy::decide_request(&asked, at, &present.policy(conn, at)?)?;
        db::grants::add(conn, &id, &new, &by, at)?;
        note_in_full(conn, at, &by, action, &format!("{noun} {}", id.as_str()), &new)?;
        Ok(required(conn, &id)?.view)
    });
    Ok((StatusCode::CREATED, Json(asked.await?)))
}

async fn take(
    app: &AppState,
    by: OperatorName,
    id: GrantId,
    step: GrantStep,
    reason: String,
) -> Result<Json<GrantView>, Problem> {
    let action = action(id.kind(), step.verb());
    let present = Present::new(app);
    let stepped = decide(app, action, move |conn, at| {
        let stored = required(conn, &id)?;
        grant::check_step(&stored.view, &stored.stepped_by, step, &by, &reason)?;
        if matches!(step, GrantStep::Approve | GrantStep::Resume) {
            let asked = db::snapshot::grant(id.clone(), stored.view.state, stored.view.asked);
            policy::decide_request(&asked, at, &present.policy(conn, at)?)?;
        }
        let decides = matches!(step, GrantStep::Approve | GrantStep::Decline);
        let row = db::grants::GrantStep { to: step.to(), by: &by, at, reason: reason.trim(), decides };
        db::grants::step(conn, &id, row)?;
        note(conn, at, &by, action, &id.to_string(), &reason)?;
        if step == GrantStep::Revoke {
            revoke_credentials(conn, &id, &by, at)?;
        }
        Ok(required(conn, &id)?.view)
    });
    Ok(Json(stepped.await?))
}

fn revoke_credentials(
    conn: &mut PgConnection,
    id: &GrantId,
    by: &OperatorName,
    at: DateTime<Utc>,
) -> Result<(), Refusal> {
    for login in db::credentials::revoke_all_of(conn, id, by, at)? {
        note(conn, at, by, "credential.revoke", &login, "its grant was revoked")?;
    }
    Ok(())
}

/// The grant, which must exist.
pub(super) fn required(conn: &mut PgConnection, id: &GrantId) -> Result<StoredGrant, Refusal> {
    db::grants::find(conn, id)?.ok_or(Refusal::NotFound(kind_text(id.kind())))
}

/// An id in a path: what is no slug names nothing.
pub(super) fn typed(kind: GrantKind, id: &str) -> Result<GrantId, Refusal> {
    grant_id(kind, id).map_err(|_| Refusal::NotFound(kind_text(kind)))
}

/// As in the activity log and as the transaction's name.
fn action(kind: GrantKind, verb: &str) -> &'static str {
    use GrantKind::{Publication as P, Subscription as S};
    match (kind, verb) {
        (P, "request") => "publication.request",
        (P, "approve") => "publication.approve",
        (P, "decline") => "publication.decline",
        (P, "suspend") => "publication.suspend",
        (P, "resume") => "publication.resume",
        (P, _) => "publication.revoke",
        (S, "request") => "subscription.request",
        (S, "approve") => "subscription.approve",
        (S, "decline") => "subscription.decline",
        (S, "suspend") => "subscription.suspend",
        (S, "resume") => "subscription.resume",
        (S, _) => "subscription.revoke",
    }
}
