//! Fetch: decided when it is asked, decided again when the answer has come, disclosed before the bytes leave.
//!
//! Each partition's record set is walked batch by batch on the bytes that came, and what may not leave is withheld or
//! blanked there ([`crate::delivery`]); that also tells what is disclosed.

mod request;

use std::{collections::BTreeSet, ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;
use jointuse::{ItemId, KafkaTopicId};
use policy::Permit;
use seal::Look;
use wire::{
    ResponseError, WireError,
    batch::Extent,
    codec,
    fetch::{FetchView, PartitionView, TopicRef},
    messages::fetch_response::NodeEndpoint,
    patch::Patch,
    protocol::{Decodable, StrBytes},
    read::{Reader, put_uvarint},
};

pub(super) use self::request::request;
use super::{Answer, Told, Trouble, metadata, topic_error};
use crate::{
    budget::Lease,
    delivery::{self, Means, Passed, Source, StopList, Terms, Workbench},
    hub::Hub,
    refusal::Refusal,
    runs::{Leaving, Runs},
    sessions::{self, Places},
};

/// What a Fetch asked for.
pub(crate) struct Asked {
    /// What was sent on to the broker.
    session: sessions::Asked,
    /// Topics refused, encoded as elements of the answer.
    refused: Vec<Bytes>,
}

/// What Kafka calls a topic, so named by a client, now.
fn identity(hub: &Hub, named: &TopicRef, name: &str) -> Option<KafkaTopicId> {
    match named {
        TopicRef::Id(id) => Some(KafkaTopicId(*id)),
        TopicRef::Name(_) => hub.cluster.topic_id(name),
    }
}

/// One partition on its way to the client.
struct Passing<'a> {
    partition: &'a PartitionView,
    permit: Arc<Permit>,
    terms: Arc<Terms>,
    extent: Extent,
    passed: Passed,
    /// Numbers up to which the stop lists were whole: what was decided, and what reaches persons.
    restrictions: (u64, u64),
}

impl Passing<'_> {
    fn leaving(&mut self) -> Leaving {
        Leaving {
            permit: Arc::clone(&self.permit),
            partition: self.partition.index,
            extent: self.extent,
            withheld: self.passed.withheld.total(),
            broken: std::mem::take(&mut self.passed.broken),
            end: self.partition.high_watermark,
            restrictions: self.restrictions,
        }
    }
}

/// A partition with records that may be read, and on which terms.
type Candidate<'a> = (&'a PartitionView, Arc<Permit>, Arc<Terms>);

/// Partitions that give no records now.
#[derive(Default)]
struct Without<'a> {
    /// They give an error instead.
    denied: Vec<(&'a PartitionView, i16)>,
    /// Theirs are left for the next fetch.
    later: Vec<&'a PartitionView>,
}

