//! A ready configuration for a subscriber's stock client.

use jointuse::{Login, SubscriptionId, TopicName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a stock client of one subscription needs, but for the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClientConfig {
    /// The subscription.
    #[schema(value_type = String)]
    pub subscription: SubscriptionId,
    /// `host:port` of the hub.
    pub bootstrap_servers: String,
    /// SCRAM user name.
    #[schema(value_type = String)]
    pub login: Login,
    /// Group id to use; the broker allows only groups that begin with `ju.<subscription>.`.
    pub group_id: String,
    /// Granted topics.
    #[schema(value_type = Vec<String>)]
    pub topics: Vec<TopicName>,
    /// Base URL of the schema registry.
    pub registry_url: String,
    /// Whether the hub speaks TLS; the login is inside.
    pub tls: bool,
    /// The authorities (PEM) that the hub's certificate may be of; none: those that the client's system believes.
    pub trust: Option<String>,
}

impl ClientConfig {
    /// Properties for Java clients and console tools.
    pub fn java_properties(&self, secret: &str) -> String {
        format!(
            "# Java client of subscription {}; topics: {}\n\
             bootstrap.servers={}\n\
             security.protocol={}\n\
             {}\
             sasl.mechanism=SCRAM-SHA-512\n\
             sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username=\"{}\" password=\"{}\";\n\
             group.id={}\n\
             auto.offset.reset=earliest\n\
             schema.registry.url={}\n",
            self.subscription,
            self.topic_list(),
            self.bootstrap_servers,
            self.protocol(),
            self.java_trust(),
            self.login,
            secret,
            self.group_id,
            self.registry_url
        )
    }

    /// Configuration for librdkafka clients (one `key=value` a line, as kcat's `-F` reads it). A value cannot span lines
    /// there, so [`ClientConfig::trust`] is named as the file that it was written to.
    pub fn librdkafka_conf(&self, secret: &str, trust_file: &str) -> String {
        format!(
            "# librdkafka client of subscription {}; topics: {}; schema registry: {}\n\
             bootstrap.servers={}\n\
             security.protocol={}\n\
             {}\
             sasl.mechanism=SCRAM-SHA-512\n\
             sasl.username={}\n\
             sasl.password={}\n\
             group.id={}\n\
             auto.offset.reset=earliest\n",
            self.subscription,
            self.topic_list(),
            self.registry_url,
            self.bootstrap_servers,
            self.protocol(),
            match self.trust {
                Some(_) => format!("ssl.ca.location={trust_file}\n"),
                None => String::new(),
            },
            self.login,
            secret,
            self.group_id
        )
    }

    /// JSON for KafkaJS (`new Kafka(config.kafka)`), with group, topics and registry beside it.
    pub fn kafkajs_json(&self, secret: &str) -> serde_json::Value {
        serde_json::json!({
            "subscription": self.subscription,
            "kafka": {
                "clientId": self.subscription,
                "brokers": self.bootstrap_servers.split(',').collect::<Vec<_>>(),
                "ssl": match &self.trust {
                    Some(pem) => serde_json::json!({ "ca": [pem] }),
                    None => self.tls.into(),
                },
                "sasl": { "mechanism": "scram-sha-512", "username": self.login, "password": secret },
            },
            "groupId": self.group_id,
            "topics": self.topics,
            "schemaRegistry": { "url": self.registry_url },
        })
    }

    const fn protocol(&self) -> &'static str {
        if self.tls { "SASL_SSL" } else { "SASL_PLAINTEXT" }
    }

    /// The authorities inside the properties themselves.
    fn java_trust(&self) -> String {
        let Some(pem) = &self.trust else { return String::new() };
        format!("ssl.truststore.type=PEM\nssl.truststore.certificates={}\n", pem.trim_end().replace('\n', "\\n"))
    }

    fn topic_list(&self) -> String {
        self.topics.iter().map(TopicName::as_str).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(tls: bool, trust: Option<&str>) -> ClientConfig {
        ClientConfig {
            subscription: "career-sales".parse().unwrap(),
            bootstrap_servers: "hub.example:9192".to_owned(),
            login: "ju-sub-career-sales-1".parse().unwrap(),
            group_id: "ju.career-sales.main".to_owned(),
            topics: vec!["jointuse.contact".parse().unwrap()],
            registry_url: "https://authority.example/registry".to_owned(),
            tls,
            trust: trust.map(str::to_owned),
        }
    }

    #[test]
    fn every_client_is_told_of_tls_in_its_own_words() {
        let own = config(true, Some("-----BEGIN\nabc\n"));
        let java = own.java_properties("s");
        assert!(java.contains("\nsecurity.protocol=SASL_SSL\nssl.truststore.type=PEM\n"), "{java}");
        assert!(java.contains("\nssl.truststore.certificates=-----BEGIN\\nabc\nsasl.mechanism="), "{java}");
        let librdkafka = own.librdkafka_conf("s", "/x/ca.pem");
        assert!(librdkafka.contains("\nsecurity.protocol=SASL_SSL\nssl.ca.location=/x/ca.pem\nsasl."), "{librdkafka}");
        assert_eq!(own.kafkajs_json("s")["kafka"]["ssl"]["ca"][0], "-----BEGIN\nabc\n");

        let system = config(true, None);
        assert!(system.java_properties("s").contains("\nsecurity.protocol=SASL_SSL\nsasl.mechanism="));
        assert!(!system.librdkafka_conf("s", "/x/ca.pem").contains("ssl.ca"));
        assert_eq!(system.kafkajs_json("s")["kafka"]["ssl"], true);

        let plain = config(false, None);
        assert!(plain.java_properties("s").contains("\nsecurity.protocol=SASL_PLAINTEXT\nsasl.mechanism="));
        assert_eq!(plain.kafkajs_json("s")["kafka"]["ssl"], false);
    }
}
