//! The checkpoints that are believed, by size.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::report::{Finding, Report};
use crate::{
    Frontier, Hash,
    checkpoint::{Opened, Seen, SignedCheckpoint, Trust},
    export::{ExportError, ExportedCheckpoint},
    keys::KeyName,
};

/// A root that the log signed for a size.
#[derive(Debug)]
pub(super) struct Signed {
    pub(super) root: Hash,
    /// The tree of that size, if its peaks were exported and have this root.
    pub(super) frontier: Option<Frontier>,
    /// By cosigner: its earliest and its latest time.
    seen: Vec<(KeyName, DateTime<Utc>, DateTime<Utc>)>,
}

/// What the log signed. Memory grows with the number of different checkpoints, never with that of entries.
#[derive(Debug, Default)]
pub(super) struct Known {
    by_size: BTreeMap<u64, Vec<Signed>>,
    lines: u64,
}

impl Known {
    /// Takes a source's checkpoints in.
    pub(super) fn read(
        &mut self,
        checkpoints: impl IntoIterator<Item = Result<ExportedCheckpoint, ExportError>>,
        trust: &Trust,
        report: &mut Report,
    ) -> Result<(), ExportError> {
        for exported in checkpoints {
            self.lines += 1;
            let line = self.lines;
            match exported {
                Ok(exported) => self.take(line, exported, trust, report),
                Err(ExportError::Line { .. }) => report.add(Finding::MalformedCheckpoint { line }),
                Err(error @ ExportError::Io { .. }) => return Err(error),
            }
        }
        Ok(())
    }

    fn take(&mut self, line: u64, exported: ExportedCheckpoint, trust: &Trust, report: &mut Report) {
        let Ok(signed) = exported.note.parse::<SignedCheckpoint>() else {
            return report.add(Finding::MalformedCheckpoint { line });
        };
        match trust.open(&signed) {
            Ok(opened) => self.believe(opened, exported.peaks, report),
            Err(why) => {
                report.add(Finding::Untrusted { line, size: signed.claims().size, why: why.to_string() });
            }
        }
    }

    fn believe(&mut self, opened: Opened, peaks: Option<Vec<Hash>>, report: &mut Report) {
        let Opened { checkpoint, seen, strangers } = opened;
        for name in strangers {
            *report.strangers.entry(name.into()).or_default() += 1;
        }
        let (size, root) = (checkpoint.size, checkpoint.root);
        let frontier = peaks.and_then(|peaks| {
            let frontier = Frontier::resume(size, peaks).ok().filter(|frontier| frontier.root() == root);
            if frontier.is_none() {
                report.add(Finding::WrongPeaks { size });
            }
            frontier
        });
        let roots = self.by_size.entry(size).or_default();
        let signed = match roots.iter_mut().position(|signed| signed.root == root) {
            Some(at) => roots.get_mut(at),
            None => {
                report.checkpoints += 1;
                if let Some(other) = roots.first() {
                    report.add(Finding::Fork { size, roots: [other.root, root] });
                }
                roots.push(Signed { root, frontier: None, seen: Vec::new() });
                roots.last_mut()
            }
        };
        if let Some(signed) = signed {
            signed.frontier = signed.frontier.take().or(frontier);
            seen.into_iter().for_each(|seen| signed.see(seen));
        }
    }

    /// Looks whether any cosigner saw more entries earlier than fewer.
    pub(super) fn check_times(&self, report: &mut Report) {
        let mut latest: BTreeMap<&KeyName, DateTime<Utc>> = BTreeMap::new();
        for (size, roots) in &self.by_size {
            for (cosigner, at, _) in roots.iter().flat_map(|signed| &signed.seen) {
                if let Some(before) = latest.get(cosigner).filter(|before| *before > at) {
                    let (cosigner, size, at, before) = (cosigner.clone(), *size, *at, *before);
                    report.add(Finding::Backwards { cosigner, size, at, before });
                }
            }
            for (cosigner, _, last) in roots.iter().flat_map(|signed| &signed.seen) {
                latest.entry(cosigner).and_modify(|latest| *latest = (*latest).max(*last)).or_insert(*last);
            }
        }
    }

    /// Roots signed for this size; mostly one or none.
    pub(super) fn at(&self, size: u64) -> Option<&[Signed]> {
        self.by_size.get(&size).map(Vec::as_slice)
    }

    /// The next size after `size` for which something was signed.
    pub(super) fn after(&self, size: u64) -> Option<u64> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.by_size.range((Excluded(size), Unbounded)).next().map(|(size, _)| *size)
    }

    /// The largest size for which something was signed.
    pub(super) fn largest(&self) -> Option<u64> {
        self.by_size.last_key_value().map(|(size, _)| *size)
    }
}

impl Signed {
    fn see(&mut self, Seen { key, at }: Seen) {
        match self.seen.iter_mut().find(|(name, ..)| name == key.name()) {
            Some((_, first, last)) => (*first, *last) = ((*first).min(at), (*last).max(at)),
            None => self.seen.push((key.name().clone(), at, at)),
        }
    }
}
