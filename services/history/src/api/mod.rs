//! The REST API. Every answer with data is decided by the policy in force, blanked to what was granted, and disclosed:
//! the row is committed before the answer leaves. What is searched for is in bodies, never in URLs.

mod access;
mod answer;
mod auth;
mod cursor;
mod disclosures;
mod organisations;
mod persons;
mod proof;
mod stops;
mod timelines;
pub mod views;

use std::sync::Arc;

use authority_api::{PolicyHandle, Restrictions};
use axum::Router;
use jointuse::Clock;
use runtime::extract::Json;
use seal::Forgetter;
use store::Store;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{mask::Masks, metrics::Metrics};

/// What handlers need.
#[derive(Debug)]
pub struct App {
    /// The database.
    pub store: Store,
    /// The policy in force.
    pub policy: PolicyHandle,
    /// The stop list in force.
    pub stops: Restrictions,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// What is measured.
    pub metrics: Metrics,
    /// Which field carries which item.
    pub masks: Masks,
    /// Whether erasures are heard of.
    pub forgetter: Forgetter,
}

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some(
                "Access token of a subscription, by client credentials at the authority: scope `history`",
            ))
            .build();
        openapi.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "History",
        description = "Unified histories of persons and organisations, for subscriptions of the joint use. Every answer \
            is decided by the policy in force, holds only granted kinds and items, and is recorded as a disclosure."
    ),
    modifiers(&Bearer),
    security(("bearer" = [])),
    tags(
        (name = "persons", description = "Persons: contacts that are believed to be of one human being"),
        (name = "organisations", description = "Client organisations"),
    )
)]
struct Api;

fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Api::openapi())
        .routes(routes!(persons::get))
        .routes(routes!(persons::search))
        .routes(routes!(timelines::of_person))
        .routes(routes!(organisations::get))
        .routes(routes!(organisations::search))
        .routes(routes!(timelines::of_organisation))
}

/// The API's description.
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes().into_openapi()
}

/// The API, with its description at `/openapi.json`.
pub fn router(app: Arc<App>) -> Router {
    let (router, openapi) = routes().split_for_parts();
    let description = axum::routing::get(move || async move { Json(openapi) });
    // Operators' questions, and no part of what subscribers are told of.
    let router = router.route("/v1/restrictions/proof", axum::routing::get(proof::prove)).merge(disclosures::routes());
    router.layer(axum::extract::DefaultBodyLimit::max(16 << 10)).with_state(app).route("/openapi.json", description)
}

#[cfg(test)]
mod tests;
