//! The policy in force, and why.

use authority_api::types::{Credential, Explain, Explanation, PolicyView};
use policy::{Action, GrantKind, Rule};

use super::minute;
use crate::{
    cli::PolicyCommand,
    context::{Context, Failure},
    output,
};

pub(super) async fn run(context: &Context, command: PolicyCommand) -> Result<(), Failure> {
    let client = context.client()?;
    match command {
        PolicyCommand::Show => {
            let view: PolicyView = client.get("/v1/policy").await?;
            if !context.json {
                output::text(&format!(
                    "snapshot {}, issued {}, expires {}\n",
                    view.number,
                    minute(view.issued_at),
                    minute(view.expires_at)
                ));
            }
            let row = |r: &Rule| vec![r.id.clone(), r.says.clone(), r.source.clone()];
            let head = ["rule", "denies when it is not met; says", "source"];
            output::table(context.json, &view, &head, view.rules.iter().map(row).collect());
        }
        PolicyCommand::Explain { login, topic, action } => {
            let action = match action {
                Some(action) => action,
                None => {
                    let all: Vec<Credential> = client.get("/v1/credentials").await?;
                    match all.iter().find(|c| c.login == login).map(|c| c.grant.kind()) {
                        Some(GrantKind::Publication) => Action::Publish,
                        _ => Action::Deliver,
                    }
                }
            };
            let asked = Explain { login: login.clone(), action, topic: topic.clone() };
            let answer: Explanation = client.post("/v1/policy/explain", &asked).await?;
            let verdict = if answer.allowed { "allowed" } else { "REFUSED" };
            let or = |text: Option<String>| text.unwrap_or_else(|| "-".into());
            let mut lines = vec![
                ("answer", format!("{verdict}: {action:?} on {topic} by {login}")),
                ("grant", or(answer.grant.as_ref().map(ToString::to_string))),
                ("company", or(answer.company.as_ref().map(ToString::to_string))),
                ("purpose", or(answer.purpose.as_ref().map(ToString::to_string))),
                ("notice", or(answer.notice_version.map(|version| format!("version {version}")))),
                ("decision", format!("{} by snapshot {}", answer.decision, answer.snapshot)),
            ];
            for rule in &answer.rules {
                lines.push(("rule", format!("{}: {} [{}]", rule.id, rule.says, rule.source)));
            }
            output::sheet(context.json, &answer, &lines);
        }
    }
    Ok(())
}
