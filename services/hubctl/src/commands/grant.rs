//! Publications and subscriptions: the same steps for both.

use std::collections::BTreeSet;

use authority_api::types::{GrantView, NewGrant, Reason};
use chrono::{Months, Utc};
use jointuse::Catalogue;

use super::{joined, minute};
use crate::{
    cli::{GrantCommand, GrantRequest},
    context::{Context, Failure},
    output,
};

pub(super) async fn run(context: &Context, plural: &str, command: GrantCommand) -> Result<(), Failure> {
    let client = context.client()?;
    let step = |id: String, step: &'static str, reason: String| {
        let client = client.clone();
        async move {
            let grant = client.post(&format!("/v1/{plural}/{id}/{step}"), &Reason { reason }).await?;
            show(context, &grant);
            Ok::<(), Failure>(())
        }
    };
    match command {
        GrantCommand::Request(asked) => request(context, plural, asked).await,
        GrantCommand::List => {
            let all: Vec<GrantView> = client.get(&format!("/v1/{plural}")).await?;
            let row = |g: &GrantView| {
                vec![
                    g.asked.id.clone(),
                    g.asked.company.to_string(),
                    g.state.as_str().to_owned(),
                    joined(&g.asked.topics),
                    g.asked.items.len().to_string(),
                    g.asked.purpose.to_string(),
                    minute(g.asked.until),
                    g.requested_by.to_string(),
                    g.decided_by.as_ref().map_or_else(|| "-".into(), ToString::to_string),
                ]
            };
            let head = ["id", "company", "state", "topics", "items", "purpose", "until", "asked by", "decided by"];
            output::table(context.json, &all, &head, all.iter().map(row).collect());
            Ok(())
        }
        GrantCommand::Show { id } => {
            show(context, &client.get(&format!("/v1/{plural}/{id}")).await?);
            Ok(())
        }
        GrantCommand::Approve { id, because } => step(id, "approve", because.reason).await,
        GrantCommand::Decline { id, because } => step(id, "decline", because.reason).await,
        GrantCommand::Suspend { id, because } => step(id, "suspend", because.reason).await,
        GrantCommand::Resume { id, because } => step(id, "resume", because.reason).await,
        GrantCommand::Revoke { id, because } => step(id, "revoke", because.reason).await,
    }
}

async fn request(context: &Context, plural: &str, asked: GrantRequest) -> Result<(), Failure> {
    let client = context.client()?;
    let mut topics: BTreeSet<_> = asked.topics.into_iter().collect();
    let mut items: BTreeSet<_> = asked.items.into_iter().collect();
    if topics.is_empty() || items.is_empty() {
        let catalogue: Catalogue = client.get("/v1/catalogue").await?;
        if topics.is_empty() {
            topics = catalogue.topics.into_iter().map(|topic| topic.name).collect();
        }
        if items.is_empty() {
            items = catalogue.items.into_iter().map(|item| item.id).collect();
        }
    }
    let from = asked.from.unwrap_or_else(Utc::now);
    let until = asked
        .until
        .or_else(|| from.checked_add_months(Months::new(12)))
        .ok_or_else(|| Failure::Usage("the term's end is out of range: give --until".into()))?;
    let grant = NewGrant { id: asked.id, company: asked.company, topics, items, purpose: asked.purpose, from, until };
    show(context, &client.post(&format!("/v1/{plural}"), &grant).await?);
    Ok(())
}

fn show(context: &Context, grant: &GrantView) {
    let asked = &grant.asked;
    let decided = match (&grant.decided_by, grant.decided_at) {
        (Some(by), Some(at)) => format!("{} by {by}", minute(at)),
        _ => "not yet: another operator than the one who asked must approve".into(),
    };
    output::sheet(
        context.json,
        grant,
        &[
            ("id", asked.id.clone()),
            ("company", asked.company.to_string()),
            ("state", grant.state.as_str().to_owned()),
            ("topics", joined(&asked.topics)),
            ("items", joined(&asked.items)),
            ("purpose", asked.purpose.to_string()),
            ("term", format!("{} to {}", minute(asked.from), minute(asked.until))),
            ("asked", format!("{} by {}", minute(grant.requested_at), grant.requested_by)),
            ("decided", decided),
            ("reason", grant.reason.clone()),
        ],
    );
}