pub(super) async fn answer(
    told: &Told<'_>,
    asked: Asked,
    runs: &mut Runs,
    lease: &mut Lease,
) -> Result<Answer, Trouble> {
    let view = FetchView::scan(told.api, told.head.version, told.body)?;
    let snapshot = told.guard.snapshot();
    let mut without = Without::default();
    let (label, alone) = (asked.session.label(), matches!(asked.session, sessions::Asked::Whole { .. }));
    told.hub.metrics.fetch(label);
    let partly = matches!(asked.session, sessions::Asked::Change(_));
    let candidates = told
        .session
        .answered(asked.session, &view, &told.hub.sessions, |places| judge(told, places, &view, runs, &mut without))?;
    if !without.denied.is_empty() {
        // By the policy, as yet: the request of everything that comes next is answered by it.
        told.session.stale();
    }
    if partly {
        // What an answer in parts does not name has nothing new.
        runs.quiet_but(|topic, partition| {
            candidates.iter().any(|(p, permit, _)| p.index == partition && permit.topic() == topic)
        });
    }
    let stops = told.hub.stops.current(told.hub.gate.now());
    let mut bench = told.hub.benches.take();
    let room = room(told, &candidates, lease);
    let mut passing = match &stops {
        Some(stops) => prepare(told, candidates, stops, (&mut bench, room), &mut without).await,
        None => unstopped(told, candidates, &mut without),
    };
    // Written down before the bytes leave; what is not written down does not leave, and clients try again.
    let leaving = passing.iter_mut().map(Passing::leaving).collect::<Vec<_>>();
    let durable = runs.deliver(&leaving, told.hub.gate.now()).await;
    if !durable.contains(&true) && (durable.contains(&false) || without.denied.iter().any(|(_, error)| *error == AGAIN))
    {
        tokio::time::sleep(AGAIN_AFTER).await;
    }
    if told.guard.snapshot() != snapshot {
        still(told, &passing)?;
    }
    let now = told.hub.stops.current(told.hub.gate.now());
    let restricted = !same_list(stops.as_ref(), now.as_ref());
    let mut patch = Patch::new();
    if alone
        && view.session_id != 0
        && let Some(at) = view.session_at
    {
        patch.replace(at..at + 4, Bytes::from_static(&[0; 4]));
    }
    for (partition, error) in without.denied {
        view.deny(told.api, &mut patch, partition, error)?;
    }
    for partition in without.later {
        view.rewrite(&mut patch, partition, vec![(0..partition.records.len(), Bytes::new())]);
    }
    // The workbench goes back without its output, which is the answer's now.
    let made = Bytes::from(std::mem::take(&mut bench.out));
    lease.shrink(told.body.len() + made.len());
    told.hub.benches.put(bench);
    for (p, durable) in passing.into_iter().zip(durable) {
        if !durable {
            told.hub.metrics.refused(Refusal::Disclosure, told.api.name);
            view.deny(told.api, &mut patch, p.partition, AGAIN)?;
            continue;
        }
        if restricted && !still_unrestricted(told, &p, &made, now.as_ref()) {
            // Disclosed already, which tells too much; the next fetch gets what is left.
            told.hub.metrics.refused(Refusal::Restricted, told.api.name);
            view.rewrite(&mut patch, p.partition, vec![(0..p.partition.records.len(), Bytes::new())]);
            continue;
        }
        let edits = edits(&p, &made);
        let size = edits.iter().fold(p.partition.records.len(), |size, (old, new)| size - old.len() + new.len());
        told.hub.metrics.delivered(p.permit.topic().as_str(), size, p.extent.records);
        told.hub.metrics.passed(p.permit.topic().as_str(), &p.passed);
        view.rewrite(&mut patch, p.partition, edits);
    }
    if let Some(range) = &view.node_endpoints {
        let endpoints = endpoints(told, range).await?;
        view.replace_endpoints(&mut patch, endpoints);
    }
    view.append(&mut patch, &asked.refused);
    if patch.is_empty() {
        return Ok(Answer::Same);
    }
    Ok(Answer::Pieces { pieces: patch.pieces(told.body), made })
}

/// Decides every topic again, by the policy in force now; gives the partitions with records that may be read.
fn judge<'a>(
    told: &Told<'_>,
    places: &Places,
    view: &'a FetchView,
    runs: &mut Runs,
    without: &mut Without<'a>,
) -> Result<Vec<Candidate<'a>>, Trouble> {
    let mut candidates = Vec::with_capacity(view.partitions.len());
    for topic in &view.topics {
        // An answer holds what was asked for and nothing else.
        let Some(name) = places.name(&topic.topic) else {
            return Err(Trouble::Refused(Refusal::BrokerAnswer));
        };
        let granted = told.guard.deliver(name, identity(told.hub, &topic.topic, name));
        for partition in view.partitions_of(topic) {
            match &granted {
                Err(why) => {
                    told.hub.metrics.refused(*why, told.api.name);
                    without.denied.push((partition, topic_error(*why)));
                }
                Ok((permit, _)) if partition.records.is_empty() => runs.quiet(permit.topic(), partition.index),
                Ok((permit, terms)) => candidates.push((partition, Arc::clone(permit), Arc::clone(terms))),
            }
        }
    }
    Ok(candidates)
}

