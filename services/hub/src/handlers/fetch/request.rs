//! A Fetch on its way up: each topic is decided, and so is whether it goes with a session.

use bytes::Bytes;
use jointuse::KafkaTopicId;
use wire::{
    ResponseError, codec,
    fetch::{FetchView, TopicRef, denied_topic},
    messages::{
        FetchRequest, FetchResponse,
        fetch_request::{FetchTopic, ForgottenTopic},
    },
    patch::Patch,
};

use super::{
    super::{Ask, Due, Step, Trouble, topic_error},
    Asked, identity,
};
use crate::{
    refusal::Refusal,
    sessions::{self, Anew, Change, Places},
};

pub(in super::super) fn request(ask: &Ask<'_>) -> Result<Step, Trouble> {
    let mut request: FetchRequest = ask.decode()?;
    let version = ask.head.version;
    if request.replica_id.0 >= 0 || request.replica_state.replica_id.0 >= 0 {
        return Err(Trouble::Refused(Refusal::FetchKind));
    }
    let snapshot = ask.guard.snapshot();
    let whole = version < 7 || matches!(request.session_epoch, BEGIN | WITHOUT);
    if !whole {
        let granted =
            |named: &TopicRef, name: &str| ask.guard.deliver(name, identity(ask.hub, named, name)).map(|_| ());
        if let Err((error, why)) = ask.session.goes_on(request.session_id, snapshot, granted) {
            return another_session(ask, error, why);
        }
    }
    let mut places = Places::default();
    let mut refused = Vec::new();
    let mut trouble = None;
    request.topics.retain(|topic| {
        let partitions = topic.partitions.iter().map(|p| p.partition);
        match decide(ask, topic) {
            Ok((named, name)) => {
                places.add(named, name, partitions);
                true
            }
            Err((named, why)) => {
                ask.refused(why);
                match denied_topic(ask.api, version, &named, partitions, topic_error(why)) {
                    Ok(element) => refused.push(element),
                    Err(error) => trouble = Some(error),
                }
                false
            }
        }
    });
    if let Some(error) = trouble {
        return Err(error.into());
    }
    request.max_bytes = request.max_bytes.min(ask.hub.limits.fetch_bytes);
    if !whole {
        // What is refused cannot be told in an answer that adds nothing: a request of everything is answered with it.
        if !refused.is_empty() {
            return another_session(ask, ResponseError::InvalidFetchSessionEpoch, None);
        }
        let forgotten = request.forgotten_topics_data.iter().map(|topic| forgotten(version, topic)).collect();
        let session = sessions::Asked::Change(Change { added: places, forgotten });
        return ask.forward(&request, Due::Fetch(Asked { session, refused }));
    }
    if places.is_empty() && !refused.is_empty() {
        return all_refused(ask, &refused);
    }
    let wishes = request.session_epoch == BEGIN && refused.is_empty() && !places.is_empty();
    let Anew { ends, begins } = ask.session.anew(request.session_id, version >= 7 && wishes);
    let begun = if begins { ask.hub.sessions.begin(places, snapshot) } else { Err(places) };
    // Without a session the broker answers in full, and says 0.
    let (epoch, session) = match begun {
        Ok(session) => (BEGIN, sessions::Asked::Begin(Box::new(session))),
        Err(places) => (WITHOUT, sessions::Asked::Whole { places, ends: ends != 0 }),
    };
    if version >= 7 {
        (request.session_id, request.session_epoch) = (ends, epoch);
        request.forgotten_topics_data.clear();
    }
    ask.forward(&request, Due::Fetch(Asked { session, refused }))
}

/// Epochs of requests that ask for everything (KIP-227): to begin a session, and to have none.
const BEGIN: i32 = 0;
const WITHOUT: i32 = -1;

/// The session cannot go on: the client is told, and asks for everything.
fn another_session(ask: &Ask<'_>, error: ResponseError, why: Option<Refusal>) -> Result<Step, Trouble> {
    if let Some(why) = why {
        ask.refused(why);
    }
    ask.respond(&FetchResponse::default().with_error_code(error.code()))
}

fn forgotten(version: i16, topic: &ForgottenTopic) -> (TopicRef, Vec<i32>) {
    let named = match version {
        13.. => TopicRef::Id(*topic.topic_id.as_bytes()),
        _ => TopicRef::Name(topic.topic.to_string()),
    };
    (named, topic.partitions.clone())
}

/// How the client named the topic, with its name if it may be read.
fn decide(ask: &Ask<'_>, topic: &FetchTopic) -> Result<(TopicRef, String), (TopicRef, Refusal)> {
    if ask.head.version >= 13 {
        let id = KafkaTopicId(*topic.topic_id.as_bytes());
        let named = TopicRef::Id(id.0);
        let Some(name) = ask.hub.cluster.topic_name(id) else { return Err((named, Refusal::TopicId)) };
        return match ask.guard.deliver(&name, Some(id)) {
            Ok(_) => Ok((named, name)),
            Err(why) => Err((named, why)),
        };
    }
    let name = topic.topic.as_str();
    let named = TopicRef::Name(name.to_owned());
    match ask.guard.deliver(name, ask.hub.cluster.topic_id(name)) {
        Ok(_) => Ok((named, name.to_owned())),
        Err(why) => Err((named, why)),
    }
}

/// An answer of refusals only.
fn all_refused(ask: &Ask<'_>, refused: &[Bytes]) -> Result<Step, Trouble> {
    let empty =
        codec::response_frame(ask.api, ask.head.version, ask.head.correlation, &FetchResponse::default())?.slice(4..);
    let view = FetchView::scan(ask.api, ask.head.version, &empty)?;
    let mut patch = Patch::new();
    view.append(&mut patch, refused);
    Ok(Step::Answer(Bytes::from(patch.pieces(&empty).concat())))
}
