//! The authority's configuration: see `default.toml`, where every key is explained.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use runtime::{
    Invalid, SecretFile, Settings,
    sections::{HttpConfig, ShutdownConfig, TelemetryConfig},
};
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) http: HttpConfig,
    pub(crate) public: PublicConfig,
    pub(crate) database: store::DatabaseConfig,
    pub(crate) kafka: bus::KafkaConfig,
    pub(crate) policy_issue: IssueConfig,
    pub(crate) restrictions: RestrictionsConfig,
    pub(crate) tokens: TokensConfig,
    pub(crate) sessions: SessionsConfig,
    pub(crate) evidence: EvidenceConfig,
    pub(crate) throttle: ThrottleConfig,
    pub(crate) cluster: ClusterConfig,
    pub(crate) keys: KeysConfig,
    pub(crate) erasures: ErasuresConfig,
    pub(crate) audit: AuditConfig,
    pub(crate) telemetry: TelemetryConfig,
    pub(crate) shutdown: ShutdownConfig,
}

/// How others reach us and the hub.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublicConfig {
    pub(crate) url: String,
    pub(crate) hub_bootstrap: String,
    pub(crate) hub_tls: bool,
    #[serde(default)]
    pub(crate) hub_trust_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IssueConfig {
    pub(crate) topic: String,
    pub(crate) validity_seconds: f64,
    pub(crate) refresh_seconds: f64,
    pub(crate) key_file: SecretFile,
    pub(crate) rules_dir: PathBuf,
    pub(crate) told_within_ms: u64,
}

impl IssueConfig {
    pub(crate) fn validity(&self) -> Duration {
        Duration::from_secs_f64(self.validity_seconds)
    }

