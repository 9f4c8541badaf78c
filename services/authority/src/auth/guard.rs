//! The middleware before every route: looks the route up in the table, lets nobody in whom it does not name.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::{ConnectInfo, MatchedPath, Request, State},
    http::header,
    middleware::Next,
    response::{IntoResponse, Response},
};
use policy::GrantId;
use runtime::Problem;

use super::{authenticate, basic_pair, challenge, roles, verify_client};
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
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let peer = peer.unwrap_or(std::net::Ipv4Addr::UNSPECIFIED.into());
    match roles::need(request.method().as_str(), &path) {
        Some(roles::Need::Open) => Ok(()),
        Some(roles::Need::OrSubscriber(_)) if is_basic(request) => subscriber(app, request, &path, peer).await,
        Some(roles::Need::Any(allowed) | roles::Need::OrSubscriber(allowed)) => {
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

/// What an `Authorization: Basic` header holds.
fn basic(request: &Request) -> Option<&str> {
    let (scheme, rest) = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("basic").then_some(rest)
}

fn is_basic(request: &Request) -> bool {
    basic(request).is_some()
}

/// Lets a live credential in to what belongs to its own subscription.
async fn subscriber(app: &AppState, request: &mut Request, route: &str, peer: IpAddr) -> Result<(), Problem> {
    let pair = basic(request).and_then(basic_pair);
    let (name, secret) = pair.ok_or_else(|| challenge(true, "the Basic credentials are malformed"))?;
    let client = verify_client(app, &name, secret, peer).await?;
    // As it stands in the path: an id is of characters that need no encoding.
    let mut segments = route.split('/').zip(request.uri().path().split('/'));
    let id = segments.find_map(|(name, segment)| (name == "{id}").then_some(segment));
    let own = matches!((&client.grant, id), (GrantId::Subscription(own), Some(id)) if own.as_str() == id);
    if !own {
        return Err(Problem::forbidden("a credential is for its own subscription only"));
    }
    request.extensions_mut().insert(client);
    Ok(())
}
