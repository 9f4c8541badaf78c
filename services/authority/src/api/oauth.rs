//! Access tokens for publishers and sales tools: OAuth 2.0 client credentials (RFC 6749 section 4.4), and the keys that
//! verify them (RFC 7517). Errors are those of RFC 6749 section 5.2, not problems.

use std::net::SocketAddr;

use authority_api::{Audience, Claims, token::jwks, types::TokenAnswer};
use axum::{
    Form,
    extract::{ConnectInfo, State, rejection::FormRejection},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, TimeDelta, Utc};
use jointuse::Login;
use policy::{Action, GrantId, GrantKind, Policy, Request};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::{Client, NoClient, basic_pair, verify_client},
    db,
    state::{App, AppState},
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(issue_token)).routes(routes!(get_jwks))
}

/// Body of a token request, `application/x-www-form-urlencoded`.
#[derive(Deserialize, ToSchema)]
struct TokenRequest {
    /// `client_credentials`.
    grant_type: Option<String>,
    /// `intake` for a publication; `history`, or `hub` for SASL/OAUTHBEARER, for a subscription. Left out: the first of these.
    scope: Option<String>,
    /// The login, where it is not sent by HTTP Basic.
    client_id: Option<String>,
    /// The secret, where it is not sent by HTTP Basic.
    client_secret: Option<String>,
}

/// RFC 6749 section 5.2.
#[derive(Debug, Serialize, ToSchema)]
struct TokenError {
    error: &'static str,
    error_description: String,
}

/// A refusal of the token endpoint.
#[derive(Debug)]
struct Refused {
    status: StatusCode,
    error: &'static str,
    description: String,
    retry_after: Option<u64>,
}

impl Refused {
    fn new(error: &'static str, description: impl Into<String>) -> Self {
        let status = match error {
            "invalid_client" => StatusCode::UNAUTHORIZED,
            "temporarily_unavailable" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        };
        Self { status, error, description: description.into(), retry_after: None }
    }
}

impl From<NoClient> for Refused {
    fn from(why: NoClient) -> Self {
        match why {
            NoClient::MustWait(wait) => Self {
                status: StatusCode::TOO_MANY_REQUESTS,
                retry_after: Some(wait.as_secs().max(1)),
                ..Self::new("invalid_client", "too many failed attempts: try again later")
            },
            NoClient::Wrong => Self::new("invalid_client", "unknown login, wrong secret or revoked credential"),
            NoClient::Away => Self::new("temporarily_unavailable", "the database is away; try again"),
        }
    }
}

/// RFC 6749 section 5.1: no answer of this endpoint is kept by a cache.
const NO_STORE: [(HeaderName, HeaderValue); 2] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::PRAGMA, HeaderValue::from_static("no-cache")),
];

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = axum::Json(TokenError { error: self.error, error_description: self.description });
        let mut response = (self.status, NO_STORE, body).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"authority\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Gives an access token for a live credential of an approved grant.
#[utoipa::path(post, path = "/oauth/token", tag = "tokens", security(("client" = [])),
    request_body(content = TokenRequest, content_type = "application/x-www-form-urlencoded"), responses(
    (status = 200, description = "A token for the service that the grant is for", body = TokenAnswer),
    (status = 400, description = "invalid_request, unsupported_grant_type, invalid_scope, unauthorized_client", body = TokenError),
    (status = 401, description = "invalid_client: unknown login, wrong secret or revoked credential", body = TokenError),
    (status = 429, description = "Too many failed attempts", body = TokenError),
    (status = 503, description = "temporarily_unavailable: no policy is in force or the database is away", body = TokenError)))]
async fn issue_token(
    State(app): State<AppState>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    form: Result<Form<TokenRequest>, FormRejection>,
) -> Response {
    let outcome = match form {
        Ok(Form(request)) => token(&app, peer, &headers, request).await,
        Err(_) => Err(Refused::new("invalid_request", "the body must be application/x-www-form-urlencoded")),
    };
    app.metrics.token(outcome.as_ref().map_or_else(|refused| refused.error, |_| "ok"));
    match outcome {
        Ok(answer) => (NO_STORE, axum::Json(answer)).into_response(),
        Err(refused) => refused.into_response(),
    }
}

/// The keys that verify access tokens (RFC 7517, RFC 8037).
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "tokens", security(()), responses(
    (status = 200, description = "JSON Web Key Set", body = Object)))]
async fn get_jwks(State(app): State<AppState>) -> axum::Json<serde_json::Value> {
    axum::Json(jwks(&app.token_keys))
}

async fn token(
    app: &App,
    peer: SocketAddr,
    headers: &HeaderMap,
    request: TokenRequest,
) -> Result<TokenAnswer, Refused> {
    match request.grant_type.as_deref() {
        Some("client_credentials") => {}
        Some(_) => return Err(Refused::new("unsupported_grant_type", "only client_credentials is supported")),
        None => return Err(Refused::new("invalid_request", "grant_type is missing")),
    }
    let (client, secret) = client(headers, request.client_id, request.client_secret)?;
    let Client { login, grant } = verify_client(app, &client, secret, peer.ip()).await?;
    let audience = audience(grant.kind(), request.scope.as_deref())?;
    grant_token(app, login, &grant, audience)
}

/// The client's name and secret: by HTTP Basic (form-encoded inside, RFC 6749 section 2.3.1) or in the body, not both.
fn client(headers: &HeaderMap, id: Option<String>, secret: Option<String>) -> Result<(String, String), Refused> {
    let malformed = || Refused::new("invalid_client", "the client's authentication is missing or malformed");
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return id.zip(secret).ok_or_else(malformed);
    };
    if secret.is_some() {
        return Err(Refused::new("invalid_request", "authenticate in one way only"));
    }
    let (scheme, encoded) = value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(malformed());
    }
    // Logins and secrets are of characters that form encoding leaves as they are.
    basic_pair(encoded).filter(|(name, _)| id.is_none_or(|id| id == *name)).ok_or_else(malformed)
}

