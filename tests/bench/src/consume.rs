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
    usage::{cpu_seconds, median},
};

/// Records of each size in one run: enough for seconds, not for minutes.
const SIZES: [(usize, u64); 3] = [(100, 2_000_000), (400, 1_200_000), (1000, 600_000)];
const PARTITIONS: u16 = 4;

/// Medians over the runs, of one client and record size, one way.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    client: &'static str,
    record_bytes: usize,
    way: &'static str,
    records_per_second: f64,
    ratio_to_direct: f64,
    ratio_to_forwarder: f64,
    cpu_seconds_per_gb: Option<f64>,
}

struct Figure {
    records_per_second: f64,
    cpu_per_gb: Option<f64>,
}

/// Runs `runs` interleaved rounds, each way once per round, and reports medians. The topics of the catalogue are used, one
/// per size, because the hub lets nobody read another.
pub(crate) async fn run(bed: &mut Bed, runs: usize, percent: u64) -> Result<Vec<Row>> {
    let topics = ["jointuse.transaction", "jointuse.meeting", "jointuse.contact-event"];
    let mut rows = Vec::new();
    for ((size, count), topic) in SIZES.into_iter().zip(topics) {
        let count = count * percent / 100;
        fill(bed, topic, size, count).await?;
        for client in ["librdkafka", "java"] {
            let mut figures: BTreeMap<Way, Vec<Figure>> = BTreeMap::new();
            for round in 0..=runs {
                for way in Way::ALL {
                    let figure = read(bed, client, way, topic, size, count).await?;
                    // The first round warms caches, pages and connections.
                    if round > 0 {
                        figures.entry(way).or_default().push(figure);
                    }
                }
            }
            rows.extend(summary(client, size, &figures));
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
            let cpu: Vec<f64> = figures.get(&way).into_iter().flatten().filter_map(|f| f.cpu_per_gb).collect();
            Row {
                client,
                record_bytes: size,
                way: way.name(),
                records_per_second: median(&rate(way).unwrap_or_default()).unwrap_or(f64::NAN),
                ratio_to_direct: ratio(way, Way::Direct),
                ratio_to_forwarder: ratio(way, Way::Forwarder),
                cpu_seconds_per_gb: median(&cpu),
            }
        })
        .collect()
}

async fn fill(bed: &mut Bed, topic: &str, size: usize, count: u64) -> Result<()> {
    let (count, size) = (count.to_string(), size.to_string());
    let args = ["--topic", topic, "--num-records", &count, "--record-size", &size, "--throughput", "-1"];
    let args = [args.as_slice(), &["--command-property", "acks=all"]].concat();
    bed.stack.kafka.tool("org.apache.kafka.tools.ProducerPerformance", &args).await?;
    Ok(())
}

async fn read(bed: &mut Bed, client: &str, way: Way, topic: &str, size: usize, count: u64) -> Result<Figure> {
    let before = bed.between(way).and_then(cpu_seconds);
    let (records, seconds) = match client {
        "librdkafka" => librdkafka(bed, way, topic, count).await?,
        _ => java(bed, way, topic, count).await?,
    };
    let after = bed.between(way).and_then(cpu_seconds);
    let gb = count as f64 * size as f64 / 1e9;
    let cpu_per_gb = before.zip(after).map(|(before, after)| (after - before) / gb);
    Ok(Figure { records_per_second: records / seconds, cpu_per_gb })
}

pub(crate) async fn librdkafka(bed: &mut Bed, way: Way, topic: &str, count: u64) -> Result<(f64, f64)> {
    let mut request = bed.request(way, topic);
    if let Some(fields) = request.as_object_mut() {
        fields.insert("count".into(), json!(count));
        fields.insert("partitions".into(), json!(PARTITIONS));
    }
    let launch = Launch::new(paths::python()?).args([script("consume.py").display().to_string(), request.to_string()]);
    let answer: Value =
        serde_json::from_str(&process::run(&launch, "").await?).map_err(|_| Failure::Answer("consume.py"))?;
    let number = |name: &str| answer.get(name).and_then(Value::as_f64).ok_or(Failure::Answer("consume.py"));
    Ok((number("records")?, number("seconds")?))
}

/// ConsumerPerformance of Apache Kafka: its fetch rate leaves the rebalance out.
async fn java(bed: &mut Bed, way: Way, topic: &str, count: u64) -> Result<(f64, f64)> {
    let bootstrap = bed.bootstrap(way);
    let folder = bed.stack.directory().join("java");
    std::fs::create_dir_all(&folder).map_err(|_| Failure::Setup("no folder for client properties"))?;
    let properties = folder.join(format!("{}.properties", way.name()));
    let text = testkit::kafka::java_properties(&bootstrap, bed.reader().login.as_str(), &bed.reader().secret);
    std::fs::write(&properties, text).map_err(|_| Failure::Setup("no client properties"))?;
    let group = format!("ju.{}.perf-{}", bed.reader().id, chrono::Utc::now().timestamp_micros());
    let (properties, count) = (properties.display().to_string(), count.to_string());
    let args = ["--bootstrap-server", &bootstrap, "--topic", topic, "--num-records", &count, "--group", &group];
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
