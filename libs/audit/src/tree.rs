//! The Merkle tree of RFC 6962: [`Frontier`] appends, [`ProofPlan`] proves, [`verify_inclusion`] and
//! [`verify_consistency`] check.
//!
//! What a database keeps is a table of perfect nodes by [`NodeId`]. A transaction that appends holds the log's row lock,
//! reads the [`Frontier`] of the size it finds, appends its batch and inserts the nodes it is given; nothing is ever updated.

mod frontier;
mod node;
mod plan;
mod proof;
#[cfg(test)]
mod tests;

pub use frontier::{Frontier, FrontierError, Full};
pub use node::NodeId;
pub use plan::{PlanError, ProofPlan};
pub use proof::{ProofError, verify_consistency, verify_inclusion};
