//! Entries against the roots that were signed.
//!
//! When a root does not fit there are two explanations: the entries were tampered with, or the log signed something else
//! than it later continued. The next checkpoint tells: if the tree as computed fits that one, the checkpoint
//! before was another history's ([`Finding::Inconsistent`]); if a tree resumed from the checkpoint's own peaks fits,
//! the damage is between the two checkpoints before ([`Finding::RootMismatch`]), and the rest of the log is checked on.

use super::{
    known::Known,
    order::Step,
    report::{Finding, MAX_FINDINGS, Report},
};
use crate::{Frontier, Hash};

pub(super) struct Chain<'a> {
    known: &'a Known,
    /// Entries so far.
    size: u64,
    /// The next size for which something was signed.
    goal: Option<u64>,
    /// The tree as the entries make it, since the start or the last checkpoint that was resumed from. None after a gap.
    tree: Option<Frontier>,
    /// The tree as it was signed, with the entries since; only after a root that does not fit.
    resumed: Option<Frontier>,
    /// Where `resumed` began, and before that the last checkpoint that fits.
    anchor: u64,
    /// Roots that do not fit, until it is known why: (checkpoint before, checkpoint).
    doubts: Vec<(u64, u64)>,
    /// Whether `verified` may still grow.
    unbroken: bool,
}

impl<'a> Chain<'a> {
    /// Begins at 0, or at a checkpoint with peaks.
    pub(super) fn from(size: u64, known: &'a Known, report: &mut Report) -> Self {
        let tree = if size == 0 { Some(Frontier::empty()) } else { resume(known, size) };
        if tree.is_none() {
            report.add(Finding::NoStart { size });
        }
        report.from = size;
        report.verified = size;
        let unbroken = tree.is_some();
        let mut chain =
            Self { known, size, goal: None, tree, resumed: None, anchor: size, doubts: Vec::new(), unbroken };
        if known.at(size).is_some() {
            chain.judge(report);
        }
        chain.goal = known.after(size);
        chain
    }

    pub(super) fn step(&mut self, step: Step, report: &mut Report) {
        match step {
            Step::Entry(hash) => self.entry(hash, report),
            Step::Gap(to) => self.gap(to, report),
        }
    }

    fn entry(&mut self, hash: Hash, report: &mut Report) {
        self.size = self.size.saturating_add(1);
        for tree in [&mut self.tree, &mut self.resumed] {
            if tree.as_mut().is_some_and(|tree| tree.append(hash, |_, _| ()).is_err()) {
                *tree = None;
            }
        }
        if self.goal == Some(self.size) {
            self.judge(report);
            self.goal = self.known.after(self.size);
        }
    }

    /// Entries up to `to` are missing, so no root can be computed until a checkpoint brings its own.
    fn gap(&mut self, to: u64, report: &mut Report) {
        self.settle(report);
        (self.tree, self.resumed, self.unbroken) = (None, None, false);
        while let Some(goal) = self.goal.filter(|goal| *goal <= to) {
            report.unjudged += 1;
            if goal == to {
                self.tree = resume(self.known, to);
                self.anchor = to;
            }
            self.goal = self.known.after(goal);
        }
        self.size = to;
    }

    /// Compares with what was signed for this size.
    fn judge(&mut self, report: &mut Report) {
        let fits = |tree: &Option<Frontier>| {
            let root = tree.as_ref().map(Frontier::root);
            self.known.at(self.size).is_some_and(|roots| roots.iter().any(|signed| Some(signed.root) == root))
        };
        let size = self.size;
        if fits(&self.tree) {
            for (_, earlier) in self.doubts.drain(..) {
                report.add(Finding::Inconsistent { size: earlier, with: size });
            }
            self.resumed = None;
            self.anchor = size;
            if self.unbroken {
                report.verified = size;
            }
        } else if fits(&self.resumed) {
            self.settle(report);
            self.tree = self.resumed.take();
            self.anchor = size;
        } else if self.tree.is_none() {
            report.unjudged += 1;
            self.tree = resume(self.known, size);
            self.anchor = size;
        } else {
            self.doubt(report);
        }
    }

    fn doubt(&mut self, report: &mut Report) {
        // Without peaks nothing can be said of what lies behind the first root that does not fit.
        if self.doubts.is_empty() || self.resumed.is_some() {
            if self.doubts.len() < MAX_FINDINGS {
                self.doubts.push((self.anchor, self.size));
            } else {
                report.left_off += 1;
            }
        } else {
            report.unjudged += 1;
        }
        self.resumed = resume(self.known, self.size);
        if self.resumed.is_some() {
            self.anchor = self.size;
        }
    }

    /// The entries are at fault.
    fn settle(&mut self, report: &mut Report) {
        for (after, size) in self.doubts.drain(..) {
            self.unbroken = false;
            report.add(Finding::RootMismatch { after, size });
        }
    }

    /// Nothing follows.
    pub(super) fn finish(mut self, report: &mut Report) {
        self.settle(report);
        let Some(signed) = self.known.largest() else {
            return report.add(Finding::NoCheckpoint);
        };
        if signed > self.size {
            report.add(Finding::Truncated { entries: self.size, signed });
        }
        if self.size > signed {
            report.add(Finding::Uncovered { from: signed.max(report.from), to: self.size - 1 });
        }
    }
}

/// The tree that was signed for `size`, if its peaks are there.
fn resume(known: &Known, size: u64) -> Option<Frontier> {
    known.at(size)?.iter().find_map(|signed| signed.frontier.clone())
}
