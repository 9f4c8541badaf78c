//! What a fetch costs a client of many partitions: each time with all of them, and as a session (KIP-227) that tells only what
//! changes; directly and through the hub, in turn.
//!
//! Requests are made by hand and answered at once (nothing is waited for), so that a cost is that of one fetch.

use std::time::{Duration, Instant};

use bus::{KafkaConfig, ProduceOptions, Producer, Record, admin::Controller};
use serde::Serialize;
use testkit::{
    kafka::ADMIN,
    raw::{Raw, Reply, encode},
};
use wire::{
    messages::{
        FetchRequest, FetchResponse, TopicName,
        fetch_request::{FetchPartition, FetchTopic},
    },
    protocol::StrBytes,
};

use crate::{
    Failure, Result,
    bed::{Bed, Way},
    usage::{cpu_seconds, median},
};

const TOPIC: &str = "jointuse.meeting";
const PARTITIONS: [i32; 3] = [4, 100, 1_000];
/// Fetches of one measurement, and records that are there one at a time.
const FETCHES: u64 = 1_000;
/// The last with names of topics.
const VERSION: i16 = 12;

/// Medians over the rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    partitions: i32,
    what: &'static str,
    asked: &'static str,
    way: &'static str,
    request_bytes: f64,
    answer_bytes: f64,
    microseconds_per_fetch: f64,
    hub_cpu_microseconds: Option<f64>,
    broker_cpu_microseconds: f64,
}

/// One kind of measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kind {
    partitions: i32,
    /// A record comes with each fetch; else nothing does.
    trickle: bool,
    session: bool,
    way: Way,
}

/// Means over its fetches.
#[derive(Debug, Clone, Copy)]
struct Figure {
    request: f64,
    answer: f64,
    wall: f64,
    hub: Option<f64>,
    broker: f64,
}

pub(crate) async fn run(bed: &mut Bed, runs: usize, percent: u64) -> Result<Vec<Row>> {
    let count = (FETCHES * percent / 100).max(10);
    fill(bed, count).await?;
    let ends = ends(bed).await?;
    let mut kinds = Vec::new();
    for partitions in PARTITIONS {
        for trickle in [false, true] {
            for way in [Way::Direct, Way::Hub] {
                kinds.extend([false, true].map(|session| Kind { partitions, trickle, session, way }));
            }
        }
    }
    let mut figures: Vec<(Kind, Figure)> = Vec::new();
    for round in 0..=runs {
        for &kind in &kinds {
            let figure = measure(bed, kind, count, &ends).await?;
            if round > 0 {
                figures.push((kind, figure));
            }
        }
    }
    Ok(kinds.into_iter().map(|kind| row(kind, &figures)).collect())
}

fn row(kind: Kind, figures: &[(Kind, Figure)]) -> Row {
    let of = |pick: fn(&Figure) -> Option<f64>| {
        median(&figures.iter().filter(|(other, _)| *other == kind).filter_map(|(_, f)| pick(f)).collect::<Vec<_>>())
    };
    Row {
        partitions: kind.partitions,
        what: if kind.trickle { "one record" } else { "nothing" },
        asked: if kind.session { "session" } else { "all" },
        way: kind.way.name(),
        request_bytes: of(|f| Some(f.request)).unwrap_or(f64::NAN),
        answer_bytes: of(|f| Some(f.answer)).unwrap_or(f64::NAN),
        microseconds_per_fetch: of(|f| Some(f.wall)).unwrap_or(f64::NAN),
        hub_cpu_microseconds: of(|f| f.hub),
        broker_cpu_microseconds: of(|f| Some(f.broker)).unwrap_or(f64::NAN),
    }
}

/// Makes the partitions, and puts single records into the first.
async fn fill(bed: &Bed, count: u64) -> Result<()> {
    let password = bed.stack.directory().join("sessions-password");
    testkit::dir::write_secret(&password, bed.stack.kafka.password(ADMIN))?;
    let kafka = serde_json::json!({
        "bootstrap": bed.stack.broker_bootstrap(), "login": ADMIN, "password_file": password,
    });
    let kafka: KafkaConfig = serde_json::from_value(kafka).map_err(|_| Failure::Setup("no Kafka configuration"))?;
    let all = PARTITIONS.into_iter().max().unwrap_or_default();
    let admin = Controller::new(&kafka, "bench", Duration::from_secs(60)).map_err(|_| Failure::Setup("no admin"))?;
    admin.create_partitions(TOPIC, all).await.map_err(|_| Failure::Setup("no partitions"))?;
    testkit::wait::until("all partitions to have a leader", Duration::from_secs(120), async || {
        (admin.topic(TOPIC).await.ok()??.partitions == all).then_some(())
    })
    .await?;
    let producer =
        Producer::new(&kafka, "bench", ProduceOptions::low_latency()).map_err(|_| Failure::Setup("no producer"))?;
    for _ in 0..count {
        let mut record = Record::new(TOPIC, "bench", vec![0x20; 400]);
        record.partition = Some(0);
        producer.send(record).await.map_err(|_| Failure::Setup("the broker did not take a record"))?;
    }
    Ok(())
}

