//! SASL/OAUTHBEARER (RFC 7628): a token of the authority in place of a password.
//!
//! The hub checks the token itself, by the keys in the signed policy: so a changed key is known when the snapshot is, and
//! without a policy in force nothing holds. The broker then checks the same token again and makes its subject the Kafka
//! login, to which its ACLs apply. A token is looked at where it came and wiped there; none is kept or logged.

use authority_api::{Audience, TokenError, verify_token};
use chrono::{DateTime, Utc};
use policy::Policy;
use wire::oauthbearer::client_response;

use crate::refusal::Refusal;

/// The mechanism's name.
pub(crate) const OAUTHBEARER: &str = "OAUTHBEARER";

/// A token that holds, without the token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bearing {
    /// Whose it is.
    pub(crate) login: String,
    /// When it ends.
    pub(crate) until: DateTime<Utc>,
}

/// Checks the token in a client's first response: who signed it, for whom, until when, and that its credential still
/// belongs to its grant. Whether that grant may read now, [`Gate::admit`](crate::gate::Gate::admit) says.
pub(crate) fn check(auth_bytes: &[u8], issuer: &str, policy: &Policy, at: DateTime<Utc>) -> Result<Bearing, Refusal> {
    let said = client_response(auth_bytes).map_err(|_| Refusal::TokenMalformed)?;
    let claims = verify_token(said.token, Audience::Hub, policy, at).map_err(reason)?;
    if claims.iss != issuer {
        return Err(Refusal::TokenIssuer);
    }
    let login = claims.sub.to_string();
    if said.authzid.is_some_and(|authzid| authzid != login) {
        return Err(Refusal::Authzid);
    }
    let until = DateTime::from_timestamp(claims.exp, 0).ok_or(Refusal::TokenMalformed)?;
    Ok(Bearing { login, until })
}

/// What the client's operator is told: what is wrong and what to do, never what came.
pub(crate) const fn says(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::TokenExpired => "the access token has expired: get a new one from the authority",
        Refusal::TokenAudience => "the access token is for another service: ask the authority for one of scope hub",
        Refusal::TokenIssuer => "the access token is of another issuer: get one from the authority of this hub",
        Refusal::TokenSignature => "the access token is not signed by the authority of this hub: get a new one there",
        Refusal::TokenBinding => "the access token's credential is gone: get a new one with a live credential",
        Refusal::Authzid => "a token is for its own login only: leave the authorization identity out",
        Refusal::LoginChanged => "the access token is of another login than the connection: connect anew",
        Refusal::BrokerRefusedLogin => "the brokers do not accept this access token: tell the operators of the hub",
        _ => "this is no access token of the authority: get one there, of scope hub",
    }
}

const fn reason(error: TokenError) -> Refusal {
    match error {
        TokenError::Malformed => Refusal::TokenMalformed,
        TokenError::Signature => Refusal::TokenSignature,
        TokenError::Expired => Refusal::TokenExpired,
        TokenError::Audience => Refusal::TokenAudience,
        TokenError::Issuer => Refusal::TokenIssuer,
        TokenError::Binding => Refusal::TokenBinding,
    }
}
