//! Fetch: decided when it is asked, decided again when the answer has come, disclosed before the bytes leave.
//!
//! The answer's records are never decoded. Each partition's record set is walked batch by batch on the bytes that came
//! ([`wire::batch`]): that tells what is disclosed, and it is where batches will be rewritten.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use jointuse::KafkaTopicId;
use policy::Permit;
use wire::{
    ResponseError, WireError,
    batch::{self, Extent},
    codec,
    fetch::{FetchView, PartitionView, TopicRef, denied_topic},
    messages::{FetchRequest, FetchResponse, fetch_request::FetchTopic, fetch_response::NodeEndpoint},
    patch::Patch,
    protocol::{Decodable, StrBytes},
    read::{Reader, put_uvarint},
};

use super::{Answer, Ask, Due, Step, Told, Trouble, metadata, topic_error};
use crate::{
    refusal::Refusal,
    runs::{Leaving, Runs},
};

/// What a Fetch asked for.
pub(crate) struct Asked {
    /// Topics sent on to the broker: how the client named each, and its name.
    topics: Vec<(TopicRef, String)>,
    /// Topics refused, encoded as elements of the answer.
    refused: Vec<Bytes>,
}

pub(super) fn request(ask: &Ask<'_>) -> Result<Step, Trouble> {
    let mut request: FetchRequest = ask.decode()?;
    let version = ask.head.version;
    if request.replica_id.0 >= 0 || request.replica_state.replica_id.0 >= 0 {
        return Err(Trouble::Refused(Refusal::FetchKind));
    }
    if request.session_id != 0 || request.session_epoch > 0 {
        // No session was ever given, so this is none of ours; the client then makes a full request.
        ask.refused(Refusal::FetchKind);
        return ask.respond(&FetchResponse::default().with_error_code(ResponseError::FetchSessionIdNotFound.code()));
    }
    let mut topics = Vec::with_capacity(request.topics.len());
    let mut refused = Vec::new();
    let mut trouble = None;
    request.topics.retain(|topic| match decide(ask, topic) {
        Ok(named) => {
            topics.push(named);
            true
        }
        Err((named, why)) => {
            ask.refused(why);
            let partitions = topic.partitions.iter().map(|p| p.partition);
            match denied_topic(ask.api, version, &named, partitions, topic_error(why)) {
                Ok(element) => refused.push(element),
                Err(error) => trouble = Some(error),
            }
            false
        }
    });
    if let Some(error) = trouble {
        return Err(error.into());
    }
    if topics.is_empty() && !refused.is_empty() {
        return all_refused(ask, &refused);
    }
    // Sessionless: the broker keeps no session, answers in full, and says 0 (KIP-227).
    if version >= 7 {
        request.session_epoch = -1;
        request.forgotten_topics_data.clear();
    }
    request.max_bytes = request.max_bytes.min(ask.hub.limits.fetch_bytes);
    ask.forward(&request, Due::Fetch(Asked { topics, refused }))
}

/// How the client named the topic, with its name if it may be read.
fn decide(ask: &Ask<'_>, topic: &FetchTopic) -> Result<(TopicRef, String), (TopicRef, Refusal)> {
    if ask.head.version >= 13 {
        let id = KafkaTopicId(*topic.topic_id.as_bytes());
        let named = TopicRef::Id(id.0);
        let Some(name) = ask.hub.cluster.topic_name(id) else { return Err((named, Refusal::TopicId)) };
        return match ask.guard.permit(&name, Some(id)) {
            Ok(_) => Ok((named, name)),
            Err(why) => Err((named, why)),
        };
    }
    let name = topic.topic.as_str();
    let named = TopicRef::Name(name.to_owned());
    match ask.guard.permit(name, ask.hub.cluster.topic_id(name)) {
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

/// One partition on its way to the client.
struct Passing<'a> {
    partition: &'a PartitionView,
    permit: Arc<Permit>,
    extent: Extent,
    /// One past the last whole batch, in the record set.
    end: usize,
}

impl Passing<'_> {
    fn leaving(&self) -> Leaving {
        Leaving {
            permit: Arc::clone(&self.permit),
            partition: self.partition.index,
            extent: self.extent,
            end: self.partition.high_watermark,
        }
    }
}

