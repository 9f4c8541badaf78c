//! Who calls, and whether they may: operators by session, every route by the one table in [`roles`].

mod client;
mod guard;
pub(crate) mod password;
pub(crate) mod roles;
pub(crate) mod session;
pub(crate) mod throttle;

use std::{collections::BTreeSet, net::IpAddr};

use authority_api::types::Role;
use axum::http::{HeaderMap, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jointuse::OperatorName;
use runtime::Problem;

pub(crate) use client::{Client, NoClient, verify as verify_client};
pub(crate) use guard::guard;

use crate::state::App;

/// An operator whose session or password was checked just now.
#[derive(Debug, Clone)]
pub(crate) struct Operator {
    pub(crate) name: OperatorName,
    /// Those that both the session and the operator's row name.
    pub(crate) roles: BTreeSet<Role>,
    /// When the session ends; absent when a password was given with the call.
    pub(crate) until: Option<chrono::DateTime<chrono::Utc>>,
}

impl Operator {
    /// Refuses when the operator has none of the roles.
    pub(crate) fn require(&self, roles: &[Role]) -> Result<(), Problem> {
        if roles.iter().any(|role| self.roles.contains(role)) {
            return Ok(());
        }
        let names = roles.iter().map(|role| role.as_str()).collect::<Vec<_>>();
        Err(Problem::forbidden(format!("this needs the role {}", names.join(" or "))).with("roles", names))
    }
}

/// The operator of a call that carries `Authorization: Bearer <session>`, or `Basic <name:password>` where `basic` is
/// allowed (the registry's stock clients know nothing else).
///
/// # Errors
/// 401 without either, or when it does not hold; 429 after too many failures; 503 when the database is away.
pub(crate) async fn authenticate(
    app: &App,
    headers: &HeaderMap,
    peer: IpAddr,
    basic: bool,
) -> Result<Operator, Problem> {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
    if scheme.eq_ignore_ascii_case("bearer") {
        return session::verify(app, rest.trim()).await;
    }
    if basic && scheme.eq_ignore_ascii_case("basic") {
        let (name, password) =
            basic_pair(rest).ok_or_else(|| challenge(basic, "the Basic credentials are malformed"))?;
        return session::check_password(app, &name, &password, peer).await;
    }
    Err(challenge(basic, "sign in first: POST /v1/sessions"))
}

/// `name:password` of a Basic header (RFC 7617).
pub(crate) fn basic_pair(encoded: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

fn challenge(basic: bool, detail: &str) -> Problem {
    Problem::unauthorized(if basic { "Basic realm=\"authority\", Bearer" } else { "Bearer" }, detail)
}
