//! Companies' notices: drafted, notified, published, evidence checked, activated by a second operator.

use authority_api::types::{NewNotice, Notice, NoticeState, Reason};
use axum::{
    Extension,
    body::{Body, to_bytes},
    extract::State,
    http::StatusCode,
};
use chrono::{DateTime, Utc};
use diesel::PgConnection;
use jointuse::{CompanyId, OperatorName};
use runtime::{
    Problem,
    extract::{Json, Path, Query},
};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    companies,
    decide::{decide, note, note_in_full},
};
use crate::{
    auth::Operator,
    db::{self, notices::NewEvidence},
    error::Refusal,
    rules::{
        membership,
        notice::{self, NoticeStep},
    },
    state::AppState,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(draft_notice, list_notices))
        .routes(routes!(put_evidence))
        .routes(routes!(notify_notice))
        .routes(routes!(publish_notice))
        .routes(routes!(check_notice_evidence))
        .routes(routes!(activate_notice))
        .routes(routes!(withdraw_notice))
}

/// Drafts the next version of the company's notice. The versions before stay as they are.
#[utoipa::path(post, path = "/v1/companies/{id}/notices", tag = "notices", params(("id" = String, Path)),
    request_body = NewNotice, responses(
    (status = 201, description = "Drafted", body = Notice),
    (status = 404, description = "No such company", body = Problem),
    (status = 409, description = "The company is leaving or has left", body = Problem),
    (status = 422, description = "The text names something outside the catalogue, or contradicts itself", body = Problem)))]
async fn draft_notice(
    State(app): State<AppState>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<CompanyId>,
    Json(text): Json<NewNotice>,
) -> Result<(StatusCode, Json<Notice>), Problem> {
    notice::check_text(&text, contract::catalogue())?;
    let drafted = decide(&app, "notice.draft", move |conn, at| {
        let company = companies::required(conn, &id, at)?;
        notice::may_draft(company.membership)?;
        let version = db::notices::add(conn, &id, &text, &operator.name, at)?;
        note_in_full(conn, at, &operator.name, "notice.draft", &subject(&id, version), &text)?;
        follow(conn, &id, at)?;
        required(conn, &id, version)
    });
    Ok((StatusCode::CREATED, Json(drafted.await?)))
}

/// All versions of the company's notice.
#[utoipa::path(get, path = "/v1/companies/{id}/notices", tag = "notices", params(("id" = String, Path)), responses(
    (status = 200, description = "All versions, oldest first", body = [Notice]),
    (status = 404, description = "No such company", body = Problem)))]
async fn list_notices(State(app): State<AppState>, Path(id): Path<CompanyId>) -> Result<Json<Vec<Notice>>, Problem> {
    let at = app.clock.now();
    let notices = app.store.read("list_notices", move |conn| {
        companies::required(conn, &id, at)?;
        Ok::<_, Refusal>(db::notices::of_company(conn, &id)?)
    });
    Ok(Json(notices.await?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EvidenceQuery {
    file_name: String,
}

/// Records the file that shows that the notice was published, with its SHA-256. Until it is checked it may be replaced.
#[utoipa::path(put, path = "/v1/companies/{id}/notices/{version}/evidence", tag = "notices",
    params(("id" = String, Path), ("version" = u32, Path), ("file_name" = String, Query)),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses(
    (status = 200, description = "Recorded", body = Notice),
    (status = 404, description = "No such notice", body = Problem),
    (status = 409, description = "The evidence was checked already", body = Problem),
    (status = 413, description = "The file is too large", body = Problem),
    (status = 422, description = "The file or its name is empty", body = Problem)))]
async fn put_evidence(
    State(app): State<AppState>,
    Extension(operator): Extension<Operator>,
    Path((id, version)): Path<(CompanyId, u32)>,
    Query(query): Query<EvidenceQuery>,
    body: Body,
) -> Result<Json<Notice>, Problem> {
    let most = app.config.evidence.max_bytes;
    // The other reason to fail is that the caller hung up, who then hears nothing.
    let content = to_bytes(body, most).await.map_err(|_| Problem::too_large(most))?;
    let file_name = query.file_name;
    let plain = |c: char| !c.is_control() && !matches!(c, '/' | '\\');
    if file_name.is_empty() || file_name.len() > 200 || !file_name.chars().all(plain) {
        return Err(Refusal::invalid("file_name", "must be a file's name without folders, 1 to 200 bytes").into());
    }
    if content.is_empty() {
        return Err(Refusal::invalid("body", "the file is empty").into());
    }
    let sha256 = Sha256::digest(&content);
    let at = app.clock.now();
    // The policy does not speak of evidence: nothing is to be told. The lock keeps a check from passing in between.
    let recorded = app.store.run_tx("notice.evidence", move |conn| {
        db::policy_issue::lock(conn)?;
        notice::may_record_evidence(required(conn, &id, version)?.state)?;
        let evidence = NewEvidence { file_name: &file_name, sha256: &sha256, content: &content };
        db::notices::put_evidence(conn, &id, version, &evidence, &operator.name, at)?;
        let sha256 = format!("sha256 {}", hex::encode(sha256));
        note(conn, at, &operator.name, "notice.evidence", &subject(&id, version), &sha256)?;
        required(conn, &id, version)
    });
    Ok(Json(recorded.await?))
}

macro_rules! step {
    ($name:ident, $path:tt, $step:expr, $doc:tt) => {
        #[doc = $doc]
        #[utoipa::path(post, path = $path, tag = "notices", params(("id" = String, Path), ("version" = u32, Path)),
                    request_body = Reason, responses(
                    (status = 200, description = "Done, and the services are told", body = Notice),
                    (status = 403, description = "Another operator must do it", body = Problem),
                    (status = 404, description = "No such notice", body = Problem),
                    (status = 409, description = "The step does not follow", body = Problem),
                    (status = 422, description = "A reason or a recorded decision is missing", body = Problem),
                    (status = 503, description = "Recorded, but the services could not be told yet", body = Problem)))]
        async fn $name(
            State(app): State<AppState>,
            Extension(operator): Extension<Operator>,
            Path((id, version)): Path<(CompanyId, u32)>,
            Json(reason): Json<Reason>,
        ) -> Result<Json<Notice>, Problem> {
            take(&app, operator.name, id, version, $step, reason.reason).await
        }
    };
}

