//! `hubctl audit verify`: files and keys, nobody is called.

use std::{
    fs::{self, File},
    io::BufReader,
    path::Path,
};

use audit::{
    checkpoint::SignedCheckpoint,
    export::{ExportError, ExportedCheckpoint, ExportedEntry, Lines, read_lines},
    keys::VerifierKey,
    verify::{Report, verify_from},
};
use authority_api::audit::Beginning;
use serde::Serialize;

use crate::{
    cli::AuditVerify,
    context::{Failure, file_error},
    output,
};

pub(super) fn verify(json: bool, ask: &AuditVerify) -> Result<(), Failure> {
    let trust = super::trust(ask.keys.clone())?.cosigned_by(ask.cosigners.clone(), ask.quorum);
    let mut checkpoints: Vec<Box<dyn Iterator<Item = Result<ExportedCheckpoint, ExportError>>>> = Vec::new();
    for file in &ask.checkpoints {
        checkpoints.push(Box::new(lines::<ExportedCheckpoint>(file)?));
    }
    if let Some(file) = &ask.since {
        let note = fs::read_to_string(file).map_err(file_error(file))?;
        checkpoints.push(Box::new(std::iter::once(Ok(ExportedCheckpoint { note, peaks: None }))));
    }
    let mut beginning = None;
    let entries = lines::<ExportedEntry>(&ask.entries)?.inspect(|entry| {
        if let Ok(ExportedEntry { index: 0, opening: Some(opening), .. }) = entry {
            beginning = Beginning::of(opening.payload.expose());
        }
    });
    let report = verify_from(ask.from, entries, checkpoints.into_iter().flatten(), &trust)
        .map_err(|error| Failure::Usage(error.to_string()))?;
    show(json, &report, beginning.as_ref());
    if !report.is_sound() {
        let findings = u64::try_from(report.findings.len()).unwrap_or(u64::MAX).saturating_add(report.left_off);
        return Err(Failure::Unsound(format!("the log is NOT sound: {findings} findings")));
    }
    match (&ask.former, &ask.former_key) {
        (Some(file), Some(key)) => follows(beginning, &fs::read_to_string(file).map_err(file_error(file))?, key),
        _ => Ok(()),
    }
}

/// Whether a log begins where the one before, of which a checkpoint was kept, ended.
fn follows(beginning: Option<Beginning>, kept: &str, key: &VerifierKey) -> Result<(), Failure> {
    let beginning = beginning.ok_or_else(|| {
        Failure::Unsound("the export does not show that the log was begun after another (--openings)".into())
    })?;
    let trust = super::trust(vec![key.clone()])?;
    let (ended, kept) = (super::believed(&trust, &beginning.former)?, super::believed(&trust, kept)?);
    if kept.size > ended.size {
        let (kept, ended) = (kept.size, ended.size);
        return Err(Failure::Unsound(format!(
            "the log before had signed {kept} entries; this one begins as if it had been {ended}: keep both notes, they are the evidence"
        )));
    }
    if kept.size == ended.size && kept.root != ended.root {
        return Err(Failure::Unsound("the log before had signed another history: keep both notes".into()));
    }
    Ok(())
}

pub(super) fn lines<T: serde::de::DeserializeOwned>(file: &Path) -> Result<Lines<T, BufReader<File>>, Failure> {
    Ok(read_lines(BufReader::new(File::open(file).map_err(file_error(file))?)))
}

/// What was found, and after which log this one was begun.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    report: &'a Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    begun_after: Option<&'a Beginning>,
}

fn show(json: bool, report: &Report, begun_after: Option<&Beginning>) {
    let mut lines = vec![
        ("entries", format!("{}, of which {}..{} are proved", report.entries, report.from, report.verified)),
        ("checkpoints", format!("{} believed, {} not to be judged", report.checkpoints, report.unjudged)),
        ("openings", format!("{} fit, {} erased or not shown", report.opened, report.closed)),
    ];
    if report.unknown > 0 {
        lines.push(("later format", format!("{} leaves", report.unknown)));
    }
    for (name, count) in &report.strangers {
        lines.push(("unknown key", format!("{name}, on {count} checkpoints")));
    }
    if let Some(former) = begun_after.and_then(|beginning| beginning.former.parse::<SignedCheckpoint>().ok()) {
        let former = former.claims();
        lines.push(("begun after", format!("{}, which had signed {} entries", former.origin, former.size)));
    }
    for finding in &report.findings {
        lines.push(("WRONG", finding.to_string()));
    }
    output::sheet(json, &Shown { report, begun_after }, &lines);
}
