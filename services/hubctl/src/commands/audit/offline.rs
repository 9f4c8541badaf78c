//! `hubctl audit verify`: files and keys, nobody is called.

use std::{
    fs::{self, File},
    io::BufReader,
    path::Path,
};

use audit::{
    export::{ExportError, ExportedCheckpoint, Lines, read_lines},
    verify::{Report, verify_from},
};

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
    let report = verify_from(ask.from, lines(&ask.entries)?, checkpoints.into_iter().flatten(), &trust)
        .map_err(|error| Failure::Usage(error.to_string()))?;
    show(json, &report);
    if report.is_sound() {
        return Ok(());
    }
    let findings = u64::try_from(report.findings.len()).unwrap_or(u64::MAX).saturating_add(report.left_off);
    Err(Failure::Unsound(format!("the log is NOT sound: {findings} findings")))
}

pub(super) fn lines<T: serde::de::DeserializeOwned>(file: &Path) -> Result<Lines<T, BufReader<File>>, Failure> {
    Ok(read_lines(BufReader::new(File::open(file).map_err(file_error(file))?)))
}

fn show(json: bool, report: &Report) {
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
    for finding in &report.findings {
        lines.push(("WRONG", finding.to_string()));
    }
    output::sheet(json, report, &lines);
}
