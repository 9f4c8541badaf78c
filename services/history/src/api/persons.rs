//! `/v1/persons`.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    extract::State,
    http::header,
    response::{AppendHeaders, IntoResponse},
};
use diesel::PgConnection;
use jointuse::{Kind, Personal};
use runtime::{
    Problem,
    extract::{Json, Path},
};
use uuid::Uuid;

use super::{
    App,
    access::Access,
    answer::{Failure, Masking, Ticket},
    auth::Reader,
    cursor::Query,
    stops::{Looked, Stops},
    views::{MOST, Person, PersonAnswer, PersonPage, PersonSearch, USUAL},
};
use crate::{
    cluster::normal,
    db::{EntryRow, disclosure, person},
};

/// The limit asked for, or the usual one.
pub(super) fn limit(asked: Option<u32>) -> Result<i64, Problem> {
    match asked.unwrap_or(USUAL) {
        limit @ 1..=MOST => Ok(i64::from(limit)),
        _ => Err(Problem::unprocessable(format!("limit must be 1 to {MOST}")).with("field", "limit")),
    }
}

pub(super) fn unknown(what: &str) -> Problem {
    Problem::not_found(format!("no such {what}, or nothing of it that this subscription may see"))
}

/// A person
///
/// All contacts that are believed to be of this human being, each with the company that shares it and how and when it was
/// acquired. Draws on `jointuse.contact`.
#[utoipa::path(
    get, path = "/v1/persons/{id}", tag = "persons", operation_id = "get_person",
    params(("id" = Uuid, Path, description = "Id of the person, from a search or an entry")),
    responses(
        (status = 200, description = "The person", body = PersonAnswer),
        (status = 401, description = "No valid token for this service", body = Problem),
        (status = 403, description = "Refused by the rules in `rules`", body = Problem),
        (status = 404, description = "No such person", body = Problem),
        (status = 503, description = "No policy in force, or no database: nothing was answered", body = Problem),
    )
)]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path(id): Path<Uuid>,
) -> Result<impl IntoResponse, Problem> {
    let access = Access::of(&reader)?;
    access.permit(Kind::Contact)?;
    let kinds = access.kinds(&[Kind::Contact], &app)?;
    let (masking, scope, stops) = (Masking::new(&app, &access), access.scope(), Stops::of(&app)?);
    let ticket = Ticket::new("person", &reader, &access, &kinds, &stops)?;
    let list = stops.clone();
    let (person, looked) = app
        .store
        .run_tx("person", move |conn: &mut PgConnection| {
            let id = person::resolve(conn, id)?.ok_or_else(|| unknown("person"))?;
            let rows = person::contacts(conn, &[id], &scope)?;
            let looked = list.look(conn, rows.iter().map(EntryRow::whose))?;
            let contacts: Vec<_> = rows.into_iter().filter_map(|row| masked(&masking, &looked, row)).collect();
            if contacts.is_empty() {
                return Err(Failure::from(unknown("person")));
            }
            let row = ticket.clone().person(id).disclose(contacts.iter().map(|(contact, _)| *contact));
            disclosure::insert(conn, &row)?;
            Ok((Person { id, contacts: contacts.into_iter().map(|(_, entry)| entry).collect() }, looked))
        })
        .await
        .map_err(Problem::from)?;
    access.still_holds(&kinds, &app)?;
    stops.still_hold(&looked, &app)?;
    app.metrics.answered("person", &access.subscription(), person.contacts.len());
    let location = AppendHeaders([(header::CONTENT_LOCATION, format!("/v1/persons/{}", person.id))]);
    Ok((location, no_store(), Json(PersonAnswer { person, blanked: access.blanked(&kinds, &app) })))
}

