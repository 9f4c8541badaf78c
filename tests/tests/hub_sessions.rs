//! Fetch sessions (KIP-227) through the hub, by hand: what the broker keeps for a client is the client's alone, holds only
//! what is granted, and loses nothing that did not leave.

mod hub_rig;

use std::collections::BTreeMap;

use bytes::Bytes;
use hub_rig::{
    ALPHA, BETA, CONTACT, DEADLINE, MEETING, PASSWORD, Rig, TRANSACTION, create_topic, sealer::one_each, subscription,
};
use testkit::{
    kafka::Kafka,
    raw::{Raw, Reply},
    wait,
};
use uuid::Uuid;
use wire::{
    messages::{
        FetchRequest, FetchResponse, MetadataRequest, TopicName,
        fetch_request::{FetchPartition, FetchTopic, ForgottenTopic},
        metadata_request::MetadataRequestTopic,
    },
    protocol::StrBytes,
};

const TOPIC_AUTHORIZATION_FAILED: i16 = 29;
const KAFKA_STORAGE_ERROR: i16 = 56;
const FETCH_SESSION_ID_NOT_FOUND: i16 = 70;
const INVALID_FETCH_SESSION_EPOCH: i16 = 71;
const UNKNOWN_TOPIC_ID: i16 = 100;
const INCONSISTENT_TOPIC_ID: i16 = 103;

/// First and last with names, then with ids.
const VERSIONS: [i16; 5] = [7, 11, 12, 13, 18];
const PARTITIONS: i32 = 4;

/// A client with its own idea of a session.
struct Reader {
    raw: Raw,
    version: i16,
    ids: BTreeMap<String, Uuid>,
    session: (i32, i32),
    wait_ms: i32,
}

/// What came of a partition: its error, and bytes of records.
type Came = BTreeMap<(String, i32), (i16, usize)>;

impl Reader {
    async fn login(rig: &Rig, login: &str, version: i16) -> Self {
        let address = format!("127.0.0.1:{}", rig.broker_base + rig.kafka.node_ids()[0]);
        let raw = Raw::login(&address, login, PASSWORD).await;
        let topics = rig.snapshot.topics.iter();
        let ids = topics.map(|t| (t.name.to_string(), Uuid::from_bytes(t.kafka_id.unwrap().0))).collect();
        Self { raw, version, ids, session: (0, 0), wait_ms: 100 }
    }

    /// A request of these partitions from these offsets, with the session as it is known.
    fn request(&self, from: &[(&str, i32, i64)], forget: &[(&str, i32)]) -> FetchRequest {
        let by_name = self.version < 13;
        let topic = |name: &str| TopicName(StrBytes::from_string(name.to_owned()));
        let topics = from.iter().map(|(name, partition, offset)| {
            let partition = FetchPartition::default()
                .with_partition(*partition)
                .with_fetch_offset(*offset)
                .with_partition_max_bytes(1 << 20);
            let fetch = FetchTopic::default().with_partitions(vec![partition]);
            if by_name { fetch.with_topic(topic(name)) } else { fetch.with_topic_id(self.ids[*name]) }
        });
        let forgotten = forget.iter().map(|(name, partition)| {
            let forgotten = ForgottenTopic::default().with_partitions(vec![*partition]);
            if by_name { forgotten.with_topic(topic(name)) } else { forgotten.with_topic_id(self.ids[*name]) }
        });
        FetchRequest::default()
            .with_max_wait_ms(self.wait_ms)
            .with_min_bytes(1)
            .with_max_bytes(8 << 20)
            .with_session_id(self.session.0)
            .with_session_epoch(self.session.1)
            .with_topics(topics.collect())
            .with_forgotten_topics_data(forgotten.collect())
    }

    /// Asks; on a good answer the session goes on as KIP-227 says.
    async fn ask(&mut self, request: &FetchRequest) -> FetchResponse {
        let answer = self.raw.call(request, self.version).await.expect("an answer");
        if answer.error_code == 0 && request.session_epoch >= 0 {
            self.session = if answer.session_id == 0 { (0, 0) } else { (answer.session_id, request.session_epoch + 1) };
        }
        answer
    }

