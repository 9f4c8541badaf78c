//! Age of a record when a client gets it, one record at a time; and memory of the hub with idle clients.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bus::Record;
use serde::Serialize;
use serde_json::json;
use testkit::{
    clients::{Event, Request, Running},
    paths,
};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::{
    Failure, Result,
    bed::{Bed, Way, script},
    consume::Client,
    sealed::Writer,
    usage::{median, resident_mib},
};

const TOPIC: &str = "jointuse.behaviour";
/// Records of one round, after some that are not counted.
const RECORDS: usize = 200;
const UNCOUNTED: usize = 20;
const PATIENCE: Duration = Duration::from_secs(60);
/// What a door is: the ways of what is not sealed and of contacts that are.
const DOORS: [(Option<Way>, Way); 4] = [
    (Some(Way::Direct), Way::Direct),
    (Some(Way::Forwarder), Way::Forwarder),
    (Some(Way::Hub), Way::Opened),
    (None, Way::Blanked),
];
const SIZES: [usize; 3] = [100, 400, 1000];

/// Ages of one client's records of one kind, one way: medians of each round's p50 and p99.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    client: &'static str,
    record: &'static str,
    way: &'static str,
    p50_us: f64,
    p99_us: f64,
    added_p50_us: f64,
    added_p99_us: f64,
    rounds: Vec<(f64, f64)>,
}

