//! How fast stock clients read: directly, through the forwarder, through the hub, in turn.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};
use testkit::{
    paths,
    process::{self, Launch},
};

use crate::{
    Failure, Result,
    bed::{Bed, Way, script},
    sealed::Begin,
    usage::{cpu_seconds, median},
};

/// Records of each size in one run: enough for seconds, not for minutes.
const SIZES: [(usize, u64); 3] = [(100, 2_000_000), (400, 1_200_000), (1000, 600_000)];
const PARTITIONS: u16 = 4;
/// Different values of records.
const PAYLOADS: u64 = 1_000;

/// Medians over the rounds, of one client and record size, one way.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    client: &'static str,
    record_bytes: usize,
    way: &'static str,
    records_per_second: f64,
    ratio_to_direct: f64,
    ratio_to_forwarder: f64,
    cpu_seconds_per_gb: Option<f64>,
    rounds: Vec<Figure>,
}

#[derive(Debug, Clone, Serialize)]
struct Figure {
    records_per_second: f64,
    cpu_seconds_per_gb: Option<f64>,
}

/// A client that reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Client {
    Librdkafka,
    Java,
}

impl Client {
    pub(crate) const ALL: [Self; 2] = [Self::Librdkafka, Self::Java];

    /// The client of the tests that is of its kind.
    pub(crate) const fn of_tests(self) -> testkit::clients::Client {
        match self {
            Self::Librdkafka => testkit::clients::Client::Confluent,
            Self::Java => testkit::clients::Client::Java,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Librdkafka => "librdkafka",
            Self::Java => "java",
        }
    }
}

/// Runs `runs` interleaved rounds, each way once per round, and reports medians. The topics of the catalogue are used, one
/// per size, because the hub lets nobody read another.
pub(crate) async fn run(bed: &mut Bed, runs: usize, percent: u64) -> Result<Vec<Row>> {
    let topics = ["jointuse.transaction", "jointuse.meeting", "jointuse.contact-event"];
    let mut rows = Vec::new();
    for ((size, count), topic) in SIZES.into_iter().zip(topics) {
        let count = count * percent / 100;
        let begin = ends(bed, topic).await?;
        fill(bed, topic, size, count).await?;
        for client in Client::ALL {
            let mut figures: BTreeMap<Way, Vec<Figure>> = BTreeMap::new();
            for round in 0..=runs {
                for way in Way::ALL {
                    let figure = figure(bed, client, way, (topic, &begin), size, count).await?;
                    // The first round warms caches, pages and connections.
                    if round > 0 {
                        figures.entry(way).or_default().push(figure);
                    }
                }
            }
            rows.extend(summary(client.name(), size, &figures));
        }
    }
    Ok(rows)
}

fn summary(client: &'static str, size: usize, figures: &BTreeMap<Way, Vec<Figure>>) -> Vec<Row> {
    let rate = |way: Way| figures.get(&way).map(|all| all.iter().map(|f| f.records_per_second).collect::<Vec<_>>());
    // Ratios round by round, so that a machine whose speed drifts does not decide.
    let ratio = |way: Way, to: Way| {
        let pairs = rate(way).into_iter().flatten().zip(rate(to).into_iter().flatten());
        median(&pairs.map(|(a, b)| a / b).collect::<Vec<_>>()).unwrap_or(f64::NAN)
    };
    Way::ALL
        .into_iter()
        .map(|way| {
            let cpu: Vec<f64> = figures.get(&way).into_iter().flatten().filter_map(|f| f.cpu_seconds_per_gb).collect();
            Row {
                client,
                record_bytes: size,
                way: way.name(),
                records_per_second: median(&rate(way).unwrap_or_default()).unwrap_or(f64::NAN),
                ratio_to_direct: ratio(way, Way::Direct),
                ratio_to_forwarder: ratio(way, Way::Forwarder),
                cpu_seconds_per_gb: median(&cpu),
                rounds: figures.get(&way).cloned().unwrap_or_default(),
            }
        })
        .collect()
}

/// Where a topic ends that others may have written to: nothing for one that is empty.
async fn ends(bed: &Bed, topic: &str) -> Result<Begin> {
    let text = bed.stack.kafka.tool("org.apache.kafka.tools.GetOffsetShell", &["--topic", topic]).await?;
    let end = |line: &str| {
        let mut parts = line.trim().rsplit(':');
        let (offset, partition) = (parts.next()?.parse::<i64>().ok()?, parts.next()?.parse().ok()?);
        Some((partition, offset))
    };
    let ends: Begin = text.lines().filter_map(end).collect();
    if ends.len() != usize::from(PARTITIONS) {
        return Err(Failure::Answer("GetOffsetShell"));
    }
    Ok(if ends.values().all(|offset| *offset == 0) { Begin::new() } else { ends })
}

async fn fill(bed: &mut Bed, topic: &str, size: usize, count: u64) -> Result<()> {
    // Of random letters one record in 17,576 begins as an envelope does, and the hub withholds what is then a broken one.
    let payloads = bed.stack.directory().join("payloads");
    let file = payloads.display().to_string();
    let lines: String = (0..PAYLOADS).map(|n| payload(n, size) + "\n").collect();
    std::fs::write(&payloads, lines).map_err(|_| Failure::Setup("the payloads cannot be written"))?;
    let count = count.to_string();
    let args = ["--topic", topic, "--num-records", &count, "--payload-file", &file, "--throughput", "-1"];
    let args = [args.as_slice(), &["--command-property", "acks=all"]].concat();
    bed.stack.kafka.tool("org.apache.kafka.tools.ProducerPerformance", &args).await?;
    Ok(())
}

