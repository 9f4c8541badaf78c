//! A ready configuration for a subscriber's stock client.

use jointuse::{Login, SubscriptionId, TopicName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Audience;

/// How a client logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// SCRAM-SHA-512: by the secret, which never crosses the line.
    Scram,
    /// OAUTHBEARER, inside TLS only: by tokens of the authority, which the client gets by the secret.
    Oauthbearer,
}

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
    /// Where a client that logs in by OAUTHBEARER gets its tokens (scope `hub`).
    pub token_url: String,
    /// Whether the hub speaks TLS; the login is inside.
    pub tls: bool,
    /// The authorities (PEM) that the hub's certificate may be of; none: those that the client's system believes.
    pub trust: Option<String>,
}

impl ClientConfig {
    /// Properties for Java clients and console tools.
    pub fn java_properties(&self, mechanism: Mechanism, secret: &str) -> String {
        format!(
            "# Java client of subscription {}; topics: {}\n\
             {}\
             bootstrap.servers={}\n\
             security.protocol={}\n\
             {}\
             {}\
             group.id={}\n\
             auto.offset.reset=earliest\n\
             schema.registry.url={}\n",
            self.subscription,
            self.topic_list(),
            match mechanism {
                Mechanism::Scram => String::new(),
                Mechanism::Oauthbearer =>
                    format!("# Start Java with -Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={}\n", self.token_url),
            },
            self.bootstrap_servers,
            self.protocol(),
            self.java_trust(),
            self.java_login(mechanism, secret),
            self.group_id,
            self.registry_url
        )
    }

    /// Configuration for librdkafka clients (one `key=value` a line, as kcat's `-F` reads it). A value cannot span lines
    /// there, so [`ClientConfig::trust`] is named as the file that it was written to.
    pub fn librdkafka_conf(&self, mechanism: Mechanism, secret: &str, trust_file: &str) -> String {
        format!(
            "# librdkafka client of subscription {}; topics: {}; schema registry: {}\n\
             bootstrap.servers={}\n\
             security.protocol={}\n\
             {}\
             {}\
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
            self.librdkafka_login(mechanism, secret, trust_file),
            self.group_id
        )
    }

    /// JSON for KafkaJS (`new Kafka(config.kafka)`), with group, topics and registry beside it; for OAUTHBEARER also `token`,
    /// by which the application's `oauthBearerProvider` asks for one.
    pub fn kafkajs_json(&self, mechanism: Mechanism, secret: &str) -> serde_json::Value {
        let (sasl, token) = match mechanism {
            Mechanism::Scram => (
                serde_json::json!({ "mechanism": "scram-sha-512", "username": self.login, "password": secret }),
                serde_json::Value::Null,
            ),
            Mechanism::Oauthbearer => (
                serde_json::json!({ "mechanism": "oauthbearer" }),
                serde_json::json!({
                    "url": self.token_url,
                    "clientId": self.login,
                    "clientSecret": secret,
                    "scope": Audience::Hub.as_str(),
                    "ca": self.token_trust(),
                }),
            ),
        };
        let mut config = serde_json::json!({
            "subscription": self.subscription,
            "kafka": {
                "clientId": self.subscription,
                "brokers": self.bootstrap_servers.split(',').collect::<Vec<_>>(),
                "ssl": match &self.trust {
                    Some(pem) => serde_json::json!({ "ca": [pem] }),
                    None => self.tls.into(),
                },
                "sasl": sasl,
            },
            "groupId": self.group_id,
            "topics": self.topics,
            "schemaRegistry": { "url": self.registry_url },
        });
        if let (Some(config), false) = (config.as_object_mut(), token.is_null()) {
            config.insert("token".to_owned(), token);
        }
        config
    }

    fn java_login(&self, mechanism: Mechanism, secret: &str) -> String {
        const SECURITY: &str = "org.apache.kafka.common.security";
        let Self { login, token_url, .. } = self;
        match mechanism {
            Mechanism::Scram => format!(
                "sasl.mechanism=SCRAM-SHA-512\n\
                 sasl.jaas.config={SECURITY}.scram.ScramLoginModule required username=\"{login}\" password=\"{secret}\";\n"
            ),
            Mechanism::Oauthbearer => {
                // Whom to believe at the token's endpoint is said here, too: the lines above are for the brokers only.
                let trust = self.token_trust().map_or_else(String::new, |pem| {
                    // Twice: the properties' own backslash, then the one inside the quotes.
                    let pem = pem.trim_end().replace('\n', "\\\\n");
                    format!(" ssl.truststore.type=\"PEM\" ssl.truststore.certificates=\"{pem}\"")
                });
                format!(
                    "sasl.mechanism=OAUTHBEARER\n\
                     sasl.login.callback.handler.class={SECURITY}.oauthbearer.OAuthBearerLoginCallbackHandler\n\
                     sasl.oauthbearer.token.endpoint.url={token_url}\n\
                     sasl.jaas.config={SECURITY}.oauthbearer.OAuthBearerLoginModule required \
                     clientId=\"{login}\" clientSecret=\"{secret}\" scope=\"{}\"{trust};\n",
                    Audience::Hub.as_str()
                )
            }
        }
    }

