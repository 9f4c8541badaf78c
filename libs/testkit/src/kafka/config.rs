//! `server.properties` of one node.
use std::path::Path;

use super::{ADMIN, AUTHORITY, BROKER, Cluster};
use crate::{Result, authority::Authority, dir::write_secret, error::IoContext as _};

/// The three listeners of a node.
#[derive(Debug, Clone, Copy, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Ports {
    pub(crate) client: u16,
    pub(crate) broker: u16,
    pub(crate) controller: u16,
}

/// Lines that add a listener of which clients are told another port: that of a forwarder (single node).
pub(crate) fn forward_listener(cluster: &Cluster, port: u16, advertised: u16) -> Vec<(String, String)> {
    let Ports { client, broker, controller } = cluster.ports_of(1);
    let ours = format!("CLIENT://127.0.0.1:{client},BROKER://127.0.0.1:{broker}");
    let line = |key: &str, value: String| (key.to_owned(), value);
    vec![
        line("listeners", format!("{ours},CONTROLLER://127.0.0.1:{controller},FORWARD://127.0.0.1:{port}")),
        line("advertised.listeners", format!("{ours},FORWARD://127.0.0.1:{advertised}")),
        line(
            "listener.security.protocol.map",
            ["CLIENT", "BROKER", "CONTROLLER", "FORWARD"].map(|name| format!("{name}:SASL_PLAINTEXT")).join(","),
        ),
        line("listener.name.forward.sasl.enabled.mechanisms", "SCRAM-SHA-512".to_owned()),
        line(
            "listener.name.forward.scram-sha-512.sasl.jaas.config",
            "org.apache.kafka.common.security.scram.ScramLoginModule required;".to_owned(),
        ),
    ]
}

/// Lines that put all listeners into TLS, with one certificate for all nodes: they are at one address.
pub(crate) fn tls_listeners(authority: &Authority, dir: &Path) -> Result<Vec<(String, String)>> {
    let issued = authority.issue("kafka", &["127.0.0.1", "localhost"])?;
    let pem = |path: &Path| std::fs::read_to_string(path).at("read", path);
    // Kafka wants key and certificate in one file.
    let keystore = dir.join("kafka.keystore.pem");
    write_secret(&keystore, &format!("{}{}", pem(&issued.key)?, pem(&issued.certificate)?))?;
    let line = |key: &str, value: String| (key.to_owned(), value);
    Ok(vec![
        line(
            "listener.security.protocol.map",
            ["CLIENT", "BROKER", "CONTROLLER"].map(|name| format!("{name}:SASL_SSL")).join(","),
        ),
        line("ssl.keystore.type", "PEM".to_owned()),
        line("ssl.keystore.location", keystore.display().to_string()),
        line("ssl.truststore.type", "PEM".to_owned()),
        line("ssl.truststore.location", authority.trust().display().to_string()),
    ])
}

/// Names the key set's file among the lines of [`token_listener`].
pub(crate) const JWKS_URL: &str = "sasl.oauthbearer.jwks.endpoint.url";

/// Lines by which clients may log in by access tokens of scope `hub`, too: those that `issuer` signed by a key of the set.
pub(crate) fn token_listener(jwks: &Path, issuer: &str) -> Vec<(String, String)> {
    const OAUTHBEARER: &str = "org.apache.kafka.common.security.oauthbearer.OAuthBearer";
    let line = |key: &str, value: String| (key.to_owned(), value);
    vec![
        line("listener.name.client.sasl.enabled.mechanisms", "SCRAM-SHA-512,OAUTHBEARER".to_owned()),
        line("listener.name.client.oauthbearer.sasl.jaas.config", format!("{OAUTHBEARER}LoginModule required;")),
        line(
            "listener.name.client.oauthbearer.sasl.server.callback.handler.class",
            format!("{OAUTHBEARER}ValidatorCallbackHandler"),
        ),
        line(JWKS_URL, format!("file://{}", jwks.display())),
        line("sasl.oauthbearer.expected.audience", "hub".to_owned()),
        line("sasl.oauthbearer.expected.issuer", issuer.to_owned()),
    ]
}

/// The file's text; `more` comes last and wins.
pub(crate) fn server_properties(cluster: &Cluster, id: u16, data: &Path, more: &[(String, String)]) -> String {
    let ports = cluster.ports_of(id);
    let nodes = cluster.ports.len();
    let voters: Vec<String> =
        cluster.ids().map(|id| format!("{id}@127.0.0.1:{}", cluster.ports_of(id).controller)).collect();
    let password = cluster.password(BROKER);
    let in_sync = if nodes > 1 { 2 } else { 1 };
    let data = data.display();
    let mut text = format!(
        "\
node.id={id}
process.roles=broker,controller
controller.quorum.voters={voters}
log.dirs={data}

listeners=CLIENT://127.0.0.1:{client},BROKER://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=CLIENT://127.0.0.1:{client},BROKER://127.0.0.1:{broker}
listener.security.protocol.map=CLIENT:SASL_PLAINTEXT,BROKER:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT
inter.broker.listener.name=BROKER
controller.listener.names=CONTROLLER
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
sasl.mechanism.controller.protocol=PLAIN
listener.name.client.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.broker.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.controller.sasl.enabled.mechanisms=PLAIN
listener.name.client.scram-sha-512.sasl.jaas.config={scram} required;
listener.name.broker.scram-sha-512.sasl.jaas.config={scram} required username=\"{BROKER}\" password=\"{password}\";
listener.name.controller.plain.sasl.jaas.config={plain} required username=\"{BROKER}\" password=\"{password}\" user_{BROKER}=\"{password}\";

authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:{ADMIN};User:{BROKER};User:{AUTHORITY}
allow.everyone.if.no.acl.found=false
auto.create.topics.enable=false

default.replication.factor={nodes}
min.insync.replicas={in_sync}
offsets.topic.replication.factor={nodes}
offsets.topic.num.partitions=5
transaction.state.log.replication.factor={nodes}
transaction.state.log.min.isr={in_sync}
transaction.state.log.num.partitions=5
share.coordinator.state.topic.replication.factor={nodes}
share.coordinator.state.topic.min.isr={in_sync}
share.coordinator.state.topic.num.partitions=5
group.initial.rebalance.delay.ms=0
group.coordinator.rebalance.protocols=classic,consumer

broker.heartbeat.interval.ms=500
broker.session.timeout.ms={session}

num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=16777216
controlled.shutdown.max.retries=1
",
        voters = voters.join(","),
        // A node that was killed may only come back when its old session is over.
        session = if nodes > 1 { 6_000 } else { 3_000 },
        client = ports.client,
        broker = ports.broker,
        controller = ports.controller,
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule",
        plain = "org.apache.kafka.common.security.plain.PlainLoginModule",
    );
    for (key, value) in more {
        text.push_str(&format!("{key}={value}\n"));
    }
    text
}
