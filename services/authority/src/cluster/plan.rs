//! The difference between what should be and what is, as steps.

use std::collections::{BTreeMap, BTreeSet};

use authority_api::types::{Change, ChangeKind};
use bus::admin::{Acl, ScramCredential};
use uuid::Uuid;

use super::wanted::{Wanted, WantedTopic};

/// What is on the cluster, of ours.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    pub(super) topics: BTreeMap<String, FoundTopic>,
    /// Logins with the iterations of their credentials; brokers tell no more.
    pub(super) logins: BTreeMap<String, u32>,
    pub(super) acls: BTreeSet<Acl>,
    /// Not ours, and reaching our topics.
    pub(super) wide: BTreeSet<Acl>,
}

/// A topic as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FoundTopic {
    pub(super) id: Uuid,
    pub(super) partitions: i32,
    pub(super) configs: BTreeMap<String, String>,
}

/// Settings that tools put on a topic for a while when they move its replicas.
const PASSING: [&str; 2] = ["leader.replication.throttled.replicas", "follower.replication.throttled.replicas"];

/// One step. They are taken in the order of this enum: what takes rights away goes first, so that nothing that fails
/// afterwards can leave them; an ACL goes before its login; what is made is made before anybody is let in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    RemoveAcl(Acl),
    RemoveLogin(String),
    CreateTopic(String),
    AddPartitions { topic: String, to: i32 },
    SetConfig { topic: String, key: String, to: Option<String>, was: Option<String> },
    WriteLogin { login: String, why: Why },
    AddAcl(Acl),
}

/// Why a credential is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Why {
    /// The cluster does not have it.
    Missing,
    /// It has other iterations than the one that was written.
    Altered,
    /// It was not written since the authority started: the brokers do not tell whether it is the right one.
    Unsure,
    /// The approved one changed.
    Replaced,
}

/// The steps from `found` to `wanted`. `written` are the credentials that this process wrote.
pub(super) fn plan(wanted: &Wanted, found: &Found, written: &BTreeMap<String, ScramCredential>) -> BTreeSet<Step> {
    let mut steps = BTreeSet::new();
    steps.extend(found.acls.difference(&wanted.acls).cloned().map(Step::RemoveAcl));
    steps.extend(wanted.acls.difference(&found.acls).cloned().map(Step::AddAcl));
    let logins = found.logins.keys().filter(|login| !wanted.logins.contains_key(*login));
    steps.extend(logins.cloned().map(Step::RemoveLogin));
    for (login, credential) in &wanted.logins {
        let why = match (found.logins.get(login), written.get(login)) {
            (None, _) => Why::Missing,
            (Some(_), Some(written)) if written != credential => Why::Replaced,
            (Some(iterations), _) if *iterations != credential.iterations => Why::Altered,
            (Some(_), None) => Why::Unsure,
            (Some(_), Some(_)) => continue,
        };
        steps.insert(Step::WriteLogin { login: login.clone(), why });
    }
    for (name, topic) in &wanted.topics {
        match found.topics.get(name) {
            None => {
                steps.insert(Step::CreateTopic(name.clone()));
            }
            Some(found) => alter(name, topic, found, &mut steps),
        }
    }
    steps
}

fn alter(name: &str, wanted: &WantedTopic, found: &FoundTopic, steps: &mut BTreeSet<Step>) {
    if found.partitions < wanted.partitions {
        steps.insert(Step::AddPartitions { topic: name.to_owned(), to: wanted.partitions });
    }
    let mut set = |key: &String, to: Option<&String>, was: Option<&String>| {
        steps.insert(Step::SetConfig { topic: name.to_owned(), key: key.clone(), to: to.cloned(), was: was.cloned() });
    };
    for (key, value) in &wanted.configs {
        let was = found.configs.get(key);
        if was != Some(value) {
            set(key, Some(value), was);
        }
    }
    for (key, value) in &found.configs {
        if !wanted.configs.contains_key(key) && !PASSING.contains(&key.as_str()) {
            set(key, None, Some(value));
        }
    }
}

