//! Configuration; `default.toml` explains each key.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use authority_api::{KeyError, PolicyConfig, PublicKey, RegistryConfig};
use bus::KafkaConfig;
use disclosure_feed::AuditConfig;
use runtime::{
    IdentityConfig, Invalid, Settings,
    sections::{self, AdminConfig, ShutdownConfig, TelemetryConfig},
};
use seal::KeysConfig;
use serde::Deserialize;
use store::DatabaseConfig;

use crate::cluster::Address;

/// Everything.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The doors that clients use.
    pub(crate) listen: Listen,
    /// Health and metrics.
    pub(crate) admin: AdminConfig,
    /// Brokers and the hub's own login.
    pub(crate) kafka: KafkaConfig,
    /// Disclosures.
    pub(crate) database: DatabaseConfig,
    /// What records are opened by.
    pub(crate) keys: KeysConfig,
    /// Signed policy.
    pub(crate) policy: PolicyConfig,
    /// Whose access tokens are logins.
    pub(crate) tokens: TokensConfig,
    /// Signed stop list.
    pub(crate) restrictions: RestrictionsConfig,
    /// The schema registry.
    pub(crate) registry: RegistryConfig,
    /// Disclosures in the audit log.
    pub(crate) audit: AuditConfig,
    /// Bounds.
    pub(crate) limits: LimitsConfig,
    /// Logs and traces.
    pub(crate) telemetry: TelemetryConfig,
    /// Shutdown.
    pub(crate) shutdown: ShutdownConfig,
}

/// `[listen]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listen {
    /// Address to bind.
    pub(crate) host: IpAddr,
    /// Host that clients are told.
    pub(crate) advertised_host: String,
    /// Port that leads to any broker.
    pub(crate) bootstrap_port: u16,
    /// Port of broker n is this plus n; 0 takes free ports.
    pub(crate) broker_port_base: u16,
    /// Doors opened at start.
    pub(crate) node_ids: Vec<i32>,
    /// Names below it lead to brokers by the one bootstrap port; empty: a port for each.
    pub(crate) domain: String,
    /// The certificate of all doors; without one they are plain, on loopback only.
    #[serde(default)]
    pub(crate) tls: Option<IdentityConfig>,
}

/// `[tokens]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokensConfig {
    /// The authority's URL as its tokens say it; empty: no login by token.
    pub(crate) issuer: String,
}

/// `[restrictions]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RestrictionsConfig {
    /// Its topic.
    pub(crate) topic: String,
    /// Topic of the contacts that restrictions of persons reach.
    pub(crate) persons_topic: String,
    /// PEM files of the public keys that may sign those.
    pub(crate) persons_keys: Vec<PathBuf>,
}

impl RestrictionsConfig {
    /// The keys that may sign whom restrictions of persons reach.
    pub(crate) fn persons_keys(&self) -> Result<Vec<PublicKey>, KeyError> {
        self.persons_keys.iter().map(|path| PublicKey::read(path)).collect()
    }
}

/// `[limits]`, as configured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitsConfig {
    connections: usize,
    login_seconds: u64,
    login_frame_bytes: usize,
    request_bytes: usize,
    request_seconds: u64,
    stall_seconds: u64,
    connect_ms: u64,
    fetch_bytes: i32,
    answer_bytes: usize,
    /// For the room of fetch sessions: of one, and of all together.
    pub(crate) session_partitions: usize,
    pub(crate) sessions_partitions: usize,
    /// For the budget.
    pub(crate) memory_bytes: usize,
    /// For the budget.
    pub(crate) keep_bytes: usize,
}

