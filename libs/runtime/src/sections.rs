//! Sections of the configuration that services share. `KafkaConfig` is in `bus`, `DatabaseConfig` in `store`,
//! `PolicyConfig` in `authority-api`: each beside what it configures.

use std::{net::SocketAddr, time::Duration};

use serde::Deserialize;

/// `[http]`: where a service answers its users.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// Address and port; port 0 takes a free one, see `--ports-file`.
    pub listen: SocketAddr,
}

/// `[admin]`: where a service that is no HTTP service answers `/health/*` and `/metrics`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminConfig {
    /// Address and port; port 0 takes a free one, see `--ports-file`.
    pub listen: SocketAddr,
}

/// How log lines on stderr look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// `[telemetry]`: logs and traces. Metrics are always at `/metrics`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetryConfig {
    /// `text` or `json`.
    #[serde(default)]
    pub log_format: LogFormat,
    /// Directives of `tracing_subscriber::EnvFilter`, for example `info,hub=debug`. Default `info`.
    #[serde(default = "default_filter")]
    pub log_filter: String,
    /// Where traces go by OTLP over gRPC, for example `http://collector:4317`. Absent or empty: nowhere.
    #[serde(default)]
    pub otlp_endpoint: Option<String>,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { log_format: LogFormat::default(), log_filter: default_filter(), otlp_endpoint: None }
    }
}

fn default_filter() -> String {
    "info".to_owned()
}

/// `[shutdown]`: how long a stop may take.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShutdownConfig {
    /// Seconds from the first signal until what still runs is cut off.
    #[serde(default = "default_grace")]
    pub grace_seconds: u64,
}

const fn default_grace() -> u64 {
    20
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        Self { grace_seconds: default_grace() }
    }
}

impl ShutdownConfig {
    /// The time between the two phases.
    pub const fn grace(&self) -> Duration {
        Duration::from_secs(self.grace_seconds)
    }
}
