//! Configuration; the commented defaults are in `default.toml`.

use std::time::Duration;

use authority_api::{PolicyConfig, RegistryConfig};
use bus::{Compression, KafkaConfig, ProduceOptions};
use runtime::{
    Invalid, Settings,
    sections::{HttpConfig, ShutdownConfig, TelemetryConfig},
};
use seal::KeysConfig;
use secret::SecretFile;
use serde::Deserialize;
use store::DatabaseConfig;

/// All of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to answer.
    pub http: HttpConfig,
    /// The brokers.
    pub kafka: KafkaConfig,
    /// PostgreSQL.
    pub database: DatabaseConfig,
    /// What records are sealed by.
    pub keys: KeysConfig,
    /// The signed policy.
    pub policy: PolicyConfig,
    /// The schema registry.
    pub registry: RegistryConfig,
    /// The key of ids.
    pub pseudonym: PseudonymConfig,
    /// Sizes.
    pub limits: Limits,
    /// Producing.
    pub produce: ProduceConfig,
    /// Logs and traces.
    pub telemetry: TelemetryConfig,
    /// Stopping.
    pub shutdown: ShutdownConfig,
}

/// `[pseudonym]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PseudonymConfig {
    /// 64 hexadecimal digits.
    pub key_file: SecretFile,
}

/// `[limits]`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Of a JSON body.
    pub json_bytes: usize,
    /// Of a file.
    pub file_bytes: u64,
    /// Of one request.
    pub batches_in_flight: usize,
    /// At the same time.
    pub requests: usize,
}

/// `[produce]`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProduceConfig {
    /// Milliseconds.
    pub linger_ms: u64,
    /// Seconds.
    pub timeout_seconds: u64,
    /// Of batches.
    pub compression: Compression,
}

impl ProduceConfig {
    /// For the producer.
    pub fn options(&self) -> ProduceOptions {
        ProduceOptions {
            linger: Duration::from_millis(self.linger_ms),
            delivery_timeout: Duration::from_secs(self.timeout_seconds),
            compression: self.compression,
            ..ProduceOptions::default()
        }
    }
}

impl Settings for Config {
    fn telemetry(&self) -> &TelemetryConfig {
        &self.telemetry
    }

    fn shutdown(&self) -> &ShutdownConfig {
        &self.shutdown
    }

    fn validate(&self) -> Vec<Invalid> {
        let mut invalid = Vec::new();
        if let Err(error) = self.kafka.validate() {
            invalid.push(Invalid::new("kafka", error.to_string()));
        }
        if let Err(error) = self.database.validate() {
            invalid.push(Invalid::new("database", error.to_string()));
        }
        invalid.extend(Invalid::secret("kafka.password_file", &self.kafka.password_file));
        let database = self.database.password_file.as_ref();
        invalid.extend(database.and_then(|file| Invalid::secret("database.password_file", file)));
        invalid.extend(self.keys.problems().into_iter().map(|(key, message)| Invalid::new(key, message)));
        invalid.extend(Invalid::secret("pseudonym.key_file", &self.pseudonym.key_file));
        if self.policy.trusted_keys.is_empty() {
            let what = "name the PEM file of the authority's public policy key: without one nothing can be decided";
            invalid.push(Invalid::new("policy.trusted_keys", what));
        }
        if let Err(error) = self.registry.validate() {
            invalid.push(Invalid::new("registry.url", error.to_string()));
        }
        invalid.extend(self.http.invalid());
        if !(1..=64).contains(&self.limits.batches_in_flight) {
            invalid.push(Invalid::new("limits.batches_in_flight", "must be 1 to 64"));
        }
        if self.limits.requests == 0 {
            invalid.push(Invalid::new("limits.requests", "must be at least 1"));
        }
        if !(1..=600).contains(&self.produce.timeout_seconds) {
            invalid.push(Invalid::new("produce.timeout_seconds", "must be 1 to 600"));
        }
        invalid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_a_whole_configuration() {
        let layers = runtime::config::Layers::read("INTAKE", crate::SERVICE.default_toml, None, Vec::new()).unwrap();
        let config: Config = layers.parse().unwrap();
        assert_eq!(config.kafka.login, "ju-intake");
        let bad = vec![("INTAKE__LIMITS__BATCHES_IN_FLIGHT".to_owned(), "0".to_owned())];
        let layers = runtime::config::Layers::read("INTAKE", crate::SERVICE.default_toml, None, bad).unwrap();
        assert!(layers.parse::<Config>().unwrap_err().to_string().contains("limits.batches_in_flight"));
    }
}