    fn came(&self, answer: &FetchResponse) -> Came {
        let name = |topic: &wire::messages::fetch_response::FetchableTopicResponse| match self.version {
            13.. => {
                self.ids.iter().find(|(_, id)| **id == topic.topic_id).expect("a topic that was asked for").0.clone()
            }
            _ => topic.topic.to_string(),
        };
        let mut came = Came::new();
        for topic in &answer.responses {
            for p in &topic.partitions {
                let bytes = p.records.as_ref().map_or(0, Bytes::len);
                came.insert((name(topic), p.partition_index), (p.error_code, bytes));
            }
        }
        came
    }

    /// Asks for everything of these topics from these offsets; a session begins.
    async fn begin(&mut self, from: &[(&str, i64)]) -> Came {
        self.session.1 = 0;
        let from: Vec<_> = from.iter().flat_map(|(topic, at)| (0..PARTITIONS).map(|p| (*topic, p, *at))).collect();
        let answer = self.ask(&self.request(&from, &[])).await;
        assert_eq!((answer.error_code, answer.session_id == 0), (0, false), "v{}: no session", self.version);
        let came = self.came(&answer);
        assert_eq!(came.len(), from.len(), "v{}: a full answer holds every partition", self.version);
        came
    }

    /// Goes on with a change.
    async fn change(&mut self, from: &[(&str, i32, i64)], forget: &[(&str, i32)]) -> Came {
        let answer = self.ask(&self.request(from, forget)).await;
        assert_eq!((answer.error_code, answer.session_id), (0, self.session.0), "v{}", self.version);
        self.came(&answer)
    }

    /// Goes on without a change until something comes.
    async fn next(&mut self) -> Came {
        let mut came = Came::new();
        for _ in 0..200 {
            came = self.change(&[], &[]).await;
            if !came.is_empty() {
                break;
            }
        }
        came
    }

    /// The error that a request is answered with, and that nothing comes with it.
    async fn error(&mut self, request: &FetchRequest) -> i16 {
        let answer = self.ask(request).await;
        assert!(answer.responses.is_empty() && answer.session_id == 0);
        answer.error_code
    }
}

fn places(came: &Came) -> Vec<(&str, i32)> {
    came.keys().map(|(topic, partition)| (topic.as_str(), *partition)).collect()
}

async fn held(rig: &Rig) -> f64 {
    rig.metric("hub_fetch_sessions", &[]).await
}

