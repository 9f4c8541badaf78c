//! Who did what, and why.

use authority_api::types::Activity;
use axum::extract::State;
use runtime::{
    Problem,
    extract::{Json, Query},
};
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::decide::read;
use crate::{db, state::AppState};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list_activity))
}

/// Most steps in one answer.
const MOST: i64 = 1000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    #[serde(default)]
    before: Option<i64>,
    #[serde(default)]
    limit: Option<i64>,
}

/// Steps of operators and of the authority itself, newest first. `before` is the last id of the page before.
#[utoipa::path(get, path = "/v1/activity", tag = "activity",
    params(("before" = Option<i64>, Query), ("limit" = Option<i64>, Query, maximum = 1000)), responses(
    (status = 200, description = "Steps, newest first", body = [Activity])))]
async fn list_activity(State(app): State<AppState>, Query(page): Query<Page>) -> Result<Json<Vec<Activity>>, Problem> {
    let limit = page.limit.unwrap_or(100).clamp(1, MOST);
    Ok(Json(read(&app, "list_activity", move |conn| db::activity::list(conn, page.before, limit)).await?))
}
