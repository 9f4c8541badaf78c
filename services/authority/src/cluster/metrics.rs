//! What is measured about the cluster.

use std::time::Duration;

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Gauge, Histogram},
};
use runtime::metrics::Metric;

#[derive(Debug, Clone, Copy)]
enum Name {
    Drift,
    Unmended,
    Seconds,
    Failures,
}

impl Metric for Name {
    fn name(self) -> &'static str {
        match self {
            Self::Drift => "authority_cluster_drift_total",
            Self::Unmended => "authority_cluster_unmended",
            Self::Seconds => "authority_cluster_reconcile_seconds",
            Self::Failures => "authority_cluster_failures_total",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::Drift => "Differences that the approved state does not explain and that were mended, by resource",
            Self::Unmended => "Differences that are left, because mending them failed or is an operator's decision",
            Self::Seconds => "Comparing the approved state with the cluster and mending it",
            Self::Failures => "Comparisons that could not be finished",
        }
    }
}

#[derive(Debug)]
pub(super) struct Metrics {
    drift: Counter<u64>,
    unmended: Gauge<f64>,
    seconds: Histogram<f64>,
    failures: Counter<u64>,
}

impl Metrics {
    pub(super) fn new() -> Self {
        Self {
            drift: Name::Drift.counter(),
            unmended: Name::Unmended.gauge(),
            seconds: Name::Seconds.seconds(),
            failures: Name::Failures.counter(),
        }
    }

    /// `resource` is one of the words of a plan.
    pub(super) fn drifted(&self, resource: String) {
        self.drift.add(1, &[KeyValue::new("resource", resource)]);
    }

    pub(super) fn reconciled(&self, took: Duration, unmended: usize) {
        self.seconds.record(took.as_secs_f64(), &[]);
        self.unmended.record(f64::from(u32::try_from(unmended).unwrap_or(u32::MAX)), &[]);
    }

    pub(super) fn failed(&self) {
        self.failures.add(1, &[]);
    }
}