/// Bounds on what connections may take.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Open connections.
    pub(crate) connections: usize,
    /// From connecting to a finished login.
    pub(crate) login: Duration,
    /// Bytes of a request before login.
    pub(crate) login_frame: usize,
    /// Bytes of an answer before login.
    pub(crate) login_answer: usize,
    /// Bytes of a request.
    pub(crate) request: usize,
    /// From the first byte of a request to its last.
    pub(crate) frame: Duration,
    /// A client that takes nothing for that long is left.
    pub(crate) stall: Duration,
    /// Connecting to a broker.
    pub(crate) connect: Duration,
    /// Bytes that a Fetch may ask for.
    pub(crate) fetch_bytes: i32,
    /// Bytes of a broker's answer.
    pub(crate) answer: usize,
}

impl From<&LimitsConfig> for Limits {
    fn from(c: &LimitsConfig) -> Self {
        Self {
            connections: c.connections,
            login: Duration::from_secs(c.login_seconds),
            login_frame: c.login_frame_bytes,
            login_answer: 256 * 1024,
            request: c.request_bytes,
            frame: Duration::from_secs(c.request_seconds),
            stall: Duration::from_secs(c.stall_seconds),
            connect: Duration::from_millis(c.connect_ms),
            fetch_bytes: c.fetch_bytes,
            answer: c.answer_bytes,
        }
    }
}

impl Config {
    /// Where to find brokers first.
    pub(crate) fn bootstrap(&self) -> Vec<Address> {
        self.kafka.bootstrap.split(',').filter_map(|text| Address::parse(text.trim())).collect()
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
        let mut check = |ok: bool, key: &str, message: &str| {
            if !ok {
                invalid.push(Invalid::new(key, message));
            }
        };
        let l = &self.limits;
        check(!self.listen.advertised_host.is_empty(), "listen.advertised_host", "must name a host that clients reach");
        let ports_fit = self.listen.node_ids.iter().all(|node| port_of(self.listen.broker_port_base, *node).is_some());
        check(ports_fit, "listen.node_ids", "broker_port_base plus a node id must be a port, and no id negative");
        let domain = &self.listen.domain;
        let letters = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        check(domain.is_empty() || domain.split('.').all(letters), "listen.domain", "must be a DNS name, or empty");
        let told = domain.is_empty() || self.listen.tls.is_some();
        check(told, "listen.domain", "needs listen.tls: the name that a client wants is said in its TLS hello");
        let issuer = &self.tokens.issuer;
        let hidden = issuer.is_empty() || self.listen.tls.is_some();
        check(hidden, "tokens.issuer", "needs listen.tls: whoever sees a token can use it");
        check(
            !issuer.ends_with('/'),
            "tokens.issuer",
            "must be the authority's public.url, without a slash at its end",
        );
        check(!self.bootstrap().is_empty(), "kafka.bootstrap", "must be host:port, several separated by commas");
        let named = !self.restrictions.persons_keys.is_empty();
        check(named, "restrictions.persons_keys", "name the PEM file of history's public key");
        check(l.connections > 0, "limits.connections", "must be at least 1");
        check(l.login_seconds > 0, "limits.login_seconds", "must be at least 1");
        check((1024..=1 << 20).contains(&l.login_frame_bytes), "limits.login_frame_bytes", "must be 1 KiB to 1 MiB");
        check(l.request_bytes >= l.login_frame_bytes, "limits.request_bytes", "must not be below login_frame_bytes");
        check(l.request_seconds > 0, "limits.request_seconds", "must be at least 1");
        check(l.stall_seconds > 0, "limits.stall_seconds", "must be at least 1");
        check(l.connect_ms > 0, "limits.connect_ms", "must be at least 1");
        check(
            l.fetch_bytes >= 1 << 20,
            "limits.fetch_bytes",
            "must be at least 1 MiB, Kafka's default for one partition",
        );
        let fetch = usize::try_from(l.fetch_bytes).unwrap_or(0);
        check(l.answer_bytes >= fetch, "limits.answer_bytes", "must not be below fetch_bytes");
        check(l.memory_bytes >= fetch, "limits.memory_bytes", "must not be below fetch_bytes");
        let fits = l.sessions_partitions >= l.session_partitions;
        check(fits, "limits.sessions_partitions", "must not be below session_partitions");
        if let Err(error) = self.registry.validate() {
            invalid.push(Invalid::new("registry.url", error.to_string()));
        }
        if let Err(error) = self.kafka.validate() {
            invalid.push(Invalid::new("kafka", error.to_string()));
        }
        invalid.extend(sections::door("listen", "listen.host", self.listen.host, self.listen.tls.as_ref()));
        invalid.extend(self.admin.invalid());
        if let Err(error) = self.database.validate() {
            invalid.push(Invalid::new("database", error.to_string()));
        }
        invalid.extend(self.audit.problem().map(|(key, message)| Invalid::new(key, message)));
        invalid.extend(Invalid::secret("kafka.password_file", &self.kafka.password_file));
        let database = self.database.password_file.as_ref();
        invalid.extend(database.and_then(|file| Invalid::secret("database.password_file", file)));
        invalid.extend(self.keys.problems().into_iter().map(|(key, message)| Invalid::new(key, message)));
        invalid
    }
}