/// How many bytes may be written anew for an answer. What is not compressed needs no more than what came, for which there is
/// a lease; of what is, so much is unpacked as the lease can be made to hold, and the rest is left for the next fetch.
fn room(told: &Told<'_>, candidates: &[Candidate<'_>], lease: &mut Lease) -> usize {
    let most = usize::try_from(told.hub.limits.fetch_bytes).unwrap_or(usize::MAX);
    let records = |p: &PartitionView| told.body.get(p.records.clone()).unwrap_or_default();
    if !candidates.iter().any(|(partition, ..)| delivery::is_packed(records(partition))) {
        return most;
    }
    let came = told.body.len();
    told.hub.budget.grow(lease, came + most).saturating_sub(came).min(most)
}

/// Makes of each partition's records what may leave. What is missing for it, of all partitions, is asked for at once.
async fn prepare<'a>(
    told: &Told<'_>,
    candidates: Vec<Candidate<'a>>,
    stops: &StopList,
    (bench, room): (&mut Workbench, usize),
    without: &mut Without<'a>,
) -> Vec<Passing<'a>> {
    let mut passing = Vec::with_capacity(candidates.len());
    if candidates.is_empty() {
        return passing;
    }
    let Without { denied, later } = without;
    let mut deny = |partition, (refusal, error): (Refusal, ResponseError)| {
        told.hub.metrics.refused(refusal, told.api.name);
        denied.push((partition, error.code()));
    };
    let mut look = match told.hub.keys.look() {
        Ok(look) => look,
        Err(error) => {
            tracing::warn!(%error, "nothing can be opened: clients are told to try again");
            candidates.iter().for_each(|(partition, ..)| deny(*partition, AGAIN_KEYS));
            return passing;
        }
    };
    let came: usize = candidates.iter().map(|(partition, ..)| partition.records.len()).sum();
    bench.out = told.hub.budget.buffer(came + delivery::OVERHEAD).into();
    let mut waiting = candidates;
    while !waiting.is_empty() {
        let (mut lacking, mut schemas) = (Vec::new(), Vec::new());
        for (partition, permit, terms) in waiting {
            let source = Source {
                topic: permit.topic().as_str(),
                partition: partition.index,
                records: told.body.get(partition.records.clone()).unwrap_or_default(),
            };
            let mut means = Means { stops, programs: &told.hub.programs, look: &mut look, unsealed: told.hub.unsealed };
            match delivery::pass(source, &terms, &mut means, bench, room) {
                Ok(passed) => match passed.extent {
                    Some(extent) => {
                        let restrictions = (stops.sequence(), stops.persons_sequence());
                        passing.push(Passing { partition, permit, terms, extent, passed, restrictions });
                    }
                    None if passed.more => later.push(partition),
                    // Not one whole batch: brokers do not send that; nothing of it leaves.
                    None => deny(partition, (Refusal::BrokerAnswer, ResponseError::KafkaStorageError)),
                },
                Err(delivery::Trouble::Needs(ids)) => {
                    let items = |muted| terms.items(muted).cloned().unwrap_or_default();
                    schemas.extend(ids.into_iter().map(|(id, muted)| (id, items(muted))));
                    lacking.push((partition, permit, terms));
                }
                Err(trouble) => deny(partition, refusal(&trouble)),
            }
        }
        if lacking.is_empty() {
            break;
        }
        if let Err(why) = fetch_what_lacks(told, &mut look, schemas).await {
            lacking.iter().for_each(|(partition, ..)| deny(*partition, why));
            break;
        }
        waiting = lacking;
    }
    passing
}

/// Clients are told to try again.
const AGAIN: i16 = ResponseError::KafkaStorageError.code();

/// How long an answer that only says so is kept back: what was asked for is there, so the broker answers at once, and some
/// clients would ask hundreds of times a second until the hub is whole again.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// The key store cannot be asked, or a key not be unwrapped.
const AGAIN_KEYS: (Refusal, ResponseError) = (Refusal::Keys, ResponseError::KafkaStorageError);

/// Keys in one query, and schemas one by one: there are few, and they are kept.
async fn fetch_what_lacks(
    told: &Told<'_>,
    look: &mut Look,
    schemas: Vec<(u32, BTreeSet<ItemId>)>,
) -> Result<(), (Refusal, ResponseError)> {
    if look.is_missing_some()
        && let Err(error) = look.fetch().await
    {
        tracing::warn!(%error, "records cannot be opened: clients are told to try again");
        return Err(AGAIN_KEYS);
    }
    for (schema, items) in schemas {
        if let Err(error) = told.hub.programs.learn(schema, &items).await {
            tracing::error!(schema, %error, "records cannot be blanked: clients are told to try again");
            return Err((Refusal::Schemas, ResponseError::KafkaStorageError));
        }
    }
    Ok(())
}

