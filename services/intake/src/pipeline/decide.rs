//! Which rows of a batch are published. Pure: what was published before is passed in.
//!
//! Under one id, the last published content stands. Rows of one request that have the same id and other content are
//! duplicates: the higher rank (newer card, later sequence) wins. At equal rank either the later row is refused (the
//! publisher's own references are unique) or the fuller card wins, and of equally full ones the one with the higher digest,
//! so that a re-ordered file ends the same. Content that lost this way is remembered: it does not come back with the next
//! export of the same cards.

use std::collections::{HashMap, HashSet};

use crate::{
    db::published::{Before, Known},
    judge::{Candidate, Id, Tie},
    rule::Rule,
};

/// What to do with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Publish it.
    Publish {
        /// Whether the id was not known before.
        new: bool,
    },
    /// Nothing to publish; with a warning where the publisher may wonder.
    Unchanged(Option<Rule>),
    /// As [`Self::Unchanged`], because of another row of this batch, which must be acknowledged for this to be true.
    Follows(usize, Option<Rule>),
    /// Refused.
    Refuse(Rule),
}

/// The verdicts of a batch and what else is to be written.
#[derive(Debug, Default)]
pub struct Decision {
    /// One for each row.
    pub verdicts: Vec<Verdict>,
    /// Ids that were known and that this request saw unchanged.
    pub seen: Vec<Id>,
    /// Content that lost.
    pub lost: Vec<(Id, Id)>,
}

/// What stands under an id while the batch is gone through.
#[derive(Clone, Copy)]
struct Standing {
    known: Known,
    /// The row of this batch that would publish it.
    row: Option<usize>,
    /// Whether the database had the id before.
    before: bool,
    touched: bool,
}

/// Decides a batch of request `import`.
pub fn decide(rows: &[&Candidate], before: &Before, import: i64) -> Decision {
    let mut decision = Decision::default();
    let mut standing: HashMap<Id, Standing> = HashMap::with_capacity(rows.len());
    let mut lost: HashSet<(Id, Id)> = HashSet::new();
    for (index, row) in rows.iter().enumerate() {
        let known = before.known.get(&row.id);
        let stood = standing.get(&row.id).copied();
        let stood =
            stood.or_else(|| known.map(|known| Standing { known: *known, row: None, before: true, touched: false }));
        let own = Known { fingerprint: row.fingerprint, rank: row.rank, filled: row.filled, import };
        let verdict = match stood {
            None => Verdict::Publish { new: true },
            Some(stood) => against(row, &own, &stood, import, before, &lost),
        };
        if let Some(mut stood) = stood {
            let same_request = stood.known.import == import;
            let tied = same_request && row.replacing.tie == Tie::Pick && stood.known.rank == row.rank;
            match verdict {
                Verdict::Publish { .. } => {
                    if tied {
                        lost.insert((row.id, stood.known.fingerprint));
                    }
                    if let Some(loser) = stood.row.and_then(|loser| decision.verdicts.get_mut(loser)) {
                        *loser = Verdict::Follows(index, Some(Rule::Superseded));
                    }
                }
                Verdict::Unchanged(Some(Rule::Superseded)) | Verdict::Follows(_, Some(Rule::Superseded)) if tied => {
                    lost.insert((row.id, row.fingerprint));
                }
                Verdict::Unchanged(None) if !same_request && !stood.touched => {
                    decision.seen.push(row.id);
                    stood.touched = true;
                    stood.known.import = import;
                    standing.insert(row.id, stood);
                }
                _ => {}
            }
        }
        if matches!(verdict, Verdict::Publish { .. }) {
            let was = stood.is_some_and(|stood| stood.before);
            standing.insert(row.id, Standing { known: own, row: Some(index), before: was, touched: true });
            decision.verdicts.push(Verdict::Publish { new: !was });
        } else {
            decision.verdicts.push(verdict);
        }
    }
    decision.lost = lost.into_iter().collect();
    decision
}

fn against(
    row: &Candidate,
    own: &Known,
    stood: &Standing,
    import: i64,
    before: &Before,
    lost: &HashSet<(Id, Id)>,
) -> Verdict {
    let unchanged = |rule| match stood.row {
        Some(other) => Verdict::Follows(other, rule),
        None => Verdict::Unchanged(rule),
    };
    if stood.known.fingerprint == own.fingerprint {
        return unchanged(None);
    }
    let loser = (row.id, row.fingerprint);
    if row.replacing.tie == Tie::Pick && (before.superseded.contains(&loser) || lost.contains(&loser)) {
        return unchanged(Some(Rule::Superseded));
    }
    let same_request = stood.known.import == import;
    if !same_request {
        let stale = row.replacing.monotonic && own.rank < stood.known.rank;
        return if stale { unchanged(Some(Rule::OlderThanPublished)) } else { Verdict::Publish { new: false } };
    }
    match (own.rank.cmp(&stood.known.rank), row.replacing.tie) {
        (std::cmp::Ordering::Greater, _) if row.replacing.monotonic => Verdict::Publish { new: false },
        (std::cmp::Ordering::Less, _) if row.replacing.monotonic => unchanged(Some(Rule::Superseded)),
        (_, Tie::Refuse) => Verdict::Refuse(Rule::DuplicateReference),
        (_, Tie::Pick) => {
            let (mine, theirs) = ((own.filled, own.fingerprint), (stood.known.filled, stood.known.fingerprint));
            if mine > theirs { Verdict::Publish { new: false } } else { unchanged(Some(Rule::Superseded)) }
        }
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
