//! From an operator's call to the last byte at a live reader's socket.

use std::time::Duration;

use authority_api::types::{GrantView, Reason};
use serde::Serialize;
use testkit::revocation::{Reader, Revoked, Stream, percentile};

use crate::{Result, bed::Bed};

const TOPIC: &str = "jointuse.behaviour";

/// Milliseconds, from the call.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    repetitions: usize,
    answered_p50_ms: f64,
    answered_p99_ms: f64,
    last_byte_p50_ms: f64,
    last_byte_p99_ms: f64,
    closed_p50_ms: f64,
    closed_p99_ms: f64,
}

/// Suspends and resumes a subscription whose reader streams.
pub(crate) async fn run(bed: &mut Bed, repetitions: usize) -> Result<Row> {
    let stream = Stream::start(&bed.stack, TOPIC, &bed.member.company).await?;
    let address = bed.broker_at_hub();
    let path = |step: &str| format!("/v1/subscriptions/{}/{step}", bed.reader().id);
    let because = Reason { reason: "measuring".into() };
    let mut figures: Vec<Revoked> = Vec::new();
    for _ in 0..repetitions.max(10) {
        let from = stream.newest();
        let reader = Reader::start(&address, bed.reader(), TOPIC, stream.partition(), from).await?;
        let call = async { bed.desk.asks.post::<_, GrantView>(&path("suspend"), &because).await.map(|_| ()) };
        figures.push(reader.revoked_by(call).await?.0);
        let _: GrantView = bed.desk.approves.post(&path("resume"), &because).await?;
    }
    let of = |pick: fn(&Revoked) -> Duration, percent: usize| {
        percentile(&figures.iter().map(pick).collect::<Vec<_>>(), percent).as_secs_f64() * 1000.0
    };
    Ok(Row {
        repetitions: figures.len(),
        answered_p50_ms: of(|r| r.answered, 50),
        answered_p99_ms: of(|r| r.answered, 99),
        last_byte_p50_ms: of(|r| r.last_byte, 50),
        last_byte_p99_ms: of(|r| r.last_byte, 99),
        closed_p50_ms: of(|r| r.closed, 50),
        closed_p99_ms: of(|r| r.closed, 99),
    })
}
