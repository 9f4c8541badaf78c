//! The schema registry: the REST surface of Confluent's, as far as stock serialisers, deserialisers and tools use it.
//!
//! What is different, and why. Reading needs no login: a schema says what the published notice says. Registering and
//! configuring need a steward. A schema may be registered only for the values of a topic of the catalogue, and only when
//! every field names its item of the catalogue ([`contract::lawful`]). A field never changes its item, whatever the
//! compatibility level. Nothing is ever deleted: topics may hold records of any version for years, and an id that
//! disappeared would make them unreadable, so `DELETE` is answered with 405.

mod db;
mod error;
mod model;
mod read;
mod seed;
mod write;

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::{HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Serialize;

pub(crate) use seed::register_missing;

use self::error::RegistryError;
use crate::state::AppState;

/// Largest request body. The largest schema here has 10 KiB.
const MAX_BODY: usize = 256 << 10;
/// The registry's own media type.
const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// What the handlers share.
#[derive(Debug, Clone)]
struct Registry {
    app: AppState,
    /// Schemas never change, so what was read once is kept.
    by_id: Arc<RwLock<HashMap<i32, Arc<str>>>>,
}

impl Registry {
    /// The text of the schema with this id.
    async fn text(&self, id: i32) -> Result<Arc<str>, RegistryError> {
        if let Some(text) = self.by_id.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(Arc::clone(text));
        }
        let text = self.app.store.read("registry_schema", move |conn| db::text(conn, id)).await?;
        let text: Arc<str> = text.ok_or(RegistryError::NoSchema)?.into();
        self.by_id.write().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::clone(&text));
        Ok(text)
    }
}

/// All routes, to be nested under `/registry`.
pub(crate) fn router(app: AppState) -> Router {
    let registry = Registry { app, by_id: Arc::default() };
    let refused = axum::routing::delete(write::never_deleted);
    Router::new()
        .route("/", get(read::root))
        .route("/subjects", get(read::subjects))
        .route("/subjects/{subject}", post(write::look_up).merge(refused.clone()))
        .route("/subjects/{subject}/versions", get(read::versions).post(write::register))
        .route("/subjects/{subject}/versions/{version}", get(read::version).merge(refused))
        .route("/subjects/{subject}/versions/{version}/schema", get(read::version_text))
        .route("/subjects/{subject}/versions/{version}/referencedby", get(read::referenced_by))
        .route("/schemas", get(read::schemas))
        .route("/schemas/types", get(read::types))
        .route("/schemas/ids/{id}", get(read::by_id))
        .route("/schemas/ids/{id}/schema", get(read::text_by_id))
        .route("/schemas/ids/{id}/subjects", get(read::subjects_by_id))
        .route("/schemas/ids/{id}/versions", get(read::versions_by_id))
        .route("/compatibility/subjects/{subject}/versions", post(write::compatible_with_all))
        .route("/compatibility/subjects/{subject}/versions/{version}", post(write::compatible_with))
        .route("/config", get(read::config).put(write::set_config))
        .route(
            "/config/{subject}",
            get(read::subject_config).put(write::set_subject_config).delete(write::unset_subject_config),
        )
        .route("/mode", get(read::mode).put(write::mode_is_fixed))
        .route("/mode/{subject}", get(read::subject_mode).put(write::mode_is_fixed))
        .route("/contexts", get(read::contexts))
        .fallback(read::nothing_here)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(axum::middleware::from_fn(negotiate))
        .with_state(registry)
}

/// Who accepts `application/json` and none of the registry's own types gets that.
async fn negotiate(request: Request, next: Next) -> Response {
    let accepted = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let plain = accepted.contains("application/json") && !accepted.contains("vnd.schemaregistry");
    let mut response = next.run(request).await;
    if plain && response.headers().get(header::CONTENT_TYPE).is_some_and(|found| found == MEDIA_TYPE) {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response
}

/// An answer in the registry's media type.
#[derive(Debug)]
struct Answer<T>(T);

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let mut response = axum::Json(self.0).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        response
    }
}
