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
}

impl ClientConfig {
    /// Properties for Java clients and console tools.
    pub fn java_properties(&self, secret: &str) -> String {
        format!(
            "# Java client of subscription {}; topics: {}\n\
             bootstrap.servers={}\n\
             security.protocol=SASL_PLAINTEXT\n\
             sasl.mechanism=SCRAM-SHA-512\n\
             sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username=\"{}\" password=\"{}\";\n\
             group.id={}\n\
             auto.offset.reset=earliest\n\
             schema.registry.url={}\n",
            self.subscription,
            self.topic_list(),
            self.bootstrap_servers,
            self.login,
            secret,
            self.group_id,
            self.registry_url
        )
    }

    /// Configuration for librdkafka clients (one `key=value` a line, as kcat's `-F` reads it).
    pub fn librdkafka_conf(&self, secret: &str) -> String {
        format!(
            "# librdkafka client of subscription {}; topics: {}; schema registry: {}\n\
             bootstrap.servers={}\n\
             security.protocol=SASL_PLAINTEXT\n\
             sasl.mechanism=SCRAM-SHA-512\n\
             sasl.username={}\n\
             sasl.password={}\n\
             group.id={}\n\
             auto.offset.reset=earliest\n",
            self.subscription,
            self.topic_list(),
            self.registry_url,
            self.bootstrap_servers,
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
                "ssl": false,
                "sasl": { "mechanism": "scram-sha-512", "username": self.login, "password": secret },
            },
            "groupId": self.group_id,
            "topics": self.topics,
            "schemaRegistry": { "url": self.registry_url },
        })
    }

    fn topic_list(&self) -> String {
        self.topics.iter().map(TopicName::as_str).collect::<Vec<_>>().join(" ")
    }
}
