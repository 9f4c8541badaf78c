//! A private Apache Kafka: one node, or three, each broker and controller at once (KRaft).
//!
//! Logins are checked by SCRAM-SHA-512 on the listener for clients and on the one between brokers, by PLAIN between
//! controllers (SCRAM cannot bootstrap there). Access is by ACL only: no ACL, no access, but for the super users.
//! Topics are never created by themselves.
mod config;
mod node;
mod requests;
mod tools;

pub use requests::BrokerRequest;
pub(crate) use tools::{allowed_url, java};
pub use tools::{client_settings, java_properties};

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use uuid::Uuid;

use crate::{Result, authority::Authority, dir::Dir, ports};
use config::Ports;
use node::Node;

/// Super user of people and tools.
pub const ADMIN: &str = "admin";
/// Super user between the brokers.
pub const BROKER: &str = "broker";
/// Super user of the authority service.
pub const AUTHORITY: &str = "ju-authority";

/// How long a node may take to come up; a loaded two-core machine has needed a minute for three.
const START: Duration = Duration::from_secs(120);
const STOP: Duration = Duration::from_secs(20);

/// What kind of broker to start.
#[derive(Debug, Default)]
pub struct KafkaBuilder {
    nodes: Option<u16>,
    directory: Option<std::path::PathBuf>,
    logins: Vec<(String, String)>,
    properties: Vec<(String, String)>,
    request_log: bool,
    forwarded_from: Option<u16>,
    authority: Option<Arc<Authority>>,
    tokens: Option<(PathBuf, String)>,
}

impl KafkaBuilder {
    /// Number of nodes, 1 unless told (1 or 3 make sense).
    #[must_use]
    pub fn nodes(mut self, nodes: u16) -> Self {
        self.nodes = Some(nodes.max(1));
        self
    }

    /// Keeps data, configuration and logs in this directory, and finds them there again at the next start.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<std::path::PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// One more login, known from the first start on (without any ACL).
    #[must_use]
    pub fn login(mut self, name: &str, password: &str) -> Self {
        self.logins.push((name.to_owned(), password.to_owned()));
        self
    }

    /// One more line for `server.properties`, after ours, so that it wins.
    #[must_use]
    pub fn property(mut self, key: &str, value: &str) -> Self {
        self.properties.push((key.to_owned(), value.to_owned()));
        self
    }

    /// One more listener of a single node, advertised as `127.0.0.1:<advertised>`: clients that bootstrap there are told
    /// to connect to whatever forwards from that port to [`Kafka::forward_port`].
    #[must_use]
    pub fn forwarded_from(mut self, advertised: u16) -> Self {
        self.forwarded_from = Some(advertised);
        self
    }

    /// All listeners speak TLS, with a certificate of this authority.
    #[must_use]
    pub fn tls(mut self, authority: &Arc<Authority>) -> Self {
        self.authority = Some(Arc::clone(authority));
        self
    }

    /// Clients may log in by SASL/OAUTHBEARER beside SCRAM: by tokens of this issuer for the audience `hub`, signed by a key of
    /// the set in this file, which must be there and is read again when it changes.
    #[must_use]
    pub fn tokens(mut self, jwks: &Path, issuer: &str) -> Self {
        self.tokens = Some((jwks.to_owned(), issuer.to_owned()));
        self
    }

    /// Logs every request with connection, login and client software (slow; see [`Kafka::requests`]).
    #[must_use]
    pub fn request_log(mut self) -> Self {
        self.request_log = true;
        self
    }

