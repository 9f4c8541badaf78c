//! What intake measures. Labels are formats, kinds, outcomes and rules: nothing of what was sent.

use std::time::Duration;

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram},
};
use runtime::metrics::Metric;

use crate::rule::Rule;

/// All metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intake {
    /// Rows by kind and outcome.
    Rows,
    /// Findings by rule.
    Findings,
    /// Time of a batch's stages.
    Batch,
    /// Acknowledged rows whose state could not be written.
    Unrecorded,
}

impl Metric for Intake {
    fn name(self) -> &'static str {
        match self {
            Self::Rows => "intake_rows_total",
            Self::Findings => "intake_findings_total",
            Self::Batch => "intake_batch_stage_seconds",
            Self::Unrecorded => "intake_unrecorded_total",
        }
    }
    fn help(self) -> &'static str {
        match self {
            Self::Rows => "Rows answered, by kind and outcome (accepted, unchanged, refused)",
            Self::Findings => "Refusals and warnings, by rule",
            Self::Batch => "Time of a batch of rows in a stage: look_up, produce, record",
            Self::Unrecorded => {
                "Acknowledged rows whose state could not be written: a re-send publishes them once more"
            }
        }
    }
}

/// The instruments.
#[derive(Debug, Clone)]
pub struct Metrics {
    rows: Counter<u64>,
    findings: Counter<u64>,
    batch: Histogram<f64>,
    unrecorded: Counter<u64>,
}

impl Metrics {
    /// Makes them.
    pub fn new() -> Self {
        Self {
            rows: Intake::Rows.counter(),
            findings: Intake::Findings.counter(),
            batch: Intake::Batch.seconds(),
            unrecorded: Intake::Unrecorded.counter(),
        }
    }

    /// So many rows had this outcome.
    pub fn rows(&self, kind: &'static str, outcome: &'static str, count: u64) {
        if count > 0 {
            self.rows.add(count, &[KeyValue::new("kind", kind), KeyValue::new("outcome", outcome)]);
        }
    }

    /// A rule was said so many times.
    pub fn finding(&self, rule: Rule, count: u64) {
        self.findings.add(count, &[KeyValue::new("rule", rule.id())]);
    }

    /// A stage of a batch took so long.
    pub fn stage(&self, stage: &'static str, took: Duration) {
        self.batch.record(took.as_secs_f64(), &[KeyValue::new("stage", stage)]);
    }

    /// State of so many acknowledged rows could not be written.
    pub fn unrecorded(&self, rows: u64) {
        self.unrecorded.add(rows, &[]);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
