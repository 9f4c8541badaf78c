//! Age of a record when a client gets it, one record at a time; and memory of the hub with idle clients.

use serde::Serialize;
use serde_json::{Value, json};
use testkit::{
    paths,
    process::{self, Launch},
};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::{
    Failure, Result,
    bed::{Bed, Way, script},
    sealed::Writer,
    usage::{median, resident_mib},
};

const TOPIC: &str = "jointuse.behaviour";
const WAYS: [Way; 3] = [Way::Direct, Way::Forwarder, Way::Opened];

/// One way's ages.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    way: &'static str,
    p50_us: f64,
    p99_us: f64,
    added_p50_us: f64,
    added_p99_us: f64,
}

/// Interleaved rounds; medians of each round's p50 and p99.
pub(crate) async fn run(bed: &mut Bed, runs: usize) -> Result<Vec<Row>> {
    let mut figures: Vec<(Way, f64, f64)> = Vec::new();
    // The same sealed record again and again: what differs is the way.
    let record = Writer::new(bed, TOPIC).await?.one().await?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = record.headers.iter().map(|(name, value)| json!([name, text(value)])).collect::<Vec<_>>();
    let value: String = record.value.iter().flatten().map(|byte| format!("{byte:02x}")).collect();
    let key = record.key.as_deref().map(text).unwrap_or_default();
    for _ in 0..runs {
        for way in WAYS {
            let mut request = bed.request(way, TOPIC);
            if let Some(fields) = request.as_object_mut() {
                fields.insert("count".into(), json!(1000));
                fields.insert("key".into(), json!(key));
                fields.insert("headers".into(), json!(headers));
                fields.insert("value".into(), json!(value));
            }
            let launch =
                Launch::new(paths::python()?).args([script("latency.py").display().to_string(), request.to_string()]);
            let answer: Value =
                serde_json::from_str(&process::run(&launch, "").await?).map_err(|_| Failure::Answer("latency.py"))?;
            let number = |name: &str| answer.get(name).and_then(Value::as_f64).ok_or(Failure::Answer("latency.py"));
            figures.push((way, number("p50_us")?, number("p99_us")?));
        }
    }
    let of = |way: Way, pick: fn(&(Way, f64, f64)) -> f64| {
        median(&figures.iter().filter(|f| f.0 == way).map(pick).collect::<Vec<_>>()).unwrap_or(f64::NAN)
    };
    Ok(WAYS
        .into_iter()
        .map(|way| Row {
            way: way.name(),
            p50_us: of(way, |f| f.1),
            p99_us: of(way, |f| f.2),
            added_p50_us: of(way, |f| f.1) - of(Way::Direct, |f| f.1),
            added_p99_us: of(way, |f| f.2) - of(Way::Direct, |f| f.2),
        })
        .collect())
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
