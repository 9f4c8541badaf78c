//! Against implementations that we did not write; `data/README.md` says which.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use audit::{
    Frontier, Hash, ProofPlan,
    checkpoint::{Checkpoint, SignedCheckpoint, Trust},
    keys::{KeyKind, SignerKey, VerifierKey},
    tree::{NodeId, verify_consistency, verify_inclusion},
};
use chrono::DateTime;
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    roots: Vec<Hash>,
    inclusion: Vec<Inclusion>,
    consistency: Vec<Consistency>,
    keys: Vec<Key>,
    notes: Vec<Signed>,
}

#[derive(Deserialize)]
struct Inclusion {
    index: u64,
    size: u64,
    proof: Vec<Hash>,
}

#[derive(Deserialize)]
struct Consistency {
    old: u64,
    new: u64,
    proof: Vec<Hash>,
}

#[derive(Deserialize)]
struct Key {
    name: String,
    seed: String,
    vkey: String,
}

#[derive(Deserialize)]
struct Signed {
    size: u64,
    time: i64,
    note: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("data/go-vectors.json")).unwrap()
}

fn leaf(index: u64) -> Hash {
    Hash::of_leaf(format!("leaf {index}\n").as_bytes())
}

fn at(roots: &[Hash], size: u64) -> Hash {
    roots[usize::try_from(size).unwrap()]
}

#[test]
fn roots_and_proofs_are_theirs() {
    let Vectors { roots, inclusion, consistency, .. } = vectors();
    let mut frontier = Frontier::empty();
    let mut table = std::collections::BTreeMap::<NodeId, Hash>::new();
    for (size, root) in (0u64..).zip(&roots) {
        assert_eq!(frontier.root(), *root, "{size}");
        frontier
            .append(leaf(size), |node, hash| {
                table.insert(node, hash);
            })
            .unwrap();
    }
    let prove = |plan: ProofPlan| {
        let hashes: Vec<Hash> = plan.nodes().iter().map(|node| table[node]).collect();
        plan.prove(&hashes).unwrap()
    };
    assert!(inclusion.len() > 50 && consistency.len() > 50);
    for Inclusion { index, size, proof } in inclusion {
        assert_eq!(prove(ProofPlan::inclusion(index, size).unwrap()), proof, "{index} of {size}");
        verify_inclusion(&leaf(index), index, size, &proof, &at(&roots, size)).unwrap();
    }
    for Consistency { old, new, proof } in consistency {
        assert_eq!(prove(ProofPlan::consistency(old, new).unwrap()), proof, "{old} of {new}");
        verify_consistency(old, &at(&roots, old), new, &at(&roots, new), &proof).unwrap();
    }
}

#[test]
fn keys_signatures_and_cosignatures_are_theirs() {
    let Vectors { roots, keys, notes, .. } = vectors();
    let signers: Vec<SignerKey> = keys
        .iter()
        .zip([KeyKind::Note, KeyKind::Cosignature, KeyKind::Cosignature])
        .map(|(Key { name, seed, vkey }, kind)| {
            let seed = hex::decode(seed).unwrap().try_into().unwrap();
            let key = SignerKey::from_seed(name.parse().unwrap(), kind, &seed).unwrap();
            assert_eq!(key.verifier().to_string(), *vkey);
            assert_eq!(vkey.parse::<VerifierKey>().unwrap(), *key.verifier());
            key
        })
        .collect();
    let public: Vec<VerifierKey> = signers.iter().map(|key| key.verifier().clone()).collect();
    let trust = Trust::new(public[0].name().clone(), vec![public[0].clone()]).cosigned_by(public[1..].to_vec(), 2);
    for Signed { size, time, note } in notes {
        let time = DateTime::from_timestamp_secs(time).unwrap();
        let theirs: SignedCheckpoint = note.parse().unwrap();
        assert_eq!(theirs.to_string(), note);
        let opened = trust.open(&theirs).unwrap();
        assert_eq!((opened.checkpoint.size, opened.checkpoint.root), (size, at(&roots, size)));
        assert_eq!(opened.seen.iter().map(|seen| seen.at).collect::<Vec<_>>(), [time, time]);
        // Ed25519 is deterministic, so ours are the same bytes.
        let checkpoint = Checkpoint::new(trust.origin().clone(), size, at(&roots, size));
        let mut ours = SignedCheckpoint::unsigned(checkpoint);
        for key in &signers {
            ours.sign(key, time).unwrap();
        }
        assert_eq!(ours.to_string(), note);
    }
}
