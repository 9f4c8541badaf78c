//! Who asks: a Bearer token of a subscription, for this service, under the policy in force.

use std::sync::Arc;

use authority_api::{Audience, Claims, verify_token};
use axum::{extract::FromRequestParts, http::header::AUTHORIZATION, http::request::Parts};
use chrono::{DateTime, Utc};
use policy::Policy;
use runtime::Problem;

use super::App;

/// How soon to ask again while there is no policy: it is issued every few seconds.
const RETRY: std::time::Duration = std::time::Duration::from_secs(5);

/// An authenticated caller, with the policy that it is judged by.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    pub(super) claims: Claims,
    pub(super) policy: Arc<Policy>,
    pub(super) at: DateTime<Utc>,
}

pub(super) fn no_policy() -> Problem {
    Problem::unavailable("no policy is in force: nothing may be answered until the authority tells one", RETRY)
        .with("rules", ["policy-expired"])
}

impl FromRequestParts<Arc<App>> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let Some(token) = token else {
            return Err(Problem::unauthorized("Bearer realm=\"history\"", "send the access token of a subscription"));
        };
        let at = app.clock.now();
        // Keys to verify tokens by come with the policy: without one nobody can be told apart.
        let policy = app.policy.current(at).ok_or_else(no_policy)?;
        let claims = verify_token(token, Audience::History, &policy, at).map_err(|error| {
            let challenge = "Bearer realm=\"history\", error=\"invalid_token\"";
            Problem::unauthorized(challenge, error.to_string())
        })?;
        Ok(Self { claims, policy, at })
    }
}
