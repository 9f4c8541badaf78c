//! Erasing, watching how far it is, and the certificate.

mod person;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use authority_api::{
    AuthorityClient, Certificate, PublicKey, SignedCertificate,
    erasure::{Erasure, ErasureStep, NewErasure},
};
use uuid::Uuid;

use super::{joined, minute};
use crate::{
    cli::{EraseArgs, ErasureCommand},
    context::{Context, Failure, file_error},
    output,
};

/// Between two looks.
const AGAIN: Duration = Duration::from_millis(250);

/// `hubctl erase`.
pub(super) async fn erase(context: &Context, args: EraseArgs) -> Result<(), Failure> {
    let mut contacts: BTreeSet<_> = args.contacts.iter().cloned().collect();
    if let Some(file) = &args.contacts_file {
        let text = std::fs::read_to_string(file).map_err(file_error(file))?;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let usage = |_| Failure::Usage(format!("{} has a line that is no contact id", file.display()));
            contacts.insert(line.parse().map_err(usage)?);
        }
    }
    if let (Some(person), true, None) = (args.person, contacts.is_empty(), &args.contacts_file) {
        return person::erase(context, &args, person).await;
    }
    let client = context.client()?;
    let new = NewErasure { contacts, person: args.person, reason: args.reason };
    let erasure = ask(context, &client, &new, args.wait).await?;
    show(context, &erasure);
    Ok(())
}

async fn ask(context: &Context, client: &AuthorityClient, new: &NewErasure, waits: bool) -> Result<Erasure, Failure> {
    let asked: Erasure = client.post("/v1/erasures", new).await?;
    if waits { wait(context, client, asked).await } else { Ok(asked) }
}

/// `hubctl erasure …`.
pub(super) async fn run(context: &Context, command: ErasureCommand) -> Result<(), Failure> {
    let client = context.client()?;
    match command {
        ErasureCommand::List => {
            let all: Vec<Erasure> = client.get("/v1/erasures").await?;
            let row = |erasure: &Erasure| {
                vec![
                    erasure.id.to_string(),
                    minute(erasure.asked.asked_at),
                    erasure.asked.asked_by.to_string(),
                    erasure.asked.reason.as_str().to_owned(),
                    erasure.asked.contacts.len().to_string(),
                    next(erasure),
                ]
            };
            let head = ["erasure", "asked", "by", "reason", "contacts", "next step"];
            output::table(context.json, &all, &head, all.iter().map(row).collect());
        }
        ErasureCommand::Show { id, wait: waits } => {
            let found: Erasure = client.get(&format!("/v1/erasures/{id}")).await?;
            let erasure = if waits { wait(context, &client, found).await? } else { found };
            show(context, &erasure);
        }
        ErasureCommand::Certificate { id, out, trusted } => {
            certificate(&client, id, out.as_deref(), &trusted).await?;
        }
    }
    Ok(())
}

/// Tells each step as it is done, until all are.
async fn wait(context: &Context, client: &AuthorityClient, mut erasure: Erasure) -> Result<Erasure, Failure> {
    let mut told = 0;
    loop {
        for taken in erasure.steps.iter().skip(told) {
            if !context.json {
                output::text(&format!("{}  {}", minute(taken.at), what(taken.step)));
            }
        }
        told = erasure.steps.len();
        if erasure.next.is_none() {
            return Ok(erasure);
        }
        tokio::time::sleep(AGAIN).await;
        erasure = client.get(&format!("/v1/erasures/{}", erasure.id)).await?;
    }
}

async fn certificate(
    client: &AuthorityClient,
    id: Uuid,
    out: Option<&Path>,
    trusted: &[PathBuf],
) -> Result<(), Failure> {
    let signed: SignedCertificate = client.get(&format!("/v1/erasures/{id}/certificate")).await?;
    let keys = trusted.iter().map(|path| PublicKey::read(path)).collect::<Result<Vec<_>, _>>();
    let keys = keys.map_err(|error| Failure::Usage(error.to_string()))?;
    let opened: Option<Certificate> = if keys.is_empty() {
        None
    } else {
        Some(signed.open(&keys).map_err(|error| Failure::Usage(format!("the certificate does not hold: {error}")))?)
    };
    if let Some(path) = out {
        let text = serde_json::to_string_pretty(&signed).map_err(std::io::Error::other).map_err(file_error(path))?;
        std::fs::write(path, text + "\n").map_err(file_error(path))?;
    }
    match opened {
        Some(certificate) => output::said(true, &certificate, ""),
        None => output::said(true, &signed, ""),
    }
    Ok(())
}

fn show(context: &Context, erasure: &Erasure) {
    let asked = &erasure.asked;
    let mut lines = vec![
        ("erasure", erasure.id.to_string()),
        ("contacts", joined(&asked.contacts)),
        ("person", asked.person.map_or_else(|| "-".to_owned(), |person| person.to_string())),
        ("reason", asked.reason.as_str().to_owned()),
        ("asked", format!("{} by {}", minute(asked.asked_at), asked.asked_by)),
    ];
    lines.extend(erasure.steps.iter().map(|taken| (taken.step.as_str(), minute(taken.at))));
    lines.push(("next step", next(erasure)));
    output::sheet(context.json, erasure, &lines);
}

fn next(erasure: &Erasure) -> String {
    erasure.next.map_or("none: finished", ErasureStep::as_str).to_owned()
}

const fn what(step: ErasureStep) -> &'static str {
    match step {
        ErasureStep::Recorded => "recorded in the ledger",
        ErasureStep::Fenced => "fenced: no key is given out any more",
        ErasureStep::Destroyed => "the keys are destroyed",
        ErasureStep::Heard => "every cache has heard of it",
        ErasureStep::Tombstoned => "tombstones are on the topic",
        ErasureStep::Forgotten => "no service has anything left",
        ErasureStep::Verified => "verified",
        ErasureStep::Certified => "certified",
    }
}
