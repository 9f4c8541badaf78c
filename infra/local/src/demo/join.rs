//! Companies come in by their notices, grants by two operators; who has no notice, or another purpose, does not.

use crate::{
    error::LocalError,
    seed::{
        desk::Done,
        world::{COMPANIES, GRANTS, SampleGrant},
    },
};

use super::{Story, must, report::Shown};

const FRONTIER_LEADS: SampleGrant = SampleGrant {
    kind: "subscription",
    id: "frontier-leads",
    company: "persol-frontier",
    topics: &["jointuse.contact"],
};

const OWN_SALES: SampleGrant =
    SampleGrant { kind: "subscription", id: "tech-own-sales", company: "persol-tech", topics: &["jointuse.contact"] };

pub(super) async fn companies(story: &mut Story<'_>) -> Result<Shown, LocalError> {
    let mut new = 0;
    for company in &COMPANIES {
        let done = story.desk.company(company).await?;
        new += usize::from(done == Done::Now);
        if done == Done::Before {
            story.teller.outcome(&format!("{} is registered already", company.id));
        }
    }
    let table = story.desk.asks.text(&["company", "list"]).await?;
    story.teller.command("yamada", "hubctl company list");
    story.teller.outcome(&table);
    let known: Vec<serde_json::Value> = story.desk.asks.ask(&["company", "list"]).await?;
    let there = COMPANIES.iter().filter(|c| known.iter().any(|k| k.get("id").is_some_and(|id| id == c.id))).count();
    must(there == COMPANIES.len(), || format!("{there} of {} companies are registered", COMPANIES.len()))?;
    Ok(Shown::new(format!("{there} companies, {new} of them registered now")).figure("companies", there))
}

pub(super) async fn notices(story: &mut Story<'_>) -> Result<Shown, LocalError> {
    let mut versions = Vec::new();
    for company in COMPANIES.iter().filter(|company| company.notice) {
        let (done, version) = story.desk.notice(company.id).await?;
        if done == Done::Before {
            story.teller.outcome(&format!("{}: version {version} is in force already", company.id));
        }
        versions.push(version);
    }
    for company in COMPANIES {
        let shown: authority_api::types::Company = story.desk.asks.ask(&["company", "show", company.id]).await?;
        let active = shown.membership == jointuse::Membership::Active;
        must(active == company.notice, || format!("{} is {}", company.id, shown.membership.as_str()))?;
    }
    Ok(Shown::new("four notices in force, drafted by yamada and activated by tanaka; persol-frontier has none")
        .figure("notices", versions.len()))
}

pub(super) async fn grants(story: &mut Story<'_>) -> Result<Shown, LocalError> {
    for grant in &GRANTS {
        let done = story.desk.grant(grant).await?;
        let (issued, secret) = story.desk.credential(grant).await?;
        if (done, issued) == (Done::Before, Done::Before) {
            let (kind, id) = (grant.kind, grant.id);
            story.teller.outcome(&format!("{kind} {id} is approved already; login {}", secret.login));
        }
        story.secrets.insert(grant.id, secret);
    }
    let files = std::fs::read_dir(&story.desk.clients).map(Iterator::count).unwrap_or(0);
    must(files > 0, || "no client configurations were written".into())?;
    Ok(Shown::new(format!(
        "three publications and three subscriptions; configurations in {}",
        super::short(&story.desk.clients)
    ))
    .figure("grants", GRANTS.len()))
}

pub(super) async fn without_notice(story: &mut Story<'_>) -> Result<Shown, LocalError> {
    refused(story, &FRONTIER_LEADS, crate::seed::world::PURPOSE, &["membership-active", "notice-in-force"]).await?;
    Ok(Shown::new("persol-frontier may not subscribe: no notice in force (APPI Art. 27(5)(iii))"))
}

pub(super) async fn other_purpose(story: &mut Story<'_>) -> Result<Shown, LocalError> {
    refused(story, &OWN_SALES, "own-services-guidance", &["purpose-in-notice"]).await?;
    Ok(Shown::new("a purpose that is not in the notice is not granted, though the company is a member"))
}

async fn refused(story: &Story<'_>, grant: &SampleGrant, purpose: &str, rules: &[&str]) -> Result<(), LocalError> {
    match story.desk.request(grant, purpose).await {
        Ok(_) => Err(LocalError::Step(format!("{} was accepted, but must be refused", grant.id))),
        Err(refusal) => {
            story.teller.outcome(&refusal.told());
            let named = refusal.rules();
            let all = rules.iter().all(|rule| named.iter().any(|name| name == rule));
            must(all, || format!("refused by {named:?} and not by {rules:?}"))
        }
    }
}
