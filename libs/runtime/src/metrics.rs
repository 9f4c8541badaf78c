//! Metrics: recorded through the OpenTelemetry API, served in the Prometheus text format at `/metrics`.
//!
//! Each service lists its metrics in one enum that implements [`Metric`], so that names are in one place and dashboards
//! and tests can be held against it. Names follow Prometheus: `hub_refusals_total`, `hub_commit_seconds`. Labels are
//! few-valued (route, reason, topic, login); never a name, an address, or anything else about a person.

use opentelemetry::{
    global,
    metrics::{Counter, Gauge, Histogram, UpDownCounter},
};
use opentelemetry_sdk::{Resource, metrics::SdkMeterProvider};
use prometheus::{Registry, TextEncoder};

/// Buckets for durations in seconds, from a tenth of a millisecond to half a minute.
pub const SECONDS: [f64; 17] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// A metric's name and meaning; implement it on the service's enum of metrics.
pub trait Metric: Copy {
    /// Prometheus name, `<service>_<what>_<unit or total>`.
    fn name(self) -> &'static str;
    /// One line for the `# HELP` comment.
    fn help(self) -> &'static str;

    /// A number that only grows. Its name ends in `_total`.
    fn counter(self) -> Counter<u64> {
        global::meter("hub").u64_counter(self.name()).with_description(self.help()).build()
    }

    /// A number that goes up and down by steps (open connections).
    fn up_down(self) -> UpDownCounter<i64> {
        global::meter("hub").i64_up_down_counter(self.name()).with_description(self.help()).build()
    }

    /// A value that is set (lag, snapshot number).
    fn gauge(self) -> Gauge<f64> {
        global::meter("hub").f64_gauge(self.name()).with_description(self.help()).build()
    }

    /// Durations, recorded in seconds, over [`SECONDS`]. Its name ends in `_seconds`.
    fn seconds(self) -> Histogram<f64> {
        self.histogram(SECONDS.to_vec())
    }

    /// Anything else with a distribution (sizes, counts), over the given upper bounds.
    fn histogram(self, boundaries: Vec<f64>) -> Histogram<f64> {
        global::meter("hub")
            .f64_histogram(self.name())
            .with_description(self.help())
            .with_boundaries(boundaries)
            .build()
    }
}

/// Why metrics could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up metrics: {0}")]
pub struct MetricsError(#[from] opentelemetry_sdk::error::OTelSdkError);

/// Makes a registry and lets the OpenTelemetry API record into it.
pub(crate) fn install(resource: Resource) -> Result<(Registry, SdkMeterProvider), MetricsError> {
    let registry = Registry::new();
    let exporter = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .without_units()
        .without_counter_suffixes()
        .scope_info_enabled(false)
        .build()?;
    let provider = SdkMeterProvider::builder().with_resource(resource).with_reader(exporter).build();
    global::set_meter_provider(provider.clone());
    Ok((registry, provider))
}

/// The registry's content in the Prometheus text format.
pub(crate) fn text(registry: &Registry) -> Result<String, prometheus::Error> {
    TextEncoder::new().encode_to_string(&registry.gather())
}
