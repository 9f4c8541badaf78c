//! The middleware before every route: looks the route up in the table, lets nobody in whom it does not name.

use std::net::SocketAddr;

use axum::{
    extract::{ConnectInfo, MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use runtime::Problem;

use super::{authenticate, roles};
use crate::state::AppState;

/// For `route_layer`: a route that the table does not name is closed to everybody.
pub(crate) async fn guard(State(app): State<AppState>, mut request: Request, next: Next) -> Response {
    match admit(&app, &mut request).await {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn admit(app: &AppState, request: &mut Request) -> Result<(), Problem> {
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()).unwrap_or_default();
    match roles::need(request.method().as_str(), &path) {
        Some(roles::Need::Open) => Ok(()),
        Some(roles::Need::Any(allowed)) => {
            let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
            let peer = peer.unwrap_or(std::net::Ipv4Addr::UNSPECIFIED.into());
            let operator = authenticate(app, request.headers(), peer, false).await?;
            operator.require(allowed)?;
            request.extensions_mut().insert(operator);
            Ok(())
        }
        None => {
            tracing::error!(route = path, "a route is not in the table of roles: closed");
            Err(Problem::forbidden("nobody may call this"))
        }
    }
}
