//! What operators see of the cluster.

use authority_api::types::{Applied, DriftReport, Plan, Reason};
use axum::{Extension, extract::State};
use jointuse::{KafkaTopicId, TopicName};
use runtime::{
    Problem,
    extract::{Json, Path},
};
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{ClusterError, db};
use crate::{
    auth::Operator,
    db::activity,
    error::Refusal,
    state::{App, AppState},
};

/// Reports in one answer.
const REPORTS: i64 = 100;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(cluster_plan))
        .routes(routes!(cluster_apply))
        .routes(routes!(cluster_drift))
        .routes(routes!(accept_topic))
}

/// What differs between the approved state and the cluster now, in the order in which it would be mended.
#[utoipa::path(get, path = "/v1/cluster/plan", tag = "cluster", responses(
    (status = 200, description = "The differences; none when the cluster is as approved", body = Plan),
    (status = 503, description = "No broker can be reached", body = Problem)))]
async fn cluster_plan(State(app): State<AppState>) -> Result<Json<Plan>, Problem> {
    let changes = app.cluster.plan(&app).await.map_err(problem)?;
    Ok(Json(Plan { changes }))
}

/// Brings the cluster to the approved state now, as the reconciler does by itself.
#[utoipa::path(post, path = "/v1/cluster/apply", tag = "cluster", responses(
    (status = 200, description = "What was done, and what failed with the broker's reason", body = Applied),
    (status = 503, description = "No broker can be reached", body = Problem)))]
async fn cluster_apply(
    State(app): State<AppState>,
    Extension(operator): Extension<Operator>,
) -> Result<Json<Applied>, Problem> {
    let applied = app.cluster.reconcile(&app).await.map_err(problem)?;
    let subject = format!("{} done, {} failed", applied.done.len(), applied.failed.len());
    record(&app, operator, "cluster.apply", subject, String::new()).await?;
    Ok(Json(applied))
}

/// Drift that was found, newest first: what somebody changed on the cluster, and what was done about it. What is left
/// to an operator's decision stands under `failed`, with the reason.
#[utoipa::path(get, path = "/v1/cluster/drift", tag = "cluster", responses(
    (status = 200, description = "The newest reports", body = Vec<DriftReport>)))]
async fn cluster_drift(State(app): State<AppState>) -> Result<Json<Vec<DriftReport>>, Problem> {
    let reports = app.store.read("cluster_drift", |conn| db::reports(conn, REPORTS)).await;
    Ok(Json(reports.map_err(Refusal::Store)?))
}

/// A shared topic and the id by which it is known from now on.
#[derive(Debug, Serialize, ToSchema)]
struct AcceptedTopic {
    #[schema(value_type = String)]
    name: TopicName,
    #[schema(value_type = String)]
    kafka_id: KafkaTopicId,
}

/// Accepts a topic that was deleted and made anew: from now on grants mean the topic that is on the cluster now.
#[utoipa::path(post, path = "/v1/cluster/topics/{name}/accept", tag = "cluster", request_body = Reason,
    params(("name" = String, Path, description = "The topic")), responses(
    (status = 200, description = "The topic's id", body = AcceptedTopic),
    (status = 404, description = "No shared topic of this name exists on the cluster", body = Problem),
    (status = 422, description = "No reason is given", body = Problem),
    (status = 503, description = "No broker can be reached, or the services could not be told yet", body = Problem)))]
async fn accept_topic(
    State(app): State<AppState>,
    Extension(operator): Extension<Operator>,
    Path(name): Path<TopicName>,
    Json(Reason { reason }): Json<Reason>,
) -> Result<Json<AcceptedTopic>, Problem> {
    if contract::catalogue().topic(&name).is_none() {
        return Err(Refusal::NotFound("shared topic").into());
    }
    if reason.trim().is_empty() {
        return Err(Refusal::invalid("reason", "say why the topic was made anew").into());
    }
    let kafka_id = app.cluster.topic_id(&name).await.map_err(problem)?;
    let at = app.clock.now();
    let accept = {
        let name = name.clone();
        move |conn: &mut diesel::PgConnection| {
            crate::db::policy_issue::decide(conn, at)?;
            db::accept_topic_id(conn, &name, kafka_id, &operator.name, at)?;
            let subject = format!("{name} {}", hex::encode(kafka_id.0));
            let step = activity::Step {
                at,
                operator: Some(&operator.name),
                action: "cluster.accept-topic",
                subject: &subject,
                reason: reason.trim(),
            };
            Ok::<_, Refusal>(activity::record(conn, step)?)
        }
    };
    app.store.run_tx("accept_topic", accept).await?;
    app.link.wake();
    app.publisher.tell(at, app.told_within()).await?;
    Ok(Json(AcceptedTopic { name, kafka_id }))
}

async fn record(
    app: &App,
    operator: Operator,
    action: &'static str,
    subject: String,
    reason: String,
) -> Result<(), Problem> {
    let at = app.clock.now();
    let write = move |conn: &mut diesel::PgConnection| {
        let operator = Some(&operator.name);
        Ok::<_, Refusal>(activity::record(
            conn,
            activity::Step { at, operator, action, subject: &subject, reason: &reason },
        )?)
    };
    Ok(app.store.run_tx("record_activity", write).await?)
}

fn problem(error: ClusterError) -> Problem {
    match error {
        ClusterError::NoTopic => Refusal::NotFound("topic on the cluster").into(),
        ClusterError::Store(error) => Refusal::Store(error).into(),
        ClusterError::Admin(error) if error.is_transient() => {
            tracing::warn!(%error, "no broker did its part");
            Problem::unavailable("no broker can be reached; nothing or a part was done", Duration::from_secs(1))
        }
        other => Problem::internal(&other),
    }
}
