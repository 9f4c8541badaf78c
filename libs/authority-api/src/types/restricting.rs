//! Bodies about restrictions, the authority's and those of whoever proves that they are kept.

use chrono::{DateTime, Utc};
use jointuse::{ContactId, OperatorName};
use restriction::{Measure, Reach};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Restrictions of one kind on contacts. They are in force from receipt; only another operator lifts them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRestrictions {
    /// `use`, `provision` (both withhold all records) or `mail` (blanks the e-mail address).
    #[schema(value_type = String)]
    pub measure: Measure,
    /// `contact`, or `person`: then every contact of the person that the contact belongs to.
    #[schema(value_type = String)]
    pub reach: Reach,
    /// Contact ids, at most 5,000.
    #[schema(value_type = Vec<String>)]
    pub contacts: Vec<ContactId>,
    /// Why, without anything personal: a request's number, say.
    pub reason: String,
}

/// What became of [`NewRestrictions`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MadeRestrictions {
    /// The restriction on each contact, in their order; one that was in force already is named again.
    pub ids: Vec<u64>,
    /// How many are new.
    pub made: usize,
}

/// A restriction. Its id is its place in the one sequence of all decisions on restrictions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Restriction {
    /// Number.
    pub id: u64,
    /// On whom.
    #[schema(value_type = String)]
    pub contact: ContactId,
    /// What stops.
    #[schema(value_type = String)]
    pub measure: Measure,
    /// Whom it reaches.
    #[schema(value_type = String)]
    pub reach: Reach,
    /// Why.
    pub reason: String,
    /// Who entered it,
    #[schema(value_type = String)]
    pub added_by: OperatorName,
    /// and when.
    pub added_at: DateTime<Utc>,
    /// How it ended, if it did.
    pub lifted: Option<Lifted>,
}

/// The end of a restriction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lifted {
    /// Number of the lifting in the same sequence.
    pub number: u64,
    /// Who, another than who entered it,
    #[schema(value_type = String)]
    pub by: OperatorName,
    /// when,
    pub at: DateTime<Utc>,
    /// and why.
    pub reason: String,
}

/// A restriction, and the right to ask for a while where it stands with deliveries.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct ProofPass {
    /// Which.
    pub restriction: Restriction,
    /// For the hub's and history's `/v1/restrictions/proof`, as a Bearer token.
    pub token: String,
}

impl std::fmt::Debug for ProofPass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ProofPass({})", self.restriction.id)
    }
}

/// Where a restriction stands with one partition as delivered to one subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Watermark {
    /// To whom.
    pub subscription: String,
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// At or after this offset nothing was ever delivered without regard to the restriction.
    pub from_offset: i64,
    /// When something was last delivered without regard to it; nothing later.
    pub last_without: Option<DateTime<Utc>>,
    /// Records delivered with regard to it.
    pub delivered: i64,
}

/// What the hub knows of a restriction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HubProof {
    /// The restriction.
    pub restriction: u64,
    /// Number up to which the list in force at the hub is whole; below the restriction's, it is not in force yet.
    pub in_force: Option<u64>,
    /// By subscription, topic and partition.
    pub watermarks: Vec<Watermark>,
}

/// What history knows of a restriction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistoryProof {
    /// The restriction.
    pub restriction: u64,
    /// Number up to which the list in force at history is whole.
    pub in_force: Option<u64>,
    /// By subscription: answers that held the contact.
    pub answers: Vec<AnswersWith>,
}

/// Answers of history that held the contact of a restriction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AnswersWith {
    /// To whom.
    pub subscription: String,
    /// Answers made without regard to the restriction,
    pub without: i64,
    /// and the last of them.
    pub last_without: Option<DateTime<Utc>>,
    /// Answers made with regard to it: what a suspension forbids is 0; an e-mail address was blank in them.
    pub with: i64,
}
