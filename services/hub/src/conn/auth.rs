//! Before the login: only ApiVersions, SaslHandshake and SaslAuthenticate, small frames, one at a time, under one deadline.
//!
//! SCRAM passes through to the broker, which checks it. The name in the client's first message is believed only when the
//! broker has said yes to the exchange. A token (OAUTHBEARER) is checked here and by the broker, and both must say yes.

use bytes::Bytes;
use chrono::TimeDelta;
use tls::Stream;
use wire::{
    ResponseError, WireError,
    api::{self, Api, Handler},
    codec,
    frame::RequestHead,
    messages::{
        ApiVersionsResponse, SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest,
        SaslHandshakeResponse, api_versions_response::ApiVersion,
    },
    protocol::StrBytes,
    scram,
};

use super::{
    End,
    io::{Frame, read_prefix, read_request, read_rest, write_broker, write_client},
};
use crate::{
    bearer::{self, OAUTHBEARER},
    gate::{Gate, Guard, NotAdmitted},
    hub::Hub,
    refusal::Refusal,
};

/// What the hub lets through to the broker; the last one only where tokens are logins.
const MECHANISMS: [&str; 3] = ["SCRAM-SHA-256", "SCRAM-SHA-512", OAUTHBEARER];

/// What this hub offers.
pub(crate) fn mechanisms(gate: &Gate) -> impl Iterator<Item = &'static str> {
    let tokens = gate.takes_tokens();
    MECHANISMS.into_iter().filter(move |mechanism| tokens || *mechanism != OAUTHBEARER)
}

/// Where the exchange stands.
#[derive(Debug)]
enum Stage {
    Handshake,
    First,
    Token,
    Final(String),
}

/// What a request led to.
enum Turn {
    Next(Stage),
    Admitted(Guard),
}

/// Brings a client to its login; ends with the guard of an admitted one.
pub(crate) async fn authenticate(hub: &Hub, client: &mut Stream, upstream: &mut Stream) -> Result<Guard, End> {
    let mut stage = Stage::Handshake;
    loop {
        let frame = read_request(client, hub.limits.login_frame, hub.limits.login).await?;
        let turn = turn(hub, client, upstream, &frame, stage).await;
        frame.wipe();
        stage = match turn? {
            Turn::Next(stage) => stage,
            Turn::Admitted(guard) => return Ok(guard),
        };
    }
}

async fn turn(hub: &Hub, client: &mut Stream, upstream: &mut Stream, frame: &Frame, stage: Stage) -> Result<Turn, End> {
    let head = RequestHead::peek(&frame.body()).map_err(|_| End::Refused(Refusal::Malformed))?;
    hub.metrics.request(api::label(head.key));
    let mut step = Step { hub, head, frame, client, upstream };
    let api = match step.api() {
        Ok(api) => api,
        Err(answer) => {
            step.tell(&answer?).await?;
            return Ok(Turn::Next(stage));
        }
    };
    match (api.handler, stage) {
        (Handler::ApiVersions, stage) => {
            step.api_versions(api).await?;
            Ok(Turn::Next(stage))
        }
        (Handler::SaslHandshake, Stage::Handshake) => step.handshake(api).await.map(Turn::Next),
        (Handler::SaslAuthenticate, Stage::First) => step.first(api).await.map(Turn::Next),
        (Handler::SaslAuthenticate, Stage::Token) => step.token(api).await.map(Turn::Admitted),
        (Handler::SaslAuthenticate, Stage::Final(user)) => step.last(api, &user).await.map(Turn::Admitted),
        (Handler::SaslHandshake | Handler::SaslAuthenticate, _) => Err(End::Refused(Refusal::Scram)),
        _ => Err(End::Refused(Refusal::Unauthenticated)),
    }
}

struct Step<'a> {
    hub: &'a Hub,
    head: RequestHead,
    frame: &'a Frame,
    client: &'a mut Stream,
    upstream: &'a mut Stream,
}

