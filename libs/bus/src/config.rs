//! `[kafka]`.

use std::path::PathBuf;

use rdkafka::ClientConfig;
use secret::SecretFile;
use serde::Deserialize;
use tls::Trust;

use crate::BusError;

/// How to reach the brokers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaConfig {
    /// Comma-separated `host:port`.
    pub bootstrap: String,
    /// SCRAM-SHA-512 login.
    pub login: String,
    /// File with the login's password.
    pub password_file: SecretFile,
    /// Transport. Default `sasl_plaintext`, for brokers on this machine only.
    #[serde(default)]
    pub security: Security,
    /// PEM file with the authorities that the brokers' certificates may be of; needed with `sasl_ssl`.
    #[serde(default)]
    pub trust_file: Option<PathBuf>,
}

/// How the connection is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Security {
    /// SCRAM-SHA-512 over an open connection.
    #[default]
    SaslPlaintext,
    /// SCRAM-SHA-512 inside TLS.
    SaslSsl,
}

impl KafkaConfig {
    /// Checks what the types cannot say; the message names the key.
    ///
    /// # Errors
    /// [`BusError::Config`].
    pub fn validate(&self) -> Result<(), BusError> {
        let refuse = |message: &str| Err(BusError::Config(message.to_owned()));
        if self.addresses().next().is_none() {
            return refuse("kafka.bootstrap must name at least one broker as host:port");
        }
        let good = |address: &str| {
            address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        };
        if let Some(bad) = self.addresses().find(|address| !good(address)) {
            return Err(BusError::Config(format!("kafka.bootstrap: {bad} is not host:port")));
        }
        if self.login.is_empty() {
            return refuse("kafka.login must not be empty");
        }
        let abroad = self.addresses().find(|address| !tls::address_is_loopback(address));
        match (self.security, abroad) {
            (Security::SaslPlaintext, Some(address)) => Err(BusError::Config(format!(
                "kafka.bootstrap: {address} is another machine, and plain text is for loopback only: set \
                 kafka.security = \"sasl_ssl\" and kafka.trust_file"
            ))),
            (Security::SaslSsl, _) if self.trust_file.is_none() => {
                refuse("kafka.trust_file must name the authorities that brokers' certificates may be of")
            }
            _ => Ok(()),
        }
    }

    /// Whom to believe at the brokers' doors; none when they are plain.
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn trust(&self) -> Result<Option<Trust>, BusError> {
        match (self.security, &self.trust_file) {
            (Security::SaslSsl, Some(path)) => Ok(Some(Trust::read(path)?)),
            _ => Ok(None),
        }
    }

    /// The bootstrap addresses, one by one.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &str> {
        self.bootstrap.split(',').map(str::trim).filter(|address| !address.is_empty())
    }

    /// What librdkafka needs to log in, and to come back quickly after a broker did.
    pub(crate) fn client(&self, client_id: &str) -> Result<ClientConfig, BusError> {
        self.validate()?;
        let password = self.password_file.read()?;
        let mut config = ClientConfig::new();
        let protocol = match self.security {
            Security::SaslPlaintext => "sasl_plaintext",
            Security::SaslSsl => "sasl_ssl",
        };
        config
            .set("bootstrap.servers", &self.bootstrap)
            .set("security.protocol", protocol)
            .set("sasl.mechanisms", "SCRAM-SHA-512")
            .set("sasl.username", &self.login)
            .set("sasl.password", password.expose())
            .set("client.id", client_id)
            .set("socket.nagle.disable", "true")
            .set("socket.keepalive.enable", "true")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set("topic.metadata.refresh.interval.ms", "30000")
            .set("allow.auto.create.topics", "false")
            .set("log.connection.close", "false");
        if let Some(path) = self.trust_file.as_ref().filter(|_| self.security == Security::SaslSsl) {
            // Also said here, because librdkafka names no file.
            Trust::read(path)?;
            config.set("ssl.ca.location", path.display().to_string());
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked() {
        let config = |bootstrap: &str| KafkaConfig {
            bootstrap: bootstrap.to_owned(),
            login: "ju-hub".to_owned(),
            password_file: SecretFile::new("/none"),
            security: Security::SaslSsl,
            trust_file: Some("/ca.pem".into()),
        };
        assert!(config("a:9092, [::1]:9093").validate().is_ok());
        for bad in ["", " , ", "a", "a:x", ":9092", "a:9092,b"] {
            assert!(config(bad).validate().is_err(), "{bad}");
        }
    }

    #[test]
    fn another_machine_is_spoken_to_in_tls_only() {
        let config = |bootstrap: &str, security, trust: Option<&str>| KafkaConfig {
            bootstrap: bootstrap.to_owned(),
            login: "ju-hub".to_owned(),
            password_file: SecretFile::new("/none"),
            security,
            trust_file: trust.map(PathBuf::from),
        };
        assert!(config("127.0.0.1:1,localhost:2", Security::SaslPlaintext, None).validate().is_ok());
        let plain = config("127.0.0.1:1,kafka:9092", Security::SaslPlaintext, None).validate().unwrap_err().to_string();
        assert!(plain.contains("kafka:9092") && plain.contains("sasl_ssl"), "{plain}");
        assert!(config("kafka:9092", Security::SaslSsl, None).validate().is_err());
        assert!(config("kafka:9092", Security::SaslSsl, Some("/none")).trust().is_err());
    }
}
