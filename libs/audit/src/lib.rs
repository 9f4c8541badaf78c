//! The audit log: what was decided, delivered, restricted and erased, in a form that its keeper cannot change unseen.
//!
//! An [`Entry`] is a leaf of an RFC 6962 Merkle tree ([`tree`]); what may have to be forgotten is not in it but behind a
//! salted [`Commitment`]. The authority signs the tree's state as [`Checkpoint`](checkpoint::Checkpoint)s, members cosign
//! them ([`cosign`]), all in the C2SP formats that other implementations read ([`note`], [`keys`]). [`verify`] checks exported
//! files ([`export`]) offline, in one pass.
//!
//! No storage, clock or randomness: a database keeps nodes by [`NodeId`] and serves proofs by [`ProofPlan`].

pub mod checkpoint;
mod commitment;
pub mod cosign;
pub mod entry;
pub mod export;
mod hash;
pub mod keys;
pub mod note;
pub mod tree;
pub mod verify;

pub use commitment::{Commitment, Opening, Salt};
pub use entry::{Actor, Entry, EntryError, EntryKind, Service, Subject};
pub use hash::{Hash, NotAHash};
pub use tree::{Frontier, NodeId, ProofError, ProofPlan};
