//! Entries in the order of their indices, though the file may not have them so.
//!
//! An entry that comes early is held back until those before it come, or too many are held. So an exchange of
//! neighbours is named for what it is, and the rest of the log can still be checked.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
};

use super::report::{Finding, Report};
use crate::Hash;

/// Entries held back at most.
const WINDOW: usize = 4096;
/// Gaps remembered at most, in which late entries are known for such.
const GAPS: usize = 1024;

/// The next thing in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The next entry.
    Entry(Hash),
    /// Entries are missing up to this index.
    Gap(u64),
}

#[derive(Debug)]
pub(super) struct Order {
    next: u64,
    /// Place in the file of the entry to come.
    place: u64,
    held: BTreeMap<u64, Held>,
    gaps: VecDeque<Range<u64>>,
}

#[derive(Debug)]
struct Held {
    hash: Hash,
    place: u64,
    /// Whether it was found to stand too early.
    early: bool,
}

impl Order {
    pub(super) const fn from(next: u64) -> Self {
        Self { next, place: next, held: BTreeMap::new(), gaps: VecDeque::new() }
    }

    /// Takes an entry as it stands in the file.
    pub(super) fn take(
        &mut self,
        index: u64,
        hash: Hash,
        report: &mut Report,
        mut step: impl FnMut(Step, &mut Report),
    ) {
        let place = self.place;
        self.place = place.saturating_add(1);
        if index < self.next {
            report.add(self.late(index, place));
        } else if self.held.contains_key(&index) {
            report.add(Finding::Inserted { index });
        } else if index == self.next {
            self.explain(place, report);
            self.give(hash, report, &mut step);
            self.release(report, &mut step);
        } else {
            self.held.insert(index, Held { hash, place, early: false });
            if self.held.len() > WINDOW {
                self.give_up(report, &mut step);
            }
        }
    }

    /// Nothing follows.
    pub(super) fn finish(&mut self, report: &mut Report, mut step: impl FnMut(Step, &mut Report)) {
        while !self.held.is_empty() {
            self.give_up(report, &mut step);
        }
    }

    /// The entry that is due comes at `place`, while others are held. Where its followers wait, it is late; where others do,
    /// they are early.
    fn explain(&mut self, place: u64, report: &mut Report) {
        let index = self.next;
        let follower = self.held.first_key_value().filter(|(first, _)| **first == index.saturating_add(1));
        if follower.is_some_and(|(_, held)| !held.early) {
            return report.add(Finding::Reordered { index, place });
        }
        for (index, held) in self.held.iter_mut().filter(|(_, held)| !held.early) {
            held.early = true;
            report.add(Finding::Reordered { index: *index, place: held.place });
        }
    }

    /// Of an entry whose turn is over.
    fn late(&mut self, index: u64, place: u64) -> Finding {
        let Some(at) = self.gaps.iter().position(|gap| gap.contains(&index)) else {
            return Finding::Inserted { index };
        };
        if let Some(gap) = self.gaps.remove(at) {
            let parts = [gap.start..index, index + 1..gap.end];
            self.gaps.extend(parts.into_iter().filter(|part| !part.is_empty()));
        }
        Finding::Reordered { index, place }
    }

    /// The entries up to the first that is held will not come.
    fn give_up(&mut self, report: &mut Report, step: &mut impl FnMut(Step, &mut Report)) {
        let Some((first, _)) = self.held.first_key_value() else { return };
        let gap = self.next..*first;
        report.add(Finding::Removed { from: gap.start, to: gap.end.saturating_sub(1) });
        self.next = gap.end;
        step(Step::Gap(gap.end), report);
        self.gaps.push_back(gap);
        while self.gaps.len() > GAPS {
            self.gaps.pop_front();
        }
        self.release(report, step);
    }

    fn release(&mut self, report: &mut Report, step: &mut impl FnMut(Step, &mut Report)) {
        while let Some(held) = self.held.remove(&self.next) {
            self.give(held.hash, report, step);
        }
    }

    fn give(&mut self, hash: Hash, report: &mut Report, step: &mut impl FnMut(Step, &mut Report)) {
        self.next = self.next.saturating_add(1);
        step(Step::Entry(hash), report);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found in entries that stand so, and the indices and gaps that are given out.
    fn run(indices: impl IntoIterator<Item = u64>) -> (Vec<Finding>, Vec<String>) {
        let (mut order, mut report, mut steps) = (Order::from(0), Report::default(), Vec::new());
        let mut due = 0;
        let mut step = |step, _: &mut Report| match step {
            Step::Entry(hash) => {
                assert_eq!(hash, Hash::of_leaf(&u64::to_be_bytes(due)), "in order");
                due = due.saturating_add(1);
            }
            Step::Gap(to) => {
                steps.push(format!("{due}..{to}"));
                due = to;
            }
        };
        for index in indices {
            order.take(index, Hash::of_leaf(&index.to_be_bytes()), &mut report, &mut step);
        }
        order.finish(&mut report, &mut step);
        steps.push(format!("{due}"));
        (report.findings, steps)
    }

    const fn reordered(index: u64, place: u64) -> Finding {
        Finding::Reordered { index, place }
    }

    #[test]
    fn what_was_moved_is_named_once_and_put_back() {
        for (indices, findings) in [
            (vec![0, 1, 2, 3], vec![]),
            (vec![0, 2, 1, 3], vec![reordered(1, 2)]),
            (vec![1, 2, 3, 0], vec![reordered(0, 3)]),
            (vec![3, 0, 1, 2], vec![reordered(3, 0)]),
            (vec![3, 1, 2, 0], vec![reordered(0, 3)]),
            (vec![0, 1, 1, 2, 3], vec![Finding::Inserted { index: 1 }]),
            (vec![0, 2, 2, 1, 3], vec![Finding::Inserted { index: 2 }, reordered(1, 3)]),
        ] {
            assert_eq!(run(indices.clone()), (findings, vec!["4".to_owned()]), "{indices:?}");
        }
    }

    #[test]
    fn what_is_missing_is_named_and_left_out() {
        let removed = |from, to| Finding::Removed { from, to };
        assert_eq!(run([0, 2, 3]), (vec![removed(1, 1)], vec!["1..2".to_owned(), "4".to_owned()]));
        assert_eq!(run([3, 4]), (vec![removed(0, 2)], vec!["0..3".to_owned(), "5".to_owned()]));
        let far = WINDOW as u64 + 10;
        let (findings, _) = run([0].into_iter().chain(2..far).chain([1, far]));
        assert_eq!(findings, [removed(1, 1), reordered(1, far - 1)], "it comes after it was given up");
    }

    #[test]
    fn an_index_out_of_the_world_does_no_further_harm() {
        let (findings, steps) = run([0, 1, u64::MAX, 2, 3]);
        assert_eq!(findings, [reordered(u64::MAX, 2), Finding::Removed { from: 4, to: u64::MAX - 1 }]);
        assert_eq!(steps.len(), 2);
    }
}
