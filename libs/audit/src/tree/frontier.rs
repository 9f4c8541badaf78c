//! The right edge of a tree: all that appending and its root need, at most 64 hashes.

use super::node::{NodeId, cover, fold};
use crate::Hash;

/// A tree of `size` leaves by the perfect subtrees that cover it, largest first.
///
/// Appending costs less than one hash a leaf on average, besides the leaf's own, and reads nothing; a process that starts reads [`Frontier::nodes`] of the
/// size it finds. In a checkpoint's export it lets a verifier begin, or go on after damage, at that checkpoint: the signed
/// root vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

/// Why hashes are not the frontier of a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tree of {size} leaves has {expected} peaks, not {given}")]
pub struct FrontierError {
    /// Leaves.
    pub size: u64,
    /// Perfect subtrees that cover so many leaves.
    pub expected: u32,
    /// Hashes that were given.
    pub given: usize,
}

/// The tree is full: an index has 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the log is full")]
pub struct Full;

impl Default for Frontier {
    fn default() -> Self {
        Self::empty()
    }
}

impl Frontier {
    /// No leaves.
    pub const fn empty() -> Self {
        Self { size: 0, peaks: Vec::new() }
    }

    /// The nodes to read in order to go on from `size` leaves, in the order that [`Frontier::resume`] takes them.
    pub fn nodes(size: u64) -> Vec<NodeId> {
        cover(0, size).collect()
    }

    /// Goes on from `size` leaves, given the hashes of [`Frontier::nodes`].
    ///
    /// # Errors
    /// When there are more or fewer hashes than such a tree has peaks.
    pub fn resume(size: u64, peaks: Vec<Hash>) -> Result<Self, FrontierError> {
        let expected = size.count_ones();
        if usize::try_from(expected).is_ok_and(|expected| expected == peaks.len()) {
            Ok(Self { size, peaks })
        } else {
            Err(FrontierError { size, expected, given: peaks.len() })
        }
    }

    /// Leaves so far; the next one's index.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Hashes of the perfect subtrees, largest first.
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// The Merkle tree hash (RFC 6962 section 2.1).
    pub fn root(&self) -> Hash {
        fold(&self.peaks).unwrap_or_else(Hash::of_nothing)
    }

    /// Appends a leaf and tells `completed` of every node that is perfect from now on, the leaf first.
    ///
    /// Those are the rows to insert, in the same transaction as the leaf.
    ///
    /// # Errors
    /// When there are 2^64 - 1 leaves already; the tree is then unchanged.
    pub fn append(&mut self, leaf: Hash, mut completed: impl FnMut(NodeId, Hash)) -> Result<(), Full> {
        let size = self.size.checked_add(1).ok_or(Full)?;
        let (mut node, mut hash) = (NodeId::leaf(self.size), leaf);
        completed(node, hash);
        while node.is_right() {
            let Some(left) = self.peaks.pop() else { break };
            (node, hash) = (node.parent(), Hash::of_children(&left, &hash));
            completed(node, hash);
        }
        self.peaks.push(hash);
        self.size = size;
        Ok(())
    }

    /// [`append`](Self::append) for many leaves: the nodes to insert.
    ///
    /// # Errors
    /// When the log is full; `self` is then unchanged.
    pub fn append_all(&mut self, leaves: impl IntoIterator<Item = Hash>) -> Result<Vec<(NodeId, Hash)>, Full> {
        let mut grown = self.clone();
        let mut nodes = Vec::new();
        for leaf in leaves {
            grown.append(leaf, |node, hash| nodes.push((node, hash)))?;
        }
        *self = grown;
        Ok(nodes)
    }
}
