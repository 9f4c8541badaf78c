//! `/v1/persons/{id}/timeline` and `/v1/organisations/{id}/timeline`.

use std::sync::Arc;

use axum::{extract::State, response::IntoResponse};
use chrono::{DateTime, Utc};
use diesel::PgConnection;
use jointuse::Kind;
use runtime::{
    Problem,
    extract::{Json, Path, Query as Parameters},
};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::{
    App,
    access::Access,
    answer::{Failure, Masking, Ticket},
    auth::Reader,
    cursor::{Place, Query},
    organisations::{candidates, visible},
    persons::{limit, masked, no_store, unknown},
    stops::Stops,
    views::{Entry, Timeline},
};
use crate::db::{EntryRow, disclosure, organisation, person, timeline};

/// No record is older (1900) or younger (9999) than that; see [`crate::record::Reason::Date`].
const BEGINNING: DateTime<Utc> = DateTime::from_timestamp(-2_208_988_800 - 86_400, 0).unwrap();
const END: DateTime<Utc> = DateTime::from_timestamp(253_402_300_800, 0).unwrap();

/// Which part of a timeline.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    /// Kinds, separated by commas: `contact`, `transaction`, `meeting`, `contact-event`, `behaviour`. All that are granted
    /// unless told
    #[param(example = "meeting,contact-event")]
    kind: Option<String>,
    /// From then on (RFC 3339)
    from: Option<DateTime<Utc>>,
    /// Before then (RFC 3339)
    to: Option<DateTime<Utc>>,
    /// Most entries on the page: 1 to 100, 20 unless told. A page may hold fewer, also before the end
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// `next` of the page before
    cursor: Option<String>,
}

impl Part {
    fn kinds(&self) -> Result<Vec<Kind>, Problem> {
        let names = self.kind.as_deref().into_iter().flat_map(|kinds| kinds.split(','));
        let kind = |name: &str| {
            Kind::from_name(name.trim()).ok_or_else(|| {
                let known = Kind::ALL.map(Kind::as_str).join(", ");
                Problem::unprocessable(format!("kind must be one or more of {known}")).with("field", "kind")
            })
        };
        names.map(kind).collect()
    }
}

/// Whose timeline.
#[derive(Debug, Clone, Copy)]
enum Of {
    Person(Uuid),
    Organisation(Uuid),
}

/// A person's timeline
///
/// Everything that the group's companies share about this human being, newest first, each entry with the company that
/// shares it and how and when it was acquired. Draws on the topics of the kinds asked for.
#[utoipa::path(
    get, path = "/v1/persons/{id}/timeline", tag = "persons", operation_id = "get_person_timeline",
    params(("id" = Uuid, Path, description = "Id of the person"), Part),
    responses(
        (status = 200, description = "A page of the timeline", body = Timeline),
        (status = 400, description = "A parameter cannot be read, or a cursor of another query", body = Problem),
        (status = 401, description = "No valid token for this service", body = Problem),
        (status = 403, description = "Refused by the rules in `rules`", body = Problem),
        (status = 404, description = "No such person", body = Problem),
        (status = 422, description = "A parameter is out of its range", body = Problem),
        (status = 503, description = "No policy in force, or no database: nothing was answered", body = Problem),
    )
)]
pub(super) async fn of_person(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path(id): Path<Uuid>,
    Parameters(part): Parameters<Part>,
) -> Result<impl IntoResponse, Problem> {
    answer(&app, &reader, Of::Person(id), &part).await
}

/// An organisation's timeline
///
/// Everything that the group's companies share about those who work there, newest first. Draws on the topics of the kinds
/// asked for.
#[utoipa::path(
    get, path = "/v1/organisations/{id}/timeline", tag = "organisations", operation_id = "get_organisation_timeline",
    params(("id" = Uuid, Path, description = "Id of the organisation"), Part),
    responses(
        (status = 200, description = "A page of the timeline", body = Timeline),
        (status = 400, description = "A parameter cannot be read, or a cursor of another query", body = Problem),
        (status = 401, description = "No valid token for this service", body = Problem),
        (status = 403, description = "Refused by the rules in `rules`", body = Problem),
        (status = 404, description = "No such organisation", body = Problem),
        (status = 422, description = "A parameter is out of its range", body = Problem),
        (status = 503, description = "No policy in force, or no database: nothing was answered", body = Problem),
    )
)]
pub(super) async fn of_organisation(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path(id): Path<Uuid>,
    Parameters(part): Parameters<Part>,
) -> Result<impl IntoResponse, Problem> {
    answer(&app, &reader, Of::Organisation(id), &part).await
}

async fn answer(app: &App, reader: &Reader, of: Of, part: &Part) -> Result<impl IntoResponse + use<>, Problem> {
    let access = Access::of(reader)?;
    let kinds = access.kinds(&part.kinds()?, app)?;
    let limit = limit(part.limit)?;
    let (endpoint, id) = match of {
        Of::Person(id) => ("person-timeline", id),
        Of::Organisation(id) => ("organisation-timeline", id),
    };
    let query = Query::of(&access.subscription(), &(endpoint, id, &kinds, part.from, part.to));
    let after: Option<Place> = part.cursor.as_deref().map(|cursor| query.place(cursor)).transpose()?;
    let window = timeline::Window {
        kinds: kinds.iter().map(|kind| kind.as_str()).collect(),
        from: part.from.map_or(BEGINNING, |from| from.clamp(BEGINNING, END)),
        to: part.to.map_or(END, |to| to.clamp(BEGINNING, END)),
        after: after.and_then(Place::position),
        limit: limit + 1,
    };
    let (masking, scope, stops) = (Masking::new(app, &access), access.scope(), Stops::of(app)?);
    let ticket = Ticket::new(endpoint, reader, &access, &kinds, &stops)?;
    let list = stops.clone();
    let (id, entries, next, looked) = app
        .store
        .run_tx(endpoint, move |conn: &mut PgConnection| {
            let (id, ticket, mut rows) = match of {
                Of::Person(id) => {
                    let id = person::resolve(conn, id)?.ok_or_else(|| unknown("person"))?;
                    (id, ticket.clone().person(id), timeline::of_person(conn, id, &window, &scope)?)
                }
                Of::Organisation(id) => {
                    let found = organisation::find(conn, id, &scope, candidates(&list))?;
                    if visible(conn, &list, found)?.0.is_empty() {
                        return Err(unknown("organisation").into());
                    }
                    (id, ticket.clone().organisation(id), timeline::of_organisation(conn, id, &window, &scope)?)
                }
            };
            let more = i64::try_from(rows.len()).is_ok_and(|count| count > limit);
            rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            let next = rows.last().filter(|_| more).map(|last| query.cursor(&Place::new(position(last))));
            let looked = list.look(conn, rows.iter().map(EntryRow::whose))?;
            let entries: Vec<(Uuid, Entry)> =
                rows.into_iter().filter_map(|row| masked(&masking, &looked, row)).collect();
            disclosure::insert(conn, &ticket.disclose(entries.iter().map(|(contact, _)| *contact)))?;
            Ok::<_, Failure>((id, entries.into_iter().map(|(_, entry)| entry).collect::<Vec<_>>(), next, looked))
        })
        .await
        .map_err(Problem::from)?;
    access.still_holds(&kinds, app)?;
    stops.still_hold(&looked, app)?;
    app.metrics.answered(endpoint, &access.subscription(), entries.len());
    Ok((no_store(), Json(Timeline { id, entries, next, blanked: access.blanked(&kinds, app) })))
}

fn position(row: &EntryRow) -> timeline::Position {
    (row.occurred_at, row.record_id, row.contact_id)
}