/// Personal answers are kept by nobody on the way.
pub(super) const fn no_store() -> AppendHeaders<[(header::HeaderName, &'static str); 1]> {
    AppendHeaders([(header::CACHE_CONTROL, "no-store")])
}

/// The contact of a row and what of it may be seen.
pub(super) fn masked(masking: &Masking, looked: &Looked, row: EntryRow) -> Option<(Uuid, super::views::Entry)> {
    let contact = row.contact_id;
    Some((contact, masking.entry(row, looked.flags(contact))?))
}

/// Find persons
///
/// By name, e-mail address and organisation. What is looked for is personal, so it is in the body, never in the URL. Only
/// granted items can be searched by. Draws on `jointuse.contact`.
#[utoipa::path(
    post, path = "/v1/persons/search", tag = "persons", operation_id = "search_persons",
    request_body = PersonSearch,
    responses(
        (status = 200, description = "Persons by name", body = PersonPage),
        (status = 400, description = "Not JSON, or a cursor of another search", body = Problem),
        (status = 401, description = "No valid token for this service", body = Problem),
        (status = 403, description = "Refused by the rules in `rules`", body = Problem),
        (status = 422, description = "Nothing to look for, or too many contacts match", body = Problem),
        (status = 503, description = "No policy in force, or no database: nothing was answered", body = Problem),
    )
)]
pub(super) async fn search(
    State(app): State<Arc<App>>,
    reader: Reader,
    Json(search): Json<PersonSearch>,
) -> Result<impl IntoResponse, Problem> {
    let access = Access::of(&reader)?;
    let kinds = access.kinds(&[Kind::Contact], &app)?;
    let criteria = criteria(&access, &search)?;
    let limit = limit(search.limit)?;
    let query = Query::of(&access.subscription(), &PersonSearch { limit: None, cursor: None, ..search.clone() });
    let after: Option<(String, Uuid)> =
        search.cursor.as_ref().map(|cursor| query.place(cursor.expose())).transpose()?;
    let (masking, scope, stops) = (Masking::new(&app, &access), access.scope(), Stops::of(&app)?);
    let ticket = Ticket::new("person-search", &reader, &access, &kinds, &stops)?;
    let list = stops.clone();
    let (persons, next, entries, looked) = app
        .store
        .run_tx("person_search", move |conn: &mut PgConnection| {
            let (mut after, mut looked) = (after.clone(), Looked::default());
            loop {
                let mut page = person::search(conn, &criteria, &scope, after.as_ref(), limit + 1)?;
                if page.too_many {
                    return Err(Failure::from(too_many()));
                }
                let more = i64::try_from(page.persons.len()).is_ok_and(|found| found > limit);
                page.persons.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
                let ids: Vec<Uuid> = page.persons.iter().map(|(_, id)| *id).collect();
                let rows = person::contacts(conn, &ids, &scope)?;
                looked.add(list.look(conn, rows.iter().map(EntryRow::whose))?);
                let mut persons: Vec<Person> = ids.into_iter().map(|id| Person { id, contacts: Vec::new() }).collect();
                let mut disclosed = Vec::new();
                for row in rows {
                    let owner = persons.iter_mut().find(|person| row.person_id == Some(person.id));
                    if let (Some(owner), Some((contact, entry))) = (owner, masked(&masking, &looked, row)) {
                        disclosed.push(contact);
                        owner.contacts.push(entry);
                    }
                }
                persons.retain(|person| !person.contacts.is_empty());
                // A cursor names a person: one that may be seen. There are at most `MOST_MATCHES`, so this ends.
                let shown = |(_, id): &&(Personal<String>, Uuid)| persons.iter().any(|person| person.id == *id);
                let last = page.persons.iter().rev().find(shown);
                if last.is_none() && more {
                    after = page.persons.pop().map(|(sort, id)| (sort.into_inner(), id));
                    continue;
                }
                let next = last.filter(|_| more).map(|(sort, id)| Personal::new(query.cursor(&(sort, id))));
                let entries = disclosed.len();
                disclosure::insert(conn, &ticket.disclose(disclosed))?;
                return Ok((persons, next, entries, std::mem::take(&mut looked)));
            }
        })
        .await
        .map_err(Problem::from)?;
    access.still_holds(&kinds, &app)?;
    stops.still_hold(&looked, &app)?;
    app.metrics.answered("person-search", &access.subscription(), entries);
    Ok((no_store(), Json(PersonPage { persons, next, blanked: access.blanked(&kinds, &app) })))
}

/// Normal forms of what is looked for, of items that were granted.
fn criteria(access: &Access, search: &PersonSearch) -> Result<person::Criteria, Problem> {
    let text = |value: &Option<Personal<String>>| value.as_ref().map(|value| value.expose().clone());
    let unusable = |field: &str, what: &str| Problem::unprocessable(format!("{field}: {what}")).with("field", field);
    let mut criteria = person::Criteria::default();
    if let Some(name) = text(&search.name) {
        access.may_search_by("person.name")?;
        let name = normal::compared(&name);
        if name.is_empty() {
            return Err(unusable("name", "must not be empty"));
        }
        criteria.name = Some(name.into());
    }
    if let Some(email) = text(&search.email) {
        access.may_search_by("organisation.email")?;
        let email = normal::email(&email).ok_or_else(|| unusable("email", "must be a whole e-mail address"))?;
        criteria.email = Some(email.into());
    }
    if let Some(name) = text(&search.organisation) {
        access.may_search_by("organisation.name")?;
        let name = normal::organisation(&name).ok_or_else(|| unusable("organisation", "must not be empty"))?;
        criteria.organisation = Some(name.into());
    }
    criteria.organisation_id = search.organisation_id;
    let asked: BTreeSet<bool> = [
        criteria.name.is_some(),
        criteria.email.is_some(),
        criteria.organisation.is_some(),
        criteria.organisation_id.is_some(),
    ]
    .into();
    if asked.contains(&true) {
        Ok(criteria)
    } else {
        Err(Problem::unprocessable("give at least one of name, email, organisation and organisation_id"))
    }
}

fn too_many() -> Problem {
    let most = person::MOST_MATCHES;
    Problem::unprocessable(format!("more than {most} contacts match: look for something narrower"))
        .title("Too many matches")
}