impl Step {
    /// For people and programs.
    pub(super) fn change(&self) -> Change {
        let (change, resource, name, detail) = match self {
            Self::RemoveAcl(acl) => (ChangeKind::Delete, "acl", acl.principal.clone(), acl.to_string()),
            Self::AddAcl(acl) => (ChangeKind::Create, "acl", acl.principal.clone(), acl.to_string()),
            Self::RemoveLogin(login) => {
                (ChangeKind::Delete, "login", login.clone(), "belongs to no live credential".to_owned())
            }
            Self::WriteLogin { login, why } => {
                let (change, detail) = match why {
                    Why::Missing => (ChangeKind::Create, "has no SCRAM-SHA-512 credential"),
                    Why::Altered => (ChangeKind::Alter, "has another credential than the one that was written"),
                    Why::Unsure => (ChangeKind::Alter, "is written once after every start of the authority"),
                    Why::Replaced => (ChangeKind::Alter, "has a new password"),
                };
                (change, "login", login.clone(), detail.to_owned())
            }
            Self::CreateTopic(name) => (ChangeKind::Create, "topic", name.clone(), "does not exist".to_owned()),
            Self::AddPartitions { topic, to } => {
                (ChangeKind::Alter, "topic", topic.clone(), format!("gets partitions, {to} in all"))
            }
            Self::SetConfig { topic, key, to, was } => {
                let words = |value: &Option<String>| value.clone().unwrap_or_else(|| "the default".to_owned());
                let detail = format!("{key}: {} instead of {}", words(to), words(was));
                (ChangeKind::Alter, "topic-config", topic.clone(), detail)
            }
        };
        Change { change, resource: resource.to_owned(), name, detail }
    }

    /// Whether the step mends what somebody did to the cluster, rather than following a change of the approved state:
    /// it restores what we left there (`facts`), or removes what we did not put there.
    pub(super) fn is_drift(&self, facts: &BTreeSet<String>) -> bool {
        match self {
            Self::RemoveAcl(acl) => !facts.contains(&acl_fact(acl)),
            Self::AddAcl(acl) => facts.contains(&acl_fact(acl)),
            Self::RemoveLogin(login) => !facts.contains(&login_fact(login)),
            Self::WriteLogin { login, why: Why::Missing | Why::Altered } => facts.contains(&login_fact(login)),
            Self::CreateTopic(name) => facts.contains(&topic_fact(name)),
            // The catalogue never takes partitions away, and Kafka cannot.
            Self::WriteLogin { .. } | Self::AddPartitions { .. } => false,
            Self::SetConfig { topic, key, to, .. } => match to {
                Some(value) => facts.contains(&config_fact(topic, key, value)),
                None => !facts.iter().any(|fact| fact.starts_with(&config_fact(topic, key, ""))),
            },
        }
    }
}

/// The wanted state in words, one sentence a thing.
pub(super) fn facts(wanted: &Wanted) -> BTreeSet<String> {
    let mut facts: BTreeSet<String> = wanted.acls.iter().map(acl_fact).collect();
    facts.extend(wanted.logins.keys().map(|login| login_fact(login)));
    for (name, topic) in &wanted.topics {
        facts.insert(topic_fact(name));
        facts.extend(topic.configs.iter().map(|(key, value)| config_fact(name, key, value)));
    }
    facts
}

/// What is on the cluster after some steps failed: what they should have made is not, what they should have removed is,
/// if we had put it there.
pub(super) fn facts_left<'a>(
    wanted: &Wanted,
    before: &BTreeSet<String>,
    failed: impl Iterator<Item = &'a Step>,
) -> BTreeSet<String> {
    let mut facts = facts(wanted);
    for step in failed {
        let (fact, made) = match step {
            Step::RemoveAcl(acl) => (acl_fact(acl), false),
            Step::AddAcl(acl) => (acl_fact(acl), true),
            Step::RemoveLogin(login) => (login_fact(login), false),
            Step::WriteLogin { login, .. } => (login_fact(login), true),
            Step::CreateTopic(name) => (topic_fact(name), true),
            Step::SetConfig { topic, key, to: Some(value), .. } => (config_fact(topic, key, value), true),
            Step::SetConfig { topic, key, to: None, was } => {
                (config_fact(topic, key, was.as_deref().unwrap_or_default()), false)
            }
            Step::AddPartitions { .. } => continue,
        };
        if made && !before.contains(&fact) {
            facts.remove(&fact);
        } else if !made && before.contains(&fact) {
            facts.insert(fact);
        }
    }
    facts
}

fn acl_fact(acl: &Acl) -> String {
    format!("acl {acl}")
}

fn login_fact(login: &str) -> String {
    format!("login {login}")
}

fn topic_fact(name: &str) -> String {
    format!("topic {name}")
}

fn config_fact(topic: &str, key: &str, value: &str) -> String {
    format!("config {topic} {key}={value}")
}

#[cfg(test)]
mod tests;
