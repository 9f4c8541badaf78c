//! Against the definitions of RFC 6962, written down as they stand there, and the tree that its implementations test with.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    ops::Range,
};

use proptest::prelude::*;

use super::*;
use crate::Hash;

/// The definitions, by ranges of the leaves. Hashes are remembered only because there are many questions.
struct Defined<'a> {
    leaves: &'a [Hash],
    known: RefCell<HashMap<Range<usize>, Hash>>,
}

impl<'a> Defined<'a> {
    fn of(leaves: &'a [Hash]) -> Self {
        Self { leaves, known: RefCell::default() }
    }

    /// MTH of section 2.1.
    fn root(&self, d: Range<usize>) -> Hash {
        match d.len() {
            0 => Hash::of_nothing(),
            1 => self.leaves[d.start],
            n => {
                if let Some(known) = self.known.borrow().get(&d) {
                    return *known;
                }
                let middle = d.start + k(n);
                let hash = Hash::of_children(&self.root(d.start..middle), &self.root(middle..d.end));
                self.known.borrow_mut().insert(d, hash);
                hash
            }
        }
    }

    /// PATH of section 2.1.1.
    fn path(&self, m: usize, d: Range<usize>) -> Vec<Hash> {
        if d.len() == 1 {
            return Vec::new();
        }
        let k = k(d.len());
        let (left, right) = (d.start..d.start + k, d.start + k..d.end);
        let (mut path, sibling) = if m < k { (self.path(m, left), right) } else { (self.path(m - k, right), left) };
        path.push(self.root(sibling));
        path
    }

    /// SUBPROOF of section 2.1.2; PROOF(m, D) is SUBPROOF(m, D, true).
    fn subproof(&self, m: usize, d: Range<usize>, whole: bool) -> Vec<Hash> {
        if m == d.len() {
            return if whole { Vec::new() } else { vec![self.root(d)] };
        }
        let k = k(d.len());
        let (left, right) = (d.start..d.start + k, d.start + k..d.end);
        let (mut proof, sibling) =
            if m <= k { (self.subproof(m, left, whole), right) } else { (self.subproof(m - k, right, false), left) };
        proof.push(self.root(sibling));
        proof
    }
}

/// The largest power of two smaller than n, found by trying.
fn k(n: usize) -> usize {
    let mut k = 1;
    while k * 2 < n {
        k *= 2;
    }
    k
}

fn leaves(n: usize) -> Vec<Hash> {
    (0..n).map(|n| Hash::of_leaf(n.to_string().as_bytes())).collect()
}

/// A log with its table of nodes.
fn grown(leaves: &[Hash]) -> (Frontier, BTreeMap<NodeId, Hash>) {
    let mut frontier = Frontier::empty();
    let nodes = frontier.append_all(leaves.iter().copied()).unwrap();
    let count = nodes.len();
    let table: BTreeMap<_, _> = nodes.into_iter().collect();
    assert_eq!(table.len(), count, "no node is written twice");
    (frontier, table)
}

fn prove(plan: &ProofPlan, table: &BTreeMap<NodeId, Hash>) -> Vec<Hash> {
    let hashes: Vec<Hash> = plan.nodes().iter().map(|node| table[node]).collect();
    plan.prove(&hashes).unwrap()
}

/// The eight leaves and the roots of the first 0 to 8 of them with which certificate-transparency and its descendants test.
const KNOWN_LEAVES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const KNOWN_ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

#[test]
fn the_known_tree_has_the_known_roots() {
    let mut frontier = Frontier::empty();
    assert_eq!(hex::encode(frontier.root().as_bytes()), KNOWN_ROOTS[0]);
    for (leaf, root) in KNOWN_LEAVES.iter().zip(&KNOWN_ROOTS[1..]) {
        frontier.append(Hash::of_leaf(&hex::decode(leaf).unwrap()), |_, _| ()).unwrap();
        assert_eq!(hex::encode(frontier.root().as_bytes()), *root);
    }
}

#[test]
fn every_root_and_proof_to_260_leaves_is_that_of_the_definition() {
    let all = leaves(260);
    let (_, table) = grown(&all);
    let defined = Defined::of(&all);
    let mut frontier = Frontier::empty();
    for size in 0..=all.len() {
        let root = defined.root(0..size);
        assert_eq!(frontier.root(), root);
        let peaks = Frontier::nodes(size as u64).iter().map(|node| table[node]).collect();
        assert_eq!(Frontier::resume(size as u64, peaks).unwrap(), frontier);
        for (index, leaf) in all.iter().enumerate().take(size) {
            let proof = prove(&ProofPlan::inclusion(index as u64, size as u64).unwrap(), &table);
            assert_eq!(proof, defined.path(index, 0..size), "leaf {index} of {size}");
            verify_inclusion(leaf, index as u64, size as u64, &proof, &root).unwrap();
        }
        for old in 0..=size {
            let proof = prove(&ProofPlan::consistency(old as u64, size as u64).unwrap(), &table);
            let expected = if old == 0 { Vec::new() } else { defined.subproof(old, 0..size, true) };
            assert_eq!(proof, expected, "{old} of {size}");
            verify_consistency(old as u64, &defined.root(0..old), size as u64, &root, &proof).unwrap();
        }
        if let Some(leaf) = all.get(size) {
            frontier.append(*leaf, |_, _| ()).unwrap();
        }
    }
}

