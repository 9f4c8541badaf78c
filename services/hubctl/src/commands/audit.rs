//! The audit log: reading, exporting, proving.

mod ledger;
mod offline;

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
};

use ::audit::{
    Entry, Hash,
    checkpoint::{Checkpoint, SignedCheckpoint, Trust},
    export::{self, ExportedCheckpoint, ExportedEntry},
    keys::VerifierKey,
    tree::{verify_consistency, verify_inclusion},
};
use authority_api::{
    AuthorityClient,
    audit::{AuditKeys, AuditLog, ConsistencyProof, Cosigner, InclusionProof, NewCosigner},
    types::Reason,
};
use serde::{Serialize, de::DeserializeOwned};

use super::minute;
use crate::{
    cli::{AuditCommand, CosignerCommand},
    context::{Context, Failure, file_error},
    output,
};

/// Entries and checkpoints in one call.
const PAGE: usize = 1000;

pub(super) async fn run(context: &Context, command: AuditCommand) -> Result<(), Failure> {
    match command {
        AuditCommand::Keys => keys(context).await,
        AuditCommand::Logs => logs(context).await,
        AuditCommand::Checkpoint { log, out } => {
            let note = context.anonymous()?.get_text(&format!("/v1/audit/checkpoint{}", of_log(log, '?'))).await?;
            match out {
                Some(path) => fs::write(&path, note).map_err(file_error(&path)),
                None => {
                    output::said(context.json, &serde_json::json!({ "note": &note }), note.trim_end());
                    Ok(())
                }
            }
        }
        AuditCommand::Entries { from, limit } => entries(context, from, limit).await,
        AuditCommand::Export { out, log, from, openings } => write_export(context, &out, log, from, openings).await,
        AuditCommand::Verify(ask) => offline::verify(context.json, &ask),
        AuditCommand::Ledger(ask) => ledger::check(context.json, &ask),
        AuditCommand::Prove { index, keys, since } => prove(context, index, keys, since.as_deref()).await,
        AuditCommand::Cosigner(command) => cosigner(context, command).await,
    }
}

async fn keys(context: &Context) -> Result<(), Failure> {
    let keys: AuditKeys = context.anonymous()?.get("/v1/audit/keys").await?;
    let mut lines = vec![("log", keys.log.clone()), ("time", keys.time.clone())];
    lines.extend(keys.cosigners.iter().map(|key| ("cosigner", key.clone())));
    output::sheet(context.json, &keys, &lines);
    Ok(())
}

async fn logs(context: &Context) -> Result<(), Failure> {
    let all: Vec<AuditLog> = context.anonymous()?.get("/v1/audit/logs").await?;
    let row = |log: &AuditLog| {
        let former = log.former.as_deref().and_then(|note| note.parse::<SignedCheckpoint>().ok());
        vec![
            log.number.to_string(),
            log.begun_at.map_or_else(String::new, minute),
            former.map_or_else(String::new, |former| format!("after {} entries", former.claims().size)),
            if log.here { String::new() } else { "lost".to_owned() },
            log.key.clone(),
        ]
    };
    output::table(context.json, &all, &["log", "begun", "", "", "key"], all.iter().map(row).collect());
    Ok(())
}

/// The parameter that asks for a log.
fn of_log(number: Option<u32>, after: char) -> String {
    number.map_or_else(String::new, |number| format!("{after}log={number}"))
}

async fn entries(context: &Context, from: u64, limit: u32) -> Result<(), Failure> {
    let all: Vec<ExportedEntry> =
        context.client()?.get(&format!("/v1/audit/entries?from={from}&limit={limit}")).await?;
    let row = |exported: &ExportedEntry| {
        let mut cells = vec![exported.index.to_string()];
        match exported.leaf.as_deref().map(Entry::read) {
            Some(Ok(entry)) => cells.extend([
                minute(entry.at()),
                entry.kind().as_str().to_owned(),
                entry.actor().to_string(),
                entry.subject().to_string(),
            ]),
            _ => cells.extend(["?", "in a later format", "", ""].map(str::to_owned)),
        }
        cells
    };
    let head = ["index", "at", "kind", "actor", "subject"];
    output::table(context.json, &all, &head, all.iter().map(row).collect());
    Ok(())
}

/// What was written.
#[derive(Serialize)]
struct Written {
    from: u64,
    entries: u64,
    checkpoints: u64,
}

/// Entries first, then the checkpoints up to the last of them, so that what is signed in between leaves no entry uncovered.
async fn write_export(
    context: &Context,
    out: &Path,
    log: Option<u32>,
    from: u64,
    openings: bool,
) -> Result<(), Failure> {
    let client = context.client()?;
    fs::create_dir_all(out).map_err(file_error(out))?;
    let what = (if openings { "openings" } else { "entries" }, log);
    let newest = client.get_text(&format!("/v1/audit/checkpoint{}", of_log(log, '?'))).await?;
    let newest: SignedCheckpoint = note(&newest)?;
    let size = newest.claims().size;
    let next = |entry: &ExportedEntry| entry.index + 1;
    let entries = pages(&client, what, from, &out.join("entries.jsonl"), next, |entry| entry.index < size).await?;
    let next = |checkpoint: &ExportedCheckpoint| claimed(checkpoint) + 1;
    let within = |checkpoint: &ExportedCheckpoint| claimed(checkpoint) <= size;
    let file = out.join("checkpoints.jsonl");
    let checkpoints = pages(&client, ("checkpoints", log), from, &file, next, within).await?;
    let written = Written { from, entries, checkpoints };
    let sentence = format!("{entries} entries from {from} on and {checkpoints} checkpoints are in {}", out.display());
    output::said(context.json, &written, &sentence);
    Ok(())
}

