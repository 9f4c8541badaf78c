//! Who received somebody's data: places from history, ranges from the hub, answers from history, put together.

mod merge;
mod outcome;

use authority_api::{
    AuthorityClient,
    types::{
        DisclosedAnswer, DisclosedRange, DisclosurePass, NewDisclosureQuestion, Positions, RangesHolding, Restriction,
        Span,
    },
};
use jointuse::ContactId;
use serde::Serialize;
use serde_json::json;

use self::{
    merge::{Cursor, Disclosure, Found},
    outcome::Stops,
};
use super::minute;
use crate::{
    cli::DisclosuresArgs,
    context::{Context, Failure},
    output,
};

/// Most that is asked for in one call.
const PAGE: u32 = 1_000;
/// Offsets of a contact that a table shows.
const SHOWN: usize = 4;

/// What is printed as JSON.
#[derive(Debug, Serialize)]
struct Told<'a> {
    question: uuid::Uuid,
    contacts: &'a [authority_api::types::KnownContact],
    erased: &'a [authority_api::types::ErasedContact],
    /// How many records of them history has seen on the topics.
    records: usize,
    read: &'a [authority_api::types::ReadPartition],
    disclosures: &'a [Disclosure],
    /// For `--after`, when there are more.
    next: Option<String>,
}

struct Asking {
    hub: AuthorityClient,
    history: AuthorityClient,
    positions: Positions,
    stops: Stops,
    span: Span,
    answers: bool,
}

/// `hubctl disclosures`.
pub(super) async fn run(context: &Context, args: DisclosuresArgs) -> Result<(), Failure> {
    let client = context.client()?;
    let mut cursor = args.after.as_deref().map(str::parse::<Cursor>).transpose().map_err(Failure::Usage)?;
    let new = NewDisclosureQuestion { contacts: args.contacts, person: args.person, reason: args.reason };
    let pass: DisclosurePass = client.post("/v1/disclosures/questions", &new).await?;
    let ask = |base: &str| AuthorityClient::new(base).with_token(pass.token.clone());
    let topic = args.topic.as_ref().map_or_else(String::new, |topic| format!("?topic={topic}"));
    let history = ask(&args.history);
    let positions: Positions = history.get(&format!("/v1/disclosures/positions{topic}")).await?;
    let mut restrictions = Vec::new();
    for known in &positions.contacts {
        restrictions.extend(restrictions_on(&client, &known.contact).await?);
    }
    let asking = Asking {
        hub: ask(&args.hub),
        history,
        positions,
        stops: Stops { restrictions, erased: pass.erased.clone() },
        span: Span { since: args.since, until: args.until, ..Span::default() },
        answers: args.topic.is_none(),
    };
    let mut disclosures = Vec::new();
    loop {
        let page = asking.page(cursor.as_ref(), if args.all { PAGE } else { args.limit }).await?;
        disclosures.extend(page.disclosures);
        cursor = page.next;
        if cursor.is_none() || !args.all {
            break;
        }
    }
    let told = Told {
        question: pass.question,
        contacts: &asking.positions.contacts,
        erased: &pass.erased,
        records: asking.positions.runs.iter().map(|run| run.offsets.len()).sum(),
        read: &asking.positions.read,
        disclosures: &disclosures,
        next: cursor.as_ref().map(ToString::to_string),
    };
    if context.json {
        output::said(true, &json!(told), "");
    } else {
        show(&told);
    }
    Ok(())
}

/// All restrictions that were ever on a contact.
async fn restrictions_on(client: &AuthorityClient, contact: &ContactId) -> Result<Vec<Restriction>, Failure> {
    let (mut all, mut after) = (Vec::<Restriction>::new(), 0);
    loop {
        let call = format!("/v1/restrictions?contact={contact}&after={after}&limit={PAGE}");
        let page: Vec<Restriction> = client.get(&call).await?;
        let whole = page.len() >= PAGE as usize;
        all.extend(page);
        match all.last() {
            Some(last) if whole => after = last.id,
            _ => return Ok(all),
        }
    }
}

impl Asking {
    /// The next disclosures of both, in their order.
    async fn page(&self, after: Option<&Cursor>, limit: u32) -> Result<merge::Page, Failure> {
        let (of_hub, of_history) = after.map(Cursor::places).unwrap_or_default();
        let span = |(after, after_id)| Span { after, after_id, limit, ..self.span.clone() };
        let ranges: Vec<DisclosedRange> = if self.positions.runs.is_empty() {
            Vec::new()
        } else {
            let asked = RangesHolding { runs: self.positions.runs.clone(), span: span(of_hub) };
            self.hub.post("/v1/disclosures", &asked).await?
        };
        let answers: Vec<DisclosedAnswer> = if self.answers {
            self.history.post("/v1/disclosures/answers", &span(of_history)).await?
        } else {
            Vec::new()
        };
        Ok(merge::page(Found { ranges, answers }, &self.positions.runs, &self.stops, limit as usize))
    }
}

fn show(told: &Told<'_>) {
    output::text(&format!("question {}, which is recorded", told.question));
    for known in told.contacts {
        let what = match (&known.company, known.gone) {
            (Some(company), _) => format!("shared by {company}"),
            (None, true) => "taken back by its publisher, or erased".to_owned(),
            (None, false) if told.records > 0 => "no contact is stored under this id".to_owned(),
            (None, false) => "unknown: no record of it was ever read; check the id".to_owned(),
        };
        output::text(&format!("contact {}: {what}", known.contact));
    }
    if told.contacts.is_empty() {
        output::text("the person is unknown, and no contact was erased as its: check the id, or ask by --contact");
    }
    for erased in told.erased {
        let heard =
            erased.heard_at.map_or_else(|| "not certain yet".into(), |at| format!("withheld since {}", minute(at)));
        let asked = minute(erased.asked_at);
        output::text(&format!("contact {}: erasure {} of {asked}; {heard}", erased.contact, erased.erasure));
    }
    for read in told.read.iter().filter(|read| read.from_offset > 0) {
        output::text(&format!(
            "of {}/{} places before offset {} were not kept: what was delivered of them is not found here",
            read.topic, read.partition, read.from_offset
        ));
    }
    output::text(&format!("{} records on the topics; disclosures, oldest first:\n", told.records));
    let head = ["began", "last", "by", "to", "purpose", "under", "records", "outcome"];
    output::table(false, told.disclosures, &head, told.disclosures.iter().map(row).collect());
    if let Some(next) = &told.next {
        output::text(&format!("\nThere are more: the same with --after {next}, or with --all."));
    }
}

fn row(d: &Disclosure) -> Vec<String> {
    let mut places: Vec<String> = d.offsets.iter().take(SHOWN).map(ToString::to_string).collect();
    if d.offsets.len() > SHOWN {
        places.push(format!("… ({} in all)", d.offsets.len()));
    }
    let place = d.partition.map_or_else(String::new, |partition| format!("/{partition}: {}", places.join(" ")));
    vec![
        minute(d.began),
        minute(d.last),
        d.channel.to_owned(),
        format!("{} ({}), {}", d.subscription, d.company, d.login),
        d.purpose.clone(),
        format!("notice {}, snapshot {}, decision {}", d.notice_version, d.snapshot, d.decisions.join(" ")),
        format!("{} {}{place}", d.contact, d.topics.join(" ")),
        d.says.clone(),
    ]
}
