//! What the gateway does with each API of the table: requests on their way up, answers on their way down.
//!
//! What is refused never goes to the broker. Where a request holds both granted and ungranted topics, the ungranted ones
//! are taken out, and their errors are put into the broker's answer.

mod fetch;
mod groups;
mod metadata;
mod offsets;
mod produce;
mod sasl;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use jointuse::KafkaTopicId;
use policy::Permit;
use wire::{
    ResponseError, WireError,
    api::{Api, Handler},
    codec,
    frame::RequestHead,
    protocol::{Encodable, Request},
};

use crate::{
    budget::Lease,
    conn::{End, io::Frame},
    gate::Guard,
    hub::Hub,
    refusal::Refusal,
    runs::Runs,
    sessions::Held,
};

pub(crate) use crate::conn::auth;
pub(crate) use sasl::Reauth;

/// What becomes of a request.
pub(crate) enum Step {
    /// It goes to the broker as these bytes (with prefix); the answer is due.
    Forward { whole: Bytes, due: Due },
    /// It is answered here.
    Answer(Bytes),
    /// It is answered here, and then the connection ends.
    LastAnswer(Bytes),
}

/// What is to be done with the broker's answer.
pub(crate) enum Due {
    /// Pass on the bytes.
    AsItIs,
    ApiVersions,
    DescribeCluster,
    Metadata(Box<metadata::Asked>),
    FindCoordinator(groups::Coordinators),
    Fetch(fetch::Asked),
    Describe(groups::Described),
    ListOffsets(offsets::Listed),
    LeaderEpoch(offsets::Epochs),
    OffsetCommit(offsets::Committed),
    OffsetFetch(offsets::Fetched),
    /// A token that holds here until then: the broker must believe it, too.
    Token(DateTime<Utc>),
}

/// What goes to the client.
pub(crate) enum Answer {
    /// The broker's bytes.
    Same,
    /// A frame made anew.
    New(Bytes),
    /// A frame made here, and then the connection ends.
    Last(Bytes),
    /// Slices of the broker's frame and of the bytes made for it.
    Pieces { pieces: Vec<Bytes>, made: Bytes },
}

/// Handles a request of an admitted login.
pub(crate) fn request(ask: Ask<'_>, reauth: &Mutex<Reauth>) -> Result<Step, End> {
    let api = ask.api;
    let step = match api.handler {
        Handler::ApiVersions => Ok(ask.pass(Due::ApiVersions)),
        Handler::SaslHandshake => sasl::handshake(ask, reauth),
        Handler::SaslAuthenticate => sasl::authenticate(ask, reauth),
        Handler::Metadata => metadata::request(&ask),
        Handler::DescribeCluster => Ok(ask.pass(Due::DescribeCluster)),
        Handler::Fetch => fetch::request(&ask),
        Handler::ListOffsets => offsets::list(&ask),
        Handler::OffsetForLeaderEpoch => offsets::leader_epoch(&ask),
        Handler::OffsetCommit => offsets::commit(&ask),
        Handler::OffsetFetch => offsets::fetch(&ask),
        Handler::FindCoordinator => groups::find_coordinator(&ask),
        Handler::Group => groups::member(ask),
        Handler::DescribeGroups => groups::describe(&ask),
        Handler::ConsumerGroupDescribe => groups::describe_consumer(&ask),
        Handler::ConsumerGroupHeartbeat => groups::heartbeat(ask),
        Handler::Produce => produce::refuse(&ask),
    };
    step.map_err(|trouble| trouble.end(api))
}

