//! Acknowledged rows a second through intake, beside Kafka's own ProducerPerformance with the same record size and acks; and
//! the same when intake's database knows many records already.

use std::time::Instant;

use serde::Serialize;
use serde_json::{Value, json};

use crate::{Failure, Result, bed::Bed, usage::median};

/// Rows of one run, in requests of this many.
const ROWS: u64 = 100_000;
const PER_REQUEST: u64 = 5_000;
/// Other records that the database knows in the second measurement, at 100 percent.
const KNOWN: u64 = 1_000_000;
/// Requests under way at once.
const AT_ONCE: usize = 4;
/// Where ProducerPerformance writes: a topic that nobody reads.
const BESIDE: &str = "bench-producer";
const PARTITIONS: u16 = 4;
/// Bytes of an encoded contact of this benchmark, which ProducerPerformance is given too.
const RECORD_BYTES: &str = "300";

/// Medians of interleaved runs.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    rows_per_second: f64,
    producer_performance_per_second: f64,
    ratio: f64,
    known: u64,
    known_rows_per_second: f64,
    known_ratio_to_none: f64,
}

pub(crate) async fn run(bed: &mut Bed, runs: usize, percent: u64) -> Result<Row> {
    let rows = (ROWS * percent / 100).max(PER_REQUEST);
    let known = KNOWN * percent / 100;
    bed.stack.kafka.create_topic(BESIDE, PARTITIONS, &[]).await?;
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut beside, mut growth) = (Vec::new(), Vec::new());
    for round in 0..=runs {
        let theirs_now = producer_performance(bed, rows * 5).await?;
        know(bed, 0).await?;
        let ours_now = intake(bed, "new", round, rows).await?;
        know(bed, known).await?;
        let beside_now = intake(bed, "beside", round, rows).await?;
        if round > 0 {
            ours.push(ours_now);
            theirs.push(theirs_now);
            ratios.push(ours_now / theirs_now);
            beside.push(beside_now);
            growth.push(beside_now / ours_now);
        }
    }
    let middle = |figures: &[f64]| median(figures).unwrap_or(f64::NAN);
    Ok(Row {
        rows_per_second: middle(&ours),
        producer_performance_per_second: middle(&theirs),
        ratio: middle(&ratios),
        known,
        known_rows_per_second: middle(&beside),
        known_ratio_to_none: middle(&growth),
    })
}

/// Makes intake's database one that knows so many contacts, none of which is posted, and nothing else. It is at rest then.
async fn know(bed: &Bed, count: u64) -> Result<()> {
    let sql = format!(
        "TRUNCATE published, superseded; \
         INSERT INTO published (topic, record_id, fingerprint, rank, filled, import, partition, position, email_key) \
           SELECT 1, md5('r' || n)::uuid, md5('f' || n)::uuid, 739342, 10, 1, n % 4, n / 4, md5('e' || n)::uuid \
           FROM generate_series(1, {count}) n; \
         VACUUM ANALYZE published; CHECKPOINT"
    );
    bed.stack.postgres.sql("intake", &sql).await?;
    Ok(())
}

/// Posts new contacts as JSON and counts what was accepted, which means acknowledged by the broker.
async fn intake(bed: &Bed, prefix: &str, round: usize, rows: u64) -> Result<f64> {
    let token = bed.stack.access_token(&bed.member.publication, "intake").await?;
    let url = format!("{}/v1/records/contact", bed.stack.intake_url());
    let http = reqwest::Client::new();
    let requests = rows / PER_REQUEST;
    let bodies: Vec<Vec<u8>> = (0..requests).map(|request| body(prefix, round, request)).collect();
    let began = Instant::now();
    let mut waiting = bodies.into_iter();
    let mut running = tokio::task::JoinSet::new();
    let mut accepted = 0;
    loop {
        while running.len() < AT_ONCE {
            let Some(body) = waiting.next() else { break };
            let request = http.post(&url).bearer_auth(&token).header("content-type", "application/json").body(body);
            running.spawn(async move { request.send().await?.error_for_status()?.text().await });
        }
        let Some(done) = running.join_next().await else { break };
        let text = done.map_err(|_| Failure::Answer("intake"))??;
        accepted += text.matches("\"accepted\"").count() as u64;
    }
    let seconds = began.elapsed().as_secs_f64();
    // A summary object may say the word once more per answer.
    if accepted < requests * PER_REQUEST {
        return Err(Failure::Rows(requests * PER_REQUEST - accepted, requests * PER_REQUEST));
    }
    Ok((requests * PER_REQUEST) as f64 / seconds)
}

fn body(prefix: &str, round: usize, request: u64) -> Vec<u8> {
    let rows: Vec<Value> = (0..PER_REQUEST)
        .map(|row| {
            let number = request * PER_REQUEST + row;
            json!({
                "reference": format!("{prefix}-{round}-{number}"),
                "acquisition": {
                    "method": "BUSINESS_CARD", "acquired_on": "2025-04-01",
                    "purpose": "group-services-guidance", "source": "bench",
                },
                "name": { "full": "見本 太郎", "family": "見本", "given": "太郎" },
                "organisation": format!("株式会社見本{}", number % 5000),
                "department": "営業部", "title": "部長",
                "postal_code": "151-0053", "address": "東京都渋谷区見本町1-2-3 見本ビル4階",
                "email": format!("taro{number}@mihon{}.example", number % 5000),
                "telephone": "03-5555-0100", "mobile": "090-5555-0100",
            })
        })
        .collect();
    Value::Array(rows).to_string().into_bytes()
}

async fn producer_performance(bed: &Bed, count: u64) -> Result<f64> {
    let kafka = &bed.stack.kafka;
    let count = count.to_string();
    let args = ["--topic", BESIDE, "--num-records", &count, "--record-size", RECORD_BYTES];
    let more = ["--throughput", "-1", "--command-property", "acks=all"];
    let text = kafka.tool("org.apache.kafka.tools.ProducerPerformance", &[args.as_slice(), &more].concat()).await?;
    // The last line: "N records sent, R records/sec (…)".
    let line =
        text.lines().rev().find(|line| line.contains("records/sec")).ok_or(Failure::Answer("ProducerPerformance"))?;
    let rate = line.split("records sent, ").nth(1).and_then(|rest| rest.split(' ').next());
    rate.and_then(|rate| rate.parse().ok()).ok_or(Failure::Answer("ProducerPerformance"))
}
