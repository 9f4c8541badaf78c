//! Logs on stderr, traces by OTLP, metrics in a Prometheus registry.
//!
//! Never logged, measured, traced or put into an error: names, e-mail addresses, telephone numbers, addresses, titles,
//! request bodies, query strings, secrets. Personal values are of types whose `Debug` prints no content.

use opentelemetry::{KeyValue, global, trace::TracerProvider as _};
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::{
    Resource, metrics::SdkMeterProvider, propagation::TraceContextPropagator, trace::SdkTracerProvider,
};
use prometheus::Registry;
use tracing_subscriber::{EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::{
    metrics::{self, MetricsError},
    run::Service,
    sections::{LogFormat, TelemetryConfig},
};

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `telemetry.log_filter` is no filter.
    #[error("telemetry.log_filter is wrong, write for example `info,hub=debug`: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// `telemetry.otlp_endpoint` cannot be used.
    #[error("telemetry.otlp_endpoint cannot be used, write for example `http://localhost:4317`: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// Metrics.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// Telemetry is set up once a process.
    #[error("telemetry was set up before: {0}")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// What was set up; flush it with [`Telemetry::shutdown`] before the process ends.
#[derive(Debug)]
pub struct Telemetry {
    traces: SdkTracerProvider,
    metrics: SdkMeterProvider,
    registry: Registry,
}

/// Parses `telemetry.log_filter`.
pub(crate) fn filter(config: &TelemetryConfig) -> Result<EnvFilter, TelemetryError> {
    let directives = if config.log_filter.is_empty() { "info" } else { &config.log_filter };
    Ok(EnvFilter::builder().parse(directives)?)
}

impl Telemetry {
    /// Sets up logs, traces and metrics of the process. Needs a tokio runtime around it when traces are exported.
    ///
    /// # Errors
    /// See [`TelemetryError`].
    pub fn install(service: &Service, config: &TelemetryConfig) -> Result<Self, TelemetryError> {
        let resource = Resource::builder()
            .with_service_name(service.name)
            .with_attribute(KeyValue::new("service.version", service.version))
            .build();

        let mut traces = SdkTracerProvider::builder().with_resource(resource.clone());
        if let Some(endpoint) = config.otlp_endpoint.as_deref().filter(|endpoint| !endpoint.is_empty()) {
            let exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic().with_endpoint(endpoint).build()?;
            traces = traces.with_batch_exporter(exporter);
        }
        let traces = traces.build();
        global::set_tracer_provider(traces.clone());
        global::set_text_map_propagator(TraceContextPropagator::new());
        let (registry, metrics) = metrics::install(resource)?;

        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(true);
        let lines = match config.log_format {
            LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed(),
            LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
        };
        // Spans are made even when nobody collects them, so that a trace context that came in goes on in what is sent.
        let spans = tracing_opentelemetry::layer().with_tracer(traces.tracer(service.name));
        tracing_subscriber::registry().with(filter(config)?).with(lines).with(spans).try_init()?;
        Ok(Self { traces, metrics, registry })
    }

    /// What `/metrics` serves.
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Sends what is buffered. Blocks for up to the exporter's timeout.
    pub fn shutdown(self) {
        for result in [self.traces.shutdown(), self.metrics.shutdown()] {
            if let Err(error) = result {
                tracing::debug!(%error, "telemetry was not flushed");
            }
        }
    }
}