#[test]
fn proofs_of_the_largest_trees_are_short_and_do_not_overflow() {
    for size in [u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) + 1] {
        for index in [0, 1, size / 2, size - 1] {
            let plan = ProofPlan::inclusion(index, size).unwrap();
            // A right-hand sibling that is not perfect costs a node a level, so the bound is levels, twice.
            assert!(plan.nodes().len() <= 128, "{}", plan.nodes().len());
            let hashes = vec![Hash::of_nothing(); plan.nodes().len()];
            let proof = plan.prove(&hashes).unwrap();
            assert_eq!(
                verify_inclusion(&Hash::of_nothing(), index, size, &proof, &Hash::of_nothing()),
                Err(ProofError::Root)
            );
            let plan = ProofPlan::consistency(index, size).unwrap();
            assert!(plan.nodes().len() <= 128);
        }
    }
    assert_eq!(ProofPlan::inclusion(3, 3), Err(PlanError::NoSuchLeaf { index: 3, size: 3 }));
    assert_eq!(ProofPlan::consistency(4, 3), Err(PlanError::Shrinks { old: 4, new: 3 }));
}

#[test]
fn a_full_log_takes_no_leaf_and_keeps_its_root() {
    let mut full = Frontier::resume(u64::MAX, vec![Hash::of_nothing(); 64]).unwrap();
    let before = full.clone();
    assert_eq!(full.append(Hash::of_nothing(), |_, _| ()), Err(Full));
    assert_eq!(full.append_all([Hash::of_nothing()]), Err(Full));
    assert_eq!(full, before);
    assert!(Frontier::resume(3, vec![Hash::of_nothing()]).is_err());
}

proptest! {
    #[test]
    fn batches_make_the_same_tree_as_single_leaves(sizes in prop::collection::vec(0usize..40, 1..12)) {
        let all = leaves(sizes.iter().sum());
        let (expected, table) = grown(&all);
        let (mut frontier, mut rest, mut nodes) = (Frontier::empty(), &all[..], BTreeMap::new());
        for size in sizes {
            let (batch, others) = rest.split_at(size);
            nodes.extend(frontier.append_all(batch.iter().copied()).unwrap());
            rest = others;
        }
        prop_assert_eq!(frontier, expected);
        prop_assert_eq!(nodes, table);
    }

    #[test]
    fn no_other_proof_verifies(
        size in 2usize..600, a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(), change in 0..5,
    ) {
        let all = leaves(size);
        let (frontier, table) = grown(&all);
        let (root, n) = (frontier.root(), size as u64);
        let index = a.index(size);
        let old = 1 + b.index(size - 1);
        let old_root = Defined::of(&all).root(0..old);
        let inclusion = prove(&ProofPlan::inclusion(index as u64, n).unwrap(), &table);
        let consistency = prove(&ProofPlan::consistency(old as u64, n).unwrap(), &table);
        prop_assert_eq!(verify_inclusion(&all[index], index as u64, n, &inclusion, &root), Ok(()));
        prop_assert_eq!(verify_consistency(old as u64, &old_root, n, &root, &consistency), Ok(()));
        for (proof, inclusive) in [(inclusion, true), (consistency, false)] {
            let mut forged = proof.clone();
            let at = at.index(forged.len());
            match change {
                0 => forged[at] = Hash::of_leaf(b"other"),
                1 => { forged.remove(at); }
                2 => forged.insert(at, Hash::of_leaf(b"other")),
                3 => forged.push(root),
                _ => forged.reverse(),
            }
            if forged != proof {
                let verdict = if inclusive {
                    verify_inclusion(&all[index], index as u64, n, &forged, &root)
                } else {
                    verify_consistency(old as u64, &old_root, n, &root, &forged)
                };
                prop_assert!(verdict.is_err());
            }
        }
        // The right proof of the wrong leaf, index or root.
        let inclusion = prove(&ProofPlan::inclusion(index as u64, n).unwrap(), &table);
        let other = (index + 1) % size;
        prop_assert!(verify_inclusion(&all[other], index as u64, n, &inclusion, &root).is_err());
        prop_assert!(verify_inclusion(&all[index], other as u64, n, &inclusion, &root).is_err());
        prop_assert!(verify_inclusion(&all[index], index as u64, n, &inclusion, &old_root).is_err());
    }
}
