//! Companies' systems by their credential: login and secret, as the token endpoint takes them.

use std::{net::IpAddr, time::Duration};

use jointuse::Login;
use policy::GrantId;
use runtime::Problem;

use super::throttle::Attempt;
use crate::{db, secrets, state::App};

/// A live credential whose secret was shown just now.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) login: Login,
    pub(crate) grant: GrantId,
}

/// Why nobody is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoClient {
    /// Too many failures of this login from this address.
    MustWait(Duration),
    /// An unknown login, a wrong secret or a revoked credential: which, is not said.
    Wrong,
    /// The database did not say.
    Away,
}

/// Whose live credential this is.
///
/// # Errors
/// When it is nobody's, and after too many failures.
pub(crate) async fn verify(app: &App, name: &str, secret: String, peer: IpAddr) -> Result<Client, NoClient> {
    let attempt = Attempt::new(name, peer);
    if let Some(wait) = app.throttle.must_wait(&attempt) {
        return Err(NoClient::MustWait(wait));
    }
    let found = match name.parse::<Login>() {
        Ok(login) => app.store.read("client_credential", move |conn| db::credentials::find(conn, &login)).await,
        Err(_) => Ok(None),
    };
    let found = found.map_err(|error| {
        tracing::warn!(%error, "a credential cannot be looked up");
        NoClient::Away
    })?;
    let (credential, verifier) =
        found.map_or((None, None), |(credential, verifier)| (Some(credential), Some(verifier)));
    let holds = secrets::verify(secret, verifier).await;
    let Some(credential) = credential.filter(|credential| holds && credential.live) else {
        app.throttle.failed(&attempt);
        return Err(NoClient::Wrong);
    };
    app.throttle.succeeded(&attempt);
    Ok(Client { login: credential.login, grant: credential.grant })
}

impl From<NoClient> for Problem {
    fn from(why: NoClient) -> Self {
        match why {
            NoClient::MustWait(wait) => Self::too_many_requests(wait).detail("too many failed attempts"),
            NoClient::Wrong => Self::unauthorized(
                "Basic realm=\"authority\", Bearer",
                "unknown login, wrong secret or revoked credential",
            ),
            NoClient::Away => Self::unavailable("the database is away; try again", Duration::from_secs(1)),
        }
    }
}