    fn librdkafka_login(&self, mechanism: Mechanism, secret: &str, trust_file: &str) -> String {
        let Self { login, token_url, .. } = self;
        match mechanism {
            Mechanism::Scram => {
                format!("sasl.mechanism=SCRAM-SHA-512\nsasl.username={login}\nsasl.password={secret}\n")
            }
            Mechanism::Oauthbearer => {
                let trust =
                    self.token_trust().map_or_else(String::new, |_| format!("https.ca.location={trust_file}\n"));
                format!(
                    "sasl.mechanism=OAUTHBEARER\nsasl.oauthbearer.method=oidc\n\
                     sasl.oauthbearer.token.endpoint.url={token_url}\n\
                     sasl.oauthbearer.client.id={login}\nsasl.oauthbearer.client.secret={secret}\n\
                     sasl.oauthbearer.scope={}\n{trust}",
                    Audience::Hub.as_str()
                )
            }
        }
    }

    /// Whom to believe where tokens come from: the same authorities as at the hub.
    fn token_trust(&self) -> Option<&str> {
        self.trust.as_deref().filter(|_| self.token_url.starts_with("https://"))
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
            token_url: "https://authority.example/oauth/token".to_owned(),
            tls,
            trust: trust.map(str::to_owned),
        }
    }

    #[test]
    fn every_client_is_told_of_tls_in_its_own_words() {
        let own = config(true, Some("-----BEGIN\nabc\n"));
        let java = own.java_properties(Mechanism::Scram, "s");
        assert!(java.contains("\nsecurity.protocol=SASL_SSL\nssl.truststore.type=PEM\n"), "{java}");
        assert!(java.contains("\nssl.truststore.certificates=-----BEGIN\\nabc\nsasl.mechanism="), "{java}");
        let librdkafka = own.librdkafka_conf(Mechanism::Scram, "s", "/x/ca.pem");
        assert!(librdkafka.contains("\nsecurity.protocol=SASL_SSL\nssl.ca.location=/x/ca.pem\nsasl."), "{librdkafka}");
        assert_eq!(own.kafkajs_json(Mechanism::Scram, "s")["kafka"]["ssl"]["ca"][0], "-----BEGIN\nabc\n");

        let system = config(true, None);
        assert!(
            system.java_properties(Mechanism::Scram, "s").contains("\nsecurity.protocol=SASL_SSL\nsasl.mechanism=")
        );
        assert!(!system.librdkafka_conf(Mechanism::Scram, "s", "/x/ca.pem").contains("ssl.ca"));
        assert_eq!(system.kafkajs_json(Mechanism::Scram, "s")["kafka"]["ssl"], true);

        let plain = config(false, None);
        assert!(
            plain
                .java_properties(Mechanism::Scram, "s")
                .contains("\nsecurity.protocol=SASL_PLAINTEXT\nsasl.mechanism=")
        );
        assert_eq!(plain.kafkajs_json(Mechanism::Scram, "s")["kafka"]["ssl"], false);
    }

    #[test]
    fn every_client_is_told_where_its_tokens_come_from() {
        let own = config(true, Some("-----BEGIN\nabc\n"));
        let java = own.java_properties(Mechanism::Oauthbearer, "s");
        for line in [
            "# Start Java with -Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=https://authority.example/oauth/token\n",
            "\nsasl.mechanism=OAUTHBEARER\n",
            "\nsasl.oauthbearer.token.endpoint.url=https://authority.example/oauth/token\n",
            " clientId=\"ju-sub-career-sales-1\" clientSecret=\"s\" scope=\"hub\" ssl.truststore.type=\"PEM\" \
             ssl.truststore.certificates=\"-----BEGIN\\\\nabc\";\n",
        ] {
            assert!(java.contains(line), "{line}: {java}");
        }
        let librdkafka = own.librdkafka_conf(Mechanism::Oauthbearer, "s", "/x/ca.pem");
        for line in ["sasl.oauthbearer.method=oidc", "sasl.oauthbearer.scope=hub", "https.ca.location=/x/ca.pem"] {
            assert!(librdkafka.lines().any(|found| found == line), "{line}: {librdkafka}");
        }
        assert!(!librdkafka.contains("sasl.password"), "{librdkafka}");
        let kafkajs = own.kafkajs_json(Mechanism::Oauthbearer, "s");
        assert_eq!(kafkajs["kafka"]["sasl"], serde_json::json!({ "mechanism": "oauthbearer" }));
        assert_eq!(kafkajs["token"]["clientSecret"], "s");
        assert!(own.kafkajs_json(Mechanism::Scram, "s").get("token").is_none());
        let system = config(true, None).java_properties(Mechanism::Oauthbearer, "s");
        assert!(system.contains(" scope=\"hub\";\n"), "{system}");
    }
}
