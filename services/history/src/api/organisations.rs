//! `/v1/organisations`.

use std::sync::Arc;

use axum::{extract::State, response::IntoResponse};
use diesel::PgConnection;
use jointuse::{Kind, Personal};
use runtime::{
    Problem,
    extract::{Json, Path},
};
use store::StoreError;
use uuid::Uuid;

use super::{
    App,
    access::Access,
    answer::{Failure, Ticket},
    auth::Reader,
    cursor::Query,
    persons::{limit, no_store, unknown},
    stops::{Looked, Stops},
    views::{Organisation, OrganisationPage, OrganisationSearch},
};
use crate::{
    cluster::normal,
    db::{disclosure, organisation},
};

/// How many contacts of an organisation to look at: one will do while nobody is restricted.
pub(super) fn candidates(stops: &Stops) -> i64 {
    if stops.is_empty() { 1 } else { 100 }
}

/// Those of which a contact may be answered with, and which; an organisation is not told of by restricted contacts.
pub(super) fn visible(
    conn: &mut PgConnection,
    stops: &Stops,
    found: impl IntoIterator<Item = organisation::Organisation>,
) -> Result<(Vec<(organisation::Organisation, Uuid)>, Looked), StoreError> {
    let found: Vec<_> = found.into_iter().collect();
    let contacts = found.iter().flat_map(|found| &found.contacts);
    let looked = stops.look(conn, contacts.map(|(contact, person)| (*contact, Some(*person))))?;
    let free = |found: &organisation::Organisation| {
        found.contacts.iter().map(|(contact, _)| *contact).find(|contact| !looked.flags(*contact).withholds())
    };
    let seen = found.into_iter().filter_map(|found| free(&found).map(|contact| (found, contact))).collect();
    Ok((seen, looked))
}

fn view(found: &organisation::Organisation) -> Organisation {
    Organisation { id: found.id, name: found.name.expose().clone() }
}

/// A client organisation
///
/// Draws on `jointuse.contact`; needs the item `organisation.name`.
#[utoipa::path(
    get, path = "/v1/organisations/{id}", tag = "organisations", operation_id = "get_organisation",
    params(("id" = Uuid, Path, description = "Id of the organisation, from a search or an entry")),
    responses(
        (status = 200, description = "The organisation", body = Organisation),
        (status = 401, description = "No valid token for this service", body = Problem),
        (status = 403, description = "Refused by the rules in `rules`", body = Problem),
        (status = 404, description = "No such organisation", body = Problem),
        (status = 503, description = "No policy in force, or no database: nothing was answered", body = Problem),
    )
)]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path(id): Path<Uuid>,
) -> Result<impl IntoResponse, Problem> {
    let access = Access::of(&reader)?;
    access.may_search_by("organisation.name")?;
    let kinds = [Kind::Contact].into();
    let (scope, stops) = (access.scope(), Stops::of(&app)?);
    let ticket = Ticket::new("organisation", &reader, &access, &kinds, &stops)?.organisation(id);
    let list = stops.clone();
    let (found, looked) = app
        .store
        .run_tx("organisation", move |conn: &mut PgConnection| {
            let found = organisation::find(conn, id, &scope, candidates(&list))?;
            let (found, looked) = visible(conn, &list, found)?;
            let (found, contact) = found.into_iter().next().ok_or_else(|| unknown("organisation"))?;
            disclosure::insert(conn, &ticket.disclose([contact]))?;
            Ok::<_, Failure>((found, looked))
        })
        .await
        .map_err(Problem::from)?;
    access.still_holds(&kinds, &app)?;
    stops.still_hold(&looked, &app)?;
    app.metrics.answered("organisation", &access.subscription(), 1);
    Ok((no_store(), Json(view(&found))))
}

/// Find organisations
///
/// By the beginning of the name. Draws on `jointuse.contact`; needs the item `organisation.name`.
#[utoipa::path(
    post, path = "/v1/organisations/search", tag = "organisations", operation_id = "search_organisations",
    request_body = OrganisationSearch,
    responses(
        (status = 200, description = "Organisations by name", body = OrganisationPage),
        (status = 400, description = "Not JSON, or a cursor of another search", body = Problem),
        (status = 401, description = "No valid token for this service", body = Problem),
        (status = 403, description = "Refused by the rules in `rules`", body = Problem),
        (status = 422, description = "Nothing to look for", body = Problem),
        (status = 503, description = "No policy in force, or no database: nothing was answered", body = Problem),
    )
)]
pub(super) async fn search(
    State(app): State<Arc<App>>,
    reader: Reader,
    Json(search): Json<OrganisationSearch>,
) -> Result<impl IntoResponse, Problem> {
    let access = Access::of(&reader)?;
    access.may_search_by("organisation.name")?;
    let kinds = [Kind::Contact].into();
    let name = normal::organisation(search.name.expose())
        .ok_or_else(|| Problem::unprocessable("name: must not be empty").with("field", "name"))?;
    let limit = limit(search.limit)?;
    let query = Query::of(&access.subscription(), &("organisations", &name));
    let after: Option<String> = search.cursor.as_ref().map(|cursor| query.place(cursor.expose())).transpose()?;
    let (scope, stops) = (access.scope(), Stops::of(&app)?);
    let ticket = Ticket::new("organisation-search", &reader, &access, &kinds, &stops)?;
    let list = stops.clone();
    let (found, next, looked) = app
        .store
        .run_tx("organisation_search", move |conn: &mut PgConnection| {
            let mut found =
                organisation::search(conn, &name, &scope, after.as_deref(), (limit + 1, candidates(&list)))?;
            let more = i64::try_from(found.len()).is_ok_and(|count| count > limit);
            found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            let next = found.last().filter(|_| more).map(|last| Personal::new(query.cursor(&last.key)));
            let (found, looked) = visible(conn, &list, found)?;
            let (found, contacts): (Vec<_>, Vec<_>) = found.into_iter().unzip();
            disclosure::insert(conn, &ticket.disclose(contacts))?;
            Ok::<_, Failure>((found, next, looked))
        })
        .await
        .map_err(Problem::from)?;
    access.still_holds(&kinds, &app)?;
    stops.still_hold(&looked, &app)?;
    app.metrics.answered("organisation-search", &access.subscription(), found.len());
    Ok((no_store(), Json(OrganisationPage { organisations: found.iter().map(view).collect(), next })))
}
