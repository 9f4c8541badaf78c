//! `GET /v1/presets`.

use axum::Json;

use crate::formats::csv::{Preset, preset::Shown};

#[utoipa::path(get, path = "/v1/presets", tag = "files", summary = "What the columns of known exports mean", security(()),
    responses((status = 200, description = "The presets", body = Vec<Shown>)))]
pub(super) async fn get() -> Json<Vec<Shown>> {
    Json(Preset::all().iter().map(Preset::shown).collect())
}