    /// Formats (if new) and starts, and waits until every node serves.
    ///
    /// # Errors
    /// When the jars are missing or a node does not come up; the error shows the end of its log.
    pub async fn start(self) -> Result<Kafka> {
        let dir = match self.directory {
            Some(path) => Dir::given(path)?,
            None => Dir::temporary("kafka")?,
        };
        let cluster = Cluster::load_or_make(&dir, self.nodes.unwrap_or(1), self.logins, self.request_log)?;
        let mut properties = match &self.authority {
            Some(authority) => config::tls_listeners(authority, dir.path())?,
            None => Vec::new(),
        };
        if let Some((jwks, issuer)) = &self.tokens {
            properties.extend(config::token_listener(jwks, issuer));
        }
        properties.extend(self.properties);
        let mut forward_port = None;
        if let Some(advertised) = self.forwarded_from {
            let port = ports::free()?;
            properties.extend(config::forward_listener(&cluster, port, advertised));
            forward_port = Some(port);
        }
        let mut nodes = Vec::new();
        for id in cluster.ids() {
            nodes.push(Node::prepare(&cluster, id, &dir, &properties).await?);
        }
        let mut kafka =
            Kafka { cluster, nodes, forward_port, trust: self.authority.map(|authority| authority.trust()), _dir: dir };
        kafka.start().await?;
        Ok(kafka)
    }
}

/// What all nodes share, kept beside their data so that a second start finds the same ports and passwords.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Cluster {
    id: String,
    ports: Vec<Ports>,
    logins: Vec<(String, String)>,
    #[serde(skip)]
    request_log: bool,
}

impl Cluster {
    fn load_or_make(dir: &Dir, nodes: u16, logins: Vec<(String, String)>, request_log: bool) -> Result<Self> {
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
        let file = dir.path().join("cluster.json");
        if let Ok(text) = std::fs::read_to_string(&file) {
            let known: Self = serde_json::from_str(&text).map_err(|source| crate::Error::Json { text, source })?;
            return Ok(Self { request_log, ..known });
        }
        let mut all: Vec<(String, String)> =
            [ADMIN, BROKER, AUTHORITY].into_iter().map(|name| (name.to_owned(), secret())).collect();
        for (name, password) in logins {
            all.retain(|(known, _)| *known != name);
            all.push((name, password));
        }
        let ports = (0..nodes).map(|_| Ports::free()).collect::<Result<_>>()?;
        // One that begins with a dash would be taken for a flag by Kafka's own tools (Kafka avoids those, too).
        let id = std::iter::repeat_with(|| URL_SAFE_NO_PAD.encode(Uuid::new_v4().as_bytes()))
            .find(|id| !id.starts_with('-'))
            .unwrap_or_default();
        let cluster = Self { id, ports, logins: all, request_log };
        let text = serde_json::to_string_pretty(&cluster)
            .map_err(|source| crate::Error::Json { text: "cluster".to_owned(), source })?;
        crate::dir::write_secret(&file, &text)?;
        Ok(cluster)
    }

    /// Node ids: 1, 2, 3.
    fn ids(&self) -> std::ops::RangeInclusive<u16> {
        1..=u16::try_from(self.ports.len()).unwrap_or(1)
    }

    fn ports_of(&self, id: u16) -> Ports {
        let index = usize::from(id).saturating_sub(1);
        self.ports.get(index).copied().unwrap_or_default()
    }

    fn password(&self, login: &str) -> &str {
        self.logins.iter().find(|(name, _)| name == login).map_or("", |(_, password)| password)
    }
}

/// A running Kafka; stopped and, when in a temporary directory, removed on drop.
#[derive(Debug)]
pub struct Kafka {
    cluster: Cluster,
    // Before the directory, so that they are stopped before it is removed.
    nodes: Vec<Node>,
    forward_port: Option<u16>,
    trust: Option<PathBuf>,
    _dir: Dir,
}

impl Kafka {
    /// One node in a temporary directory.
    ///
    /// # Errors
    /// As [`KafkaBuilder::start`].
    pub async fn single() -> Result<Self> {
        Self::builder().start().await
    }

    /// Chooses what to start.
    pub fn builder() -> KafkaBuilder {
        KafkaBuilder::default()
    }

    /// `host:port,…` of the listeners for clients.
    pub fn bootstrap(&self) -> String {
        let addresses: Vec<String> = self.client_ports().iter().map(|port| format!("127.0.0.1:{port}")).collect();
        addresses.join(",")
    }