impl Step<'_> {
    /// The API's row; or the answer to an ApiVersions that is too new, after which the client asks again (KIP-511).
    fn api(&self) -> Result<&'static Api, Result<Bytes, End>> {
        api::served(self.head.key, self.head.version)
            .map_err(|_| too_new_api_versions(&self.head).ok_or(End::Refused(Refusal::Api)))
    }

    async fn forward(&mut self) -> Result<Bytes, End> {
        write_broker(self.upstream, &self.frame.whole).await?;
        let (prefix, length) = read_prefix(self.upstream, self.hub.limits.login_answer).await?;
        let buffer = bytes::BytesMut::with_capacity(length + prefix.len());
        let answer = read_rest(self.upstream, prefix, length, buffer).await?.freeze();
        Ok(answer)
    }

    async fn tell(&mut self, bytes: &[u8]) -> Result<(), End> {
        write_client(self.client, bytes, self.hub.limits.stall).await
    }

    async fn api_versions(mut self, api: &'static Api) -> Result<(), End> {
        let answer = self.forward().await?;
        let cut = cut_api_versions(api, &self.head, &answer.slice(4..)).map_err(broker_answer)?;
        self.tell(&cut).await
    }

    async fn handshake(mut self, api: &'static Api) -> Result<Stage, End> {
        let request: SaslHandshakeRequest = codec::request(api, &self.head, &self.frame.body()).map_err(malformed)?;
        if !mechanisms(&self.hub.gate).any(|offered| offered == request.mechanism.as_str()) {
            self.hub.metrics.refused(Refusal::Mechanism, api.name);
            let answer = handshake_refusal(api, &self.head, &self.hub.gate).map_err(malformed)?;
            self.tell(&answer).await?;
            return Err(End::Answered);
        }
        let answer = self.forward().await?;
        self.tell(&answer).await?;
        Ok(if request.mechanism.as_str() == OAUTHBEARER { Stage::Token } else { Stage::First })
    }

    /// A token: it must hold here, its login must be let in, and then the broker must believe it, too.
    async fn token(mut self, api: &'static Api) -> Result<Guard, End> {
        let request: SaslAuthenticateRequest =
            codec::request(api, &self.head, &self.frame.body()).map_err(malformed)?;
        let bearing = match self.hub.gate.bearer(&request.auth_bytes) {
            Ok(bearing) => bearing,
            Err(Refusal::NoPolicy) => return Err(End::Refused(Refusal::NoPolicy)),
            Err(refusal) => return Err(self.refuse_login(api, refusal, bearer::says(refusal)).await),
        };
        let guard = match self.hub.gate.admit(&bearing.login) {
            Ok(guard) => guard,
            Err(no) => return Err(self.not_admitted(api, no).await),
        };
        guard.bear(bearing.until);
        let answer = self.forward().await?;
        let left = bearing.until - self.hub.gate.now();
        match believed(api, &self.head, &answer.slice(4..), left).map_err(broker_answer)? {
            Some(answer) => {
                self.tell(&answer).await?;
                Ok(guard)
            }
            None => {
                let refusal = Refusal::BrokerRefusedLogin;
                tracing::warn!(login = %guard.login(), "the broker does not believe a token that holds here");
                Err(self.refuse_login(api, refusal, bearer::says(refusal)).await)
            }
        }
    }

    async fn first(mut self, api: &'static Api) -> Result<Stage, End> {
        let request: SaslAuthenticateRequest =
            codec::request(api, &self.head, &self.frame.body()).map_err(malformed)?;
        let user = match claimed_login(&request.auth_bytes) {
            Ok(user) => user,
            Err(refusal) => return Err(self.refuse_login(api, refusal, "this way to log in is not offered").await),
        };
        let answer = self.forward().await?;
        let response: SaslAuthenticateResponse =
            codec::response(api, self.head.version, &answer.slice(4..)).map_err(broker_answer)?;
        self.tell(&answer).await?;
        if response.error_code != 0 {
            self.hub.metrics.refused(Refusal::BrokerRefusedLogin, api.name);
            return Err(End::Answered);
        }
        Ok(Stage::Final(user))
    }

    /// The client's proof: when the broker accepts it, the policy has its say.
    async fn last(mut self, api: &'static Api, user: &str) -> Result<Guard, End> {
        codec::request::<SaslAuthenticateRequest>(api, &self.head, &self.frame.body()).map_err(malformed)?;
        let answer = self.forward().await?;
        let response: SaslAuthenticateResponse =
            codec::response(api, self.head.version, &answer.slice(4..)).map_err(broker_answer)?;
        if response.error_code != 0 {
            self.hub.metrics.refused(Refusal::BrokerRefusedLogin, api.name);
            self.tell(&answer).await?;
            return Err(End::Answered);
        }
        match self.hub.gate.admit(user) {
            Ok(guard) => {
                self.tell(&answer).await?;
                Ok(guard)
            }
            Err(no) => Err(self.not_admitted(api, no).await),
        }
    }

    async fn not_admitted(self, api: &'static Api, no: NotAdmitted) -> End {
        if no.refusal == Refusal::NoPolicy {
            return End::Refused(Refusal::NoPolicy);
        }
        tracing::info!(reason = no.refusal.label(), rules = no.rules, snapshot = no.snapshot, "login not admitted");
        let says = match no.refusal {
            Refusal::Subscription => format!("the subscription may not read now: {}", no.rules),
            _ => "the login is no live credential of a subscription".to_owned(),
        };
        self.refuse_login(api, no.refusal, &says).await
    }

    async fn refuse_login(mut self, api: &'static Api, refusal: Refusal, says: &str) -> End {
        self.hub.metrics.refused(refusal, api.name);
        let Ok(answer) = login_refusal(api, &self.head, says) else { return End::Refused(Refusal::Malformed) };
        match self.tell(&answer).await {
            Ok(()) => End::Answered,
            Err(end) => end,
        }
    }
}

