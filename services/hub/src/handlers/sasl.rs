//! Re-authentication (KIP-368): the same login by the same mechanism, or the connection ends.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use wire::messages::{SaslAuthenticateRequest, SaslHandshakeRequest};

use super::{Answer, Ask, Due, Step, Told, Trouble, auth};
use crate::{
    bearer::{self, OAUTHBEARER},
    refusal::Refusal,
};

/// Where a re-authentication stands.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reauth {
    #[default]
    None,
    First,
    Final,
}

pub(super) fn handshake(ask: Ask<'_>, reauth: &Mutex<Reauth>) -> Result<Step, Trouble> {
    let request: SaslHandshakeRequest = ask.decode()?;
    let mechanism = request.mechanism.as_str();
    let offered = auth::mechanisms(&ask.hub.gate).any(|offered| offered == mechanism);
    // Who came by a token goes on by one: the session would have no end otherwise.
    if !offered || ask.guard.session().is_some() != (mechanism == OAUTHBEARER) {
        ask.refused(Refusal::Mechanism);
        return Ok(Step::LastAnswer(auth::handshake_refusal(ask.api, ask.head, &ask.hub.gate)?));
    }
    *reauth.lock().unwrap_or_else(PoisonError::into_inner) = Reauth::First;
    Ok(ask.pass(Due::AsItIs))
}

pub(super) fn authenticate(ask: Ask<'_>, reauth: &Mutex<Reauth>) -> Result<Step, Trouble> {
    let mut stage = reauth.lock().unwrap_or_else(PoisonError::into_inner);
    let due = match *stage {
        Reauth::None => return Err(Trouble::Refused(Refusal::Scram)),
        Reauth::First if ask.guard.session().is_some() => {
            *stage = Reauth::None;
            by_token(&ask).map(Due::Token)
        }
        Reauth::First => {
            *stage = Reauth::Final;
            by_scram(&ask).map(|()| Due::AsItIs)
        }
        Reauth::Final => {
            *stage = Reauth::None;
            ask.decode::<SaslAuthenticateRequest>()?;
            Ok(Due::AsItIs)
        }
    };
    match due {
        Ok(due) => Ok(ask.pass(due)),
        Err(Refusal::NoPolicy) => Err(Trouble::Refused(Refusal::NoPolicy)),
        Err(Refusal::Malformed) => Err(Trouble::Refused(Refusal::Malformed)),
        Err(why) => {
            ask.refused(why);
            let says = match ask.guard.session() {
                Some(_) => bearer::says(why),
                None => "this re-authentication is not offered",
            };
            let answer = auth::login_refusal(ask.api, ask.head, says)?;
            ask.frame.wipe();
            Ok(Step::LastAnswer(answer))
        }
    }
}

/// When the new token ends, if it holds and is of the same login.
fn by_token(ask: &Ask<'_>) -> Result<DateTime<Utc>, Refusal> {
    let request: SaslAuthenticateRequest = ask.decode().map_err(|_| Refusal::Malformed)?;
    let bearing = ask.hub.gate.bearer(&request.auth_bytes)?;
    if bearing.login == ask.guard.login().as_str() { Ok(bearing.until) } else { Err(Refusal::LoginChanged) }
}

fn by_scram(ask: &Ask<'_>) -> Result<(), Refusal> {
    let request: SaslAuthenticateRequest = ask.decode().map_err(|_| Refusal::Malformed)?;
    let user = auth::claimed_login(&request.auth_bytes)?;
    if user == ask.guard.login().as_str() { Ok(()) } else { Err(Refusal::LoginChanged) }
}

/// The broker's word on a token that holds here: the session goes on until the token ends.
pub(super) fn token(told: &Told<'_>, until: DateTime<Utc>) -> Result<Answer, Trouble> {
    let left = until - told.hub.gate.now();
    match auth::believed(told.api, told.head, told.body, left)? {
        Some(answer) => {
            told.guard.bear(until);
            Ok(Answer::New(answer))
        }
        None => {
            let why = Refusal::BrokerRefusedLogin;
            told.hub.metrics.refused(why, told.api.name);
            Ok(Answer::Last(auth::login_refusal(told.api, told.head, bearer::says(why))?))
        }
    }
}