/// The port of a node's door; 0 stands for a free one.
pub(crate) fn port_of(base: u16, node: i32) -> Option<u16> {
    let node = u16::try_from(node).ok()?;
    if base == 0 { Some(0) } else { base.checked_add(node) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(environment: &[(&str, &str)]) -> Result<Config, String> {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        runtime::config::Layers::read("HUB", include_str!("../default.toml"), None, environment)
            .and_then(|layers| layers.parse())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_hold() {
        let config = parsed(&[]).unwrap();
        assert_eq!(config.bootstrap().len(), 1);
        assert_eq!(Limits::from(&config.limits).login, Duration::from_secs(10));
    }

    #[test]
    fn what_cannot_be_is_said_with_its_key() {
        for (name, value, key) in [
            ("HUB__LIMITS__FETCH_BYTES", "1000", "limits.fetch_bytes"),
            ("HUB__LIMITS__ANSWER_BYTES", "1000", "limits.answer_bytes"),
            ("HUB__LISTEN__BROKER_PORT_BASE", "65535", "listen.node_ids"),
            ("HUB__LIMITS__SESSIONS_PARTITIONS", "1000", "limits.sessions_partitions"),
            ("HUB__KAFKA__BOOTSTRAP", "nowhere", "kafka.bootstrap"),
            ("HUB__REGISTRY__URL", "nowhere", "registry.url"),
            ("HUB__AUDIT__TOPIC", "elsewhere", "audit.topic"),
            ("HUB__AUDIT__INTERVAL_SECONDS", "0", "audit.interval_seconds"),
            ("HUB__DATABASE__URL", "postgresql://a:b@db/hub", "database"),
            ("HUB__LISTEN__HOST", "0.0.0.0", "listen.host"),
            ("HUB__ADMIN__LISTEN", "0.0.0.0:9190", "admin.listen"),
            ("HUB__LISTEN__DOMAIN", "hub.example", "listen.domain"),
            ("HUB__TOKENS__ISSUER", "https://authority.example", "tokens.issuer"),
            ("HUB__KAFKA__BOOTSTRAP", "kafka:9092", "kafka.security"),
            ("HUB__REGISTRY__URL", "http://authority/registry", "registry.url"),
            ("HUB__DATABASE__URL", "postgresql://hub@db/hub", "sslmode=verify-full"),
        ] {
            let error = parsed(&[(name, value), ("HUB__LISTEN__NODE_IDS", "1,2")]).unwrap_err();
            assert!(error.contains(key), "{name}: {error}");
        }
    }

    #[test]
    fn ports_follow_from_node_ids() {
        assert_eq!(port_of(9200, 3), Some(9203));
        assert_eq!(port_of(0, 3), Some(0));
        assert_eq!(port_of(9200, -1), None);
        assert_eq!(port_of(65_535, 1), None);
    }
}
