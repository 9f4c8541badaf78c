//! A log as the authority would keep and export it, small.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, unreachable_pub, dead_code)]

use std::collections::BTreeMap;

use audit::{
    Actor, Entry, EntryKind, Frontier, Hash, NodeId, Opening, ProofPlan, Salt, Subject,
    checkpoint::{Checkpoint, SignedCheckpoint, Trust},
    export::{ExportError, ExportedCheckpoint, ExportedEntry},
    keys::{KeyKind, SignerKey},
    verify::{Report, verify},
};
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

/// Noon of a day, and so many minutes.
pub fn at(minutes: u64) -> DateTime<Utc> {
    DateTime::from_timestamp_secs(1_795_600_000 + 60 * i64::try_from(minutes).unwrap()).unwrap()
}

pub fn key(name: &str, kind: KeyKind, seed: u8) -> SignerKey {
    SignerKey::from_seed(name.parse().unwrap(), kind, &[seed; 32]).unwrap()
}

pub fn log_key() -> SignerKey {
    key("audit.example/log", KeyKind::Note, 1)
}

pub fn member_key() -> SignerKey {
    key("member.example/cosigner", KeyKind::Cosignature, 2)
}

pub fn trust() -> Trust {
    Trust::new("audit.example/log".parse().unwrap(), vec![log_key().verifier().clone()])
        .cosigned_by(vec![member_key().verifier().clone()], 0)
}

/// The entry at `index` of the history `branch`, and its opening.
pub fn entry(index: u64, branch: &str) -> (Entry, Opening) {
    let salt = Sha256::digest(format!("salt {index} {branch}")).into();
    let payload = format!(r#"{{"contact":"{index:032x}","history":"{branch}"}}"#);
    let opening = Opening::new(Salt::new(salt), payload.into_bytes());
    let kinds = EntryKind::ALL;
    let kind = kinds[usize::try_from(index).unwrap() % kinds.len()];
    let (actor, subject) = (Actor::Operator("mori".parse().unwrap()), Subject::Snapshot(index));
    let entry = Entry::new(kind, at(index), actor, subject, opening.commitment()).unwrap();
    (entry, opening)
}

/// Entries and nodes, as tables would have them.
#[derive(Default)]
pub struct Log {
    pub exported: Vec<ExportedEntry>,
    pub nodes: BTreeMap<NodeId, Hash>,
}

impl Log {
    pub fn of(size: u64) -> Self {
        let mut log = Self::default();
        log.grow(size, "main");
        log
    }

    /// To `size` entries.
    pub fn grow(&mut self, size: u64, branch: &str) {
        let mut frontier = self.frontier(self.exported.len() as u64);
        for index in frontier.size()..size {
            let (entry, opening) = entry(index, branch);
            self.exported.push(ExportedEntry::new(index, &entry, Some(opening)));
            frontier
                .append(entry.hash(), |node, hash| {
                    self.nodes.insert(node, hash);
                })
                .unwrap();
        }
    }

    pub fn frontier(&self, size: u64) -> Frontier {
        let peaks = Frontier::nodes(size).iter().map(|node| self.nodes[node]).collect();
        Frontier::resume(size, peaks).unwrap()
    }

    pub fn proof(&self, plan: &ProofPlan) -> Vec<Hash> {
        let hashes: Vec<Hash> = plan.nodes().iter().map(|node| self.nodes[node]).collect();
        plan.prove(&hashes).unwrap()
    }

    pub fn checkpoint(&self, size: u64) -> SignedCheckpoint {
        let root = self.frontier(size).root();
        let checkpoint = Checkpoint::new("audit.example/log".parse().unwrap(), size, root);
        let mut signed = SignedCheckpoint::unsigned(checkpoint);
        signed.sign(&log_key(), at(size)).unwrap();
        signed
    }

    /// Signed by log and member at minute `size`.
    pub fn export(&self, size: u64, peaks: bool) -> ExportedCheckpoint {
        let mut signed = self.checkpoint(size);
        signed.sign(&member_key(), at(size)).unwrap();
        let peaks = peaks.then(|| self.frontier(size).peaks().to_vec());
        ExportedCheckpoint { note: signed.to_string(), peaks }
    }

    pub fn exports(&self, sizes: &[u64], peaks: bool) -> Vec<ExportedCheckpoint> {
        sizes.iter().map(|size| self.export(*size, peaks)).collect()
    }
}

pub fn ok<T: Clone>(values: &[T]) -> impl Iterator<Item = Result<T, ExportError>> {
    values.iter().cloned().map(Ok)
}

pub fn check(entries: &[ExportedEntry], checkpoints: &[ExportedCheckpoint]) -> Report {
    verify(ok(entries), ok(checkpoints), &trust()).unwrap()
}

/// Makes indices and hashes fit again, as a careful forger would.
pub fn cover_up(entries: &mut [ExportedEntry]) {
    for (index, entry) in (0..).zip(entries) {
        entry.index = index;
        if let Some(leaf) = &entry.leaf {
            entry.hash = Hash::of_leaf(leaf.as_bytes());
        }
    }
}
