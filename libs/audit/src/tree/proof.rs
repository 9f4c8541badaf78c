//! Checking proofs without the log, as RFC 9162 sections 2.1.3.2 and 2.1.4.2 write it down.
//!
//! The proofs are those of RFC 6962; the later RFC tells how to check them.

use crate::Hash;

/// Why a proof proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// No proof can exist for these positions.
    #[error("the leaf or the older tree is not within the tree")]
    OutOfRange,
    /// Not as many hashes as such a proof has.
    #[error("the proof has too many or too few hashes")]
    Length,
    /// It leads to another root.
    #[error("the proof does not lead to the root")]
    Root,
}

/// Checks that the leaf with hash `leaf` is the one at `index` in the tree of `size` leaves with this root.
///
/// # Errors
/// When it does not follow from `path`.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange);
    }
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in path {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if node & 1 == 1 || node == last {
            hash = Hash::of_children(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            hash = Hash::of_children(&hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    if last != 0 {
        return Err(ProofError::Length);
    }
    if hash == *root { Ok(()) } else { Err(ProofError::Root) }
}

/// Checks that the tree of `old` leaves with root `old_root` is a beginning of that of `new` leaves with root `new_root`.
///
/// # Errors
/// When it does not follow from `path`.
pub fn verify_consistency(
    old: u64,
    old_root: &Hash,
    new: u64,
    new_root: &Hash,
    path: &[Hash],
) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::OutOfRange);
    }
    if old == 0 || old == new {
        let expected = if old == new { *new_root } else { Hash::of_nothing() };
        return match (path, *old_root == expected) {
            ([], true) => Ok(()),
            ([], false) => Err(ProofError::Root),
            _ => Err(ProofError::Length),
        };
    }
    // Of an old tree that is perfect, the verifier knows the first hash already.
    let (first, rest) = match path.split_first() {
        None => return Err(ProofError::Length),
        Some(_) if old.is_power_of_two() => (old_root, path),
        Some((first, rest)) => (first, rest),
    };
    let (mut node, mut last) = (old - 1, new - 1);
    while node & 1 == 1 {
        (node, last) = (node >> 1, last >> 1);
    }
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if node & 1 == 1 || node == last {
            old_hash = Hash::of_children(sibling, &old_hash);
            new_hash = Hash::of_children(sibling, &new_hash);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            new_hash = Hash::of_children(&new_hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    if last != 0 {
        return Err(ProofError::Length);
    }
    if old_hash == *old_root && new_hash == *new_root { Ok(()) } else { Err(ProofError::Root) }
}