/// Lower-case letters, drawn by a simple generator (Knuth's MMIX).
pub(crate) fn payload(seed: u64, size: usize) -> String {
    let mut state = seed;
    let mut letter = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + u8::try_from((state >> 33) % 26).unwrap_or_default())
    };
    (0..size).map(|_| letter()).collect()
}

async fn figure(
    bed: &mut Bed,
    client: Client,
    way: Way,
    (topic, begin): (&str, &Begin),
    size: usize,
    count: u64,
) -> Result<Figure> {
    let (records_per_second, cpu) = read(bed, client, way, topic, begin, count).await?;
    Ok(Figure { records_per_second, cpu_seconds_per_gb: cpu.map(|cpu| cpu / (count as f64 * size as f64 / 1e9)) })
}

/// Reads so many records, from the beginning of each partition unless told: records a second, and the processor time of
/// what stands between.
pub(crate) async fn read(
    bed: &mut Bed,
    client: Client,
    way: Way,
    topic: &str,
    begin: &Begin,
    count: u64,
) -> Result<(f64, Option<f64>)> {
    let group = format!("ju.{}.perf-{}", bed.login(way).id, chrono::Utc::now().timestamp_micros());
    if client == Client::Java && !begin.is_empty() {
        place(bed, &group, topic, begin).await?;
    }
    let before = bed.between(way).and_then(cpu_seconds);
    let (records, seconds) = match client {
        Client::Librdkafka => librdkafka(bed, way, topic, begin, count).await?,
        Client::Java => java(bed, way, topic, &group, count).await?,
    };
    let after = bed.between(way).and_then(cpu_seconds);
    Ok((records / seconds, before.zip(after).map(|(before, after)| after - before)))
}

/// Puts a group to where it is to begin.
async fn place(bed: &mut Bed, group: &str, topic: &str, begin: &Begin) -> Result<()> {
    let file = bed.stack.directory().join("begin.csv");
    let lines: String = begin.iter().map(|(partition, offset)| format!("{topic},{partition},{offset}\n")).collect();
    std::fs::write(&file, lines).map_err(|_| Failure::Setup("no file with offsets"))?;
    let file = file.display().to_string();
    let args = ["--group", group, "--reset-offsets", "--from-file", &file, "--execute"];
    bed.stack.kafka.tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", &args).await?;
    Ok(())
}

async fn librdkafka(bed: &mut Bed, way: Way, topic: &str, begin: &Begin, count: u64) -> Result<(f64, f64)> {
    let mut request = bed.request(way, topic);
    if let Some(fields) = request.as_object_mut() {
        let begin: Vec<i64> =
            (0..i32::from(PARTITIONS)).map(|partition| begin.get(&partition).copied().unwrap_or(0)).collect();
        fields.insert("count".into(), json!(count));
        fields.insert("begin".into(), json!(begin));
    }
    let launch = Launch::new(paths::python()?).args([script("consume.py").display().to_string(), request.to_string()]);
    let answer: Value =
        serde_json::from_str(&process::run(&launch, "").await?).map_err(|_| Failure::Answer("consume.py"))?;
    let number = |name: &str| answer.get(name).and_then(Value::as_f64).ok_or(Failure::Answer("consume.py"));
    Ok((number("records")?, number("seconds")?))
}

/// ConsumerPerformance of Apache Kafka: its fetch rate leaves the rebalance out.
async fn java(bed: &mut Bed, way: Way, topic: &str, group: &str, count: u64) -> Result<(f64, f64)> {
    let bootstrap = bed.bootstrap(way);
    let folder = bed.stack.directory().join("java");
    std::fs::create_dir_all(&folder).map_err(|_| Failure::Setup("no folder for client properties"))?;
    let properties = folder.join(format!("{}.properties", way.name()));
    let login = bed.login(way);
    let text = testkit::kafka::java_properties(&bootstrap, login.login.as_str(), &login.secret);
    std::fs::write(&properties, text).map_err(|_| Failure::Setup("no client properties"))?;
    let (properties, count) = (properties.display().to_string(), count.to_string());
    let args = ["--bootstrap-server", &bootstrap, "--topic", topic, "--num-records", &count, "--group", group];
    let args = [args.as_slice(), &["--command-config", &properties, "--timeout", "60000", "--hide-header"]].concat();
    let text = bed.stack.kafka.java("org.apache.kafka.tools.ConsumerPerformance", &args, "").await?;
    // start, end, MB, MB/s, records, records/s, rebalance ms, fetch ms, MB/s of fetch, records/s of fetch
    let line =
        text.lines().rev().find(|line| line.matches(',').count() >= 9).ok_or(Failure::Answer("ConsumerPerformance"))?;
    let fields: Vec<f64> = line.split(',').filter_map(|field| field.trim().parse().ok()).collect();
    match fields.as_slice() {
        [.., records, _, _, fetch_ms, _, _] => Ok((*records, fetch_ms / 1000.0)),
        _ => Err(Failure::Answer("ConsumerPerformance")),
    }
}