type What = (&'static str, Record);
type Key = (Client, &'static str, Way);

/// Interleaved rounds. Nothing but the way differs: the same records again and again.
pub(crate) async fn run(bed: &mut Bed, runs: usize) -> Result<Vec<Row>> {
    bed.narrow().await?;
    let writer = Writer::at_once(bed, TOPIC).await?;
    let names = ["plain, 100 bytes", "plain, 400 bytes", "plain, 1,000 bytes"];
    let plain: Vec<What> = names.into_iter().zip(SIZES).map(|(name, bytes)| (name, writer.plain(bytes))).collect();
    let sealed: What = ("sealed contact", writer.one().await?);
    let mut figures: BTreeMap<Key, Vec<(f64, f64)>> = BTreeMap::new();
    for _ in 0..runs {
        for client in Client::ALL {
            for (of_plain, of_sealed) in DOORS {
                let mut reader = Reader::start(bed, client, of_sealed, &writer, &sealed.1).await?;
                let plain = plain.iter().filter_map(|what| Some((of_plain?, what)));
                for (way, (name, record)) in plain.chain([(of_sealed, &sealed)]) {
                    let ages = reader.ages(&writer, record).await?;
                    figures.entry((client, name, way)).or_default().push(ages);
                }
            }
        }
    }
    Ok(figures.iter().map(|(key, rounds)| row(*key, rounds, &figures)).collect())
}

fn row((client, record, way): Key, rounds: &[(f64, f64)], all: &BTreeMap<Key, Vec<(f64, f64)>>) -> Row {
    let of = |rounds: &[(f64, f64)], pick: fn(&(f64, f64)) -> f64| {
        median(&rounds.iter().map(pick).collect::<Vec<_>>()).unwrap_or(f64::NAN)
    };
    let direct = all.get(&(client, record, Way::Direct)).map_or(&[][..], Vec::as_slice);
    let (p50_us, p99_us) = (of(rounds, |f| f.0), of(rounds, |f| f.1));
    Row {
        client: client.name(),
        record,
        way: way.name(),
        p50_us,
        p99_us,
        added_p50_us: p50_us - of(direct, |f| f.0),
        added_p99_us: p99_us - of(direct, |f| f.1),
        rounds: rounds.to_vec(),
    }
}

/// A stock client that tells when it got what.
struct Reader {
    running: Running,
    /// When it got the record of an offset, microseconds.
    got: BTreeMap<i64, i64>,
}

impl Reader {
    /// Started, and reading: it has got a record.
    async fn start(bed: &Bed, client: Client, way: Way, writer: &Writer, first: &Record) -> Result<Self> {
        let login = bed.login(way);
        let group = format!("ju.{}.age-{}", login.id, chrono::Utc::now().timestamp_micros());
        let request = Request::consume(&bed.bootstrap(way), login.login.as_str(), &login.secret, &group, &[TOPIC]);
        // As the throughput's reader has it: else librdkafka may wait a second before it asks again.
        let request = match client {
            Client::Librdkafka => request.with("settings", json!({ "fetch.queue.backoff.ms": 5 })),
            Client::Java => request,
        };
        let request = request.with("from", "latest").idle(10 * PATIENCE);
        let mut reader = Self { running: Running::start(client.of_tests(), &request)?, got: BTreeMap::new() };
        let since = tokio::time::Instant::now();
        while reader.got.is_empty() {
            if since.elapsed() > PATIENCE {
                return Err(Failure::Answer("a client that is to read what is new"));
            }
            writer.send(first.clone()).await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
            reader.hear()?;
        }
        Ok(reader)
    }

    fn hear(&mut self) -> Result<()> {
        let events: Vec<Event> = self.running.events()?;
        let got = events.iter().filter(|event| event.kind() == "record");
        self.got.extend(got.filter_map(|event| Some((event.number("offset")?, event.number("at")?))));
        Ok(())
    }

    /// Sends records one after the other: p50 and p99 of their ages, microseconds.
    async fn ages(&mut self, writer: &Writer, record: &Record) -> Result<(f64, f64)> {
        let mut sent = Vec::new();
        for _ in 0..UNCOUNTED + RECORDS {
            let at = micros();
            let (_, offset) = writer.send(record.clone()).await?;
            sent.push((offset, at));
            // So that each comes by itself.
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        let last = sent.last().map_or(0, |(offset, _)| *offset);
        let since = tokio::time::Instant::now();
        while !self.got.contains_key(&last) {
            if since.elapsed() > PATIENCE {
                return Err(Failure::Answer("a client that is to read what is new"));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            self.hear()?;
        }
        let age = |(offset, at): &(i64, i64)| Some((self.got.get(offset)? - at) as f64);
        let mut ages: Vec<f64> = sent.iter().skip(UNCOUNTED).filter_map(age).collect();
        if ages.len() < RECORDS {
            return Err(Failure::Answer("a client that is to read every record"));
        }
        ages.sort_by(f64::total_cmp);
        let of = |percent: usize| ages.get(ages.len() * percent / 100).copied().unwrap_or(f64::NAN);
        Ok((of(50), of(99)))
    }
}

fn micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Resident memory of the hub.
#[derive(Debug, Serialize)]
pub(crate) struct Memory {
    clients: u32,
    connections: usize,
    resident_mib: f64,
}

/// With one idle client, then with two hundred.
pub(crate) async fn memory(bed: &mut Bed) -> Result<Vec<Memory>> {
    let mut rows = Vec::new();
    for clients in [1_u32, 200] {
        let mut request = bed.request(Way::Hub, "jointuse.behaviour");
        if let Some(fields) = request.as_object_mut() {
            fields.insert("count".into(), json!(clients));
        }
        let mut child = tokio::process::Command::new(paths::python()?)
            .arg(script("idle.py"))
            .arg(request.to_string())
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|_| Failure::Setup("idle.py does not start"))?;
        let out = child.stdout.take().ok_or(Failure::Answer("idle.py"))?;
        // It prints one line when all clients wait for records.
        BufReader::new(out).lines().next_line().await.ok().flatten().ok_or(Failure::Answer("idle.py"))?;
        let pid = bed.between(Way::Hub).ok_or(Failure::Setup("the hub does not run"))?;
        let resident_mib = resident_mib(pid).ok_or(Failure::Setup("no memory figure"))?;
        rows.push(Memory { clients, connections: bed.hub_connections(), resident_mib });
        drop(child.stdin.take());
        child.wait().await.map_err(|_| Failure::Answer("idle.py"))?;
    }
    Ok(rows)
}