pub(super) async fn answer(told: &Told<'_>, asked: Asked, runs: &mut Runs) -> Result<Answer, Trouble> {
    let view = FetchView::scan(told.api, told.head.version, told.body)?;
    let (passing, denied) = judge(told, &asked, &view, runs)?;
    // Written down before the bytes leave; what is not written down does not leave, and clients try again.
    let leaving = passing.iter().map(Passing::leaving).collect::<Vec<_>>();
    let snapshot = told.guard.snapshot();
    let durable = runs.deliver(&leaving, told.hub.gate.now()).await;
    if told.guard.snapshot() != snapshot {
        // The policy changed while the disclosure was written: the last word is the newest one's.
        for p in &passing {
            told.guard.permit(p.permit.topic().as_str(), None).map_err(Trouble::Refused)?;
        }
    }
    let mut patch = Patch::new();
    if view.session_id != 0
        && let Some(at) = view.session_at
    {
        patch.replace(at..at + 4, Bytes::from_static(&[0; 4]));
    }
    for (partition, error) in denied {
        view.deny(told.api, &mut patch, partition, error)?;
    }
    for (p, durable) in passing.iter().zip(durable) {
        if !durable {
            told.hub.metrics.refused(Refusal::Disclosure, told.api.name);
            view.deny(told.api, &mut patch, p.partition, ResponseError::KafkaStorageError.code())?;
            continue;
        }
        told.hub.metrics.delivered(p.permit.topic().as_str(), p.end, p.extent.records);
        view.rewrite(&mut patch, p.partition, cut_tail(p));
    }
    if let Some(range) = &view.node_endpoints {
        let endpoints = endpoints(told, range).await?;
        view.replace_endpoints(&mut patch, endpoints);
    }
    view.append(&mut patch, &asked.refused);
    if patch.is_empty() {
        return Ok(Answer::Same);
    }
    Ok(Answer::Pieces(patch.pieces(told.body)))
}

type Judged<'a> = (Vec<Passing<'a>>, Vec<(&'a PartitionView, i16)>);

/// Decides every topic again, by the policy in force now, and measures what would be delivered.
fn judge<'a>(told: &Told<'_>, asked: &Asked, view: &'a FetchView, runs: &mut Runs) -> Result<Judged<'a>, Trouble> {
    let mut passing = Vec::with_capacity(view.partitions.len());
    let mut denied = Vec::new();
    for topic in &view.topics {
        // A full answer holds what was asked for and nothing else.
        let Some((named, name)) = asked.topics.iter().find(|(named, _)| *named == topic.topic) else {
            return Err(Trouble::Refused(Refusal::BrokerAnswer));
        };
        let id = match named {
            TopicRef::Id(id) => Some(KafkaTopicId(*id)),
            TopicRef::Name(name) => told.hub.cluster.topic_id(name),
        };
        let permit = told.guard.permit(name, id);
        for partition in view.partitions_of(topic) {
            match &permit {
                Err(why) => {
                    told.hub.metrics.refused(*why, told.api.name);
                    denied.push((partition, topic_error(*why)));
                }
                Ok(permit) if partition.records.is_empty() => runs.quiet(permit.topic(), partition.index),
                Ok(permit) => match measure(told.body, partition) {
                    Ok(Some((extent, end))) => {
                        passing.push(Passing { partition, permit: Arc::clone(permit), extent, end });
                    }
                    // Not one whole batch: brokers do not send that; nothing of it leaves.
                    Ok(None) => denied.push((partition, ResponseError::KafkaStorageError.code())),
                    Err(error) => {
                        tracing::error!(topic = name, partition = partition.index, %error, "an unreadable record set");
                        told.hub.metrics.refused(Refusal::BrokerAnswer, told.api.name);
                        denied.push((partition, ResponseError::CorruptMessage.code()));
                    }
                },
            }
        }
    }
    Ok((passing, denied))
}

fn measure(body: &Bytes, partition: &PartitionView) -> Result<Option<(Extent, usize)>, WireError> {
    let records = body.get(partition.records.clone()).unwrap_or_default();
    let Some(extent) = batch::extent(records)? else { return Ok(None) };
    let mut batches = batch::batches(records);
    let end = batches.by_ref().filter_map(Result::ok).map(|batch| batch.range.end).last().unwrap_or(0);
    Ok(Some((extent, end)))
}

/// A batch cut by `max_bytes` is of no use to a client, and its bytes are in no disclosure: it does not leave.
fn cut_tail(p: &Passing<'_>) -> Vec<(Range<usize>, Bytes)> {
    let whole = p.partition.records.len();
    if p.end == whole { Vec::new() } else { vec![(p.end..whole, Bytes::new())] }
}

/// The brokers that lead now (KIP-951), under the hub's addresses; those without one are left out.
async fn endpoints(told: &Told<'_>, range: &Range<usize>) -> Result<Option<Bytes>, Trouble> {
    let value = told.body.slice(range.clone());
    let mut reader = Reader::new(&value);
    let count = reader.count(true)?.unwrap_or(0);
    let mut rest = value.slice(reader.position()..);
    let wrong = |_| WireError::Codec { key: told.api.key, version: told.head.version };
    let mut kept = Vec::new();
    let mut many = 0u32;
    for _ in 0..count {
        let mut node = NodeEndpoint::decode(&mut rest, told.head.version).map_err(wrong)?;
        metadata::learn(told.hub, node.node_id, &node.host, node.port).await;
        if let Some((host, port)) = told.hub.cluster.advertise(node.node_id.0) {
            node.host = StrBytes::from_string(host.to_owned());
            node.port = i32::from(port);
            kept.extend_from_slice(&codec::bare(told.api, told.head.version, &node)?);
            many += 1;
        }
    }
    if many == 0 {
        return Ok(None);
    }
    let mut out = Vec::with_capacity(kept.len() + 5);
    put_uvarint(&mut out, many + 1);
    out.extend_from_slice(&kept);
    Ok(Some(out.into()))
}
