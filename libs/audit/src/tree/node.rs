//! Names of the nodes that are kept: the perfect subtrees, which never change once their leaves are there.
//!
//! A node `(level, index)` covers the leaves `index << level .. (index + 1) << level`. Every subtree that a root or a proof
//! needs is aligned at its left, so it is at most one such node per level, and those that are not perfect are folded
//! from nodes when asked for. A table `(level, index, hash)` of perfect nodes is therefore insert-only: n leaves, fewer
//! than n nodes above them.

/// A perfect subtree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId {
    level: u8,
    index: u64,
}

impl NodeId {
    /// The leaf at `index`.
    pub const fn leaf(index: u64) -> Self {
        Self { level: 0, index }
    }

    /// `level` 0 is that of the leaves.
    ///
    /// Not every pair names a subtree of a 64-bit log: `None` when its leaves would not have 64-bit indices.
    pub const fn new(level: u8, index: u64) -> Option<Self> {
        if level < 64 && index <= u64::MAX >> level { Some(Self { level, index }) } else { None }
    }

    /// 0 for a leaf, at most 63.
    pub const fn level(self) -> u8 {
        self.level
    }

    /// Position among the nodes of its level, from 0.
    pub const fn index(self) -> u64 {
        self.index
    }

    /// The node that joins this one with its neighbour.
    pub(crate) const fn parent(self) -> Self {
        Self { level: self.level + 1, index: self.index >> 1 }
    }

    /// Whether it is its parent's right child.
    pub(crate) const fn is_right(self) -> bool {
        self.index & 1 == 1
    }
}

/// The largest power of two that is less than `n`, for `n` of at least 2: RFC 6962's `k`.
pub(crate) const fn split(n: u64) -> u64 {
    1 << (63 - (n - 1).leading_zeros())
}

/// Perfect nodes that cover the leaves `begin..end`, left to right.
///
/// `begin` must be a multiple of the largest power of two within `end - begin`, as it is for every subtree of RFC 6962.
pub(crate) fn cover(begin: u64, end: u64) -> impl Iterator<Item = NodeId> {
    let mut at = begin;
    std::iter::from_fn(move || {
        let left = end.checked_sub(at).filter(|left| *left > 0)?;
        let level = left.ilog2();
        let node = NodeId { level: u8::try_from(level).unwrap_or(u8::MAX), index: at >> level };
        at += 1 << level;
        Some(node)
    })
}

/// The hash over what [`cover`] names, given the hashes left to right: `None` for no hashes.
pub(crate) fn fold(hashes: &[crate::Hash]) -> Option<crate::Hash> {
    let (last, before) = hashes.split_last()?;
    Some(before.iter().rev().fold(*last, |right, left| crate::Hash::of_children(left, &right)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k_is_the_largest_power_of_two_below() {
        for (n, k) in [(2, 1), (3, 2), (4, 2), (5, 4), (8, 4), (9, 8), (u64::MAX, 1 << 63)] {
            assert_eq!(split(n), k, "{n}");
        }
    }

    #[test]
    fn seven_leaves_are_a_four_a_two_and_a_one() {
        let nodes: Vec<(u8, u64)> = cover(0, 7).map(|n| (n.level(), n.index())).collect();
        assert_eq!(nodes, [(2, 0), (1, 2), (0, 6)]);
        assert_eq!(cover(4, 7).count(), 2);
        assert_eq!(cover(7, 7).count(), 0);
    }

    #[test]
    fn a_node_beyond_64_bits_has_no_name() {
        assert!(NodeId::new(63, 1).is_some());
        assert!(NodeId::new(63, 2).is_none());
        assert!(NodeId::new(64, 0).is_none());
    }
}
