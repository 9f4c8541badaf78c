//! The REST API.

mod auth;
mod files;
mod presets;
mod records;
mod reply;
mod upload;

use std::sync::Arc;

use axum::{Json, Router, extract::DefaultBodyLimit, routing};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::service::App;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some("Access token of a publication, by client credentials at the authority: scope `intake`"))
            .build();
        openapi.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Intake",
        description = "Where group companies publish under the joint use. Each row is answered by itself: accepted \
            (acknowledged by the brokers), unchanged, or refused with field, rule and what to do. Answers never repeat a \
            value. The company is that of the token, never of the body."
    ),
    modifiers(&Bearer),
    security(("bearer" = [])),
    tags(
        (name = "records", description = "JSON records"),
        (name = "files", description = "CSV, vCard and iCalendar files"),
    )
)]
struct Api;

fn routes(json_bytes: usize) -> OpenApiRouter<Arc<App>> {
    let records = OpenApiRouter::new().routes(routes!(records::post)).layer(DefaultBodyLimit::max(json_bytes));
    let files = OpenApiRouter::new().routes(routes!(files::post)).layer(DefaultBodyLimit::disable());
    OpenApiRouter::with_openapi(Api::openapi()).routes(routes!(presets::get)).merge(records).merge(files)
}

/// The API's description.
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes(0).into_openapi()
}

/// The API, with its description at `/openapi.json`.
pub fn router(app: Arc<App>) -> Router {
    let (router, openapi) = routes(app.limits.json_bytes).split_for_parts();
    let description = routing::get(move || async move { Json(openapi) });
    router.with_state(app).route("/openapi.json", description)
}

#[cfg(test)]
mod tests {
    /// The golden file of the API reference. `INTAKE_OPENAPI=write` writes it anew.
    #[test]
    fn the_description_is_the_published_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/api/intake.openapi.json");
        let now = super::openapi().to_pretty_json().unwrap() + "\n";
        if std::env::var_os("INTAKE_OPENAPI").is_some() {
            std::fs::create_dir_all(std::path::Path::new(path).parent().unwrap()).unwrap();
            std::fs::write(path, &now).unwrap();
        }
        let published = std::fs::read_to_string(path).unwrap_or_default();
        assert!(now == published, "run the test with INTAKE_OPENAPI=write and review the change of {path}");
    }
}
