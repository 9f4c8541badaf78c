//! Restrictions: entered, lifted, and proved to be kept.

use std::{fs, path::PathBuf};

use authority_api::{
    AuthorityClient,
    types::{
        AnswersWith, HistoryProof, HubProof, MadeRestrictions, NewRestrictions, ProofPass, Reason, Restriction,
        Watermark,
    },
};
use jointuse::ContactId;
use restriction::{Measure, Reach};
use serde_json::json;

use super::minute;
use crate::{
    cli::RestrictionCommand,
    context::{Context, Failure, file_error},
    output,
};

/// Contacts in one call of an import.
const AT_ONCE: usize = 5_000;

pub(super) async fn run(context: &Context, command: RestrictionCommand) -> Result<(), Failure> {
    let client = context.client()?;
    match command {
        RestrictionCommand::Add { contact, what, because } => {
            let new = NewRestrictions {
                measure: what.measure,
                reach: what.reach,
                contacts: vec![contact],
                reason: because.reason,
            };
            let made: MadeRestrictions = client.post("/v1/restrictions", &new).await?;
            let id = made.ids.first().copied().unwrap_or_default();
            show(context, &client.get(&format!("/v1/restrictions/{id}")).await?);
            Ok(())
        }
        RestrictionCommand::Lift { id, because } => {
            let reason = Reason { reason: because.reason };
            show(context, &client.post(&format!("/v1/restrictions/{id}/lift"), &reason).await?);
            Ok(())
        }
        RestrictionCommand::List { contact, after, limit } => {
            let of = contact.map_or_else(String::new, |contact| format!("&contact={contact}"));
            let all: Vec<Restriction> =
                client.get(&format!("/v1/restrictions?after={after}&limit={limit}{of}")).await?;
            let row = |r: &Restriction| {
                let lifted = r.lifted.as_ref().map_or_else(|| "-".into(), |l| format!("{} by {}", minute(l.at), l.by));
                let added = format!("{} by {}", minute(r.added_at), r.added_by);
                vec![r.id.to_string(), r.contact.to_string(), r.measure.to_string(), r.reach.to_string(), added, lifted]
            };
            let head = ["id", "contact", "measure", "reach", "since", "lifted"];
            output::table(context.json, &all, &head, all.iter().map(row).collect());
            Ok(())
        }
        RestrictionCommand::Import { file, what, because } => {
            import(context, &client, file, (what.measure, what.reach), &because.reason).await
        }
        RestrictionCommand::Proof { id, hub, history } => proof(context, &client, id, &hub, &history).await,
    }
}

async fn import(
    context: &Context,
    client: &AuthorityClient,
    file: PathBuf,
    (measure, reach): (Measure, Reach),
    reason: &str,
) -> Result<(), Failure> {
    let text = fs::read_to_string(&file).map_err(file_error(&file))?;
    let mut contacts = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let contact: ContactId =
            line.trim().parse().map_err(|error| Failure::Usage(format!("line {}: {error}", index + 1)))?;
        contacts.push(contact);
    }
    // Nothing is entered twice, so after a failure the same import may be run again.
    contacts.sort_unstable();
    contacts.dedup();
    let (mut made, all) = (0, contacts.len());
    for part in contacts.chunks(AT_ONCE) {
        let new = NewRestrictions { measure, reach, contacts: part.to_vec(), reason: reason.to_owned() };
        let answer: MadeRestrictions = client.post("/v1/restrictions", &new).await?;
        made += answer.made;
    }
    let sentence = format!("{made} restrictions are in force now; {} contacts had theirs already", all - made);
    output::said(context.json, &json!({ "contacts": all, "made": made }), &sentence);
    Ok(())
}

async fn proof(context: &Context, client: &AuthorityClient, id: u64, hub: &str, history: &str) -> Result<(), Failure> {
    let pass: ProofPass = client.get(&format!("/v1/restrictions/{id}/proof")).await?;
    let ask = |base: &str| AuthorityClient::new(base).with_token(pass.token.clone());
    let hub: HubProof = ask(hub).get("/v1/restrictions/proof").await?;
    let history: HistoryProof = ask(history).get("/v1/restrictions/proof").await?;
    if context.json {
        let all = json!({ "restriction": pass.restriction, "hub": hub, "history": history });
        output::said(true, &all, "");
        return Ok(());
    }
    show(context, &pass.restriction);
    output::text(&format!(
        "\nhub: {}; at or after these offsets nothing was delivered against it",
        standing(id, hub.in_force)
    ));
    let mark = |w: &Watermark| {
        let last = w.last_without.map_or_else(|| "never".into(), minute);
        vec![
            w.subscription.clone(),
            w.topic.clone(),
            w.partition.to_string(),
            w.from_offset.to_string(),
            last,
            w.delivered.to_string(),
        ]
    };
    let head = ["subscription", "topic", "partition", "from offset", "last before", "delivered since"];
    output::table(false, &hub, &head, hub.watermarks.iter().map(mark).collect());
    output::text(&format!("\nhistory: {}; answers that held the contact", standing(id, history.in_force)));
    let answers = |a: &AnswersWith| {
        let last = a.last_without.map_or_else(|| "never".into(), minute);
        vec![a.subscription.clone(), a.without.to_string(), last, a.with.to_string()]
    };
    let head = ["subscription", "before", "last before", "since"];
    output::table(false, &history, &head, history.answers.iter().map(answers).collect());
    Ok(())
}

fn standing(id: u64, in_force: Option<u64>) -> String {
    match in_force {
        Some(number) if number >= id => format!("in force (the list is whole up to {number})"),
        Some(number) => format!("NOT YET in force (the list is whole up to {number})"),
        None => "no list is in force: nothing is delivered".to_owned(),
    }
}

fn show(context: &Context, r: &Restriction) {
    let lifted = r.lifted.as_ref().map_or_else(
        || "no: takes another operator than the one who entered it".into(),
        |lifted| format!("{} by {}: {}", minute(lifted.at), lifted.by, lifted.reason),
    );
    output::sheet(
        context.json,
        r,
        &[
            ("id", r.id.to_string()),
            ("contact", r.contact.to_string()),
            ("measure", r.measure.to_string()),
            ("reach", r.reach.to_string()),
            ("since", format!("{} by {}", minute(r.added_at), r.added_by)),
            ("reason", r.reason.clone()),
            ("lifted", lifted),
        ],
    );
}
