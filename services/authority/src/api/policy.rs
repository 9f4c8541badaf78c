//! The policy in force, and why it decides as it does.

use std::sync::Arc;

use authority_api::types::{Explain, Explanation, PolicyView};
use axum::extract::State;
use chrono::{DateTime, TimeDelta, Utc};
use diesel::PgConnection;
use jointuse::Catalogue;
use policy::{Policy, Request, Snapshot};
use runtime::{Problem, extract::Json};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    cluster, db,
    error::Refusal,
    issue::RuleBook,
    state::{App, AppState},
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get_catalogue)).routes(routes!(get_policy)).routes(routes!(explain_policy))
}

/// The closed catalogue: items, purposes and topics.
#[utoipa::path(get, path = "/v1/catalogue", tag = "policy", responses(
    (status = 200, description = "The catalogue of this build", body = Object)))]
async fn get_catalogue() -> Json<&'static Catalogue> {
    Json(contract::catalogue())
}

/// The newest snapshot, and the rules in it.
#[utoipa::path(get, path = "/v1/policy", tag = "policy", responses(
    (status = 200, description = "The policy in force", body = PolicyView),
    (status = 503, description = "No valid policy was issued", body = Problem)))]
async fn get_policy(State(app): State<AppState>) -> Result<Json<PolicyView>, Problem> {
    let policy = app.publisher.policy(app.clock.now())?;
    let snapshot = policy.snapshot();
    Ok(Json(PolicyView {
        number: snapshot.number,
        issued_at: snapshot.issued_at,
        expires_at: snapshot.expires_at,
        rules: policy.rules().to_vec(),
    }))
}

/// Whether a login may do something with a topic now, and the rules that say so.
#[utoipa::path(post, path = "/v1/policy/explain", tag = "policy", request_body = Explain, responses(
    (status = 200, description = "The decision", body = Explanation),
    (status = 503, description = "No valid policy was issued", body = Problem)))]
async fn explain_policy(State(app): State<AppState>, Json(ask): Json<Explain>) -> Result<Json<Explanation>, Problem> {
    let at = app.clock.now();
    let policy = app.publisher.policy(at)?;
    let request = Request { login: &ask.login, action: ask.action, topic: &ask.topic, topic_id: None, at };
    let decision = policy::decide(&request, &policy);
    let grant = policy.grant_of(&ask.login);
    let company = grant.and_then(|grant| policy.company(&grant.company));
    let (allowed, decision, rules) = match decision {
        Ok(permit) => (true, permit.decision().to_owned(), permit.rules().to_vec()),
        Err(denial) => (false, denial.decision, denial.rules),
    };
    Ok(Json(Explanation {
        allowed,
        decision,
        snapshot: policy.snapshot().number,
        rules,
        grant: grant.map(|grant| grant.id.clone()),
        company: grant.map(|grant| grant.company.clone()),
        purpose: grant.map(|grant| grant.purpose.clone()),
        notice_version: company.and_then(|company| company.notice.as_ref()).map(|notice| notice.version),
    }))
}

/// Makes policies from the database as it is inside a transaction, for decisions that must not rest on an older one.
#[derive(Debug, Clone)]
pub(super) struct Present {
    rules: RuleBook,
    /// Spares parsing its rules again.
    latest: Option<Arc<Policy>>,
}

impl Present {
    pub(super) fn new(app: &App) -> Self {
        Self { rules: app.rules.clone(), latest: app.publisher.latest() }
    }

    /// The policy at `at`. It is never issued; its number is 0.
    pub(super) fn policy(&self, conn: &mut PgConnection, at: DateTime<Utc>) -> Result<Policy, Refusal> {
        let rules = self.rules.in_force(at).map_err(|_| Refusal::NoPolicy)?;
        let topic_ids = cluster::recorded_topic_ids(conn)?;
        let decided = db::snapshot::read(conn, &topic_ids, at)?;
        let snapshot = Snapshot {
            number: 0,
            issued_at: at,
            expires_at: at + TimeDelta::minutes(1),
            changed_at: at,
            rules,
            companies: decided.companies,
            grants: decided.grants,
            credentials: decided.credentials,
            topics: decided.topics,
            token_keys: Vec::new(),
        };
        Ok(match &self.latest {
            Some(latest) => Policy::load_after(snapshot, latest)?,
            None => Policy::load(snapshot)?,
        })
    }
}
