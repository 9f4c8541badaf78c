//! What the service measures. Lag and the time that batches take are measured by `bus`, requests by `runtime`,
//! transactions by `store`.

use std::time::Duration;

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram},
};
use runtime::metrics::Metric;

use crate::apply::Applied;

/// All of them.
#[derive(Clone, Copy, Debug)]
enum Name {
    Records,
    Quarantined,
    Delay,
    PersonsCreated,
    PersonsMerged,
    Answers,
    Entries,
}

impl Metric for Name {
    fn name(self) -> &'static str {
        match self {
            Self::Records => "history_records_total",
            Self::Quarantined => "history_quarantined_total",
            Self::Delay => "history_delay_seconds",
            Self::PersonsCreated => "history_persons_created_total",
            Self::PersonsMerged => "history_persons_merged_total",
            Self::Answers => "history_answers_total",
            Self::Entries => "history_entries_total",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::Records => "Records read, by kind and outcome",
            Self::Quarantined => "Records that could not be applied, by reason",
            Self::Delay => "From a record's timestamp on the broker to its commit, for the last record of each batch",
            Self::PersonsCreated => "New persons",
            Self::PersonsMerged => "Persons that became part of another",
            Self::Answers => "Answers with data, by endpoint and subscription",
            Self::Entries => "Contacts and interactions disclosed, by endpoint",
        }
    }
}

/// Instruments.
#[derive(Debug, Clone)]
pub struct Metrics {
    records: Counter<u64>,
    quarantined: Counter<u64>,
    delay: Histogram<f64>,
    created: Counter<u64>,
    merged: Counter<u64>,
    answers: Counter<u64>,
    entries: Counter<u64>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            records: Name::Records.counter(),
            quarantined: Name::Quarantined.counter(),
            delay: Name::Delay.seconds(),
            created: Name::PersonsCreated.counter(),
            merged: Name::PersonsMerged.counter(),
            answers: Name::Answers.counter(),
            entries: Name::Entries.counter(),
        }
    }
}

impl Metrics {
    /// A batch was committed. `delay` is that of its last record.
    pub fn applied(&self, applied: &Applied, delay: Option<Duration>) {
        for ((kind, outcome), count) in &applied.records {
            self.records.add(*count, &[KeyValue::new("kind", kind.as_str()), KeyValue::new("outcome", *outcome)]);
        }
        for (reason, count) in &applied.quarantined {
            self.quarantined.add(*count, &[KeyValue::new("reason", *reason)]);
        }
        self.created.add(applied.created, &[]);
        self.merged.add(applied.merged, &[]);
        if let Some(delay) = delay {
            self.delay.record(delay.as_secs_f64(), &[]);
        }
    }

    /// An answer is about to leave.
    pub fn answered(&self, endpoint: &'static str, subscription: &str, entries: usize) {
        let labels = [KeyValue::new("endpoint", endpoint), KeyValue::new("subscription", subscription.to_owned())];
        self.answers.add(1, &labels);
        self.entries.add(entries as u64, &[KeyValue::new("endpoint", endpoint)]);
    }
}
