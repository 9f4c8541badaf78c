//! The REST API: one file an aggregate, each endpoint with its documentation, handler and errors on one screen.

mod activity;
mod companies;
mod credentials;
mod decide;
mod disclosures;
mod erasures;
mod grants;
mod notices;
mod oauth;
mod policy;
mod restrictions;
mod sessions;

use axum::{Json, Router, middleware, routing::get};
use utoipa::{
    OpenApi,
    openapi::security::{Http, HttpAuthScheme, SecurityScheme},
};
use utoipa_axum::router::OpenApiRouter;

use crate::{audit, auth::guard, cluster, registry, state::AppState};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Joint-use hub: authority",
        description = "Where Holdings decides who may publish and read what. Errors are RFC 9457 problems \
                       (application/problem+json); a refusal by the rules carries them in `rules`."
    ),
    modifiers(&Security),
    security(("session" = []))
)]
struct Document;

struct Security;

impl utoipa::Modify for Security {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let session = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let client = SecurityScheme::Http(Http::new(HttpAuthScheme::Basic));
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("session", session);
        components.add_security_scheme("client", client);
    }
}

/// Every route that the table of roles knows.
fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(sessions::routes())
        .merge(companies::routes())
        .merge(notices::routes())
        .merge(grants::routes())
        .merge(credentials::routes())
        .merge(restrictions::routes())
        .merge(disclosures::routes())
        .merge(policy::routes())
        .merge(cluster::routes())
        .merge(erasures::routes())
        .merge(activity::routes())
        .merge(audit::routes())
        .merge(oauth::routes())
}

/// The whole surface but health and metrics.
pub(crate) fn router(app: &AppState) -> Router {
    let (router, document) = routes().split_for_parts();
    router
        .route("/openapi.json", get(|| async move { Json(document) }))
        .route_layer(middleware::from_fn_with_state(app.clone(), guard))
        .with_state(app.clone())
        .nest("/registry", registry::router(app.clone()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::auth::roles;

    /// The authorisation matrix: a route without a row, or a row without a route, fails here.
    #[test]
    fn every_route_names_its_role() {
        let document = serde_json::to_value(routes().into_openapi()).unwrap();
        let mut routes = BTreeSet::from([("GET".to_owned(), "/openapi.json".to_owned())]);
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                routes.insert((method.to_uppercase(), path.clone()));
            }
        }
        let table = roles::TABLE.iter().map(|(method, route, _)| ((*method).to_owned(), (*route).to_owned())).collect();
        assert_eq!(routes, table);
    }

    /// `UPDATE_GOLDEN=1 cargo test -p authority openapi` writes the file anew.
    #[test]
    fn the_openapi_document_is_the_published_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/api/authority.openapi.json");
        let document = format!("{:#}\n", serde_json::to_value(routes().into_openapi()).unwrap());
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::create_dir_all(std::path::Path::new(path).parent().unwrap()).unwrap();
            std::fs::write(path, &document).unwrap();
        }
        let golden = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            golden == document,
            "docs/api/authority.openapi.json differs: UPDATE_GOLDEN=1 cargo test -p authority openapi"
        );
    }

    #[test]
    fn operations_have_names_of_their_own() {
        let document = serde_json::to_value(routes().into_openapi()).unwrap();
        let items = document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
        let names: Vec<_> = items.map(|operation| operation["operationId"].as_str().unwrap().to_owned()).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    }
}
