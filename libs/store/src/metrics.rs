//! What the store measures.

use std::time::Duration;

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Histogram},
};

/// Durations of transactions, waits for connections, retries.
#[derive(Debug)]
pub(crate) struct Metrics {
    transactions: Histogram<f64>,
    waits: Histogram<f64>,
    retries: Counter<u64>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let meter = global::meter("store");
        let buckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
        let seconds = |name: &'static str, help: &'static str| {
            meter.f64_histogram(name).with_description(help).with_boundaries(buckets.to_vec()).build()
        };
        Self {
            transactions: seconds("store_transaction_seconds", "Transactions by name and outcome, retries included"),
            waits: seconds("store_connection_wait_seconds", "Waiting for a database connection"),
            retries: meter
                .u64_counter("store_retries_total")
                .with_description("Transactions run again, by name and reason")
                .build(),
        }
    }

    pub(crate) fn transaction(&self, name: &'static str, ok: bool, took: Duration) {
        let labels = [KeyValue::new("name", name), KeyValue::new("outcome", if ok { "ok" } else { "error" })];
        self.transactions.record(took.as_secs_f64(), &labels);
    }

    pub(crate) fn waited(&self, took: Duration) {
        self.waits.record(took.as_secs_f64(), &[]);
    }

    pub(crate) fn retry(&self, name: &'static str, reason: &'static str) {
        self.retries.add(1, &[KeyValue::new("name", name), KeyValue::new("reason", reason)]);
    }
}
