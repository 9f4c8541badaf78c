//! Making proofs from stored nodes: first which nodes, then, when they were read, the proof.
//!
//! Two steps and no storage trait: a database reads all nodes of a plan in one statement, and this crate neither waits nor
//! knows of it. A plan names at most one node per level and hash, O(log n) of them for an inclusion and a consistency
//! proof alike.

use super::node::{NodeId, cover, fold, split};
use crate::Hash;

/// Which nodes a proof is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofPlan {
    nodes: Vec<NodeId>,
    /// How many of `nodes` make each hash of the proof.
    parts: Vec<usize>,
}

/// Why there is no such proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The leaf is not in a tree of that size.
    #[error("leaf {index} is not among the first {size}")]
    NoSuchLeaf {
        /// The leaf's index.
        index: u64,
        /// Leaves of the tree.
        size: u64,
    },
    /// The older tree is the larger one.
    #[error("a tree of {old} leaves cannot grow to {new}")]
    Shrinks {
        /// Leaves then.
        old: u64,
        /// Leaves later.
        new: u64,
    },
    /// Not as many hashes as nodes.
    #[error("{given} hashes were read for {expected} nodes")]
    Hashes {
        /// Nodes of the plan.
        expected: usize,
        /// Hashes given.
        given: usize,
    },
}

impl ProofPlan {
    /// For the audit path of leaf `index` in the tree of the first `size` leaves (RFC 6962 section 2.1.1).
    ///
    /// # Errors
    /// When `index` is not below `size`.
    pub fn inclusion(index: u64, size: u64) -> Result<Self, PlanError> {
        if index >= size {
            return Err(PlanError::NoSuchLeaf { index, size });
        }
        let mut subtrees = Vec::new();
        let (mut begin, mut end) = (0, size);
        while end - begin > 1 {
            let middle = begin + split(end - begin);
            if index < middle {
                subtrees.push((middle, end));
                end = middle;
            } else {
                subtrees.push((begin, middle));
                begin = middle;
            }
        }
        Ok(Self::of(&subtrees))
    }

    /// For the proof that the tree of the first `old` leaves is a beginning of that of the first `new` (RFC 6962 section
    /// 2.1.2). Nothing has to be proved of an empty tree or of equal sizes: that proof is empty.
    ///
    /// # Errors
    /// When `old` exceeds `new`.
    pub fn consistency(old: u64, new: u64) -> Result<Self, PlanError> {
        if old > new {
            return Err(PlanError::Shrinks { old, new });
        }
        let mut subtrees = Vec::new();
        let (mut begin, mut end) = (0, new);
        // Down to the subtree that ends where the old tree ends. While that is the left edge, its hash is known: the old root.
        while old != end && old != 0 {
            let middle = begin + split(end - begin);
            if old <= middle {
                subtrees.push((middle, end));
                end = middle;
            } else {
                subtrees.push((begin, middle));
                begin = middle;
            }
        }
        if begin > 0 {
            subtrees.push((begin, end));
        }
        Ok(Self::of(&subtrees))
    }

    /// From the root's children down; a proof goes up.
    fn of(subtrees: &[(u64, u64)]) -> Self {
        let (mut nodes, mut parts) = (Vec::new(), Vec::new());
        for (begin, end) in subtrees.iter().rev() {
            let before = nodes.len();
            nodes.extend(cover(*begin, *end));
            parts.push(nodes.len() - before);
        }
        Self { nodes, parts }
    }

    /// The nodes to read.
    pub fn nodes(&self) -> &[NodeId] {
        &self.nodes
    }

    /// The proof, given the hashes of [`ProofPlan::nodes`] in their order.
    ///
    /// # Errors
    /// When there are not as many hashes as nodes.
    pub fn prove(&self, hashes: &[Hash]) -> Result<Vec<Hash>, PlanError> {
        let wrong = PlanError::Hashes { expected: self.nodes.len(), given: hashes.len() };
        if hashes.len() != self.nodes.len() {
            return Err(wrong);
        }
        let mut rest = hashes;
        self.parts
            .iter()
            .map(|part| {
                let (these, others) = rest.split_at_checked(*part)?;
                rest = others;
                fold(these)
            })
            .collect::<Option<_>>()
            .ok_or(wrong)
    }
}
