//! Rows that history applies a second, beside PostgreSQL's COPY of the very rows into a table like it.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};
use testkit::{stack::Name, wait};

use crate::{Failure, Result, bed::Bed, usage::median};

const ROWS: u64 = 100_000;
const PER_REQUEST: u64 = 5_000;
const DEADLINE: Duration = Duration::from_secs(300);

/// What is applied, and into which table most of it goes.
#[derive(Debug, Clone, Copy)]
enum What {
    /// New contacts, which are clustered into persons.
    Contacts,
    /// Interactions of contacts.
    Interactions,
}

impl What {
    const fn name(self) -> &'static str {
        match self {
            Self::Contacts => "contacts",
            Self::Interactions => "interactions",
        }
    }

    const fn kind(self) -> &'static str {
        match self {
            Self::Contacts => "contact",
            Self::Interactions => "contact-event",
        }
    }

    const fn table(self) -> &'static str {
        match self {
            Self::Contacts => "contact",
            Self::Interactions => "interaction",
        }
    }

    /// One record.
    fn row(self, round: usize, number: u64) -> Value {
        let acquisition = json!({
            "method": "BUSINESS_MEETING", "acquired_on": "2026-01-15",
            "purpose": "group-services-guidance", "source": "bench",
        });
        match self {
            // Eight cards to an organisation, two to a person.
            Self::Contacts => json!({
                "reference": format!("history-{round}-{number}"),
                "acquisition": acquisition,
                "name": { "full": format!("見本 太郎{round}の{}", number / 2) },
                "organisation": format!("株式会社見本商事{round}の{}", number / 8),
                "department": "人事部", "title": "部長",
                "postal_code": "151-0053", "address": "東京都渋谷区見本町1-1",
                "email": format!("taro{}@mihon{round}.example", number / 2),
                "telephone": format!("03-{:04}-{:04}", 1000 + number / 8 / 10_000, number / 8 % 10_000),
                "mobile": format!("090-{:04}-{:04}", 1000 + number / 2 / 10_000, number / 2 % 10_000),
            }),
            Self::Interactions => json!({
                "reference": format!("history-{round}-{number}"),
                "contact": format!("history-0-{}", number % 20_000),
                "occurred_at": "2026-01-15T09:00:00+09:00",
                "acquisition": acquisition,
                "channel": "CALL", "direction": "OUTBOUND", "summary": "採用計画についての確認の電話",
            }),
        }
    }
}

/// Medians of interleaved runs.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    what: &'static str,
    rows_per_second: f64,
    copy_per_second: f64,
    ratio: f64,
}

pub(crate) async fn run(bed: &mut Bed, runs: usize, percent: u64) -> Result<Vec<Row>> {
    Ok(vec![measure(bed, What::Contacts, runs, percent).await?, measure(bed, What::Interactions, runs, percent).await?])
}

async fn measure(bed: &mut Bed, what: What, runs: usize, percent: u64) -> Result<Row> {
    let rows = (ROWS * percent / 100).max(PER_REQUEST) / PER_REQUEST * PER_REQUEST;
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=runs {
        bed.stop_history().await?;
        publish(bed, what, round, rows).await?;
        let applied = apply(bed, what, rows).await?;
        let copied = copy(bed, what, rows).await?;
        if round > 0 {
            ours.push(applied);
            theirs.push(copied);
            ratios.push(applied / copied);
        }
    }
    let middle = |figures: &[f64]| median(figures).unwrap_or(f64::NAN);
    Ok(Row {
        what: what.name(),
        rows_per_second: middle(&ours),
        copy_per_second: middle(&theirs),
        ratio: middle(&ratios),
    })
}

/// New records, while history is down.
async fn publish(bed: &Bed, what: What, round: usize, rows: u64) -> Result<()> {
    let token = bed.stack.access_token(&bed.member.publication, "intake").await?;
    let url = format!("{}/v1/records/{}", bed.stack.intake_url(), what.kind());
    let http = reqwest::Client::new();
    for request in 0..rows / PER_REQUEST {
        let body: Vec<Value> = (0..PER_REQUEST).map(|row| what.row(round, request * PER_REQUEST + row)).collect();
        let answer = http.post(&url).bearer_auth(&token).json(&body).send().await?.error_for_status()?.text().await?;
        let accepted = answer.matches("\"accepted\"").count() as u64;
        if accepted < PER_REQUEST {
            return Err(Failure::Rows(PER_REQUEST - accepted, PER_REQUEST));
        }
    }
    Ok(())
}

/// From the first row that arrives in the table to the last: starting up is not counted.
async fn apply(bed: &mut Bed, what: What, rows: u64) -> Result<f64> {
    let before = count(bed, what).await?;
    bed.stack.service(Name::History)?.start_again()?;
    let mut began: Option<(Instant, u64)> = None;
    let finished = wait::until("history to apply the rows", DEADLINE, async || {
        let done = count(bed, what).await.ok()?.saturating_sub(before);
        if done > 0 && began.is_none() {
            began = Some((Instant::now(), done));
        }
        (done >= rows).then(|| (Instant::now(), done))
    });
    let (end, done) = finished.await?;
    let (start, first) = began.ok_or(Failure::Answer("applied_offset"))?;
    Ok((done - first) as f64 / (end - start).as_secs_f64())
}

async fn count(bed: &Bed, what: What) -> Result<u64> {
    let sql =
        format!("SELECT coalesce(sum(next_offset), 0) FROM applied_offset WHERE topic = 'jointuse.{}'", what.kind());
    let text = bed.stack.postgres.sql("history", &sql).await?;
    text.trim().parse().map_err(|_| Failure::Answer("applied_offset"))
}

/// COPY of as many of the same rows into an empty table with the same indexes.
async fn copy(bed: &Bed, what: What, rows: u64) -> Result<f64> {
    let sql = |text: String| async move { bed.stack.postgres.sql("history", &text).await };
    let file = bed.stack.postgres.data().join("bench.copy").display().to_string();
    let table = what.table();
    sql(format!("COPY (SELECT * FROM {table} LIMIT {rows}) TO '{file}'")).await?;
    sql(format!("DROP TABLE IF EXISTS bench_copy; CREATE TABLE bench_copy (LIKE {table} INCLUDING ALL)")).await?;
    let began = Instant::now();
    sql(format!("COPY bench_copy FROM '{file}'")).await?;
    let seconds = began.elapsed().as_secs_f64();
    sql("DROP TABLE bench_copy".to_owned()).await?;
    Ok(rows as f64 / seconds)
}
