//! Operators' sessions: a JWT signed by the token key, checked against the operator's row at every call.

use std::{collections::BTreeSet, net::IpAddr};

use authority_api::{Audience, TokenError, token, types::Role, types::Session};
use chrono::{DateTime, TimeDelta, Utc};
use jointuse::OperatorName;
use runtime::Problem;
use serde::{Deserialize, Serialize};
use store::StoreError;

use super::{Operator, password, throttle::Attempt};
use crate::{db, error::Refusal, state::App};

/// What a session's token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: OperatorName,
    aud: String,
    iat: i64,
    exp: i64,
    jti: String,
    roles: BTreeSet<Role>,
}

/// Begins a session.
///
/// # Errors
/// As [`check_password`].
pub(crate) async fn begin(app: &App, name: &str, password: &str, peer: IpAddr) -> Result<Session, Problem> {
    let operator = check_password(app, name, password, peer).await?;
    let now = app.clock.now();
    let expires_at = whole_second(now + TimeDelta::seconds(app.config.sessions.lifetime_seconds.into()));
    let claims = Claims {
        iss: app.public_url.clone(),
        sub: operator.name.clone(),
        aud: Audience::Authority.as_str().to_owned(),
        iat: now.timestamp(),
        exp: expires_at.timestamp(),
        jti: uuid::Uuid::new_v4().simple().to_string(),
        roles: operator.roles.clone(),
    };
    let token = app.tokens.sign(&claims).map_err(|error| Problem::internal(&error))?;
    Ok(Session { operator: operator.name, roles: operator.roles, token, expires_at })
}

/// The operator of that name and password.
///
/// # Errors
/// 401 when they do not fit or the operator is disabled (the answer does not say which), 429 after too many failures.
pub(crate) async fn check_password(app: &App, name: &str, password: &str, peer: IpAddr) -> Result<Operator, Problem> {
    let attempt = Attempt::new(name, peer);
    if let Some(wait) = app.throttle.must_wait(&attempt) {
        app.metrics.sign_in("throttled");
        return Err(Problem::too_many_requests(wait).detail("too many failed attempts"));
    }
    let parsed: Option<OperatorName> = name.parse().ok();
    let found = match parsed {
        Some(name) => app.store.read("sign_in", move |conn| db::operators::with_hash(conn, &name)).await,
        None => Ok(None),
    };
    let found = found.map_err(Refusal::Store)?;
    let (row, hash) = found.map_or((None, None), |(row, hash)| (Some(row), Some(hash)));
    let holds = password::verify(password.to_owned(), hash).await;
    match row {
        Some(row) if holds && row.disabled_at.is_none() => {
            app.throttle.succeeded(&attempt);
            app.metrics.sign_in("ok");
            Ok(Operator { name: row.name, roles: row.roles, until: None })
        }
        _ => {
            app.throttle.failed(&attempt);
            app.metrics.sign_in("refused");
            Err(Problem::unauthorized(
                "Bearer",
                "the operator's name or password is wrong, or the operator is disabled",
            ))
        }
    }
}

/// The operator of a session's token.
///
/// # Errors
/// 401 when the token does not hold, or the operator has been disabled or is gone.
pub(crate) async fn verify(app: &App, token: &str) -> Result<Operator, Problem> {
    let refuse = |detail: &str| Problem::unauthorized("Bearer error=\"invalid_token\"", detail);
    let now = app.clock.now();
    let claims: Claims = token::verify_claims(token, Audience::Authority, &app.token_keys, now).map_err(|error| {
        refuse(match error {
            TokenError::Expired => "the session has expired: sign in again",
            _ => "this is no session of this authority: sign in",
        })
    })?;
    let name = claims.sub.clone();
    let row = app.store.read("session_operator", move |conn| db::operators::find(conn, &name)).await;
    let row = row.map_err(|error: StoreError| Problem::from(Refusal::Store(error)))?;
    let row = row.filter(|row| row.disabled_at.is_none()).ok_or_else(|| refuse("the operator is disabled"))?;
    Ok(Operator {
        name: row.name,
        roles: row.roles.intersection(&claims.roles).copied().collect(),
        until: DateTime::from_timestamp(claims.exp, 0),
    })
}

/// Tokens count in seconds.
fn whole_second(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp(at.timestamp(), 0).unwrap_or(at)
}
