//! The offline verifier: exported files against the keys that one trusts.
//!
//! One pass over the entries, in memory that does not grow with them. What can be named depends on how far the
//! tampering went. If lines were only removed, doubled, moved or changed, the entry is named. If indices and hashes were
//! made to match, no root fits from there on, and the two checkpoints between which it happened are named. If the log
//! itself signed two histories, the checkpoints are.
//!
//! What cannot be found from one's own files: that another reader was shown another history. For that, members keep the
//! checkpoints that they saw and give them all to one verification, or cosign them.

mod chain;
mod known;
mod order;
mod report;

pub use report::{Finding, Report};

use crate::{
    Entry, Hash,
    checkpoint::Trust,
    export::{ExportError, ExportedCheckpoint, ExportedEntry},
};

/// Verifies a whole log.
///
/// # Errors
/// When a file cannot be read to its end. What is wrong with its content is in the report.
pub fn verify(
    entries: impl IntoIterator<Item = Result<ExportedEntry, ExportError>>,
    checkpoints: impl IntoIterator<Item = Result<ExportedCheckpoint, ExportError>>,
    trust: &Trust,
) -> Result<Report, ExportError> {
    verify_from(0, entries, checkpoints, trust)
}

/// Verifies the entries from `from` on, which must be the size of a checkpoint with peaks: what is new since one that was
/// verified before. That this checkpoint is the one verified before is for the caller to see to, by giving it as
/// it was kept.
///
/// # Errors
/// When a file cannot be read to its end.
pub fn verify_from(
    from: u64,
    entries: impl IntoIterator<Item = Result<ExportedEntry, ExportError>>,
    checkpoints: impl IntoIterator<Item = Result<ExportedCheckpoint, ExportError>>,
    trust: &Trust,
) -> Result<Report, ExportError> {
    let mut report = Report::default();
    let mut known = known::Known::default();
    known.read(checkpoints, trust, &mut report)?;
    known.check_times(&mut report);
    let mut chain = chain::Chain::from(from, &known, &mut report);
    let mut order = order::Order::from(from);
    for entry in entries {
        match entry {
            Ok(entry) => {
                report.entries += 1;
                look_at(&entry, &mut report);
                order.take(entry.index, entry.hash, &mut report, |step, report| chain.step(step, report));
            }
            Err(ExportError::Line { line }) => report.add(Finding::MalformedEntry { line }),
            Err(error @ ExportError::Io { .. }) => return Err(error),
        }
    }
    order.finish(&mut report, |step, report| chain.step(step, report));
    chain.finish(&mut report);
    Ok(report)
}

/// Looks at an entry by itself.
fn look_at(exported: &ExportedEntry, report: &mut Report) {
    let ExportedEntry { index, hash, leaf, opening } = exported;
    let index = *index;
    if leaf.as_ref().is_some_and(|leaf| Hash::of_leaf(leaf.as_bytes()) != *hash) {
        report.add(Finding::Altered { index });
    }
    let entry = leaf.as_ref().map(|leaf| Entry::read(leaf));
    if let Some(Err(_)) = entry {
        report.unknown += 1;
    }
    match (opening, entry) {
        (None, _) => report.closed += 1,
        (Some(opening), Some(Ok(entry))) if opening.opens(entry.commitment()) => report.opened += 1,
        (Some(_), _) => report.add(Finding::WrongOpening { index }),
    }
}
