//! From an operator's restriction of a contact to the last byte of its records at a live reader's socket.

use std::time::{Duration, Instant};

use authority_api::types::{MadeRestrictions, NewRestrictions, Reason, Restriction};
use restriction::{Measure, Reach};
use serde::Serialize;
use testkit::revocation::{Reader, STREAMED, Stream, percentile};

use crate::{Failure, Result, bed::Bed};

const TOPIC: &str = "jointuse.behaviour";
/// How many records further on a reader must be for the restriction to have been seen to hold.
const FURTHER: i64 = 30;

/// Milliseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    repetitions: usize,
    answered_p50_ms: f64,
    answered_p99_ms: f64,
    last_byte_from_call_p50_ms: f64,
    last_byte_from_call_p99_ms: f64,
    /// Zero when the last byte came before the call's answer.
    last_byte_from_answer_p50_ms: f64,
    last_byte_from_answer_p99_ms: f64,
}

/// Restricts and lifts a contact of which a reader gets a record every few milliseconds.
pub(crate) async fn run(bed: &mut Bed, repetitions: usize) -> Result<Row> {
    let stream = Stream::start(&bed.stack, TOPIC, &bed.member.company).await?;
    let address = bed.broker_at_hub();
    let contact = STREAMED.parse().map_err(|_| Failure::Setup("a contact id"))?;
    let new = NewRestrictions {
        measure: Measure::Use,
        reach: Reach::Contact,
        contacts: vec![contact],
        reason: "measuring".into(),
    };
    let (mut answered, mut last, mut after) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..repetitions.max(10) {
        let mut reader = Reader::start(&address, bed.reader(), TOPIC, stream.partition(), stream.newest()).await?;
        reader.reaches(stream.newest() + FURTHER, Duration::from_secs(10)).await?;
        let began = Instant::now();
        let made: MadeRestrictions = bed.desk.asks.post("/v1/restrictions", &new).await?;
        answered.push(began.elapsed());
        // It goes on reading, and what it gets holds no record any more.
        reader.reaches(stream.newest() + FURTHER, Duration::from_secs(10)).await?;
        let at = reader.last_record().map_or(Duration::ZERO, |at| at.saturating_duration_since(began));
        let took = answered.last().copied().unwrap_or_default();
        last.push(at);
        after.push(at.saturating_sub(took));
        reader.stop();
        let id = made.ids.first().copied().unwrap_or_default();
        let because = Reason { reason: "measuring".into() };
        let _: Restriction = bed.desk.approves.post(&format!("/v1/restrictions/{id}/lift"), &because).await?;
    }
    let of = |figures: &[Duration], percent| percentile(figures, percent).as_secs_f64() * 1000.0;
    Ok(Row {
        repetitions: answered.len(),
        answered_p50_ms: of(&answered, 50),
        answered_p99_ms: of(&answered, 99),
        last_byte_from_call_p50_ms: of(&last, 50),
        last_byte_from_call_p99_ms: of(&last, 99),
        last_byte_from_answer_p50_ms: of(&after, 50),
        last_byte_from_answer_p99_ms: of(&after, 99),
    })
}
