//! Group companies and their membership.

use authority_api::types::{Company, NewCompany, Reason};
use axum::{Extension, extract::State, http::StatusCode};
use diesel::PgConnection;
use jointuse::{CompanyId, Membership};
use runtime::{
    Problem,
    extract::{Json, Path},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::decide::{decide, note, note_in_full, read};
use crate::{auth::Operator, db, error::Refusal, rules::membership, state::AppState};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(register_company, list_companies))
        .routes(routes!(get_company))
        .routes(routes!(suspend_company))
        .routes(routes!(resume_company))
        .routes(routes!(exit_company))
        .routes(routes!(end_company))
}

/// Registers a group company. It has no membership before its notice is in force.
#[utoipa::path(post, path = "/v1/companies", tag = "companies", request_body = NewCompany, responses(
    (status = 201, description = "Registered", body = Company),
    (status = 409, description = "Id or corporate number is taken", body = Problem),
    (status = 422, description = "A field cannot be accepted, e.g. a mistyped corporate number", body = Problem)))]
async fn register_company(
    State(app): State<AppState>,
    Extension(operator): Extension<Operator>,
    Json(new): Json<NewCompany>,
) -> Result<(StatusCode, Json<Company>), Problem> {
    check(&new)?;
    let company = decide(&app, "company.register", move |conn, at| {
        db::companies::add(conn, &new, &operator.name, at)?;
        note_in_full(conn, at, &operator.name, "company.register", new.id.as_str(), &new)?;
        required(conn, &new.id, at)
    });
    Ok((StatusCode::CREATED, Json(company.await?)))
}

/// All companies.
#[utoipa::path(get, path = "/v1/companies", tag = "companies", responses(
    (status = 200, description = "All companies, by id", body = [Company])))]
async fn list_companies(State(app): State<AppState>) -> Result<Json<Vec<Company>>, Problem> {
    let at = app.clock.now();
    let all = read(&app, "list_companies", move |conn| db::companies::all(conn, at)).await?;
    Ok(Json(all.into_iter().map(|(company, _)| company).collect()))
}

/// One company.
#[utoipa::path(get, path = "/v1/companies/{id}", tag = "companies", params(("id" = String, Path)), responses(
    (status = 200, description = "The company", body = Company),
    (status = 404, description = "No such company", body = Problem)))]
async fn get_company(State(app): State<AppState>, Path(id): Path<CompanyId>) -> Result<Json<Company>, Problem> {
    let at = app.clock.now();
    let found = read(&app, "get_company", move |conn| db::companies::find(conn, &id, at)).await?;
    Ok(Json(found.ok_or(Refusal::NotFound("company"))?))
}

/// What an operator may do to a company as a whole.
#[derive(Debug, Clone, Copy)]
enum Step {
    Suspend,
    Resume,
    Exit,
    End,
}

macro_rules! step {
    ($name:ident, $path:tt, $step:expr, $doc:tt) => {
        #[doc = $doc]
        #[utoipa::path(post, path = $path, tag = "companies", params(("id" = String, Path)), request_body = Reason, responses(
            (status = 200, description = "Done, and the services are told", body = Company),
            (status = 404, description = "No such company", body = Problem),
            (status = 409, description = "The membership does not allow it", body = Problem),
            (status = 422, description = "A reason is missing", body = Problem),
            (status = 503, description = "Recorded, but the services could not be told yet", body = Problem)))]
        async fn $name(
            State(app): State<AppState>,
            Extension(operator): Extension<Operator>,
            Path(id): Path<CompanyId>,
            Json(reason): Json<Reason>,
        ) -> Result<Json<Company>, Problem> {
            take(&app, operator, id, $step, reason.reason).await
        }
    };
}

step!(suspend_company, "/v1/companies/{id}/suspend", Step::Suspend, "Stops all its publishing and reading for a time.");
step!(resume_company, "/v1/companies/{id}/resume", Step::Resume, "Lifts a suspension.");
step!(exit_company, "/v1/companies/{id}/exit", Step::Exit, "Begins its leaving: no more publishing or reading.");
step!(end_company, "/v1/companies/{id}/end", Step::End, "Ends its membership for good.");

async fn take(
    app: &AppState,
    operator: Operator,
    id: CompanyId,
    step: Step,
    reason: String,
) -> Result<Json<Company>, Problem> {
    let action = match step {
        Step::Suspend => "company.suspend",
        Step::Resume => "company.resume",
        Step::Exit => "company.exit",
        Step::End => "company.end",
    };
    if !matches!(step, Step::Resume) && reason.trim().is_empty() {
        return Err(Refusal::invalid("reason", "say why").into());
    }
    let company = decide(app, action, move |conn, at| {
        let now = required(conn, &id, at)?.membership;
        let next = match step {
            Step::Suspend => membership::step(now, Membership::Suspended)?,
            Step::Exit => membership::step(now, Membership::Exiting)?,
            Step::End => membership::step(now, Membership::Ended)?,
            Step::Resume => {
                let notices = db::notices::of_company(conn, &id)?;
                membership::resumed(now, membership::earned(notices.iter().map(|notice| notice.state)))?
            }
        };
        db::companies::set_membership(conn, &id, next)?;
        note(conn, at, &operator.name, action, id.as_str(), &reason)?;
        required(conn, &id, at)
    });
    Ok(Json(company.await?))
}

/// The company, which must exist.
pub(super) fn required(
    conn: &mut PgConnection,
    id: &CompanyId,
    at: chrono::DateTime<chrono::Utc>,
) -> Result<Company, Refusal> {
    db::companies::find(conn, id, at)?.ok_or(Refusal::NotFound("company"))
}

/// What the types do not check.
fn check(new: &NewCompany) -> Result<(), Refusal> {
    for (field, name) in [("name_ja", &new.name_ja), ("name_en", &new.name_en)] {
        if name.trim().is_empty() || name.len() > 400 {
            return Err(Refusal::invalid(field, "must be 1 to 400 bytes"));
        }
    }
    if new.country.len() != 2 || !new.country.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(Refusal::invalid("country", "must be an ISO 3166 alpha-2 code, e.g. JP"));
    }
    match new.foreign_basis.as_deref() {
        None | Some("consent" | "equivalent-country" | "conforming-system") => Ok(()),
        Some(_) => {
            Err(Refusal::invalid("foreign_basis", "must be consent, equivalent-country or conforming-system (Art. 28)"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_types_do_not_check() {
        let company = |country: &str, basis: Option<&str>| NewCompany {
            id: "persol-career".parse().unwrap(),
            corporate_number: jointuse::CorporateNumber::from_base(12_050_002),
            name_ja: "パーソル".into(),
            name_en: "Persol".into(),
            country: country.into(),
            foreign_basis: basis.map(str::to_owned),
        };
        assert!(check(&company("JP", None)).is_ok());
        assert!(check(&company("SG", Some("consent"))).is_ok());
        assert!(check(&company("SG", None)).is_ok(), "registered, but the rules grant it nothing");
        assert!(check(&company("Japan", None)).is_err());
        assert!(check(&company("SG", Some("because"))).is_err());
        assert!(check(&NewCompany { name_ja: " ".into(), ..company("JP", None) }).is_err());
    }
}
