//! What the hub knows of the cluster: broker addresses by node id, its own port for each, and topic ids.
//!
//! Learnt from every Metadata answer that passes and from the hub's own look-ups. A client is only ever told the hub's
//! addresses; a node for which the hub has no port is not told at all.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{PoisonError, RwLock},
};

use jointuse::KafkaTopicId;

use crate::names::Names;

/// Most topic ids remembered.
const MAX_TOPICS: usize = 20_000;

/// Host and port of a broker as the hub reaches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// Host name or IP address.
    pub(crate) host: String,
    /// Port.
    pub(crate) port: u16,
}

impl Address {
    /// From the protocol's host and 32-bit port.
    pub(crate) fn of(host: &str, port: i32) -> Option<Self> {
        let port = u16::try_from(port).ok().filter(|port| *port != 0)?;
        (!host.is_empty()).then(|| Self { host: host.to_owned(), port })
    }

    /// From `host:port`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        Self::of(host.trim_start_matches('[').trim_end_matches(']'), port.parse().ok()?)
    }
}

/// The cluster as known so far.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// Host told to clients.
    advertised: String,
    /// Or names told to clients.
    names: Option<Names>,
    bootstrap: Vec<Address>,
    nodes: RwLock<BTreeMap<i32, Address>>,
    ports: RwLock<BTreeMap<i32, u16>>,
    topics: RwLock<Topics>,
}

#[derive(Debug, Default)]
struct Topics {
    names: HashMap<KafkaTopicId, String>,
    ids: HashMap<String, KafkaTopicId>,
}

impl Cluster {
    /// Knows only where to ask first.
    pub(crate) fn new(advertised: String, names: Option<Names>, bootstrap: Vec<Address>) -> Self {
        let (nodes, ports, topics) = (RwLock::default(), RwLock::default(), RwLock::default());
        Self { advertised, names, bootstrap, nodes, ports, topics }
    }

    /// The names by which one door leads to all brokers, if it does.
    pub(crate) fn names(&self) -> Option<&Names> {
        self.names.as_ref()
    }

    /// Remembers where a node is.
    pub(crate) fn learn_node(&self, node: i32, address: Address) {
        let known = self.nodes.read().unwrap_or_else(PoisonError::into_inner).get(&node) == Some(&address);
        if !known {
            tracing::info!(node, "broker address learnt");
            self.nodes.write().unwrap_or_else(PoisonError::into_inner).insert(node, address);
        }
    }

    /// Remembers the hub's own port for a node.
    pub(crate) fn bound(&self, node: i32, port: u16) {
        self.ports.write().unwrap_or_else(PoisonError::into_inner).insert(node, port);
    }

    /// The hub's port for a node.
    pub(crate) fn port(&self, node: i32) -> Option<u16> {
        self.ports.read().unwrap_or_else(PoisonError::into_inner).get(&node).copied()
    }

    /// What clients are told instead of a node's address; `None`: do not tell of this node.
    pub(crate) fn advertise(&self, node: i32) -> Option<(String, u16)> {
        let port = self.port(node)?;
        let host = self.names.as_ref().map_or_else(|| self.advertised.clone(), |names| names.of(node));
        Some((host, port))
    }

    /// All nodes that clients may be told of.
    pub(crate) fn advertised(&self) -> Vec<(i32, String, u16)> {
        let nodes: Vec<i32> = self.ports.read().unwrap_or_else(PoisonError::into_inner).keys().copied().collect();
        let told = nodes.into_iter().filter_map(|node| self.advertise(node).map(|(host, port)| (node, host, port)));
        told.collect()
    }

    /// Where a node is.
    pub(crate) fn node(&self, node: i32) -> Option<Address> {
        self.nodes.read().unwrap_or_else(PoisonError::into_inner).get(&node).cloned()
    }

    /// Everywhere one may try for any broker: known nodes, then the configured addresses.
    pub(crate) fn anywhere(&self) -> Vec<Address> {
        let nodes = self.nodes.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<Address> = nodes.values().cloned().collect();
        all.extend(self.bootstrap.iter().filter(|address| !nodes.values().any(|node| node == *address)).cloned());
        all
    }

    /// Remembers what a topic is called; a topic made anew replaces the old one, and the old id stays known by its name.
    pub(crate) fn learn_topic(&self, name: &str, id: KafkaTopicId) {
        if id.0 == [0; 16] || name.is_empty() {
            return;
        }
        let known = self.topics.read().unwrap_or_else(PoisonError::into_inner).ids.get(name) == Some(&id);
        if known {
            return;
        }
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        if topics.names.len() >= MAX_TOPICS {
            *topics = Topics::default();
        }
        if let Some(old) = topics.ids.insert(name.to_owned(), id) {
            tracing::warn!(topic = name, "a topic was made anew under the same name");
            topics.names.remove(&old);
        }
        topics.names.insert(id, name.to_owned());
    }

    /// The name behind an id.
    pub(crate) fn topic_name(&self, id: KafkaTopicId) -> Option<String> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).names.get(&id).cloned()
    }

    /// The id that a name has now, if a Metadata answer told it.
    pub(crate) fn topic_id(&self, name: &str) -> Option<KafkaTopicId> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).ids.get(name).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_made_anew_takes_the_name_and_the_old_id_means_nothing() {
        let cluster = Cluster::new("hub".into(), None, vec![]);
        let (old, new) = (KafkaTopicId([1; 16]), KafkaTopicId([2; 16]));
        cluster.learn_topic("t", old);
        cluster.learn_topic("t", new);
        assert_eq!(cluster.topic_id("t"), Some(new));
        assert_eq!(cluster.topic_name(old), None);
        cluster.learn_topic("zero", KafkaTopicId([0; 16]));
        assert_eq!(cluster.topic_id("zero"), None);
    }

    #[test]
    fn only_nodes_with_a_port_are_told() {
        let cluster = Cluster::new("hub.example".into(), None, vec![Address { host: "b0".into(), port: 9092 }]);
        cluster.learn_node(1, Address { host: "b1".into(), port: 9092 });
        assert_eq!(cluster.advertise(1), None);
        cluster.bound(1, 9193);
        assert_eq!(cluster.advertise(1), Some(("hub.example".to_owned(), 9193)));
        assert_eq!(cluster.advertised(), [(1, "hub.example".to_owned(), 9193)]);
        assert_eq!(cluster.anywhere().len(), 2);
    }

    #[test]
    fn with_names_every_node_is_told_by_its_own() {
        let cluster = Cluster::new("unused".into(), Names::below("hub.example"), vec![]);
        assert_eq!(cluster.advertise(2), None);
        cluster.bound(2, 9192);
        assert_eq!(cluster.advertise(2), Some(("broker-2.hub.example".to_owned(), 9192)));
    }

    #[test]
    fn addresses() {
        assert_eq!(Address::parse("[::1]:9092"), Some(Address { host: "::1".into(), port: 9092 }));
        assert_eq!(Address::parse("host"), None);
        assert_eq!(Address::of("h", 70_000), None);
    }
}