/// What the token is for: one service, never two.
fn audience(kind: GrantKind, scope: Option<&str>) -> Result<Audience, Refused> {
    let offered: &[Audience] = match kind {
        GrantKind::Publication => &[Audience::Intake],
        GrantKind::Subscription => &[Audience::History, Audience::Hub],
    };
    // Clients that were told of no scope send none, or an empty one.
    let wanted = scope.filter(|scope| !scope.is_empty());
    let found = offered.iter().find(|audience| wanted.is_none_or(|scope| scope == audience.as_str()));
    found.copied().ok_or_else(|| {
        let scopes = offered.iter().map(|audience| audience.as_str()).collect::<Vec<_>>().join(" or ");
        Refused::new("invalid_scope", format!("a {} gets tokens of scope {scopes} only", db::grants::kind_text(kind)))
    })
}

/// A token, if the policy in force lets the grant do anything at all with any of its topics.
fn grant_token(app: &App, login: Login, grant: &GrantId, audience: Audience) -> Result<TokenAnswer, Refused> {
    let now = app.clock.now();
    let policy = app
        .publisher
        .policy(now)
        .map_err(|_| Refused::new("temporarily_unavailable", "no policy is in force; try again"))?;
    let action = match audience {
        Audience::Intake => Action::Publish,
        Audience::Hub => Action::Deliver,
        _ => Action::ReadHistory,
    };
    let company =
        permitted(&policy, &login, grant, action, now).map_err(|why| Refused::new("unauthorized_client", why))?;
    let lifetime = app.config.tokens.lifetime_seconds;
    let claims = Claims {
        iss: app.public_url.clone(),
        sub: login,
        aud: audience.as_str().to_owned(),
        iat: now.timestamp(),
        exp: (now + TimeDelta::seconds(lifetime.into())).timestamp(),
        jti: uuid::Uuid::new_v4().simple().to_string(),
        company,
        grant: grant.clone(),
    };
    let access_token = app.tokens.sign(&claims).map_err(|error| {
        tracing::error!(%error, "cannot sign a token");
        Refused::new("temporarily_unavailable", "no token can be signed")
    })?;
    Ok(TokenAnswer {
        access_token,
        token_type: "Bearer".into(),
        expires_in: lifetime.into(),
        scope: audience.as_str().into(),
    })
}

/// The grant's company, or in words why the rules refuse.
fn permitted(
    policy: &Policy,
    login: &Login,
    grant: &GrantId,
    action: Action,
    at: DateTime<Utc>,
) -> Result<jointuse::CompanyId, String> {
    let topics = policy.grant(grant).map(|grant| grant.topics.iter()).into_iter().flatten();
    let mut why = "the credential's grant is not in force".to_owned();
    for topic in topics {
        match policy::decide(&Request { login, action, topic, topic_id: None, at }, policy) {
            Ok(permit) => return Ok(permit.company().clone()),
            Err(denial) => why = format!("{}: {}", denial.rule_ids().join(", "), denial.reason()),
        }
    }
    Err(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(pair: &str) -> HeaderMap {
        use base64::Engine as _;
        let value = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
        HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_str(&value).unwrap())])
    }

    #[test]
    fn clients_authenticate_in_one_way() {
        let some = |text: &str| Some(text.to_owned());
        let both = ("ju-sub-a-1".to_owned(), "s:cret".to_owned());
        assert_eq!(client(&basic("ju-sub-a-1:s:cret"), None, None).unwrap(), both);
        assert_eq!(client(&HeaderMap::new(), some("ju-sub-a-1"), some("s:cret")).unwrap(), both);
        assert_eq!(client(&basic("ju-sub-a-1:s:cret"), some("ju-sub-a-1"), None).unwrap(), both);
        let error = |headers: &HeaderMap, id, secret| client(headers, id, secret).unwrap_err().error;
        assert_eq!(error(&basic("a:b"), some("a"), some("b")), "invalid_request");
        assert_eq!(error(&basic("a:b"), some("c"), None), "invalid_client");
        assert_eq!(error(&basic("ab"), None, None), "invalid_client");
        assert_eq!(error(&HeaderMap::new(), some("a"), None), "invalid_client");
        let bearer = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static("Bearer x"))]);
        assert_eq!(error(&bearer, None, None), "invalid_client");
    }

    #[test]
    fn a_token_is_for_one_service_that_its_grant_may_use() {
        let of = |kind, scope| audience(kind, scope).map_err(|refused| refused.error);
        assert_eq!(of(GrantKind::Publication, None), Ok(Audience::Intake));
        assert_eq!(of(GrantKind::Subscription, None), Ok(Audience::History));
        assert_eq!(of(GrantKind::Subscription, Some("")), Ok(Audience::History));
        assert_eq!(of(GrantKind::Subscription, Some("hub")), Ok(Audience::Hub));
        for (kind, scope) in [
            (GrantKind::Publication, "hub"),
            (GrantKind::Publication, "history"),
            (GrantKind::Subscription, "intake"),
            (GrantKind::Subscription, "hub history"),
            (GrantKind::Subscription, "authority"),
        ] {
            assert_eq!(of(kind, Some(scope)), Err("invalid_scope"), "{scope}");
        }
    }

    #[test]
    fn refusals_are_those_of_the_standard() {
        let response = Refused::new("invalid_client", "x").into_response();
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        assert!(response.headers().contains_key(header::WWW_AUTHENTICATE));
        assert_eq!(Refused::new("invalid_scope", "x").into_response().status(), 400);
    }
}
