//! `[kafka]`.

use rdkafka::ClientConfig;
use secret::SecretFile;
use serde::Deserialize;

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
    /// Transport. Default `sasl_plaintext`.
    #[serde(default)]
    pub security: Security,
}

/// How the connection is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Security {
    /// SCRAM-SHA-512 over an open connection.
    #[default]
    SaslPlaintext,
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
        Ok(())
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
            security: Security::default(),
        };
        assert!(config("a:9092, [::1]:9093").validate().is_ok());
        for bad in ["", " , ", "a", "a:x", ":9092", "a:9092,b"] {
            assert!(config(bad).validate().is_err(), "{bad}");
        }
    }
}
