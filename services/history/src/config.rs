//! Configuration; the commented defaults are in `default.toml`.

use std::time::Duration;

use authority_api::{PolicyConfig, RegistryConfig};
use bus::KafkaConfig;
use disclosure_feed::AuditConfig;
use runtime::{
    Invalid, SecretFile, Settings,
    sections::{HttpConfig, ShutdownConfig, TelemetryConfig},
};
use seal::KeysConfig;
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
    /// What records are opened by.
    pub keys: KeysConfig,
    /// The signed policy.
    pub policy: PolicyConfig,
    /// The signed stop list.
    pub restrictions: RestrictionsConfig,
    /// The schema registry.
    pub registry: RegistryConfig,
    /// Disclosures in the audit log.
    pub audit: AuditConfig,
    /// How records are applied.
    pub apply: ApplyConfig,
    /// Logs and traces.
    pub telemetry: TelemetryConfig,
    /// Stopping.
    pub shutdown: ShutdownConfig,
}

/// `[restrictions]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestrictionsConfig {
    /// Its topic.
    pub topic: String,
    /// Topic of the contacts that restrictions of persons reach.
    pub persons_topic: String,
    /// Signs those.
    pub key_file: SecretFile,
    /// How long they are valid.
    pub validity_seconds: f64,
    /// How often they are told again.
    pub refresh_seconds: f64,
}

/// `[apply]`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApplyConfig {
    /// Most records in one transaction.
    pub batch_records: usize,
    /// Milliseconds that an incomplete batch waits for more.
    pub batch_wait_ms: u64,
}

impl ApplyConfig {
    /// The wait as a duration.
    pub const fn batch_wait(&self) -> Duration {
        Duration::from_millis(self.batch_wait_ms)
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
        invalid.extend(self.audit.problem().map(|(key, message)| Invalid::new(key, message)));
        invalid.extend(Invalid::secret("kafka.password_file", &self.kafka.password_file));
        invalid.extend(Invalid::secret("restrictions.key_file", &self.restrictions.key_file));
        let (valid, again) = (self.restrictions.validity_seconds, self.restrictions.refresh_seconds);
        if !(0.05..=3600.0).contains(&valid) || !(0.05..valid).contains(&again) {
            let what = "both are 0.05 to 3600 seconds, and refresh_seconds is below validity_seconds";
            invalid.push(Invalid::new("restrictions.validity_seconds", what));
        }
        let database = self.database.password_file.as_ref();
        invalid.extend(database.and_then(|file| Invalid::secret("database.password_file", file)));
        invalid.extend(self.keys.problems().into_iter().map(|(key, message)| Invalid::new(key, message)));
        if self.policy.trusted_keys.is_empty() {
            let what = "name the PEM file of the authority's public policy key: without one nothing can be decided";
            invalid.push(Invalid::new("policy.trusted_keys", what));
        }
        if let Err(error) = self.registry.validate() {
            invalid.push(Invalid::new("registry.url", error.to_string()));
        }
        invalid.extend(self.http.invalid());
        if !(1..=50_000).contains(&self.apply.batch_records) {
            invalid.push(Invalid::new("apply.batch_records", "must be 1 to 50000"));
        }
        invalid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_need_only_what_they_say_is_required() {
        let file = "[kafka]\nbootstrap = '127.0.0.1:9092'\npassword_file = '/none'\n\
                    [database]\nurl = 'postgresql://history@127.0.0.1/history'\n\
                    [policy]\ntrusted_keys = ['/policy.pem']\n[restrictions]\nkey_file = '/none'\n";
        let path = std::env::temp_dir().join(format!("history-config-{}.toml", std::process::id()));
        std::fs::write(&path, file).unwrap();
        let layers =
            runtime::config::Layers::read("HISTORY", crate::SERVICE.default_toml, Some(&path), Vec::new()).unwrap();
        std::fs::remove_file(&path).unwrap();
        let config: Config = layers.parse().unwrap();
        assert_eq!(config.kafka.login, "ju-history");
        let without = runtime::config::Layers::read("HISTORY", crate::SERVICE.default_toml, None, Vec::new()).unwrap();
        assert!(without.parse::<Config>().is_err());
    }
}
