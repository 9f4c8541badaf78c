//! What the cache measures.

use std::time::Duration;

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Histogram},
};

#[derive(Debug)]
pub(super) struct Metrics {
    lookups: Counter<u64>,
    fetches: Histogram<f64>,
    fetched: Counter<u64>,
    forgotten: Counter<u64>,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let meter = global::meter("seal");
        let counter = |name, help| meter.u64_counter(name).with_description(help).build();
        Self {
            lookups: counter("seal_key_lookups_total", "Keys looked up in the cache, by outcome"),
            fetched: counter("seal_keys_fetched_total", "Contacts whose keys were fetched from the key store"),
            forgotten: counter(
                "seal_keys_forgotten_total",
                "Contacts whose keys were dropped from the cache, by reason",
            ),
            fetches: meter
                .f64_histogram("seal_key_fetch_seconds")
                .with_description("Fetches from the key store, by outcome")
                .with_boundaries(vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0])
                .build(),
        }
    }

    /// Once a lookup of many, not once a key.
    pub(super) fn looked_up(&self, hits: usize, misses: usize) {
        for (outcome, count) in [("hit", hits), ("miss", misses)] {
            if count > 0 {
                self.lookups.add(count as u64, &[KeyValue::new("outcome", outcome)]);
            }
        }
    }

    pub(super) fn fetched(&self, contacts: usize, took: Duration, ok: bool) {
        self.fetched.add(contacts as u64, &[]);
        let outcome = if ok { "ok" } else { "error" };
        self.fetches.record(took.as_secs_f64(), &[KeyValue::new("outcome", outcome)]);
    }

    pub(super) fn forgotten(&self, reason: &'static str, count: usize) {
        if count > 0 {
            self.forgotten.add(count as u64, &[KeyValue::new("reason", reason)]);
        }
    }
}