/// Size that a checkpoint claims; one that is unreadable ends the export.
fn claimed(checkpoint: &ExportedCheckpoint) -> u64 {
    checkpoint.note.parse::<SignedCheckpoint>().map_or(u64::MAX - 1, |signed| signed.claims().size)
}

/// Writes all pages of a list of a log to a file.
async fn pages<T: DeserializeOwned + Serialize>(
    client: &AuthorityClient,
    (what, log): (&str, Option<u32>),
    mut from: u64,
    path: &Path,
    next: impl Fn(&T) -> u64,
    within: impl Fn(&T) -> bool,
) -> Result<u64, Failure> {
    let mut file = BufWriter::new(File::create(path).map_err(file_error(path))?);
    let mut written = 0;
    loop {
        let page: Vec<T> =
            client.get(&format!("/v1/audit/{what}?from={from}&limit={PAGE}{}", of_log(log, '&'))).await?;
        from = page.last().map_or(from, &next);
        for line in page.iter().filter(|line| within(line)) {
            export::write_line(&mut file, line).map_err(file_error(path))?;
            written += 1;
        }
        if page.len() < PAGE || !page.last().is_some_and(&within) {
            file.flush().map_err(file_error(path))?;
            return Ok(written);
        }
    }
}

/// A proof that was checked.
#[derive(Serialize)]
struct Proved {
    checkpoint: String,
    inclusion: InclusionProof,
    consistency: Option<ConsistencyProof>,
}

async fn prove(context: &Context, index: u64, keys: Vec<VerifierKey>, since: Option<&Path>) -> Result<(), Failure> {
    let client = context.anonymous()?;
    let text = client.get_text("/v1/audit/checkpoint").await?;
    let trust = trust(keys)?;
    let newest = believed(&trust, &text)?;
    let size = newest.size;
    let inclusion: InclusionProof =
        client.get(&format!("/v1/audit/proofs/inclusion?index={index}&size={size}")).await?;
    let path = hashes(&inclusion.path)?;
    verify_inclusion(&hash(&inclusion.hash)?, index, size, &path, &newest.root)
        .map_err(|error| Failure::Unsound(format!("the entry is not proved: {error}")))?;
    let mut sentence = format!("entry {index} ({}) is in the signed log of {size} entries", inclusion.hash);
    let mut consistency = None;
    if let Some(file) = since {
        let before = believed(&trust, &fs::read_to_string(file).map_err(file_error(file))?)?;
        if before.size > size {
            return Err(Failure::Unsound(format!("the log shrank: {} entries were signed before", before.size)));
        }
        let (from, call) = (before.size, "/v1/audit/proofs/consistency");
        let proof: ConsistencyProof = client.get(&format!("{call}?from={from}&to={size}")).await?;
        verify_consistency(from, &before.root, size, &newest.root, &hashes(&proof.path)?)
            .map_err(|error| Failure::Unsound(format!("the log does not continue what it signed before: {error}")))?;
        sentence = format!("{sentence}, which continues that of {from}");
        consistency = Some(proof);
    }
    output::said(context.json, &Proved { checkpoint: text, inclusion, consistency }, &sentence);
    Ok(())
}

/// Believes the log that these keys are named after.
fn trust(keys: Vec<VerifierKey>) -> Result<Trust, Failure> {
    let origin = keys.first().map(|key| key.name().clone());
    let origin = origin.ok_or_else(|| Failure::Usage("name the log's key".into()))?;
    Ok(Trust::new(origin, keys))
}

fn note(text: &str) -> Result<SignedCheckpoint, Failure> {
    text.parse().map_err(|_| Failure::Unsound("that is no checkpoint in a signed note".into()))
}

fn believed(trust: &Trust, text: &str) -> Result<Checkpoint, Failure> {
    let opened = trust.open(&note(text)?);
    opened.map(|opened| opened.checkpoint).map_err(|error| Failure::Unsound(error.to_string()))
}

fn hash(text: &str) -> Result<Hash, Failure> {
    text.parse().map_err(|_| Failure::Unsound("the proof holds something that is no hash".into()))
}

fn hashes(texts: &[String]) -> Result<Vec<Hash>, Failure> {
    texts.iter().map(|text| hash(text)).collect()
}

async fn cosigner(context: &Context, command: CosignerCommand) -> Result<(), Failure> {
    let client = context.client()?;
    let all = "/v1/audit/cosigners";
    let shown = match command {
        CosignerCommand::Propose { key, because } => {
            let new = NewCosigner { key: key.to_string(), reason: because.reason };
            vec![client.post::<_, Cosigner>(all, &new).await?]
        }
        CosignerCommand::Confirm { id, because } => {
            let reason = Reason { reason: because.reason };
            vec![client.post::<_, Cosigner>(&format!("{all}/{id}/confirm"), &reason).await?]
        }
        CosignerCommand::Remove { id, because } => {
            let reason = Reason { reason: because.reason };
            vec![client.post::<_, Cosigner>(&format!("{all}/{id}/remove"), &reason).await?]
        }
        CosignerCommand::List => client.get(all).await?,
    };
    let row = |cosigner: &Cosigner| {
        let state = match (&cosigner.confirmed_by, &cosigner.removed_at) {
            (_, Some(_)) => "removed",
            (Some(_), None) => "confirmed",
            (None, None) => "proposed",
        };
        vec![cosigner.id.clone(), state.to_owned(), cosigner.key.clone()]
    };
    output::table(context.json, &shown, &["id", "state", "key"], shown.iter().map(row).collect());
    Ok(())
}
