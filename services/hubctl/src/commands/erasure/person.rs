//! Erasing a person: history says which contacts it takes for it, the officer looks at them, and then they are erased.

use std::collections::BTreeSet;

use authority_api::{
    AuthorityClient,
    erasure::{Erasure, NewErasure},
    types::{DisclosurePass, ErasedContact, KnownContact, NewDisclosureQuestion, Positions},
};
use jointuse::ContactId;
use serde::Serialize;
use uuid::Uuid;

use super::{ask, show};
use crate::{
    cli::EraseArgs,
    context::{Context, Failure},
    output,
};

/// How often contacts are erased that joined the person while those before were.
const ROUNDS: usize = 5;

/// What is printed as JSON.
#[derive(Debug, Serialize)]
struct Told<'a> {
    person: Uuid,
    /// To be erased, or erased now.
    contacts: &'a [KnownContact],
    /// Those that were before.
    erased: &'a [ErasedContact],
    /// None without `--yes`.
    erasures: &'a [Erasure],
}

/// What is known of a person.
struct Found {
    /// Not erased yet.
    contacts: Vec<KnownContact>,
    erased: Vec<ErasedContact>,
}

/// `hubctl erase --person`.
pub(super) async fn erase(context: &Context, args: &EraseArgs, person: Uuid) -> Result<(), Failure> {
    let client = context.client()?;
    let Found { mut contacts, erased } = find(&client, args, person).await?;
    if !context.json {
        tell(person, &contacts, &erased);
    }
    let mut erasures = Vec::new();
    if args.yes {
        let mut next: BTreeSet<ContactId> = contacts.iter().map(|known| known.contact.clone()).collect();
        while !next.is_empty() {
            if erasures.len() == ROUNDS {
                return Err(Failure::Usage(
                    "contacts go on joining this person: look who publishes them, then again".into(),
                ));
            }
            let new = NewErasure { contacts: next, person: Some(person), reason: args.reason };
            let erasure = ask(context, &client, &new, args.wait).await?;
            if !context.json {
                show(context, &erasure);
            }
            erasures.push(erasure);
            next = BTreeSet::new();
            if args.wait {
                let joined = find(&client, args, person).await?.contacts;
                next.extend(joined.iter().map(|known| known.contact.clone()));
                contacts.extend(joined);
            }
        }
    }
    if context.json {
        output::said(true, &Told { person, contacts: &contacts, erased: &erased, erasures: &erasures }, "");
    } else if !args.yes && !contacts.is_empty() {
        output::text(
            "\nNothing is erased yet. If all of these are this person: the same with --yes. It cannot be undone.",
        );
    }
    Ok(())
}

/// Asks history, by a question that the authority records.
async fn find(client: &AuthorityClient, args: &EraseArgs, person: Uuid) -> Result<Found, Failure> {
    let reason = format!("to erase: {}", args.reason.as_str());
    let new = NewDisclosureQuestion { contacts: Vec::new(), person: Some(person), reason };
    let pass: DisclosurePass = client.post("/v1/disclosures/questions", &new).await?;
    let history = AuthorityClient::new(&args.history).with_token(pass.token);
    let Positions { mut contacts, .. } = history.get("/v1/disclosures/positions").await?;
    contacts.retain(|known| !pass.erased.iter().any(|erased| erased.contact == known.contact));
    Ok(Found { contacts, erased: pass.erased })
}

fn tell(person: Uuid, contacts: &[KnownContact], erased: &[ErasedContact]) {
    for one in erased {
        output::text(&format!("contact {}: erasure {} was asked for before", one.contact, one.erasure));
    }
    if contacts.is_empty() {
        output::text(&format!("history takes no contact for person {person} that is left to be erased: check the id"));
        return;
    }
    output::text(&format!("history takes {} contacts for person {person}:\n", contacts.len()));
    let row = |known: &KnownContact| {
        let by = known.company.as_ref().map_or_else(|| "nobody any more".to_owned(), ToString::to_string);
        vec![known.contact.to_string(), by]
    };
    output::table(false, &contacts, &["contact", "shared by"], contacts.iter().map(row).collect());
}
