//! Everything Holdings decided, at one moment: what the authority signs and the services load.

use std::{collections::BTreeSet, fmt, sync::Arc};

use chrono::{DateTime, NaiveDate, Utc};
use jointuse::{
    CompanyId, GrantState, ItemId, KafkaTopicId, Kind, Login, Membership, PublicationId, PurposeId, SubscriptionId,
    Term, TopicName,
};
use serde::{Deserialize, Serialize};

use crate::cedar;

/// One numbered state of the policy. Refused as a whole when any field is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Grows with every snapshot; an older number never replaces a newer one.
    pub number: u64,
    /// When it was issued.
    pub issued_at: DateTime<Utc>,
    /// From then on nobody may decide by it.
    pub expires_at: DateTime<Utc>,
    /// When the last decision that changed it was made (for measuring how fast a revocation travels).
    pub changed_at: DateTime<Utc>,
    /// The rules in force.
    pub rules: RuleSet,
    /// All registered companies.
    pub companies: Vec<CompanyState>,
    /// All publications and subscriptions that are not history.
    pub grants: Vec<Grant>,
    /// All credentials of those grants.
    pub credentials: Vec<CredentialState>,
    /// The shared topics as they stand on the cluster.
    pub topics: Vec<TopicState>,
    /// Keys by which access tokens are verified.
    pub token_keys: Vec<TokenKey>,
}

/// Cedar text with its date. The Act changes; so do the rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSet {
    /// From which day (Asia/Tokyo) it is in force; also its name.
    pub effective_from: NaiveDate,
    /// Cedar schema.
    pub schema: String,
    /// Cedar policies, each with `@id`, `@says` and `@source`.
    pub text: String,
}

/// A company as the rules see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompanyState {
    /// Id.
    pub id: CompanyId,
    /// ISO 3166 alpha-2.
    pub country: String,
    /// Basis under Art. 28 for a company abroad.
    pub foreign_basis: Option<String>,
    /// State in the joint use.
    pub membership: Membership,
    /// The activated notice, if there is one.
    pub notice: Option<NoticeInForce>,
}

/// What an activated notice says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoticeInForce {
    /// Version, counted per company from 1.
    pub version: u32,
    /// From when on it may be relied on.
    pub effective_from: DateTime<Utc>,
    /// Items it names.
    pub items: BTreeSet<ItemId>,
    /// Purposes it names.
    pub purposes: BTreeSet<PurposeId>,
}

/// Publication or subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GrantKind {
    /// Permission to publish.
    Publication,
    /// Permission to read.
    Subscription,
}

/// Which grant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GrantId {
    /// A publication.
    Publication(PublicationId),
    /// A subscription.
    Subscription(SubscriptionId),
}

impl GrantId {
    /// Its kind.
    pub const fn kind(&self) -> GrantKind {
        match self {
            Self::Publication(_) => GrantKind::Publication,
            Self::Subscription(_) => GrantKind::Subscription,
        }
    }

    /// The slug alone.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Publication(id) => id.as_str(),
            Self::Subscription(id) => id.as_str(),
        }
    }
}

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Publication(id) => write!(f, "publication {id}"),
            Self::Subscription(id) => write!(f, "subscription {id}"),
        }
    }
}

/// A publication or subscription as the rules see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Which.
    pub id: GrantId,
    /// Whose.
    pub company: CompanyId,
    /// State.
    pub state: GrantState,
    /// Topics.
    pub topics: BTreeSet<TopicName>,
    /// Items.
    pub items: BTreeSet<ItemId>,
    /// The one purpose.
    pub purpose: PurposeId,
    /// Term.
    pub term: Term,
}

/// A credential and the grant it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialState {
    /// Kafka user and OAuth client id.
    pub login: Login,
    /// The one grant it belongs to.
    pub grant: GrantId,
    /// Whether it may be used.
    pub live: bool,
}