/// What a client is told of a record set that cannot be passed on.
fn refusal(trouble: &delivery::Trouble) -> (Refusal, ResponseError) {
    match trouble {
        delivery::Trouble::Wire(error) => tracing::error!(%error, "an unreadable record set"),
        delivery::Trouble::Corrupt(error) => tracing::error!(%error, "a corrupt batch"),
        delivery::Trouble::Unusable(error) => {
            tracing::error!(%error, "records cannot be opened: clients are told to try again");
            return AGAIN_KEYS;
        }
        delivery::Trouble::Needs(_) => return AGAIN_KEYS,
    }
    (Refusal::BrokerAnswer, ResponseError::CorruptMessage)
}

/// The policy changed while the answer was made: the last word is the newest one's. An answer that it would have made
/// otherwise does not leave.
fn still(told: &Told<'_>, passing: &[Passing<'_>]) -> Result<(), Trouble> {
    for p in passing {
        let (_, terms) = told.guard.deliver(p.permit.topic().as_str(), None).map_err(Trouble::Refused)?;
        if terms != p.terms {
            return Err(Trouble::Refused(Refusal::PolicyChanged));
        }
    }
    Ok(())
}

/// Without a stop list in force it is not known whose records may leave: none do, and clients are told to try again.
fn unstopped<'a>(told: &Told<'_>, candidates: Vec<Candidate<'a>>, without: &mut Without<'a>) -> Vec<Passing<'a>> {
    for (partition, ..) in candidates {
        told.hub.metrics.refused(Refusal::NoStopList, told.api.name);
        without.denied.push((partition, AGAIN));
    }
    Vec::new()
}

fn same_list(before: Option<&StopList>, now: Option<&StopList>) -> bool {
    match (before, now) {
        (Some(before), Some(now)) => before.same(now),
        (None, None) => true,
        _ => false,
    }
}

/// The stop list changed while the answer was made: whether the newest one would make the same of this partition.
fn still_unrestricted(told: &Told<'_>, p: &Passing<'_>, made: &Bytes, now: Option<&StopList>) -> bool {
    let (Some(now), Ok(mut look)) = (now, told.hub.keys.look()) else { return false };
    // What is about to leave, and no more of it: how much that is was decided by the memory there was.
    let records = told.body.get(p.partition.records.clone()).and_then(|records| records.get(..p.passed.end));
    let source =
        Source { topic: p.permit.topic().as_str(), partition: p.partition.index, records: records.unwrap_or_default() };
    let mut means = Means { stops: now, programs: &told.hub.programs, look: &mut look, unsealed: told.hub.unsealed };
    let mut bench = told.hub.benches.take();
    let again = delivery::pass(source, &p.terms, &mut means, &mut bench, usize::MAX);
    let same = again.is_ok_and(|again| {
        let places = |passed: &Passed| passed.edits.iter().map(|(place, _)| place.clone()).collect::<Vec<_>>();
        let bytes = |passed: &Passed, out: &[u8]| {
            passed
                .edits
                .iter()
                .flat_map(|(_, range)| out.get(range.clone()).unwrap_or_default().to_vec())
                .collect::<Vec<u8>>()
        };
        again.end == p.passed.end
            && places(&again) == places(&p.passed)
            && bytes(&again, &bench.out) == bytes(&p.passed, made)
    });
    told.hub.benches.put(bench);
    same
}

/// What is to be replaced in a partition's record set. A batch cut by `max_bytes` is of no use to a client, and its bytes
/// are in no disclosure: it does not leave.
fn edits(p: &Passing<'_>, made: &Bytes) -> Vec<(Range<usize>, Bytes)> {
    let whole = p.partition.records.len();
    let new = p.passed.edits.iter().map(|(place, output)| (place.clone(), made.slice(output.clone())));
    new.chain((p.passed.end < whole).then(|| (p.passed.end..whole, Bytes::new()))).collect()
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
            node.host = StrBytes::from_string(host);
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
