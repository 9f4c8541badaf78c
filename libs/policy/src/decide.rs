//! The decision.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use jointuse::{CompanyId, ItemId, KafkaTopicId, Login, PurposeId, TopicName};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    cedar::Question,
    snapshot::{Grant, GrantId, Policy, Rule},
};

/// What one wants to do with a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Publish records.
    Publish,
    /// Have records delivered by the hub.
    Deliver,
    /// Read unified histories.
    ReadHistory,
}

impl Action {
    /// The name in the rules.
    const fn cedar(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Deliver => "deliver",
            Self::ReadHistory => "readHistory",
        }
    }
}

/// A question to the policy.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Who: an authenticated login.
    pub login: &'a Login,
    /// What.
    pub action: Action,
    /// On which topic.
    pub topic: &'a TopicName,
    /// Kafka's id of the topic as the asker sees it, when it knows; must then be that of the snapshot.
    pub topic_id: Option<KafkaTopicId>,
    /// Now.
    pub at: DateTime<Utc>,
}

/// The right to do one thing with one topic, until [`valid_until`](Permit::valid_until). Only [`decide`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    decision: String,
    login: Login,
    action: Action,
    topic: TopicName,
    grant: GrantId,
    company: CompanyId,
    purpose: PurposeId,
    items: BTreeSet<ItemId>,
    notice_version: u32,
    snapshot: u64,
    rules: Vec<Rule>,
    valid_until: DateTime<Utc>,
}

impl Permit {
    /// Id of the decision: the same question under the same snapshot has the same id (32 hexadecimal digits).
    pub fn decision(&self) -> &str {
        &self.decision
    }
    /// Who.
    pub const fn login(&self) -> &Login {
        &self.login
    }
    /// What.
    pub const fn action(&self) -> Action {
        self.action
    }
    /// On which topic.
    pub const fn topic(&self) -> &TopicName {
        &self.topic
    }
    /// Under which grant.
    pub const fn grant(&self) -> &GrantId {
        &self.grant
    }
    /// Of which company.
    pub const fn company(&self) -> &CompanyId {
        &self.company
    }
    /// For which purpose.
    pub const fn purpose(&self) -> &PurposeId {
        &self.purpose
    }
    /// Which items: those of the grant that the notice in force names too.
    pub const fn items(&self) -> &BTreeSet<ItemId> {
        &self.items
    }
    /// Version of the company's notice.
    pub const fn notice_version(&self) -> u32 {
        self.notice_version
    }
    /// Number of the snapshot decided by.
    pub const fn snapshot(&self) -> u64 {
        self.snapshot
    }
    /// The rules that made it.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
    /// Ask again from then on, or when a newer snapshot is in force.
    pub const fn valid_until(&self) -> DateTime<Utc> {
        self.valid_until
    }
}

/// A refusal, with the rules that were not met.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("refused by {}", self.rule_ids().join(", "))]
pub struct Denial {
    /// Id of the decision, as of a permit.
    pub decision: String,
    /// Number of the snapshot decided by.
    pub snapshot: u64,
    /// Rules not met; never empty.
    pub rules: Vec<Rule>,
}

impl Denial {
    /// Ids of the rules not met.
    pub fn rule_ids(&self) -> Vec<&str> {
        self.rules.iter().map(|rule| rule.id.as_str()).collect()
    }

    /// One sentence for people.
    pub fn reason(&self) -> String {
        self.rules.iter().map(|rule| rule.says.as_str()).collect::<Vec<_>>().join("; ")
    }
}