async fn until_held(rig: &Rig, sessions: f64) {
    let what = format!("{sessions} sessions to be held");
    wait::until(what, DEADLINE, async || (held(rig).await == sessions).then_some(())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_what_the_broker_makes_of_it() {
    let rig = Rig::single().await;
    for name in [CONTACT, TRANSACTION, MEETING] {
        rig.fill(name, 40, 50).await;
    }
    for version in VERSIONS {
        only_what_changes(&rig, version).await;
        nobody_elses(&rig, version).await;
    }
    refusals_in_a_session(&rig).await;
    who_uses_none(&rig).await;
    until_held(&rig, 0.0).await;
}

async fn only_what_changes(rig: &Rig, version: i16) {
    let mut reader = Reader::login(rig, ALPHA, version).await;
    let came = reader.begin(&[(CONTACT, 0), (TRANSACTION, 1 << 40)]).await;
    assert!((0..PARTITIONS).all(|p| came[&(CONTACT.to_owned(), p)].1 > 0));
    until_held(rig, 1.0).await;
    // Out of range is told each time; what was not read is there again, though nobody asks for it.
    let again = reader.change(&[], &[]).await;
    assert_eq!(again.len(), 8, "v{version}: {again:?}");
    assert_eq!(again[&(CONTACT.to_owned(), 2)], came[&(CONTACT.to_owned(), 2)]);
    // At the end of everything nothing comes, and the session goes on.
    let ends = ends(rig).await;
    let at_ends: Vec<_> = ends.iter().map(|((topic, p), end)| (topic.as_str(), *p, *end)).collect();
    reader.change(&at_ends, &[]).await;
    for _ in 0..3 {
        assert_eq!(reader.change(&[], &[]).await, Came::new(), "v{version}");
    }
    // What arrives comes alone, and again until its reader has moved on.
    one_each(rig, CONTACT, &[1]).await;
    let came = reader.next().await;
    assert_eq!(places(&came), [(CONTACT, 1)], "v{version}");
    assert_eq!(reader.next().await, came);
    let end = ends[&(CONTACT.to_owned(), 1)];
    assert_eq!(reader.change(&[(CONTACT, 1, end + 1)], &[]).await, Came::new());
    // A forgotten partition is silent; an added one speaks.
    assert_eq!(reader.change(&[], &[(CONTACT, 1), (TRANSACTION, 0)]).await, Came::new());
    one_each(rig, CONTACT, &[1]).await;
    one_each(rig, TRANSACTION, &[0]).await;
    one_each(rig, TRANSACTION, &[3]).await;
    assert_eq!(places(&reader.next().await), [(TRANSACTION, 3)], "v{version}");
    let came = reader.change(&[(CONTACT, 1, end + 1)], &[(TRANSACTION, 3)]).await;
    assert_eq!(places(&came), [(CONTACT, 1)], "v{version}");
    // Nothing is left: the broker ends it.
    let all: Vec<_> = ends.keys().map(|(topic, p)| (topic.as_str(), *p)).collect();
    let answer = reader.ask(&reader.request(&[], &all)).await;
    assert_eq!((answer.error_code, answer.session_id, answer.responses.len()), (0, 0, 0), "v{version}");
    until_held(rig, 0.0).await;
}

/// A number leads to a session on the connection that was given it, and nowhere else.
async fn nobody_elses(rig: &Rig, version: i16) {
    let mut reader = Reader::login(rig, ALPHA, version).await;
    reader.begin(&[(CONTACT, 0)]).await;
    let (id, epoch) = reader.session;
    for login in [ALPHA, BETA] {
        let mut other = Reader::login(rig, login, version).await;
        other.session = (id, epoch);
        assert_eq!(other.error(&other.request(&[], &[])).await, FETCH_SESSION_ID_NOT_FOUND);
        // Whoever asks for everything ends the session that is named: not this one.
        for epoch in [0, -1] {
            other.session = (id, epoch);
            let answer = other.ask(&other.request(&[(CONTACT, 0, 0)], &[])).await;
            assert_eq!((answer.error_code, answer.responses.len()), (0, 1));
            assert_ne!(answer.session_id, id);
        }
    }
    assert_eq!(reader.change(&[], &[]).await.len(), 4, "v{version}: it was ended by somebody else");
    // The broker's own word on an epoch, and the session begins anew.
    reader.session.1 += 5;
    assert_eq!(reader.error(&reader.request(&[], &[])).await, INVALID_FETCH_SESSION_EPOCH);
    reader.begin(&[(CONTACT, 0)]).await;
    assert_ne!(reader.session.0, id);
    // After a reconnect with the old number.
    let old = reader.session;
    drop(reader);
    let mut reader = Reader::login(rig, ALPHA, version).await;
    reader.session = (old.0, old.1);
    assert_eq!(reader.error(&reader.request(&[], &[])).await, FETCH_SESSION_ID_NOT_FOUND);
    reader.begin(&[(CONTACT, 0)]).await;
    until_held(rig, 1.0).await;
    // Ended by who has it.
    let held = reader.session;
    reader.session.1 = -1;
    reader.ask(&reader.request(&[], &[])).await;
    until_held(rig, 0.0).await;
    reader.session = held;
    assert_eq!(reader.error(&reader.request(&[], &[])).await, FETCH_SESSION_ID_NOT_FOUND);
}

/// What is refused is told in an answer of everything, never in one of changes.
async fn refusals_in_a_session(rig: &Rig) {
    for version in VERSIONS {
        let mut reader = Reader::login(rig, BETA, version).await;
        reader.begin(&[(CONTACT, 0)]).await;
        let refused = rig.refusals("topic").await;
        assert_eq!(reader.error(&reader.request(&[(MEETING, 0, 0)], &[])).await, INVALID_FETCH_SESSION_EPOCH);
        assert_eq!(rig.refusals("topic").await, refused + 1.0);
        // As a client does next: it ends the session and wishes for another.
        reader.session.1 = 0;
        let answer = reader.ask(&reader.request(&[(CONTACT, 0, 0), (MEETING, 0, 0)], &[])).await;
        assert_eq!((answer.error_code, answer.session_id), (0, 0), "no session of what is refused");
        let came = reader.came(&answer);
        assert_eq!(came[&(MEETING.to_owned(), 0)], (TOPIC_AUTHORIZATION_FAILED, 0));
        assert!(came[&(CONTACT.to_owned(), 0)].1 > 0);
        until_held(rig, 0.0).await;
        reader.begin(&[(CONTACT, 0)]).await;
    }
}

/// Some clients wish for a session each time and never go on with it.
async fn who_uses_none(rig: &Rig) {
    let mut reader = Reader::login(rig, ALPHA, 13).await;
    reader.begin(&[(CONTACT, 0)]).await;
    for _ in 0..3 {
        reader.session = (0, 0);
        let answer = reader.ask(&reader.request(&[(CONTACT, 0, 0)], &[])).await;
        assert_eq!((answer.session_id, answer.responses.len()), (0, 1));
        until_held(rig, 0.0).await;
    }
}

/// The end of each partition of contacts and transactions.
async fn ends(rig: &Rig) -> BTreeMap<(String, i32), i64> {
    let mut reader = Reader::login(rig, ALPHA, 11).await;
    let from: Vec<_> = [CONTACT, TRANSACTION].iter().flat_map(|t| (0..PARTITIONS).map(|p| (*t, p, 0))).collect();
    reader.session.1 = -1;
    let answer = reader.ask(&reader.request(&from, &[])).await;
    let partitions = answer.responses.iter().flat_map(|t| t.partitions.iter().map(|p| (t.topic.to_string(), p)));
    partitions.map(|(topic, p)| ((topic, p.partition_index), p.high_watermark)).collect()
}

/// What could not leave comes again, in every way of naming topics, without being asked for again.
#[tokio::test(flavor = "multi_thread")]
async fn what_did_not_leave_comes_again() {
    let mut rig = Rig::single().await;
    rig.fill(CONTACT, 40, 50).await;
    let mut readers = Vec::new();
    for version in VERSIONS {
        let mut reader = Reader::login(&rig, ALPHA, version).await;
        let came = reader.begin(&[(CONTACT, 0)]).await;
        readers.push((reader, came));
    }
    // Nothing can be written down, so nothing leaves.
    rig.postgres.sql("postgres", "ALTER DATABASE hub ALLOW_CONNECTIONS false").await.unwrap();
    rig.postgres
        .sql("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'hub'")
        .await
        .unwrap();
    for (reader, _) in &mut readers {
        let denied = reader.change(&[], &[]).await;
        assert_eq!(denied.len(), 4, "v{}", reader.version);
        assert!(denied.values().all(|came| *came == (KAFKA_STORAGE_ERROR, 0)), "{denied:?}");
    }
    rig.postgres.sql("postgres", "ALTER DATABASE hub ALLOW_CONNECTIONS true").await.unwrap();
    rig.ready().await;
    for (reader, first) in &mut readers {
        the_same_again(reader, first).await;
    }
    // A stop list that is not in force: the same.
    let validity = std::mem::replace(&mut rig.stops.validity, 1_000);
    rig.put_stops(rig.stops.head()).await;
    let (reader, first) = &mut readers[0];
    wait::until("the stop list to be over", DEADLINE, async || {
        (rig.metric("hub_restrictions_seconds_left", &[]).await < 0.0).then_some(())
    })
    .await
    .unwrap();
    assert!(reader.change(&[], &[]).await.values().all(|came| *came == (KAFKA_STORAGE_ERROR, 0)));
    rig.stops.validity = validity;
    rig.put_stops(rig.stops.head()).await;
    the_same_again(reader, first).await;
}

/// The same batches, whole, without being asked for.
async fn the_same_again(reader: &mut Reader, first: &Came) {
    let what = format!("v{} to get what did not leave", reader.version);
    let again = wait::until(what, DEADLINE, async || (reader.change(&[], &[]).await == *first).then_some(()));
    again.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_when_not_all_of_it_is_granted() {
    let mut rig = Rig::single().await;
    rig.fill(CONTACT, 40, 50).await;
    rig.fill(TRANSACTION, 40, 50).await;
    for version in [11, 13] {
        let mut reader = Reader::login(&rig, ALPHA, version).await;
        reader.begin(&[(CONTACT, 1000), (TRANSACTION, 1000)]).await;
        // A policy that says the same leaves it alone.
        let session = reader.session;
        rig.publish(|_| ()).await;
        rig.in_force().await;
        reader.change(&[], &[]).await;
        assert_eq!(reader.session, (session.0, session.1 + 1));
        policy_between_two(&mut rig, &mut reader).await;
        policy_on_the_way(&mut rig, &mut reader).await;
    }
    made_anew(&mut rig).await;
}

async fn take_transactions(rig: &mut Rig) {
    rig.publish(|s| _ = subscription(s, "alpha").topics.remove(&TRANSACTION.parse().unwrap())).await;
    rig.in_force().await;
}

async fn give_transactions(rig: &mut Rig) {
    rig.publish(|s| _ = subscription(s, "alpha").topics.insert(TRANSACTION.parse().unwrap())).await;
    rig.in_force().await;
}

/// The client is told to ask for everything, and that is answered by the new policy.
async fn policy_between_two(rig: &mut Rig, reader: &mut Reader) {
    take_transactions(rig).await;
    assert_eq!(reader.error(&reader.request(&[], &[])).await, INVALID_FETCH_SESSION_EPOCH);
    reader.session.1 = 0;
    let request = reader.request(&[(CONTACT, 0, 0), (TRANSACTION, 0, 0)], &[]);
    let answer = reader.ask(&request).await;
    assert_eq!(answer.session_id, 0);
    let came = reader.came(&answer);
    assert_eq!(came[&(TRANSACTION.to_owned(), 0)], (TOPIC_AUTHORIZATION_FAILED, 0));
    assert!(came[&(CONTACT.to_owned(), 0)].1 > 0);
    give_transactions(rig).await;
    reader.begin(&[(CONTACT, 1000), (TRANSACTION, 1000)]).await;
}

/// A fetch that waits at the broker while the policy changes is judged by the new one.
async fn policy_on_the_way(rig: &mut Rig, reader: &mut Reader) {
    let ends = ends(rig).await;
    let at_ends: Vec<_> = ends.iter().map(|((topic, p), end)| (topic.as_str(), *p, *end)).collect();
    reader.change(&at_ends, &[]).await;
    reader.wait_ms = 15_000;
    let before = rig.metric("hub_requests_total", &[("api", "Fetch")]).await;
    let request = reader.request(&[], &[]);
    reader.raw.send(&request, reader.version).await;
    wait::until("the fetch to be on its way", DEADLINE, async || {
        (rig.metric("hub_requests_total", &[("api", "Fetch")]).await > before).then_some(())
    })
    .await
    .unwrap();
    take_transactions(rig).await;
    one_each(rig, TRANSACTION, &[2]).await;
    let Reply::Frame(frame) = reader.raw.reply().await else { panic!("closed") };
    let answer: FetchResponse = reader.raw.read::<FetchRequest>(frame, reader.version);
    assert_eq!((answer.error_code, answer.session_id), (0, reader.session.0));
    let denied = [((TRANSACTION.to_owned(), 2), (TOPIC_AUTHORIZATION_FAILED, 0))];
    assert_eq!(reader.came(&answer), denied.into(), "v{}", reader.version);
    reader.wait_ms = 100;
    reader.session.1 += 1;
    assert_eq!(reader.error(&reader.request(&[], &[])).await, INVALID_FETCH_SESSION_EPOCH);
    give_transactions(rig).await;
}

/// A topic made anew under its name gets into no session, and out of one nothing of it leaves.
async fn made_anew(rig: &mut Rig) {
    let mut by_name = Reader::login(rig, ALPHA, 11).await;
    let mut by_id = Reader::login(rig, ALPHA, 13).await;
    for reader in [&mut by_name, &mut by_id] {
        reader.begin(&[(CONTACT, 1000), (TRANSACTION, 0)]).await;
    }
    rig.admin.delete_topic(TRANSACTION).await.unwrap();
    let id = create_topic(&rig.admin, TRANSACTION, PARTITIONS, 1, &[]).await;
    wait::until("the hub to hear of it", DEADLINE, async || {
        let name = Some(TopicName(StrBytes::from_static_str(TRANSACTION)));
        let topics = vec![MetadataRequestTopic::default().with_name(name)];
        let mut raw = Raw::login(&rig.bootstrap(), ALPHA, PASSWORD).await;
        let answer = raw.call(&MetadataRequest::default().with_topics(Some(topics)), 12).await?;
        (answer.topics[0].error_code == TOPIC_AUTHORIZATION_FAILED).then_some(())
    })
    .await
    .unwrap();
    wait::until("a record to be in it", DEADLINE, async || {
        let record = bus::Record::new(TRANSACTION, "k", b"of somebody else's topic".to_vec());
        rig.producer.send(record).await.is_ok().then_some(())
    })
    .await
    .unwrap();
    let nothing = |came: &Came| came.iter().filter(|((topic, _), _)| topic == TRANSACTION).all(|(_, (_, n))| *n == 0);
    // By its old id the topic is gone, as the broker says.
    let came = by_id.next().await;
    let told = came[&(TRANSACTION.to_owned(), 0)].0;
    assert!(nothing(&came) && [UNKNOWN_TOPIC_ID, INCONSISTENT_TOPIC_ID].contains(&told), "{came:?}");
    by_id.ids.insert(TRANSACTION.to_owned(), Uuid::from_bytes(id.0));
    let error = by_id.error(&by_id.request(&[(TRANSACTION, 0, 0)], &[])).await;
    assert_eq!(error, INVALID_FETCH_SESSION_EPOCH);
    // By its name it is another one: told once, then everything has to be asked for, and that is refused.
    let came = by_name.next().await;
    assert!(nothing(&came), "{came:?}");
    assert!(came.iter().any(|((topic, _), (error, _))| topic == TRANSACTION && *error != 0), "{came:?}");
    assert_eq!(by_name.error(&by_name.request(&[], &[])).await, INVALID_FETCH_SESSION_EPOCH);
    for reader in [&mut by_name, &mut by_id] {
        reader.session.1 = 0;
        let request = reader.request(&[(CONTACT, 0, 0), (TRANSACTION, 0, 0)], &[]);
        let answer = reader.ask(&request).await;
        let came = reader.came(&answer);
        assert_eq!((answer.session_id, came[&(TRANSACTION.to_owned(), 0)]), (0, (TOPIC_AUTHORIZATION_FAILED, 0)));
    }
}

/// Beyond the room there is, clients are served as ever, without a session.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_bounded() {
    let limits = [("HUB__LIMITS__SESSION_PARTITIONS", "6"), ("HUB__LIMITS__SESSIONS_PARTITIONS", "10")];
    let rig = Rig::start(Kafka::builder(), &limits).await;
    rig.fill(CONTACT, 40, 50).await;
    let whole = async |reader: &mut Reader, topics: &[&str]| {
        reader.session.1 = 0;
        let from: Vec<_> = topics.iter().flat_map(|t| (0..PARTITIONS).map(|p| (*t, p, 0))).collect();
        let answer = reader.ask(&reader.request(&from, &[])).await;
        assert_eq!((answer.error_code, reader.came(&answer).len()), (0, from.len()));
        answer.session_id
    };
    let mut first = Reader::login(&rig, ALPHA, 13).await;
    assert_eq!(whole(&mut first, &[CONTACT, TRANSACTION]).await, 0, "eight of six");
    first.begin(&[(CONTACT, 0)]).await;
    // It grows beyond its bound: what was asked for is answered, and then everything has to be asked for.
    let more: Vec<_> = (0..PARTITIONS).map(|p| (TRANSACTION, p, 0)).collect();
    assert_eq!(first.change(&more, &[]).await.len(), 8);
    assert_eq!(first.error(&first.request(&[], &[])).await, INVALID_FETCH_SESSION_EPOCH);
    assert_eq!(whole(&mut first, &[CONTACT, TRANSACTION]).await, 0);
    first.begin(&[(CONTACT, 0)]).await;
    let mut second = Reader::login(&rig, ALPHA, 13).await;
    second.begin(&[(CONTACT, 0)]).await;
    let mut third = Reader::login(&rig, BETA, 13).await;
    assert_eq!(whole(&mut third, &[CONTACT]).await, 0, "twelve of ten");
    drop(first);
    until_held(&rig, 1.0).await;
    third.begin(&[(CONTACT, 0)]).await;
    assert!(rig.metric("hub_fetches_total", &[("asked", "whole")]).await >= 3.0);
}
