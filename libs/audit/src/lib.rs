//! The audit log: what was decided, delivered, restricted and erased, in a form that its keeper cannot change unseen.
//!
//! No storage, clock or randomness: a database keeps nodes by [`NodeId`] and serves proofs by [`ProofPlan`].

mod hash;
pub mod tree;

pub use hash::{Hash, NotAHash};
pub use tree::{Frontier, NodeId, ProofError, ProofPlan};
