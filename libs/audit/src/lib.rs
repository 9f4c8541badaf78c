//! The audit log: what was decided, delivered, restricted and erased, in a form that its keeper cannot change unseen.
//!
//! An [`Entry`] is a leaf of an RFC 6962 Merkle tree ([`tree`]); what may have to be forgotten is not in it but behind a
//! salted [`Commitment`].
//!
//! No storage, clock or randomness: a database keeps nodes by [`NodeId`] and serves proofs by [`ProofPlan`].

mod commitment;
pub mod entry;
mod hash;
pub mod tree;

pub use commitment::{Commitment, Opening, Salt};
pub use entry::{Actor, Entry, EntryError, EntryKind, Service, Subject};
pub use hash::{Hash, NotAHash};
pub use tree::{Frontier, NodeId, ProofError, ProofPlan};
