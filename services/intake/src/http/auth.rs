//! Who publishes: a Bearer token of a publication, for this service, under the policy in force.

use std::{sync::Arc, time::Duration};

use authority_api::{Audience, Claims, verify_token};
use axum::{
    extract::FromRequestParts,
    http::{StatusCode, header::AUTHORIZATION, request::Parts},
};
use chrono::{DateTime, Utc};
use jointuse::Kind;
use policy::{Permit, Policy};
use runtime::Problem;
use tokio::sync::OwnedSemaphorePermit;

use crate::{judge::Judge, pipeline, service::App};

/// How soon to ask again while there is no policy: it is issued every few seconds.
const RETRY: Duration = Duration::from_secs(5);

/// An authenticated publisher, with the policy that it is judged by.
#[derive(Debug)]
pub(super) struct Publisher {
    claims: Claims,
    policy: Arc<Policy>,
    at: DateTime<Utc>,
    app: Arc<App>,
    /// One request's turn.
    pub(super) turn: OwnedSemaphorePermit,
}

/// What a publisher may publish now.
#[derive(Debug)]
pub(super) struct Permitted {
    pub(super) permit: Permit,
    pub(super) judge: Judge,
    pub(super) schema_id: u32,
}

impl FromRequestParts<Arc<App>> for Publisher {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let Some(token) = token else {
            return Err(Problem::unauthorized("Bearer realm=\"intake\"", "send the access token of a publication"));
        };
        let at = app.clock.now();
        // Keys to verify tokens by come with the policy: without one nobody can be told apart.
        let policy = app.policy.current(at).ok_or_else(|| {
            Problem::unavailable("no policy is in force: nothing may be taken in until the authority tells one", RETRY)
                .with("rules", ["policy-expired"])
        })?;
        let claims = verify_token(token, Audience::Intake, &policy, at).map_err(|error| {
            Problem::unauthorized("Bearer realm=\"intake\", error=\"invalid_token\"", error.to_string())
        })?;
        let turn = Arc::clone(&app.requests).try_acquire_owned();
        let turn = turn.map_err(|_| Problem::too_many_requests(RETRY).detail("too many requests are being read"))?;
        Ok(Self { claims, policy, at, app: Arc::clone(app), turn })
    }
}

impl Publisher {
    /// Asks whether records of `kind` may be published, by the policy in force.
    pub(super) fn may(&self, kind: Kind) -> Result<Permitted, Problem> {
        let topic = contract::catalogue().topic_of(kind).ok_or_else(|| Problem::not_found("there is no such kind"))?;
        let permit = pipeline::permit(&self.policy, &self.claims.sub, &topic.name, self.at).map_err(|denial| {
            Problem::new(StatusCode::FORBIDDEN, "not-permitted")
                .detail(denial.reason())
                .with("rules", denial.rule_ids())
                .with("decision", &denial.decision)
        })?;
        if permit.company() != &self.claims.company {
            return Err(Problem::forbidden("the publication belongs to another company than the token says"));
        }
        let schema_id =
            self.app.schemas.get(kind).ok_or_else(|| {
                Problem::unavailable("the registry has not told the id of this kind's schema yet", RETRY)
            })?;
        let judge = Judge::new(&permit, self.app.key.clone(), kind, schema_id, self.at);
        Ok(Permitted { permit, judge, schema_id })
    }

    /// When the request was received.
    pub(super) const fn at(&self) -> DateTime<Utc> {
        self.at
    }
}
