//! Bodies of the authority's REST API. Times are RFC 3339 UTC. Errors are RFC 9457 problems.
//!
//! | call | body | answer |
//! |---|---|---|
//! | `POST /v1/sessions` | [`SignIn`] | [`Session`] |
//! | `GET /v1/sessions/current` | | [`Session`] without token |
//! | `POST /v1/companies`, `GET /v1/companies`, `GET /v1/companies/{id}` | [`NewCompany`] | [`Company`] |
//! | `POST /v1/companies/{id}/{suspend,resume,exit,end}` | [`Reason`] | [`Company`] |
//! | `POST /v1/companies/{id}/notices`, `GET …` | [`NewNotice`] | [`Notice`] |
//! | `PUT /v1/companies/{id}/notices/{version}/evidence?file_name=` | the file | [`Notice`] |
//! | `POST /v1/companies/{id}/notices/{version}/{notify,publish,check-evidence,activate,withdraw}` | [`Reason`] | [`Notice`] |
//! | `POST /v1/{publications,subscriptions}`, `GET …`, `GET …/{id}` | [`NewGrant`] | [`GrantView`] |
//! | `POST /v1/{publications,subscriptions}/{id}/{approve,decline,suspend,resume,revoke}` | [`Reason`] | [`GrantView`] |
//! | `POST /v1/{publications,subscriptions}/{id}/credentials` | | [`IssuedCredential`] |
//! | `GET /v1/subscriptions/{id}/client-config` | | [`crate::ClientConfig`] |
//! | `GET /v1/credentials` | | `[`[`Credential`]`]` |
//! | `POST /v1/credentials/{login}/rotate` | | [`IssuedCredential`] |
//! | `POST /v1/credentials/{login}/revoke` | [`Reason`] | [`Credential`] |
//! | `POST /v1/restrictions` | [`NewRestrictions`] | [`MadeRestrictions`] |
//! | `GET /v1/restrictions`, `GET /v1/restrictions/{id}` | | [`Restriction`] |
//! | `POST /v1/restrictions/{id}/lift` | [`Reason`] | [`Restriction`] |
//! | `GET /v1/restrictions/{id}/proof` | | [`ProofPass`] |
//! | `POST /v1/disclosures/questions` | [`NewDisclosureQuestion`] | [`DisclosurePass`] |
//! | `GET /v1/catalogue` | | [`jointuse::Catalogue`] |
//! | `GET /v1/policy` | | [`PolicyView`] |
//! | `POST /v1/policy/explain` | [`Explain`] | [`Explanation`] |
//! | `GET /v1/cluster/plan`, `POST /v1/cluster/apply` | | [`Plan`], [`Applied`] |
//! | `GET /v1/cluster/drift` | | `[`[`DriftReport`]`]` |
//! | `POST /v1/cluster/topics/{name}/accept` | [`Reason`] | the topic's name and Kafka id |
//! | `GET /v1/activity` | | `[`[`Activity`]`]`, newest first |
//! | `POST /oauth/token`, `GET /.well-known/jwks.json` | RFC 6749, RFC 7517 | |
//! | `/registry/…` | the Confluent Schema Registry surface | |

mod disclosing;
mod restricting;

use std::collections::BTreeSet;

pub use disclosing::{
    DisclosedAnswer, DisclosedRange, DisclosurePass, ErasedContact, KnownContact, NewDisclosureQuestion, PositionRun,
    Positions, RangesHolding, ReadPartition, Span,
};
pub use restricting::{
    AnswersWith, HistoryProof, HubProof, Lifted, MadeRestrictions, NewRestrictions, ProofPass, Restriction, Watermark,
};

use chrono::{DateTime, Utc};
use jointuse::{CompanyId, CorporateNumber, GrantState, ItemId, Login, Membership, OperatorName, PurposeId, TopicName};
use policy::{Action, GrantId, GrantKind, Rule};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an operator of Holdings may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Registers companies, drafts and activates notices, registers schemas, runs the cluster plan.
    Steward,
    /// Asks for and approves publications and subscriptions, issues and revokes credentials.
    AccessOfficer,
    /// Suspends companies and grants, restricts, erases; handles requests of principals (later).
    PrivacyOfficer,
    /// Reads everything, changes nothing.
    Auditor,
}

impl Role {
    /// The word used in APIs and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Steward => "steward",
            Self::AccessOfficer => "access-officer",
            Self::PrivacyOfficer => "privacy-officer",
            Self::Auditor => "auditor",
        }
    }
}

/// Signing in.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// Name.
    #[schema(value_type = String)]
    pub operator: OperatorName,
    /// Password.
    pub password: String,
}

impl std::fmt::Debug for SignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SignIn({})", self.operator)
    }
}

