//! `hubctl audit ledger`: seals of a ledger against the exported log. Offline.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    path::Path,
};

use audit::{
    Entry, Hash, Opening,
    export::{ExportError, ExportedEntry},
};
use serde::{Deserialize, Serialize};

use crate::{cli::AuditLedger, context::Failure, output};

/// A line of seals.
#[derive(Deserialize)]
struct Seal {
    leaf: String,
    opening: Opening,
}

/// What every payload begins with, whichever ledger's it is.
#[derive(Deserialize)]
struct Payload {
    service: String,
    seal: u64,
    rows: Vec<serde::de::IgnoredAny>,
}

/// What was found.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// Seals read.
    seals: u64,
    /// Rows in them; one that grew counts once for each of its versions.
    rows: usize,
    /// Lines that are no seal.
    malformed: Vec<u64>,
    /// Seals, as `service number`, whose leaf does not commit to what stands beside it.
    wrong: Vec<String>,
    /// Seals whose leaf is not in the log: on its way, or kept back.
    unlogged: Vec<String>,
    /// Numbers that are missing.
    missing: Vec<String>,
    /// Numbers that two seals have.
    doubled: Vec<String>,
}

impl Report {
    fn is_sound(&self) -> bool {
        [&self.wrong, &self.unlogged, &self.missing, &self.doubled].iter().all(|found| found.is_empty())
            && self.malformed.is_empty()
    }
}

pub(super) fn check(json: bool, ask: &AuditLedger) -> Result<(), Failure> {
    let logged = logged(&ask.entries)?;
    let mut report = Report::default();
    let mut numbers: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for seal in super::offline::lines::<Seal>(&ask.seals)? {
        match seal {
            Ok(seal) => look_at(&seal, &logged, &mut numbers, &mut report),
            Err(ExportError::Line { line }) => report.malformed.push(line),
            Err(error @ ExportError::Io { .. }) => return Err(Failure::Usage(error.to_string())),
        }
    }
    for (service, seen) in &numbers {
        let last = seen.last().copied().unwrap_or_default();
        report
            .missing
            .extend((1..=last).filter(|number| !seen.contains(number)).map(|number| format!("{service} {number}")));
    }
    show(json, &report);
    if report.is_sound() { Ok(()) } else { Err(Failure::Unsound("the ledger is NOT what was logged".into())) }
}

fn logged(entries: &Path) -> Result<HashSet<Hash>, Failure> {
    let entries = super::offline::lines::<ExportedEntry>(entries)?;
    let hash = |entry: Result<ExportedEntry, ExportError>| entry.map(|entry| entry.hash);
    entries.map(hash).collect::<Result<_, _>>().map_err(|error| Failure::Usage(error.to_string()))
}

fn look_at(seal: &Seal, logged: &HashSet<Hash>, numbers: &mut BTreeMap<String, BTreeSet<u64>>, report: &mut Report) {
    report.seals += 1;
    let Ok(Payload { service, seal: number, rows }) = serde_json::from_slice(seal.opening.payload.expose()) else {
        report.malformed.push(report.seals);
        return;
    };
    let name = format!("{service} {number}");
    let entry = Entry::read(&seal.leaf);
    let holds = entry.is_ok_and(|entry| {
        seal.opening.opens(entry.commitment()) && entry.actor().to_string() == format!("service {service}")
    });
    if !holds {
        report.wrong.push(name.clone());
    }
    if !logged.contains(&Hash::of_leaf(seal.leaf.as_bytes())) {
        report.unlogged.push(name.clone());
    }
    if !numbers.entry(service).or_default().insert(number) {
        report.doubled.push(name);
    }
    report.rows += rows.len();
}

fn show(json: bool, report: &Report) {
    let mut lines = vec![("seals", format!("{}, of {} rows", report.seals, report.rows))];
    for (what, found) in [
        ("WRONG", &report.wrong),
        ("NOT LOGGED", &report.unlogged),
        ("MISSING", &report.missing),
        ("DOUBLED", &report.doubled),
    ] {
        lines.extend(found.iter().map(|seal| (what, seal.clone())));
    }
    lines.extend(report.malformed.iter().map(|line| ("MALFORMED", format!("line {line}"))));
    output::sheet(json, report, &lines);
}
