//! Notices and the steps to membership.

use std::{fs, path::Path};

use authority_api::types::{Manager, NewNotice, Notice, Reason};
use chrono::Utc;
use jointuse::Catalogue;

use super::{joined, minute};
use crate::{
    cli::{NoticeCommand, NoticeDraft, NoticeRef},
    context::{Context, Failure, file_error},
    output,
};

pub(super) async fn run(context: &Context, command: NoticeCommand) -> Result<(), Failure> {
    match command {
        NoticeCommand::Draft(draft) => self::draft(context, draft).await,
        NoticeCommand::List { company } => {
            let all: Vec<Notice> = context.client()?.get(&format!("/v1/companies/{company}/notices")).await?;
            let row = |n: &Notice| {
                vec![
                    n.version.to_string(),
                    n.state.as_str().to_owned(),
                    minute(n.text.effective_from),
                    joined(&n.text.purposes),
                    n.text.items.len().to_string(),
                    n.evidence.as_ref().map_or_else(|| "-".into(), |e| e.sha256.chars().take(16).collect()),
                    n.drafted_by.to_string(),
                    n.activated_by.as_ref().map_or_else(|| "-".into(), ToString::to_string),
                ]
            };
            let head =
                ["version", "state", "effective from", "purposes", "items", "evidence", "drafted by", "activated by"];
            output::table(context.json, &all, &head, all.iter().map(row).collect());
            Ok(())
        }
        NoticeCommand::Evidence { notice, file } => evidence(context, &notice, &file).await,
        NoticeCommand::Notify { notice, because } => step(context, &notice, "notify", because.reason).await,
        NoticeCommand::Publish { notice, because } => step(context, &notice, "publish", because.reason).await,
        NoticeCommand::Check { notice, because } => step(context, &notice, "check-evidence", because.reason).await,
        NoticeCommand::Activate { notice, because } => step(context, &notice, "activate", because.reason).await,
        NoticeCommand::Withdraw { notice, because } => step(context, &notice, "withdraw", because.reason).await,
    }
}

async fn draft(context: &Context, draft: NoticeDraft) -> Result<(), Failure> {
    let client = context.client()?;
    let items = if draft.items.is_empty() {
        let catalogue: Catalogue = client.get("/v1/catalogue").await?;
        catalogue.items.into_iter().map(|item| item.id).collect()
    } else {
        draft.items.into_iter().collect()
    };
    let published_at = draft.published_at.unwrap_or_else(Utc::now);
    let notice = NewNotice {
        url: draft.url,
        items,
        scope_rule: draft.scope_rule,
        purposes: draft.purposes.into_iter().collect(),
        manager: Manager {
            name: draft.manager,
            address: draft.manager_address,
            representative: draft.manager_representative,
        },
        published_at,
        effective_from: draft.effective_from.unwrap_or(published_at),
    };
    show(context, &client.post(&format!("/v1/companies/{}/notices", draft.company), &notice).await?);
    Ok(())
}

async fn evidence(context: &Context, notice: &NoticeRef, file: &Path) -> Result<(), Failure> {
    let name = file
        .file_name()
        .ok_or_else(|| Failure::Usage("the evidence must be a file".into()))?
        .to_string_lossy()
        .into_owned();
    let body = fs::read(file).map_err(file_error(file))?;
    let path = format!("/v1/companies/{}/notices/{}/evidence", notice.company, notice.version);
    show(context, &context.client()?.put_file(&path, &name, body).await?);
    Ok(())
}

async fn step(context: &Context, notice: &NoticeRef, step: &str, reason: String) -> Result<(), Failure> {
    let path = format!("/v1/companies/{}/notices/{}/{step}", notice.company, notice.version);
    show(context, &context.client()?.post(&path, &Reason { reason }).await?);
    Ok(())
}

fn show(context: &Context, notice: &Notice) {
    let text = &notice.text;
    let evidence = notice.evidence.as_ref().map_or_else(
        || "none recorded".into(),
        |e| format!("{} ({} bytes, SHA-256 {})", e.file_name, e.bytes, e.sha256),
    );
    output::sheet(
        context.json,
        notice,
        &[
            ("notice", format!("{} version {}", notice.company, notice.version)),
            ("state", notice.state.as_str().to_owned()),
            ("url", text.url.clone()),
            ("scope", text.scope_rule.clone()),
            ("purposes", joined(&text.purposes)),
            ("items", joined(&text.items)),
            ("manager", format!("{}, {}", text.manager.name, text.manager.address)),
            ("published at", minute(text.published_at)),
            ("effective from", minute(text.effective_from)),
            ("evidence", evidence),
            ("drafted by", notice.drafted_by.to_string()),
            ("activated by", notice.activated_by.as_ref().map_or_else(|| "-".into(), ToString::to_string)),
        ],
    );
}