/// Signed in.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Who.
    #[schema(value_type = String)]
    pub operator: OperatorName,
    /// What they may do.
    pub roles: BTreeSet<Role>,
    /// Bearer token; empty when asked about the present session.
    #[serde(default)]
    pub token: String,
    /// Until when.
    pub expires_at: DateTime<Utc>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({}, until {})", self.operator, self.expires_at)
    }
}

/// Why something is done; kept with the activity.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// One sentence. Required to decline, suspend, revoke and withdraw.
    #[serde(default)]
    pub reason: String,
}

/// Registering a group company.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCompany {
    /// Slug.
    #[schema(value_type = String)]
    pub id: CompanyId,
    /// 13 digits, the first checks the rest.
    #[schema(value_type = String)]
    pub corporate_number: CorporateNumber,
    /// Name in Japanese.
    pub name_ja: String,
    /// Name in English.
    pub name_en: String,
    /// ISO 3166 alpha-2.
    #[serde(default = "japan")]
    pub country: String,
    /// Basis under Art. 28 for a company abroad: `consent`, `equivalent-country` or `conforming-system`.
    #[serde(default)]
    pub foreign_basis: Option<String>,
}

fn japan() -> String {
    "JP".into()
}

/// A group company.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Company {
    /// What was registered.
    #[serde(flatten)]
    pub registered: NewCompany,
    /// State in the joint use.
    #[schema(value_type = String)]
    pub membership: Membership,
    /// Version of the notice in force.
    pub notice_in_force: Option<u32>,
    /// When.
    pub registered_at: DateTime<Utc>,
    /// By whom.
    #[schema(value_type = String)]
    pub registered_by: OperatorName,
}

/// The party responsible for the management of the shared information.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Manager {
    /// Name.
    pub name: String,
    /// Address.
    pub address: String,
    /// Representative, when the notice names one.
    #[serde(default)]
    pub representative: Option<String>,
}

impl Manager {
    /// The manager of the group's joint use, as its notice has it.
    pub fn holdings() -> Self {
        Self {
            name: "PERSOL HOLDINGS CO., LTD.".into(),
            address: "2-1-1 Yoyogi, Shibuya-ku, Tokyo 151-0053".into(),
            representative: None,
        }
    }
}

/// Drafting a notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewNotice {
    /// Where it is (to be) published.
    pub url: String,
    /// Items.
    #[schema(value_type = Vec<String>)]
    pub items: BTreeSet<ItemId>,
    /// The scope of users, as worded.
    pub scope_rule: String,
    /// Purposes.
    #[schema(value_type = Vec<String>)]
    pub purposes: BTreeSet<PurposeId>,
    /// Party responsible.
    pub manager: Manager,
    /// When it was, or is to be, published.
    pub published_at: DateTime<Utc>,
    /// From when on it may be relied on; not before it is published.
    pub effective_from: DateTime<Utc>,
}

/// State of one version of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeState {
    /// Being written.
    Drafted,
    /// Notified.
    Notified,
    /// Published.
    Published,
    /// Evidence compared.
    EvidenceChecked,
    /// In force.
    Active,
    /// A newer version is in force.
    Superseded,
    /// Withdrawn.
    Withdrawn,
}

impl NoticeState {
    /// The word used in APIs and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drafted => "drafted",
            Self::Notified => "notified",
            Self::Published => "published",
            Self::EvidenceChecked => "evidence-checked",
            Self::Active => "active",
            Self::Superseded => "superseded",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// The file that shows that the notice was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Evidence {
    /// Name of the file.
    pub file_name: String,
    /// SHA-256, 64 hexadecimal digits.
    pub sha256: String,
    /// Size in bytes.
    pub bytes: u64,
    /// By whom.
    #[schema(value_type = String)]
    pub recorded_by: OperatorName,
    /// When.
    pub recorded_at: DateTime<Utc>,
}

/// One version of a company's notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Notice {
    /// Whose.
    #[schema(value_type = String)]
    pub company: CompanyId,
    /// Counted per company from 1.
    pub version: u32,
    /// State.
    pub state: NoticeState,
    /// What it says.
    #[serde(flatten)]
    pub text: NewNotice,
    /// Evidence, once recorded.
    pub evidence: Option<Evidence>,
    /// Who drafted it.
    #[schema(value_type = String)]
    pub drafted_by: OperatorName,
    /// Who activated it: never who drafted it.
    #[schema(value_type = Option<String>)]
    pub activated_by: Option<OperatorName>,
}

/// Asking for a publication or a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGrant {
    /// Slug.
    pub id: String,
    /// Whose.
    #[schema(value_type = String)]
    pub company: CompanyId,
    /// Topics.
    #[schema(value_type = Vec<String>)]
    pub topics: BTreeSet<TopicName>,
    /// Items.
    #[schema(value_type = Vec<String>)]
    pub items: BTreeSet<ItemId>,
    /// The one purpose.
    #[schema(value_type = String)]
    pub purpose: PurposeId,
    /// Term: first instant.
    pub from: DateTime<Utc>,
    /// Term: first instant after it.
    pub until: DateTime<Utc>,
}

