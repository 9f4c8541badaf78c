//! Who received somebody's data: the question is recorded here, and answered by history and the hub.

use std::collections::BTreeSet;

use authority_api::{
    Audience, DisclosureClaims,
    types::{DisclosurePass, NewDisclosureQuestion},
};
use axum::{Extension, extract::State, http::StatusCode};
use chrono::TimeDelta;
use diesel::PgConnection;
use jointuse::ContactId;
use runtime::{Problem, extract::Json};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::decide::note_about;
use crate::{
    auth::Operator,
    db::{activity::Step, questions},
    error::Refusal,
    state::AppState,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(ask_disclosures))
}

/// Most contacts of one question.
const MOST: usize = 100;
/// How long it may be asked.
const PASS: TimeDelta = TimeDelta::minutes(5);

/// Asks who received the data of contacts, or of a person. The question is recorded; history and the hub answer whoever has
/// the pass, for five minutes.
#[utoipa::path(post, path = "/v1/disclosures/questions", tag = "disclosures", request_body = NewDisclosureQuestion,
    responses(
    (status = 201, description = "Recorded; the pass", body = DisclosurePass),
    (status = 422, description = "Neither contacts nor a person, both, too many, or no reason", body = Problem)))]
async fn ask_disclosures(
    State(app): State<AppState>,
    Extension(operator): Extension<Operator>,
    Json(new): Json<NewDisclosureQuestion>,
) -> Result<(StatusCode, Json<DisclosurePass>), Problem> {
    if new.contacts.is_empty() == new.person.is_none() {
        return Err(Refusal::invalid("contacts", "name contacts or a person, one of the two").into());
    }
    if new.contacts.len() > MOST {
        return Err(Refusal::invalid("contacts", format!("must be 1 to {MOST} contact ids")).into());
    }
    if new.reason.trim().is_empty() {
        return Err(Refusal::invalid("reason", "must be given").into());
    }
    let (question, now, by) = (Uuid::new_v4(), app.clock.now(), operator.name.clone());
    let (person, mut contacts): (_, BTreeSet<ContactId>) = (new.person, new.contacts.iter().cloned().collect());
    let ask = move |conn: &mut PgConnection| -> Result<_, Refusal> {
        questions::add(conn, question, &new, &by, now)?;
        let (subject, reason) = (question.to_string(), new.reason.trim());
        let step = Step { at: now, operator: Some(&by), action: "disclosures.ask", subject: &subject, reason };
        let about = new.contacts.iter().map(ToString::to_string).chain(new.person.map(|person| person.to_string()));
        note_about(conn, step, &new, about.collect())?;
        Ok(questions::erased(conn, &new.contacts, new.person)?)
    };
    let erased = app.store.run_tx("disclosures_ask", ask).await?;
    app.metrics.changed("disclosures.ask");
    // Whom an erased person was, only its erasure still tells.
    contacts.extend(questions::contacts(&erased));
    let claims = DisclosureClaims {
        iss: app.public_url.clone(),
        sub: operator.name,
        aud: Audience::Disclosures.as_str().to_owned(),
        iat: now.timestamp(),
        exp: (now + PASS).timestamp(),
        question,
        contacts: contacts.into_iter().collect(),
        person,
    };
    let token = app.tokens.sign(&claims).map_err(|error| Problem::internal(&error))?;
    Ok((StatusCode::CREATED, Json(DisclosurePass { question, erased, token })))
}