    /// The ports of the listeners for clients, in the order of the node ids.
    pub fn client_ports(&self) -> Vec<u16> {
        self.cluster.ports.iter().map(|ports| ports.client).collect()
    }

    /// Port of the listener asked for with [`KafkaBuilder::forwarded_from`].
    pub fn forward_port(&self) -> Option<u16> {
        self.forward_port
    }

    /// PEM file that clients must trust; none when the listeners are plain.
    pub fn trust(&self) -> Option<&Path> {
        self.trust.as_deref()
    }

    /// Node ids (1, 2, 3).
    pub fn node_ids(&self) -> Vec<u16> {
        self.cluster.ids().collect()
    }

    /// The password of a login that the cluster was formatted with; empty for others.
    pub fn password(&self, login: &str) -> &str {
        self.cluster.password(login)
    }

    /// Directory with data, configuration and logs.
    pub fn directory(&self) -> &Path {
        self._dir.path()
    }

    /// A node's process id while it runs.
    pub fn pid(&self, id: u16) -> Option<u32> {
        self.nodes.iter().find(|node| node.id() == id).and_then(Node::pid)
    }

    /// A node's log file.
    pub fn log(&self, id: u16) -> Option<&Path> {
        self.nodes.iter().find(|node| node.id() == id).map(Node::log)
    }

    /// Starts the nodes that are not running and waits until all serve.
    ///
    /// # Errors
    /// When one does not come up in time.
    pub async fn start(&mut self) -> Result<()> {
        for node in &mut self.nodes {
            node.start()?;
        }
        for node in &mut self.nodes {
            node.until_serving(START).await?;
        }
        Ok(())
    }

    /// Starts one node, if it does not run, without waiting.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_node(&mut self, id: u16) -> Result<()> {
        self.nodes.iter_mut().find(|node| node.id() == id).map_or(Ok(()), Node::start)
    }

    /// Whether one node runs and serves now.
    pub async fn node_serves(&mut self, id: u16) -> bool {
        match self.nodes.iter_mut().find(|node| node.id() == id) {
            Some(node) => node.serves().await,
            None => false,
        }
    }

    /// Asks one node to stop in good order, without waiting.
    pub fn ask_node_to_stop(&mut self, id: u16) {
        if let Some(node) = self.nodes.iter_mut().find(|node| node.id() == id) {
            node.ask_to_stop();
        }
    }

    /// Whether one node runs.
    pub fn node_runs(&mut self, id: u16) -> bool {
        self.nodes.iter_mut().find(|node| node.id() == id).is_some_and(Node::is_running)
    }

    /// Stops all nodes in good order.
    ///
    /// # Errors
    /// When one had to be killed.
    pub async fn stop(&mut self) -> Result<()> {
        // All are asked first: the last controllers of a quorum cannot leave it one by one.
        for node in &mut self.nodes {
            node.ask_to_stop();
        }
        for node in &mut self.nodes {
            node.stop(STOP).await?;
        }
        Ok(())
    }

    /// Stops one node in good order.
    ///
    /// # Errors
    /// When it had to be killed.
    pub async fn stop_node(&mut self, id: u16) -> Result<()> {
        match self.nodes.iter_mut().find(|node| node.id() == id) {
            Some(node) => node.stop(STOP).await,
            None => Ok(()),
        }
    }

    /// `kill -9` of one node.
    pub fn kill9_node(&mut self, id: u16) {
        if let Some(node) = self.nodes.iter_mut().find(|node| node.id() == id) {
            node.kill9();
        }
    }

    /// `kill -9` of all nodes.
    pub fn kill9(&mut self) {
        for node in &mut self.nodes {
            node.kill9();
        }
    }

    /// Whether all nodes run.
    pub fn is_running(&mut self) -> bool {
        self.nodes.iter_mut().all(Node::is_running)
    }
}

/// A password that nobody guesses (122 random bits).
pub(crate) fn secret() -> String {
    Uuid::new_v4().simple().to_string()
}

impl Ports {
    fn free() -> Result<Self> {
        Ok(Self { client: ports::free()?, broker: ports::free()?, controller: ports::free()? })
    }
}
