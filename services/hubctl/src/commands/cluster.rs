//! Plan, then apply.

use std::io::{self, BufRead, IsTerminal};

use authority_api::types::{Applied, Change, ChangeKind, DriftReport, Plan};

use super::minute;
use crate::{
    cli::ClusterCommand,
    context::{Context, Failure},
    output,
};

pub(super) async fn run(context: &Context, command: ClusterCommand) -> Result<(), Failure> {
    let client = context.client()?;
    match command {
        ClusterCommand::Plan => {
            let plan: Plan = client.get("/v1/cluster/plan").await?;
            show_plan(context.json, &plan);
        }
        ClusterCommand::Apply { yes } => {
            let plan: Plan = client.get("/v1/cluster/plan").await?;
            if plan.changes.is_empty() {
                output::said(context.json, &Applied::default(), "the cluster is as approved; nothing to do");
                return Ok(());
            }
            if !yes {
                show_plan(false, &plan);
                confirm()?;
            }
            let applied: Applied = client.post("/v1/cluster/apply", &serde_json::json!({})).await?;
            let mut rows: Vec<_> = applied.done.iter().map(|change| row(change, "done")).collect();
            rows.extend(applied.failed.iter().map(|(change, why)| row(change, why)));
            output::table(context.json, &applied, &["change", "resource", "name", "detail", "outcome"], rows);
            if !applied.failed.is_empty() {
                let all = applied.failed.len() + applied.done.len();
                return Err(Failure::Partly { failed: applied.failed.len(), all });
            }
        }
        ClusterCommand::Drift => {
            let reports: Vec<DriftReport> = client.get("/v1/cluster/drift").await?;
            let mut rows = Vec::new();
            for report in &reports {
                let at = minute(report.found_at);
                let outcomes = report.applied.done.iter().map(|change| (change, "mended"));
                for (change, outcome) in outcomes.chain(report.applied.failed.iter().map(|(c, why)| (c, why.as_str())))
                {
                    let mut cells = vec![at.clone()];
                    cells.extend(row(change, outcome));
                    rows.push(cells);
                }
            }
            output::table(context.json, &reports, &["found", "change", "resource", "name", "detail", "outcome"], rows);
        }
    }
    Ok(())
}

fn show_plan(json: bool, plan: &Plan) {
    if plan.changes.is_empty() && !json {
        output::text("the cluster is as approved; nothing to do");
        return;
    }
    let rows = plan.changes.iter().map(|change| row(change, "")).collect();
    output::table(json, plan, &["change", "resource", "name", "detail", ""], rows);
}

fn row(change: &Change, outcome: &str) -> Vec<String> {
    let verb = match change.change {
        ChangeKind::Create => "+ create",
        ChangeKind::Alter => "~ alter",
        ChangeKind::Delete => "- delete",
    };
    vec![verb.to_owned(), change.resource.clone(), change.name.clone(), change.detail.clone(), outcome.to_owned()]
}

fn confirm() -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage("nobody is there to confirm the plan: give --yes".into()));
    }
    output::text("apply this plan? type yes:");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(crate::context::file_error("standard input".as_ref()))?;
    if answer.trim() == "yes" { Ok(()) } else { Err(Failure::Usage("nothing was changed".into())) }
}
