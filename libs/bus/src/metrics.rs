//! What the bus measures.

use std::time::Duration;

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Gauge, Histogram},
};

#[derive(Debug)]
pub(crate) struct ProduceMetrics {
    seconds: Histogram<f64>,
    records: Counter<u64>,
}

fn seconds(name: &'static str, help: &'static str) -> Histogram<f64> {
    let buckets = vec![0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
    global::meter("bus").f64_histogram(name).with_description(help).with_boundaries(buckets).build()
}

impl ProduceMetrics {
    pub(crate) fn new() -> Self {
        let meter = global::meter("bus");
        let records = meter.u64_counter("bus_produced_records_total");
        Self {
            seconds: seconds("bus_produce_seconds", "From handing a batch over to its last acknowledgement"),
            records: records.with_description("Records by topic and outcome").build(),
        }
    }

    pub(crate) fn batch(&self, took: Duration) {
        self.seconds.record(took.as_secs_f64(), &[]);
    }

    pub(crate) fn records(&self, topic: &str, outcome: &'static str, count: u64) {
        self.records.add(count, &[KeyValue::new("topic", topic.to_owned()), KeyValue::new("outcome", outcome)]);
    }
}

#[derive(Debug)]
pub(crate) struct ConsumeMetrics {
    seconds: Histogram<f64>,
    records: Counter<u64>,
    retries: Counter<u64>,
    lag: Gauge<i64>,
}

impl ConsumeMetrics {
    pub(crate) fn new() -> Self {
        let meter = global::meter("bus");
        let counter = |name: &'static str, help: &'static str| meter.u64_counter(name).with_description(help).build();
        Self {
            seconds: seconds("bus_apply_seconds", "Applying one batch, retries not included"),
            records: counter("bus_applied_records_total", "Records applied"),
            retries: counter("bus_apply_failures_total", "Batches whose application failed and is tried again"),
            lag: meter.i64_gauge("bus_lag_records").with_description("Records not yet applied, by partition").build(),
        }
    }

    pub(crate) fn applied(&self, took: Duration, records: usize) {
        self.seconds.record(took.as_secs_f64(), &[]);
        self.records.add(records as u64, &[]);
    }

    pub(crate) fn failed(&self) {
        self.retries.add(1, &[]);
    }

    pub(crate) fn lag(&self, topic: &str, partition: i32, lag: i64) {
        let labels = [KeyValue::new("topic", topic.to_owned()), KeyValue::new("partition", i64::from(partition))];
        self.lag.record(lag, &labels);
    }
}