/// The login that a client-first message claims, if it claims it in a way that is offered.
pub(crate) fn claimed_login(auth_bytes: &[u8]) -> Result<String, Refusal> {
    let first = scram::client_first(auth_bytes).map_err(|_| Refusal::Scram)?;
    if first.tokenauth {
        return Err(Refusal::Tokenauth);
    }
    match first.authzid {
        Some(authzid) if authzid != first.user => Err(Refusal::Authzid),
        _ => Ok(first.user),
    }
}

/// SaslAuthenticate answered with an error; the text is shown to the client's operator.
pub(crate) fn login_refusal(api: &Api, head: &RequestHead, says: &str) -> Result<Bytes, WireError> {
    let body = SaslAuthenticateResponse::default()
        .with_error_code(ResponseError::SaslAuthenticationFailed.code())
        .with_error_message(Some(StrBytes::from_string(says.to_owned())));
    codec::response_frame(api, head.version, head.correlation, &body)
}

/// The broker's word on a token, if it believes it, with the life that the session has at most (KIP-368). One that does not
/// believe says so in a challenge with no error code, or with one.
pub(crate) fn believed(
    api: &Api,
    head: &RequestHead,
    answer: &Bytes,
    left: TimeDelta,
) -> Result<Option<Bytes>, WireError> {
    let mut body: SaslAuthenticateResponse = codec::response(api, head.version, answer)?;
    if body.error_code != 0 || !body.auth_bytes.is_empty() {
        return Ok(None);
    }
    // Version 0 cannot say it: such a client finds its connection closed, and logs in anew.
    if head.version > 0 {
        let left = left.num_milliseconds().max(1);
        body.session_lifetime_ms = match body.session_lifetime_ms {
            0 => left,
            broker => broker.min(left),
        };
    }
    codec::response_frame(api, head.version, head.correlation, &body).map(Some)
}

/// SaslHandshake answered with the mechanisms that are offered.
pub(crate) fn handshake_refusal(api: &Api, head: &RequestHead, gate: &Gate) -> Result<Bytes, WireError> {
    let body = SaslHandshakeResponse::default()
        .with_error_code(ResponseError::UnsupportedSaslMechanism.code())
        .with_mechanisms(mechanisms(gate).map(StrBytes::from_static_str).collect());
    codec::response_frame(api, head.version, head.correlation, &body)
}

/// The broker's ApiVersions, cut to what the table serves. Finalised features stay, unknown APIs go.
pub(crate) fn cut_api_versions(api: &Api, head: &RequestHead, answer: &Bytes) -> Result<Bytes, WireError> {
    let mut body: ApiVersionsResponse = codec::response(api, head.version, answer)?;
    body.api_keys = body
        .api_keys
        .into_iter()
        .filter_map(|offer| {
            let (min, max) = api::find(offer.api_key)?.offered(offer.min_version, offer.max_version)?;
            Some(offer.with_min_version(min).with_max_version(max))
        })
        .collect();
    codec::response_frame(api, head.version, head.correlation, &body)
}

/// ApiVersions newer than is known here is answered in version 0 with error 35 and the versions known (KIP-511).
pub(crate) fn too_new_api_versions(head: &RequestHead) -> Option<Bytes> {
    let api = api::find(head.key).filter(|api| api.handler == Handler::ApiVersions && head.version > api.max)?;
    let body =
        ApiVersionsResponse::default().with_error_code(ResponseError::UnsupportedVersion.code()).with_api_keys(vec![
            ApiVersion::default().with_api_key(api.key).with_min_version(api.min).with_max_version(api.max),
        ]);
    codec::response_frame(api, 0, head.correlation, &body).ok()
}

fn malformed(_: WireError) -> End {
    End::Refused(Refusal::Malformed)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn broker_answer(error: WireError) -> End {
    tracing::error!(%error, "a broker's answer does not decode");
    End::Refused(Refusal::BrokerAnswer)
}