    pub(crate) fn refresh(&self) -> Duration {
        Duration::from_secs_f64(self.refresh_seconds)
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RestrictionsConfig {
    pub(crate) topic: String,
    pub(crate) persons_topic: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokensConfig {
    pub(crate) key_file: SecretFile,
    pub(crate) lifetime_seconds: u32,
    #[serde(default)]
    pub(crate) jwks_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionsConfig {
    pub(crate) lifetime_seconds: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EvidenceConfig {
    pub(crate) max_bytes: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ThrottleConfig {
    pub(crate) failures: u32,
    pub(crate) window_seconds: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClusterConfig {
    pub(crate) interval_seconds: f64,
    pub(crate) replication_factor: i16,
    pub(crate) login_within_ms: u64,
    pub(crate) services: BTreeMap<String, SecretFile>,
}

/// The key store, without key-encryption keys: who erases opens nothing.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeysConfig {
    pub(crate) database: store::DatabaseConfig,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ErasuresConfig {
    pub(crate) ledger_file: PathBuf,
    pub(crate) heard_within_ms: u64,
    pub(crate) forgotten_by: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditConfig {
    pub(crate) origin: String,
    pub(crate) key_file: SecretFile,
    pub(crate) time_key_file: SecretFile,
    pub(crate) state_dir: PathBuf,
    pub(crate) topic: String,
    pub(crate) interval_seconds: f64,
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
        let mut require = |good: bool, key: &str, message: &str| {
            if !good {
                invalid.push(Invalid::new(key, message));
            }
        };
        let issue = &self.policy_issue;
        let span = |seconds: f64| seconds.is_finite() && (0.05..=3600.0).contains(&seconds);
        require(span(issue.validity_seconds), "policy_issue.validity_seconds", "must be between 0.05 and 3600");
        require(
            span(issue.refresh_seconds) && issue.refresh_seconds < issue.validity_seconds,
            "policy_issue.refresh_seconds",
            "must be below policy_issue.validity_seconds, or services would have no valid policy between two",
        );
        require(
            issue.topic.starts_with("jointuse."),
            "policy_issue.topic",
            "must begin with jointuse., the prefix that the authority manages",
        );
        require(
            self.restrictions.topic.starts_with("jointuse.") && self.restrictions.topic != issue.topic,
            "restrictions.topic",
            "must begin with jointuse., the prefix that the authority manages, and be another than the policy's",
        );
        require(
            self.restrictions.persons_topic.starts_with("jointuse.")
                && ![&issue.topic, &self.restrictions.topic].contains(&&self.restrictions.persons_topic),
            "restrictions.persons_topic",
            "must begin with jointuse. and be another than the other two",
        );
        require(
            (1..=600).contains(&self.tokens.lifetime_seconds),
            "tokens.lifetime_seconds",
            "must be between 1 and 600: a token outlives its revocation by this long at services that never see a policy",
        );
        require(
            (60..=86_400).contains(&self.sessions.lifetime_seconds),
            "sessions.lifetime_seconds",
            "must be between 60 and 86400",
        );
        require(
            (1..=100 << 20).contains(&self.evidence.max_bytes),
            "evidence.max_bytes",
            "must be between 1 and 104857600",
        );
        require(self.throttle.failures > 0, "throttle.failures", "must be at least 1");
        require(
            (1..=86_400).contains(&self.throttle.window_seconds),
            "throttle.window_seconds",
            "must be between 1 and 86400",
        );
        require(
            self.cluster.interval_seconds.is_finite() && (0.1..=3600.0).contains(&self.cluster.interval_seconds),
            "cluster.interval_seconds",
            "must be between 0.1 and 3600",
        );
        require(
            self.cluster.replication_factor == -1 || self.cluster.replication_factor > 0,
            "cluster.replication_factor",
            "must be -1 (the brokers' default) or at least 1",
        );
        require(
            self.cluster.services.keys().all(|login| login.starts_with("ju-")),
            "cluster.services",
            "only logins that begin with ju- are managed",
        );
        let public = &self.public;
        require(
            public.hub_tls || public.hub_bootstrap.split(',').all(|address| tls::address_is_loopback(address.trim())),
            "public.hub_bootstrap",
            "is another machine for subscribers, and plain text is for loopback only: set public.hub_tls",
        );
        require(
            public.hub_tls || public.hub_trust_file.is_none(),
            "public.hub_trust_file",
            "means nothing without public.hub_tls",
        );
        require(
            !tls::url_is_plain_abroad(&public.url),
            "public.url",
            "is another machine for those who call it, and plain text is for loopback only: use https://",
        );
        require(
            !self.erasures.ledger_file.as_os_str().is_empty(),
            "erasures.ledger_file",
            "must be named: without it a restore would bring erased people back",
        );
        require(
            (1..=3_600_000).contains(&self.erasures.heard_within_ms),
            "erasures.heard_within_ms",
            "must be between 1 and 3600000",
        );
        require(
            self.public.url.is_empty()
                || self.public.url.starts_with("http://")
                || self.public.url.starts_with("https://"),
            "public.url",
            "must begin with http:// or https://, or be empty",
        );
        require(
            self.audit.origin.parse::<audit::keys::KeyName>().is_ok(),
            "audit.origin",
            "must be a name without white space and '+', like a URL without its scheme",
        );
        require(
            self.audit.topic.starts_with("jointuse.") && self.audit.topic != issue.topic,
            "audit.topic",
            "must begin with jointuse., the prefix that the authority manages, and be no other topic",
        );
        require(
            self.audit.interval_seconds.is_finite() && (0.05..=60.0).contains(&self.audit.interval_seconds),
            "audit.interval_seconds",
            "must be between 0.05 and 60",
        );
        for (key, good) in [
            ("policy_issue.key_file", issue.key_file.read_bytes().map(|_| ())),
            ("tokens.key_file", self.tokens.key_file.read_bytes().map(|_| ())),
            ("audit.key_file", self.audit.key_file.read_bytes().map(|_| ())),
            ("audit.time_key_file", self.audit.time_key_file.read_bytes().map(|_| ())),
            ("kafka.password_file", self.kafka.password_file.read_bytes().map(|_| ())),
        ] {
            if let Err(error) = good {
                invalid.push(Invalid::new(key, error.to_string()));
            }
        }
        let database = self.database.password_file.as_ref();
        invalid.extend(database.and_then(|file| Invalid::secret("database.password_file", file)));
        for (login, file) in &self.cluster.services {
            invalid.extend(Invalid::secret(&format!("cluster.services.{login}"), file));
        }
        let keys = self.keys.database.password_file.as_ref();
        invalid.extend(keys.and_then(|file| Invalid::secret("keys.database.password_file", file)));
        if let Err(error) = self.keys.database.validate() {
            invalid.push(Invalid::new("keys.database", error.to_string()));
        }
        if let Err(error) = self.database.validate() {
            invalid.push(Invalid::new("database", error.to_string()));
        }
        invalid.extend(self.http.invalid());
        if let Err(error) = self.kafka.validate() {
            invalid.push(Invalid::new("kafka", error.to_string()));
        }
        invalid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: &str = include_str!("../default.toml");

    fn invalid(edit: impl Fn(&str) -> String) -> Vec<String> {
        let config: Config =
            runtime::config::Layers::read("AUTHORITY", &edit(DEFAULT), None, []).unwrap().deserialize().unwrap();
        config.validate().into_iter().map(|invalid| invalid.key).collect()
    }

    /// The defaults name secret files that exist only in production.
    const SECRETS: [&str; 5] =
        ["policy_issue.key_file", "tokens.key_file", "audit.key_file", "audit.time_key_file", "kafka.password_file"];

    #[test]
    fn the_defaults_are_good_but_for_the_secrets() {
        assert_eq!(invalid(str::to_owned), SECRETS);
    }

    #[test]
    fn what_cannot_work_is_refused_by_its_key() {
        for (from, to, key) in [
            ("refresh_seconds = 10", "refresh_seconds = 60", "policy_issue.refresh_seconds"),
            ("lifetime_seconds = 300", "lifetime_seconds = 601", "tokens.lifetime_seconds"),
            ("topic = \"jointuse.policy\"", "topic = \"policy\"", "policy_issue.topic"),
            ("# ju-hub = ", "other = ", "cluster.services"),
            ("127.0.0.1:9192", "hub.example:9192", "public.hub_bootstrap"),
            ("url = \"\"", "url = \"http://authority.example\"", "public.url"),
            ("origin = \"", "origin = \"a b", "audit.origin"),
            ("interval_seconds = 1\n", "interval_seconds = 0\n", "audit.interval_seconds"),
        ] {
            assert!(invalid(|text| text.replace(from, to)).contains(&key.to_owned()), "{key}");
        }
    }
}
