//! Bodies of `/v1/audit`. Hashes are 32 bytes in base64 with padding, as in checkpoints; entries and checkpoints have the form of
//! exported files (`audit::export`), so what was read over REST verifies offline.
//!
//! | call | body | answer |
//! |---|---|---|
//! | `GET /v1/audit/keys` | | [`AuditKeys`] |
//! | `GET /v1/audit/logs` | | `[`[`AuditLog`]`]` |
//! | `GET /v1/audit/checkpoint` | | the newest signed note, as text (C2SP tlog-checkpoint) |
//! | `GET /v1/audit/checkpoints?from=&limit=` | | `[`[`AuditCheckpoint`]`]` |
//! | `GET /v1/audit/entries?from=&limit=` | | `[`[`AuditEntry`]`]` without openings |
//! | `GET /v1/audit/openings?from=&limit=` | | `[`[`AuditEntry`]`]` with the openings that are still there |
//! | `GET /v1/audit/proofs/inclusion?index=\|hash=&size=` | | [`InclusionProof`] |
//! | `GET /v1/audit/proofs/consistency?from=&to=` | | [`ConsistencyProof`] |
//! | `POST /v1/audit/cosignatures` | a signed note | [`Cosigned`] |
//! | `POST /v1/audit/cosigners`, `GET …` | [`NewCosigner`] | [`Cosigner`] |
//! | `POST /v1/audit/cosigners/{id}/{confirm,remove}` | [`Reason`](crate::types::Reason) | [`Cosigner`] |
//!
//! Checkpoints, entries, openings and proofs take `log=`, the number of a log that was put aside; without it, they are of the current one.

use chrono::{DateTime, Utc};
use jointuse::OperatorName;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Keys of the log and of those who cosign it, as C2SP verifier keys (`name+hash+base64`). Whoever trusts them because this
/// answer says so trusts this answer: compare them with what was handed over otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditKeys {
    /// The log's own, whose name is the log's.
    pub log: String,
    /// The authority's cosigner, which tells the time.
    pub time: String,
    /// Confirmed cosigners of members.
    pub cosigners: Vec<String>,
}

/// A log. Another is begun when one cannot be continued, as after a restore from a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditLog {
    /// From 1.
    pub number: u32,
    /// Its key, whose name is the log's.
    pub key: String,
    /// When it was begun, after the first.
    pub begun_at: Option<DateTime<Utc>>,
    /// The newest checkpoint that was signed of the log before. The first entry commits to it.
    pub former: Option<String>,
    /// Whether its entries are here: not if a restore lost them.
    pub here: bool,
}

/// Action of the first entry of a log that was begun after another.
pub const BEGIN: &str = "audit.begin";

/// Details of that entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beginning {
    /// The newest checkpoint that was signed of the log before, as a signed note.
    pub former: String,
    /// Entries of that log that are still there.
    pub here: u64,
    /// How many of them no checkpoint covered: they follow this entry.
    pub carried: u64,
}

impl Beginning {
    /// From what an entry commits to; none of any other entry.
    pub fn of(payload: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Payload {
            action: String,
            details: Beginning,
        }
        let payload: Payload = serde_json::from_slice(payload).ok()?;
        (payload.action == BEGIN).then_some(payload.details)
    }
}

/// What a leaf commits to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditOpening {
    /// 32 bytes in base64.
    pub salt: String,
    /// Base64 of the JSON of what was done.
    pub payload: String,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Place in the log, from 0.
    pub index: u64,
    /// Hash of the leaf.
    pub hash: String,
    /// The leaf: format, kind, time, actor, subject, commitment, a line each.
    pub leaf: String,
    /// To auditors, unless it was erased.
    pub opening: Option<AuditOpening>,
}

/// A checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditCheckpoint {
    /// The signed note, with cosignatures.
    pub note: String,
    /// Perfect subtrees that cover the tree, largest first: a verifier may begin there.
    pub peaks: Vec<String>,
}

/// That a leaf is in a tree (RFC 6962 section 2.1.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InclusionProof {
    /// Place of the leaf.
    pub index: u64,
    /// Hash of the leaf.
    pub hash: String,
    /// Leaves of the tree.
    pub size: u64,
    /// Its root. A checkpoint of this size says so too.
    pub root: String,
    /// The audit path, from the leaf's neighbour up.
    pub path: Vec<String>,
}

/// That a tree is the beginning of another (RFC 6962 section 2.1.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConsistencyProof {
    /// Leaves of the older tree.
    pub from: u64,
    /// Its root.
    pub from_root: String,
    /// Leaves of the newer tree.
    pub to: u64,
    /// Its root.
    pub to_root: String,
    /// The proof.
    pub path: Vec<String>,
}

/// How many cosignatures of a note were kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cosigned {
    /// Size of the checkpoint.
    pub size: u64,
    /// Cosigners whose signatures hold.
    pub cosigners: usize,
}

/// Proposing a member's cosigner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCosigner {
    /// C2SP verifier key of type 4 (`cosignature/v1`).
    pub key: String,
    /// Whose it is, and how that was made sure.
    pub reason: String,
}

/// A member's cosigner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cosigner {
    /// The key's short hash, 8 hexadecimal digits.
    pub id: String,
    /// C2SP verifier key.
    pub key: String,
    /// Who proposed it.
    #[schema(value_type = String)]
    pub proposed_by: OperatorName,
    /// When.
    pub proposed_at: DateTime<Utc>,
    /// Who confirmed it: never who proposed it. Without, its signatures are not taken.
    #[schema(value_type = Option<String>)]
    pub confirmed_by: Option<OperatorName>,
    /// When it was removed: no further signatures are taken.
    pub removed_at: Option<DateTime<Utc>>,
}