step!(
    notify_notice,
    "/v1/companies/{id}/notices/{version}/notify",
    NoticeStep::Notify,
    "The company says that it has notified."
);
step!(
    publish_notice,
    "/v1/companies/{id}/notices/{version}/publish",
    NoticeStep::Publish,
    "The notice is public at its URL."
);
step!(
    check_notice_evidence,
    "/v1/companies/{id}/notices/{version}/check-evidence",
    NoticeStep::CheckEvidence,
    "Holdings compared the recorded evidence with the text."
);
step!(
    activate_notice,
    "/v1/companies/{id}/notices/{version}/activate",
    NoticeStep::Activate,
    "Puts the notice in force from its effective date, by another operator than its drafter. It takes the place of the \
     version before. Where items or scope grow, `reason` names the recorded decision (Art. 27(6)): \
     `<who decided>, <YYYY-MM-DD>, <why>`."
);
step!(
    withdraw_notice,
    "/v1/companies/{id}/notices/{version}/withdraw",
    NoticeStep::Withdraw,
    "Withdraws the notice: if it was in force, nothing is published or delivered under it from now on."
);

async fn take(
    app: &AppState,
    by: OperatorName,
    id: CompanyId,
    version: u32,
    step: NoticeStep,
    reason: String,
) -> Result<Json<Notice>, Problem> {
    let stepped = decide(app, step.action(), move |conn, at| {
        let membership = companies::required(conn, &id, at)?.membership;
        let before = required(conn, &id, version)?;
        let next = notice::next(&before, step, &reason, at)?;
        if step != NoticeStep::Withdraw {
            notice::may_draft(membership)?;
        }
        if next == NoticeState::Active {
            let in_force = db::notices::in_force(conn, &id, at)?;
            if in_force.as_ref().is_some_and(|in_force| in_force.version > version) {
                return Err(Refusal::Conflict("a newer version is in force already".into()));
            }
            let decision = notice::check_activation(&before, in_force.as_ref(), &by, &reason, at)?;
            db::notices::activate(conn, &id, version, &by, at, decision)?;
            db::notices::supersede(conn, at)?;
        } else {
            db::notices::set_state(conn, &id, version, next)?;
        }
        note(conn, at, &by, step.action(), &subject(&id, version), &reason)?;
        follow(conn, &id, at)?;
        required(conn, &id, version)
    });
    Ok(Json(stepped.await?))
}

/// Lets the membership follow the notices.
fn follow(conn: &mut PgConnection, id: &CompanyId, at: DateTime<Utc>) -> Result<(), Refusal> {
    let now = companies::required(conn, id, at)?.membership;
    let notices = db::notices::of_company(conn, id)?;
    let next = membership::follow(now, membership::earned(notices.iter().map(|notice| notice.state)))?;
    Ok(db::companies::set_membership(conn, id, next)?)
}

fn required(conn: &mut PgConnection, id: &CompanyId, version: u32) -> Result<Notice, Refusal> {
    db::notices::find(conn, id, version)?.ok_or(Refusal::NotFound("notice"))
}

fn subject(id: &CompanyId, version: u32) -> String {
    format!("{id}/{version}")
}