/// A shared topic as it stands on the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicState {
    /// Name.
    pub name: TopicName,
    /// What it carries.
    pub kind: Kind,
    /// Kafka's id of the topic that grants mean; absent until it was made.
    pub kafka_id: Option<KafkaTopicId>,
}

/// A public key that verifies access tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenKey {
    /// `kid` of the tokens.
    pub kid: String,
    /// Ed25519 public key, 32 bytes in base64url without padding (JWK `x`).
    pub x: String,
}

/// One rule, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// `@id`.
    pub id: String,
    /// `@says`: what is wrong when it denies.
    pub says: String,
    /// `@source`: article of the Act or section of the notice.
    pub source: String,
}

/// Why a snapshot cannot be loaded. Whoever gets this keeps deciding by the one before, until that expires.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The Cedar schema does not parse.
    #[error("the rules' schema does not parse: {0}")]
    Schema(String),
    /// The rules do not parse, or do not fit the schema.
    #[error("the rules do not hold against their schema: {0}")]
    Rules(String),
    /// A rule lacks an annotation, or two have one id.
    #[error("rule {0} must have one @id of its own, @says and @source")]
    Annotation(String),
}

/// A loaded snapshot: what [`decide`](crate::decide) decides by.
#[derive(Debug)]
pub struct Policy {
    snapshot: Snapshot,
    pub(crate) rules: Arc<cedar::Rules>,
}

impl Policy {
    /// Parses and validates the rules, strictly.
    ///
    /// # Errors
    /// When the rules or their schema do not hold.
    pub fn load(snapshot: Snapshot) -> Result<Self, LoadError> {
        let rules = Arc::new(cedar::Rules::load(&snapshot.rules)?);
        Ok(Self { snapshot, rules })
    }

    /// The same, beside a policy loaded before: rules whose text and schema are the same are not parsed and validated
    /// again, which is what loading costs (a millisecond, of the time that a revocation takes).
    ///
    /// # Errors
    /// As [`Policy::load`].
    pub fn load_after(snapshot: Snapshot, previous: &Self) -> Result<Self, LoadError> {
        if snapshot.rules == previous.snapshot.rules {
            return Ok(Self { snapshot, rules: Arc::clone(&previous.rules) });
        }
        Self::load(snapshot)
    }

    /// What it was loaded from.
    pub const fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Whether nobody may decide by it any more.
    pub fn expired(&self, at: DateTime<Utc>) -> bool {
        at >= self.snapshot.expires_at
    }

    /// All rules, in the order of their text.
    pub fn rules(&self) -> &[Rule] {
        self.rules.listing()
    }

    /// The company of that id.
    pub fn company(&self, id: &CompanyId) -> Option<&CompanyState> {
        self.snapshot.companies.iter().find(|c| &c.id == id)
    }

    /// Those who share data now.
    pub fn members(&self) -> impl Iterator<Item = &CompanyId> {
        let members = self.snapshot.companies.iter().filter(|company| company.membership == Membership::Active);
        members.map(|company| &company.id)
    }

    /// Registered companies that are no members now. What they shared before is for nobody to use: joint use is among
    /// those who have notified and published (APPI Art. 27(5)(iii)).
    pub fn outsiders(&self) -> impl Iterator<Item = &CompanyId> {
        let outside = self.snapshot.companies.iter().filter(|company| company.membership != Membership::Active);
        outside.map(|company| &company.id)
    }

    /// The grant of that id.
    pub fn grant(&self, id: &GrantId) -> Option<&Grant> {
        self.snapshot.grants.iter().find(|g| &g.id == id)
    }

    /// The credential of that login.
    pub fn credential(&self, login: &Login) -> Option<&CredentialState> {
        self.snapshot.credentials.iter().find(|c| &c.login == login)
    }

    /// The grant that a login belongs to.
    pub fn grant_of(&self, login: &Login) -> Option<&Grant> {
        self.grant(&self.credential(login)?.grant)
    }

    /// The topic of that name.
    pub fn topic(&self, name: &TopicName) -> Option<&TopicState> {
        self.snapshot.topics.iter().find(|t| &t.name == name)
    }
}
