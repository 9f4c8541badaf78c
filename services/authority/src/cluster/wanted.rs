//! What should be on the cluster.

use std::collections::{BTreeMap, BTreeSet};

use bus::admin::{Acl, Operation, Pattern, ResourceType, ScramCredential};
use chrono::{DateTime, Utc};
use jointuse::{Catalogue, Cleanup, Login};
use policy::{Action, GrantId, Policy, Request};

use crate::db::credentials::Verifier;

/// The approved state, as it looks on a cluster.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    pub(super) topics: BTreeMap<String, WantedTopic>,
    pub(super) logins: BTreeMap<String, ScramCredential>,
    pub(super) acls: BTreeSet<Acl>,
}

/// A topic as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WantedTopic {
    pub(super) partitions: i32,
    pub(super) replication: i16,
    /// All that is set on the topic itself.
    pub(super) configs: BTreeMap<String, String>,
}

/// A live credential and its grant.
#[derive(Debug, Clone)]
pub(super) struct LiveCredential {
    pub(super) login: Login,
    pub(super) grant: GrantId,
    pub(super) verifier: Verifier,
}

/// What the wanted state is made from.
#[derive(Debug)]
pub(super) struct Sources<'a> {
    pub(super) catalogue: &'a Catalogue,
    pub(super) policy: &'a Policy,
    pub(super) credentials: &'a [LiveCredential],
    /// The services' credentials, by login.
    pub(super) services: &'a BTreeMap<String, ScramCredential>,
    pub(super) policy_topic: &'a str,
    pub(super) restriction_topic: &'a str,
    pub(super) persons_topic: &'a str,
    pub(super) audit_topic: &'a str,
    pub(super) replication: i16,
    pub(super) at: DateTime<Utc>,
}

impl Wanted {
    /// Works it out. Which login may read which topic is asked of the policy itself, so that the brokers' wall and the
    /// hub's stand in the same place.
    pub(super) fn new(sources: &Sources<'_>) -> Self {
        let mut wanted = Self::default();
        wanted.topics(sources);
        wanted.logins = sources.services.clone();
        for LiveCredential { login, verifier, .. } in sources.credentials {
            let credential = ScramCredential {
                login: login.to_string(),
                iterations: verifier.iterations,
                salt: verifier.salt.clone(),
                salted_password: verifier.salted_password.clone(),
            };
            wanted.logins.insert(login.to_string(), credential);
        }
        wanted.services(sources);
        for credential in sources.credentials {
            wanted.subscriber(sources, credential);
        }
        wanted
    }

    fn topics(&mut self, sources: &Sources<'_>) {
        for topic in &sources.catalogue.topics {
            let configs = match topic.cleanup {
                Cleanup::Compact => configs(&[("cleanup.policy", "compact")]),
                Cleanup::Delete { retention_days } => {
                    let milliseconds = u64::from(retention_days) * 86_400_000;
                    configs(&[("cleanup.policy", "delete"), ("retention.ms", &milliseconds.to_string())])
                }
            };
            let wanted = WantedTopic { partitions: topic.partitions, replication: sources.replication, configs };
            self.topics.insert(topic.name.to_string(), wanted);
        }
        // A snapshot every few seconds, of which the newest alone matters, read from the beginning at every start: small
        // segments, compacted eagerly. A snapshot grows with the number of grants and may be megabytes.
        let configs = configs(&[
            ("cleanup.policy", "compact"),
            ("max.message.bytes", "16777216"),
            ("segment.bytes", "16777216"),
            ("segment.ms", "600000"),
            ("min.cleanable.dirty.ratio", "0.01"),
            ("delete.retention.ms", "60000"),
        ]);
        // The stop list is as small, or a few hundred megabytes, and read from the beginning as well.
        for topic in [sources.policy_topic, sources.restriction_topic, sources.persons_topic] {
            let (replication, configs) = (sources.replication, configs.clone());
            self.topics.insert(topic.to_owned(), WantedTopic { partitions: 1, replication, configs });
        }
        // Leaves on their way into the audit log. One partition: each ledger's seals stay in their order.
        let configs = self::configs(&[("cleanup.policy", "delete"), ("retention.ms", "2592000000")]);
        let wanted = WantedTopic { partitions: 1, replication: sources.replication, configs };
        self.topics.insert(sources.audit_topic.to_owned(), wanted);
    }

    /// Each service may do what its work takes, and nothing more.
    fn services(&mut self, sources: &Sources<'_>) {
        use Operation::{Describe, IdempotentWrite, Read, Write};
        for login in ["ju-hub", "ju-intake", "ju-history"] {
            self.allow(login, &[Read, Describe], sources.policy_topic);
            // A reader without group still looks for the coordinator of one, for librdkafka wants a name: its login's own.
            self.acls.insert(Acl::allow(login, Describe, ResourceType::Group, Pattern::Literal, login));
        }
        let cluster =
            |login, operation| Acl::allow(login, operation, ResourceType::Cluster, Pattern::Literal, "kafka-cluster");
        // Whose records may not leave.
        for login in ["ju-hub", "ju-history"] {
            self.allow(login, &[Read, Describe], sources.restriction_topic);
            self.allow(login, &[Read, Describe], sources.persons_topic);
        }
        // It alone knows who is one person.
        self.allow("ju-history", &[Write], sources.persons_topic);
        // The hub learns where the brokers are, and which topics there are; clients' own logins do the reading.
        self.acls.insert(cluster("ju-hub", Describe));
        self.acls.insert(cluster("ju-intake", IdempotentWrite));
        for login in ["ju-hub", "ju-history"] {
            self.allow(login, &[Write, Describe], sources.audit_topic);
            self.acls.insert(cluster(login, IdempotentWrite));
        }
        for topic in &sources.catalogue.topics {
            self.allow("ju-hub", &[Describe], topic.name.as_str());
            self.allow("ju-intake", &[Write, Describe], topic.name.as_str());
            self.allow("ju-history", &[Read, Describe], topic.name.as_str());
        }
        // Its own group, should it ever share its work among several instances.
        let group = Acl::allow("ju-history", Read, ResourceType::Group, Pattern::Literal, "ju-history");
        self.acls.insert(group);
    }

    /// A subscription's login reads the topics that the policy lets it read now, in its own groups. A publication's
    /// login has no ACL: it publishes through intake.
    fn subscriber(&mut self, sources: &Sources<'_>, credential: &LiveCredential) {
        let GrantId::Subscription(subscription) = &credential.grant else { return };
        let login = credential.login.as_str();
        let mut reads = false;
        for topic in &sources.catalogue.topics {
            let request = Request {
                login: &credential.login,
                action: Action::Deliver,
                topic: &topic.name,
                topic_id: None,
                at: sources.at,
            };
            if policy::decide(&request, sources.policy).is_ok() {
                self.allow(login, &[Operation::Read, Operation::Describe], topic.name.as_str());
                reads = true;
            }
        }
        if reads {
            let groups = format!("{}{subscription}.", super::scope::GROUPS);
            self.acls.insert(Acl::allow(login, Operation::Read, ResourceType::Group, Pattern::Prefixed, groups));
        }
    }

    fn allow(&mut self, login: &str, operations: &[Operation], topic: &str) {
        for operation in operations {
            self.acls.insert(Acl::allow(login, *operation, ResourceType::Topic, Pattern::Literal, topic));
        }
    }
}

fn configs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}
