//! Sections of the configuration that services share. `KafkaConfig` is in `bus`, `DatabaseConfig` in `store`,
//! `PolicyConfig` in `authority-api`: each beside what it configures.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use serde::Deserialize;
use tls::IdentityConfig;

use crate::config::Invalid;

/// `[http]`: where a service answers its users.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// Address and port; port 0 takes a free one, see `--ports-file`.
    pub listen: SocketAddr,
    /// The door's certificate; without one it answers in plain text, on loopback only.
    #[serde(default)]
    pub tls: Option<IdentityConfig>,
}

/// `[admin]`: where a service that is no HTTP service answers `/health/*` and `/metrics`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminConfig {
    /// Address and port; port 0 takes a free one, see `--ports-file`.
    pub listen: SocketAddr,
    /// As in `[http]`.
    #[serde(default)]
    pub tls: Option<IdentityConfig>,
}

impl HttpConfig {
    /// What is wrong with the door, for [`Settings::validate`](crate::Settings::validate).
    pub fn invalid(&self) -> Vec<Invalid> {
        door("http", "http.listen", self.listen.ip(), self.tls.as_ref())
    }
}

impl AdminConfig {
    /// What is wrong with the door, for [`Settings::validate`](crate::Settings::validate).
    pub fn invalid(&self) -> Vec<Invalid> {
        door("admin", "admin.listen", self.listen.ip(), self.tls.as_ref())
    }
}

/// What is wrong with a door: one that other machines reach needs a certificate, and its key is for the service alone.
/// `section` has the `tls` section, `key` the address.
pub fn door(section: &str, key: &str, address: IpAddr, tls: Option<&IdentityConfig>) -> Vec<Invalid> {
    match tls {
        Some(tls) => Invalid::secret(&format!("{section}.tls.key_file"), &tls.key_file).into_iter().collect(),
        None if address.is_loopback() => Vec::new(),
        None => {
            let what = format!(
                "{address} is reached from other machines, and plain text is for loopback only: set \
                 {section}.tls.certificate_file and {section}.tls.key_file, or listen on 127.0.0.1"
            );
            vec![Invalid::new(key, what)]
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_door_on_loopback_may_be_plain() {
        let config =
            |listen: &str, tls: &str| -> HttpConfig { toml::from_str(&format!("listen = '{listen}'\n{tls}")).unwrap() };
        let tls = "tls = { certificate_file = '/none.pem', key_file = '/none.key' }";
        assert!(config("127.0.0.1:80", "").invalid().is_empty());
        assert!(config("[::1]:80", "").invalid().is_empty());
        assert!(config("0.0.0.0:80", tls).invalid().is_empty());
        for open in ["0.0.0.0:80", "[::]:80", "10.0.0.1:80"] {
            let invalid = config(open, "").invalid();
            let [one] = invalid.as_slice() else { panic!("{open}: {invalid:?}") };
            assert!(one.key == "http.listen" && one.message.contains("http.tls.certificate_file"), "{one:?}");
        }
    }
}