/// A publication or a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GrantView {
    /// Which of the two.
    #[schema(value_type = String)]
    pub kind: GrantKind,
    /// What was asked for.
    #[serde(flatten)]
    pub asked: NewGrant,
    /// State.
    #[schema(value_type = String)]
    pub state: GrantState,
    /// Who asked.
    #[schema(value_type = String)]
    pub requested_by: OperatorName,
    /// When.
    pub requested_at: DateTime<Utc>,
    /// Who approved or declined: never who asked.
    #[schema(value_type = Option<String>)]
    pub decided_by: Option<OperatorName>,
    /// When.
    pub decided_at: Option<DateTime<Utc>>,
    /// Reason given with the last step.
    pub reason: String,
}

/// A credential just issued. The secret is shown this once and kept nowhere.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct IssuedCredential {
    /// SCRAM user name and OAuth client id.
    #[schema(value_type = String)]
    pub login: Login,
    /// SCRAM password and OAuth client secret.
    pub secret: String,
    /// The grant it belongs to.
    #[schema(value_type = Object)]
    pub grant: GrantId,
    /// Ready configuration, for a subscription.
    pub client_config: Option<crate::ClientConfig>,
}

impl std::fmt::Debug for IssuedCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IssuedCredential({}, secret not shown)", self.login)
    }
}

/// A credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Credential {
    /// Login.
    #[schema(value_type = String)]
    pub login: Login,
    /// The grant it belongs to.
    #[schema(value_type = Object)]
    pub grant: GrantId,
    /// Whether it may be used.
    pub live: bool,
    /// Who issued it.
    #[schema(value_type = String)]
    pub issued_by: OperatorName,
    /// When.
    pub issued_at: DateTime<Utc>,
    /// When it was revoked or replaced.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// The policy in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyView {
    /// Number of the newest snapshot.
    pub number: u64,
    /// When it was issued.
    pub issued_at: DateTime<Utc>,
    /// When it expires.
    pub expires_at: DateTime<Utc>,
    /// Rules in force, by their ids.
    #[schema(value_type = Vec<Object>)]
    pub rules: Vec<Rule>,
}

/// Asking why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Explain {
    /// Whose login.
    #[schema(value_type = String)]
    pub login: Login,
    /// What: `publish`, `deliver` or `read-history`.
    #[schema(value_type = String)]
    pub action: Action,
    /// On which topic.
    #[schema(value_type = String)]
    pub topic: TopicName,
}

/// The decision and the rules that made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// Whether it is allowed now.
    pub allowed: bool,
    /// Id of the decision.
    pub decision: String,
    /// Number of the snapshot decided by.
    pub snapshot: u64,
    /// The rules that decided: the one that permits, or all that were not met.
    #[schema(value_type = Vec<Object>)]
    pub rules: Vec<Rule>,
    /// The grant that the login belongs to.
    #[schema(value_type = Option<Object>)]
    pub grant: Option<GrantId>,
    /// Its company.
    #[schema(value_type = Option<String>)]
    pub company: Option<CompanyId>,
    /// Its purpose.
    #[schema(value_type = Option<String>)]
    pub purpose: Option<PurposeId>,
    /// Version of the notice it rests on.
    pub notice_version: Option<u32>,
}

/// What a change does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// Makes something.
    Create,
    /// Alters something.
    Alter,
    /// Removes something.
    Delete,
}

/// One difference between the approved state and the cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// What is done.
    pub change: ChangeKind,
    /// To what: `topic`, `topic-config`, `login`, `acl`.
    pub resource: String,
    /// Its name.
    pub name: String,
    /// In words.
    pub detail: String,
}

/// What `apply` would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    /// Differences, in the order in which they would be mended; empty when the cluster is as approved.
    pub changes: Vec<Change>,
}

/// What `apply` did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Applied {
    /// Done.
    pub done: Vec<Change>,
    /// Not done, with the broker's reason.
    pub failed: Vec<(Change, String)>,
}

/// Drift that the reconciler found and mended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DriftReport {
    /// When it was found.
    pub found_at: DateTime<Utc>,
    /// What was done about it.
    pub applied: Applied,
}

/// One step of an operator, or of the authority itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Activity {
    /// Grows.
    pub id: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// Who: an operator, or `authority`.
    pub operator: String,
    /// What, e.g. `subscription.approve`.
    pub action: String,
    /// To what.
    pub subject: String,
    /// Why.
    pub reason: String,
}

/// Answer of `POST /oauth/token` (RFC 6749 section 5.1).
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct TokenAnswer {
    /// JWT.
    pub access_token: String,
    /// `Bearer`.
    pub token_type: String,
    /// Seconds.
    pub expires_in: u64,
    /// Granted scope: `intake` or `history`.
    pub scope: String,
}

impl std::fmt::Debug for TokenAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenAnswer({}, {} s)", self.scope, self.expires_in)
    }
}