/// Decides one question by the policy in force.
///
/// # Errors
/// A [`Denial`] when the policy expired, the login or topic is unknown, or a rule is not met.
pub fn decide(request: &Request<'_>, policy: &Policy) -> Result<Permit, Denial> {
    let snapshot = policy.snapshot();
    let decision = decision_id(snapshot.number, request.login.as_str(), request.action.cedar(), request.topic);
    let refuse = |id: &str, says: &str| Denial {
        decision: decision.clone(),
        snapshot: snapshot.number,
        rules: vec![Rule { id: id.into(), says: says.into(), source: "fail closed".into() }],
    };
    if policy.expired(request.at) {
        return Err(refuse("policy-expired", "the policy has expired and no newer one arrived: nothing is allowed"));
    }
    let Some(credential) = policy.credential(request.login) else {
        return Err(refuse("login-known", "the login is no credential of a publication or subscription"));
    };
    let Some(grant) = policy.grant(&credential.grant) else {
        return Err(refuse("grant-known", "the credential's publication or subscription is not in the policy"));
    };
    let Some(topic) = policy.topic(request.topic) else {
        return Err(refuse("topic-known", "the topic is none of the shared ones"));
    };
    let same_topic = match (request.topic_id, topic.kafka_id) {
        (Some(seen), Some(granted)) => seen == granted,
        (Some(_), None) => false,
        (None, _) => true,
    };
    let credential = if credential.live { "live" } else { "revoked" };
    judge(policy, grant, request.action.cedar(), request.topic, request.at, credential, same_topic, &decision).map(
        |(rules, company_notice)| Permit {
            decision: decision.clone(),
            login: request.login.clone(),
            action: request.action,
            topic: request.topic.clone(),
            grant: grant.id.clone(),
            company: grant.company.clone(),
            purpose: grant.purpose.clone(),
            items: grant.items.clone(),
            notice_version: company_notice,
            snapshot: snapshot.number,
            rules,
            valid_until: snapshot.expires_at.min(grant.term.until),
        },
    )
}

/// Decides whether `grant`, not yet approved, may be granted at all: for every topic it names.
///
/// # Errors
/// A [`Denial`] with the rules not met, of the first topic for which one is not.
pub fn decide_request(grant: &Grant, at: DateTime<Utc>, policy: &Policy) -> Result<(), Denial> {
    let number = policy.snapshot().number;
    let decision = |topic: &str| decision_id(number, &grant.id.to_string(), "request", topic);
    let refuse = |id: &str, says: &str| {
        Err(Denial {
            decision: decision(""),
            snapshot: number,
            rules: vec![Rule { id: id.into(), says: says.into(), source: "fail closed".into() }],
        })
    };
    if policy.expired(at) {
        return refuse("policy-expired", "the policy has expired and no newer one arrived: nothing is allowed");
    }
    if grant.topics.is_empty() {
        return refuse("topic-known", "the grant names no topic");
    }
    for topic in &grant.topics {
        if policy.topic(topic).is_none() {
            return refuse("topic-known", "the grant names a topic that is none of the shared ones");
        }
        judge(policy, grant, "request", topic, at, "none", true, &decision(topic.as_str()))?;
    }
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "one call, private, all of different types")]
fn judge(
    policy: &Policy,
    grant: &Grant,
    action: &'static str,
    topic: &TopicName,
    at: DateTime<Utc>,
    credential: &'static str,
    same_topic: bool,
    decision: &str,
) -> Result<(Vec<Rule>, u32), Denial> {
    let denial = |rules| Denial { decision: decision.to_owned(), snapshot: policy.snapshot().number, rules };
    let Some(company) = policy.company(&grant.company) else {
        return Err(denial(vec![Rule {
            id: "company-known".into(),
            says: "the company is not registered".into(),
            source: "fail closed".into(),
        }]));
    };
    let verdict = policy.rules.answer(&Question {
        company,
        grant,
        action,
        topic: topic.as_str(),
        at_ms: at.timestamp_millis(),
        credential,
        same_topic,
    });
    match (&company.notice, verdict.allowed) {
        (Some(notice), true) => Ok((verdict.rules, notice.version)),
        // No rule set may let a company without a notice in: a permit must name the notice it rests on.
        (None, true) => Err(denial(vec![Rule {
            id: "notice-in-force".into(),
            says: "the company has no notice in force".into(),
            source: "APPI Art. 27(5)(iii)".into(),
        }])),
        (_, false) => Err(denial(verdict.rules)),
    }
}

fn decision_id(snapshot: u64, who: &str, action: &str, topic: impl AsRef<str>) -> String {
    let mut hash = Sha256::new();
    hash.update(snapshot.to_be_bytes());
    for part in [who, action, topic.as_ref()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex::encode(hash.finalize().get(..16).unwrap_or_default())
}

#[cfg(test)]
mod tests;