/// Handles the broker's answer.
pub(crate) async fn answer(told: Told<'_>, due: Due, runs: &mut Runs, lease: &mut Lease) -> Result<Answer, End> {
    let Told { api, head, body, .. } = told;
    let answer = match due {
        Due::AsItIs => Ok(Answer::Same),
        Due::ApiVersions => auth::cut_api_versions(api, head, body).map(Answer::New).map_err(Trouble::Wire),
        Due::DescribeCluster => metadata::describe_cluster(&told).await,
        Due::Metadata(asked) => metadata::answer(&told, *asked).await,
        Due::FindCoordinator(asked) => groups::coordinators(&told, asked).await,
        Due::Fetch(asked) => fetch::answer(&told, asked, runs, lease).await,
        Due::Describe(asked) => groups::described(&told, asked),
        Due::ListOffsets(asked) => offsets::listed(&told, asked),
        Due::LeaderEpoch(asked) => offsets::epochs(&told, asked),
        Due::OffsetCommit(asked) => offsets::committed(&told, asked),
        Due::OffsetFetch(asked) => offsets::fetched(&told, asked),
        Due::Token(until) => sasl::token(&told, until),
    };
    answer.map_err(|trouble| match trouble {
        Trouble::Wire(error) => {
            tracing::error!(api = api.name, version = head.version, %error, "a broker's answer does not decode");
            End::Refused(Refusal::BrokerAnswer)
        }
        refused @ Trouble::Refused(_) => refused.end(api),
    })
}

/// Why a request or answer ends the connection.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It does not decode (or what is made of it does not encode).
    Wire(WireError),
    /// It has no answer of its own.
    Refused(Refusal),
}

impl From<WireError> for Trouble {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl Trouble {
    fn end(self, api: &Api) -> End {
        match self {
            Self::Wire(error) => {
                tracing::info!(api = api.name, %error, "a request does not decode");
                End::Refused(Refusal::Malformed)
            }
            Self::Refused(refusal) => End::Refused(refusal),
        }
    }
}

/// A request being handled.
pub(crate) struct Ask<'a> {
    pub(crate) hub: &'a Hub,
    pub(crate) guard: &'a Guard,
    pub(crate) session: &'a Held,
    pub(crate) api: &'static Api,
    pub(crate) head: &'a RequestHead,
    pub(crate) frame: Frame,
}

impl Ask<'_> {
    fn decode<R: Request>(&self) -> Result<R, WireError> {
        codec::request(self.api, self.head, &self.frame.body())
    }

    fn respond<R: Encodable>(&self, body: &R) -> Result<Step, Trouble> {
        Ok(Step::Answer(codec::response_frame(self.api, self.head.version, self.head.correlation, body)?))
    }

    /// Forwards what came.
    fn pass(self, due: Due) -> Step {
        Step::Forward { whole: self.frame.whole, due }
    }

    /// Forwards something else under the same header.
    fn forward<R: Request>(&self, body: &R, due: Due) -> Result<Step, Trouble> {
        let whole = codec::request_frame(self.api, self.head, &self.frame.body(), body)?;
        Ok(Step::Forward { whole, due })
    }

    fn refused(&self, why: Refusal) {
        self.hub.metrics.refused(why, self.api.name);
    }

    /// Decides a topic by name.
    fn permit(&self, topic: &str) -> Result<Arc<Permit>, Refusal> {
        let decided = self.guard.permit(topic, self.hub.cluster.topic_id(topic));
        if let Err(why) = &decided {
            self.refused(*why);
        }
        decided
    }
}

/// A broker's answer being handled.
pub(crate) struct Told<'a> {
    pub(crate) hub: &'a Hub,
    pub(crate) guard: &'a Guard,
    pub(crate) session: &'a Held,
    pub(crate) api: &'static Api,
    pub(crate) head: &'a RequestHead,
    pub(crate) body: &'a Bytes,
}

impl Told<'_> {
    fn decode<R: wire::protocol::Decodable>(&self) -> Result<R, WireError> {
        codec::response(self.api, self.head.version, self.body)
    }

    fn respond<R: Encodable>(&self, body: &R) -> Result<Answer, Trouble> {
        Ok(Answer::New(codec::response_frame(self.api, self.head.version, self.head.correlation, body)?))
    }

    /// Decides a topic by name, and by the id that the broker gives it if it gives one.
    fn permit(&self, topic: &str, id: KafkaTopicId) -> Result<Arc<Permit>, Refusal> {
        let id = if id.0 == [0; 16] { self.hub.cluster.topic_id(topic) } else { Some(id) };
        self.guard.permit(topic, id)
    }
}

/// The error that a refused topic is answered with.
pub(crate) fn topic_error(why: Refusal) -> i16 {
    match why {
        Refusal::TopicId => ResponseError::UnknownTopicId.code(),
        _ => ResponseError::TopicAuthorizationFailed.code(),
    }
}
