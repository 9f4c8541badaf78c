//! Bodies of the question who received a person's data: asked at the authority, answered by history and the hub.
//!
//! The authority records the question and gives a pass. With it history tells where the records of the contacts stand and
//! which of its own answers held them; the hub tells which ranges that it delivered hold such places.

use chrono::{DateTime, Utc};
use jointuse::ContactId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Whose data the question is about: contacts, or a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDisclosureQuestion {
    /// Contact ids, at most 100.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub contacts: Vec<ContactId>,
    /// A person of history's: all of its contacts, whoever shares them, and those that were erased as this person's.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub person: Option<Uuid>,
    /// Why, without anything personal: a request's number, say.
    pub reason: String,
}

/// The right to ask history and the hub for five minutes, and what the authority itself knows.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct DisclosurePass {
    /// The question's number in the record of activities.
    #[schema(value_type = String)]
    pub question: Uuid,
    /// Erasures of these contacts, or of contacts as this person's.
    pub erased: Vec<ErasedContact>,
    /// For history's and the hub's `/v1/disclosures…`, as a Bearer token.
    pub token: String,
}

impl std::fmt::Debug for DisclosurePass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DisclosurePass({})", self.question)
    }
}

/// A contact that was erased, or is being erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErasedContact {
    /// Which.
    #[schema(value_type = String)]
    pub contact: ContactId,
    /// By which erasure.
    #[schema(value_type = String)]
    pub erasure: Uuid,
    /// When it was asked for.
    pub asked_at: DateTime<Utc>,
    /// Since when nothing of it leaves any more; absent while that is not certain.
    pub heard_at: Option<DateTime<Utc>>,
}

/// Where records of contacts stand: history's answer to `GET /v1/disclosures/positions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Positions {
    /// The contacts that were asked for, each once.
    pub contacts: Vec<KnownContact>,
    /// Records of theirs by contact, topic and partition.
    pub runs: Vec<PositionRun>,
    /// How far history has read each partition.
    pub read: Vec<ReadPartition>,
}

/// What history knows of a contact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KnownContact {
    /// Which.
    #[schema(value_type = String)]
    pub contact: ContactId,
    /// Who shares it, if it is there.
    pub company: Option<String>,
    /// Whether it was taken back by its publisher, or erased.
    pub gone: bool,
}

/// Records of one contact in one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PositionRun {
    /// Whose.
    #[schema(value_type = String)]
    pub contact: ContactId,
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Offsets, ascending.
    pub offsets: Vec<i64>,
}

/// A partition as history has read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReadPartition {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// From this offset on positions were kept; more than 0 only if history read it before it kept them.
    pub from_offset: i64,
    /// The first offset that was not read yet.
    pub next_offset: i64,
}

/// Which disclosures of a time, and where in their order to go on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// Those that ended before are left out.
    #[serde(default)]
    pub since: Option<DateTime<Utc>>,
    /// Those that began after it are left out.
    #[serde(default)]
    pub until: Option<DateTime<Utc>>,
    /// The place after which to go on: when a disclosure began,
    #[serde(default)]
    pub after: Option<DateTime<Utc>>,
    /// and its id; without one, those that began at the very time are named.
    #[serde(default)]
    pub after_id: Option<String>,
    /// How many at most, 1 to 1,000.
    pub limit: u32,
}

/// The question to the hub, `POST /v1/disclosures`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RangesHolding {
    /// Places, at most 100,000 offsets; each partition of a topic may stand several times.
    pub runs: Vec<PositionRun>,
    /// Which.
    pub span: Span,
}

/// A range of records that the hub delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DisclosedRange {
    /// Its id.
    #[schema(value_type = String)]
    pub id: Uuid,
    /// To whom: the credential,
    pub login: String,
    /// its subscription,
    pub subscription: String,
    /// and the company.
    pub company: String,
    /// For which purpose.
    pub purpose: String,
    /// Version of the company's notice.
    pub notice_version: i32,
    /// The decision.
    pub decision: String,
    /// Number of the policy snapshot decided by.
    pub snapshot: i64,
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// First offset.
    pub first_offset: i64,
    /// Last offset that was delivered or, while open, may be.
    pub last_offset: i64,
    /// Records of the range that were delivered.
    pub delivered: i64,
    /// Records of the range that were withheld.
    pub withheld: i64,
    /// More may have been reserved than was delivered: it is being added to, or the hub was killed.
    pub open: bool,
    /// Number up to which the stop list was regarded.
    pub restrictions: i64,
    /// When it began,
    pub at: DateTime<Utc>,
    /// and when it was last added to.
    pub until: DateTime<Utc>,
}

/// An answer of history that held contacts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DisclosedAnswer {
    /// Its id.
    pub id: i64,
    /// To whom: the credential,
    pub login: String,
    /// its subscription,
    pub subscription: String,
    /// and the company.
    pub company: String,
    /// For which purpose.
    pub purpose: String,
    /// Version of the company's notice.
    pub notice_version: i32,
    /// The topics that the answer drew on,
    pub topics: Vec<String>,
    /// and the decision on each.
    pub decisions: Vec<String>,
    /// Number of the policy snapshot decided by.
    pub snapshot: i64,
    /// Which kind of answer.
    pub endpoint: String,
    /// Which of the contacts that were asked for it held.
    #[schema(value_type = Vec<String>)]
    pub contacts: Vec<ContactId>,
    /// How many entries it held, of all contacts in it.
    pub entries: i32,
    /// When.
    pub at: DateTime<Utc>,
}