/// Where each partition ends.
async fn ends(bed: &Bed) -> Result<Vec<i64>> {
    let all = PARTITIONS.into_iter().max().unwrap_or_default();
    let kind = Kind { partitions: all, trickle: false, session: false, way: Way::Direct };
    let zeros = vec![0; usize::try_from(all).unwrap_or_default()];
    let mut reader = Reader::login(bed, kind, &zeros).await;
    let answer = reader.ask(&reader.request(true)).await?.1;
    let mut partitions: Vec<_> = answer.responses.iter().flat_map(|topic| &topic.partitions).collect();
    partitions.sort_by_key(|partition| partition.partition_index);
    Ok(partitions.into_iter().map(|partition| partition.high_watermark).collect())
}

async fn measure(bed: &mut Bed, kind: Kind, count: u64, ends: &[i64]) -> Result<Figure> {
    let mut reader = Reader::login(bed, kind, ends).await;
    let end = ends.first().copied().unwrap_or_default();
    if kind.trickle {
        reader.at = end - i64::try_from(count).unwrap_or(i64::MAX);
    }
    reader.fetch(true).await?;
    let (hub, broker) = (bed.between(kind.way), bed.stack.kafka.pid(1));
    let cpu = |pid: Option<u32>| pid.and_then(cpu_seconds);
    let before = (cpu(hub), cpu(broker), Instant::now());
    let (mut request, mut answer) = (0, 0);
    for _ in 1..count {
        let sizes = reader.fetch(false).await?;
        (request, answer) = (request + sizes.0, answer + sizes.1);
    }
    let each = |total: f64| total / (count - 1) as f64;
    let used = |before: Option<f64>, after: Option<f64>| before.zip(after).map(|(b, a)| each((a - b) * 1e6));
    let wall = each(before.2.elapsed().as_secs_f64() * 1e6);
    if kind.trickle && reader.at != end {
        return Err(Failure::Answer("the broker"));
    }
    Ok(Figure {
        request: each(request as f64),
        answer: each(answer as f64),
        wall,
        hub: used(before.0, cpu(hub)),
        broker: used(before.1, cpu(broker)).ok_or(Failure::Setup("the broker does not run"))?,
    })
}

/// A consumer by hand.
struct Reader<'a> {
    raw: Raw,
    kind: Kind,
    session: (i32, i32),
    /// Where it stands in the first partition; in the others it stands at the end.
    at: i64,
    ends: &'a [i64],
}

impl<'a> Reader<'a> {
    async fn login(bed: &Bed, kind: Kind, ends: &'a [i64]) -> Self {
        let login = bed.login(kind.way);
        let raw = Raw::login(&bed.bootstrap(kind.way), login.login.as_str(), &login.secret).await;
        let session = if kind.session { (0, 0) } else { (0, -1) };
        Self { raw, kind, session, at: ends.first().copied().unwrap_or_default(), ends }
    }

    /// One fetch; bytes of its request and of its answer.
    async fn fetch(&mut self, whole: bool) -> Result<(usize, usize)> {
        let request = self.request(whole);
        let bytes = encode(&request, VERSION, 1).len();
        let (size, answer) = self.ask(&request).await?;
        if answer.error_code != 0 || self.kind.session != (answer.session_id != 0) {
            return Err(Failure::Answer("a fetch"));
        }
        if self.kind.session {
            self.session = (answer.session_id, self.session.1 + 1);
        }
        let first = answer.responses.iter().flat_map(|t| &t.partitions).find(|p| p.partition_index == 0);
        if first.and_then(|p| p.records.as_ref()).is_some_and(|records| !records.is_empty()) {
            self.at += 1;
        }
        Ok((bytes, size))
    }

    async fn ask(&mut self, request: &FetchRequest) -> Result<(usize, FetchResponse)> {
        self.raw.send(request, VERSION).await;
        let Reply::Frame(frame) = self.raw.reply().await else { return Err(Failure::Answer("a fetch")) };
        Ok((frame.len() + 4, self.raw.read::<FetchRequest>(frame, VERSION)))
    }

    fn request(&self, whole: bool) -> FetchRequest {
        let moved = i32::from(self.kind.trickle);
        let told = if whole || !self.kind.session { self.kind.partitions } else { moved };
        let partitions: Vec<_> = (0..told)
            .map(|partition| {
                // One batch fits.
                let end = usize::try_from(partition).ok().and_then(|p| self.ends.get(p)).copied().unwrap_or_default();
                let at = if partition == 0 { self.at } else { end };
                FetchPartition::default().with_partition(partition).with_fetch_offset(at).with_partition_max_bytes(1)
            })
            .collect();
        let topic = TopicName(StrBytes::from_static_str(TOPIC));
        let topics = vec![FetchTopic::default().with_topic(topic).with_partitions(partitions)];
        FetchRequest::default()
            .with_max_wait_ms(0)
            .with_min_bytes(1)
            .with_max_bytes(1 << 20)
            .with_session_id(self.session.0)
            .with_session_epoch(self.session.1)
            .with_topics(if told > 0 { topics } else { Vec::new() })
    }
}
