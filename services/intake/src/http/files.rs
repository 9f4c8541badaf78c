//! `POST /v1/files`.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    extract::{Multipart, State},
    http::StatusCode,
    response::Response,
};
use jointuse::Kind;
use runtime::{
    Problem,
    extract::{Query, json},
};
use tokio::sync::oneshot;
use utoipa::ToSchema;

use super::{
    auth::Publisher,
    records::Options,
    reply::{self, About},
    upload::Parts,
};
use crate::{
    formats::{
        Chunk,
        csv::{CsvFile, HeaderError, Layout, Preset},
        ical, vcard,
    },
    judge::{Defaults, Field},
    pipeline::{Import, answer::RowAnswer},
    rule::Rule,
    service::App,
};

/// Parts of an upload; `file` is the last.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the parts, which are read one by one")]
struct Upload<'a> {
    /// `eight-csv`, `sansan-csv`, `generic-csv`, `vcard` or `icalendar`
    format: String,
    /// JSON: what holds for every row that does not say otherwise
    acquisition: Option<Defaults>,
    /// TOML, for CSV: a table `[columns]` of column names with the record's fields, or `none`; and `delimiter`
    mapping: Option<String>,
    /// For calendars: your own mail domains, separated by commas; attendees there are left out. Without it the organizer's
    own_domains: Option<String>,
    /// The file
    #[schema(value_type = String, format = Binary)]
    file: &'a [u8],
}

#[derive(Default)]
struct Given {
    format: Option<String>,
    mapping: Option<String>,
    acquisition: Defaults,
    own_domains: BTreeSet<String>,
}

#[utoipa::path(post, path = "/v1/files", tag = "files",
    summary = "Publish a file of business cards or meetings",
    description = "The answer comes line by line while the file is read: one object a row, and a last one with a `summary`. A file \
        with a column of sensitive information or of individual clients is refused as a whole, before any row.",
    params(Options),
    request_body(content = Upload<'static>, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "Each row's answer, one JSON object a line, and the summary", body = RowAnswer<'static>, content_type = "application/x-ndjson"),
        (status = 400, description = "The upload's parts are wrong", body = Problem),
        (status = 401, description = "No valid access token", body = Problem),
        (status = 403, description = "Not permitted, with the rules not met", body = Problem),
        (status = 422, description = "The file as a whole is refused, with the rule: no row was taken", body = Problem),
        (status = 503, description = "No policy in force, or the database is away", body = Problem),
    )
)]
pub(super) async fn post(
    State(app): State<Arc<App>>,
    publisher: Publisher,
    Query(options): Query<Options>,
    multipart: Multipart,
) -> Result<Response, Problem> {
    let mut parts = Parts::read(multipart, app.limits.file_bytes);
    let given = given(&mut parts).await?;
    match given.format.as_deref() {
        Some("vcard") => vcards(app, publisher, options, parts, given).await,
        Some("icalendar") => calendar(app, publisher, options, parts, given).await,
        Some(name) => match Preset::named(name) {
            Some(preset) => csv(app, publisher, options, parts, given, preset).await,
            None => {
                Err(Problem::bad_request("`format` is none of eight-csv, sansan-csv, generic-csv, vcard and icalendar"))
            }
        },
        None => Err(Problem::bad_request("the part `format` is missing; all parts come before `file`")),
    }
}

async fn given(parts: &mut Parts) -> Result<Given, Problem> {
    let mut given = Given::default();
    while let Some((name, bytes)) = parts.text().await? {
        let text = || String::from_utf8(bytes.to_vec()).map_err(|_| Problem::bad_request("a part is not UTF-8 text"));
        match name.as_str() {
            "format" => given.format = Some(text()?.trim().to_owned()),
            "mapping" => given.mapping = Some(text()?),
            "acquisition" => given.acquisition = json(&bytes)?,
            "own_domains" => {
                let domains = text()?.to_lowercase();
                given.own_domains = domains
                    .split(',')
                    .map(|name| name.trim().trim_start_matches('@').to_owned())
                    .filter(|name| !name.is_empty())
                    .collect();
            }
            _ => {
                let known = "format, acquisition, mapping, own_domains and file";
                return Err(Problem::bad_request(format!("an upload has only the parts {known}")));
            }
        }
    }
    Ok(given)
}

/// 422 for the file as a whole.
fn refused(rule: Rule, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "file-refused")
        .detail(detail)
        .with("rule", rule.id())
        .with("what_to_do", rule.what_to_do())
}

/// Says before any row what no row will say.
fn check_acquisition(defaults: &Defaults, layout: Option<&Layout>) -> Result<(), Problem> {
    let given = |default: &Option<String>, field| {
        default.as_ref().is_some_and(|text| !text.trim().is_empty()) || layout.is_some_and(|layout| layout.has(field))
    };
    let missing: Vec<&str> = [
        (&defaults.method, Field::Method),
        (&defaults.acquired_on, Field::AcquiredOn),
        (&defaults.purpose, Field::Purpose),
        (&defaults.source, Field::Source),
    ]
    .into_iter()
    .filter(|(default, field)| !given(default, *field))
    .map(|(_, field)| field.path())
    .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let detail = format!("neither the file nor the part `acquisition` gives {}", missing.join(", "));
    Err(refused(Rule::AcquisitionMissing, detail).with("fields", missing))
}

async fn csv(
    app: Arc<App>,
    publisher: Publisher,
    options: Options,
    mut parts: Parts,
    given: Given,
    preset: &'static Preset,
) -> Result<Response, Problem> {
    let permitted = publisher.may(Kind::Contact)?;
    let preset = match &given.mapping {
        Some(text) => preset.with_mapping(text).map_err(|error| Problem::unprocessable(error.to_string()))?,
        None => preset.clone(),
    };
    let mut defaults = given.acquisition;
    defaults.method = defaults.method.or_else(|| preset.method.clone());
    // What is publicly available has a source to be named; an export is not one.
    let public = defaults.method.as_deref().is_some_and(|method| method.to_ascii_uppercase().starts_with("PUBLIC"));
    defaults.source = defaults.source.or_else(|| preset.source.clone().filter(|_| !public));
    let (said, header) = oneshot::channel();
    let (go, proceed) = oneshot::channel::<Defaults>();
    let judge = permitted.judge;
    let (sender, batches) = tokio::sync::mpsc::channel(2);
    let reading = tokio::task::spawn_blocking(move || {
        let mut input = || parts.blocking_piece();
        match CsvFile::open(&mut input, &preset, &judge) {
            Err(error) => {
                let _ = said.send(Err(error));
                true
            }
            Ok(file) => {
                let _ = said.send(Ok((file.layout().clone(), file.encoding().name())));
                let Ok(defaults) = proceed.blocking_recv() else { return true };
                file.read(&judge, &defaults, &mut |rows| sender.blocking_send(rows).is_ok())
            }
        }
    });
    let (layout, encoding) =
        header.await.map_err(|error| Problem::internal(&error))?.map_err(|error| file_problem(&error))?;
    check_acquisition(&defaults, Some(&layout))?;
    let _ = go.send(defaults);
    let import = Import::new(app, permitted.permit, Kind::Contact, permitted.schema_id, options.dry_run);
    let about = About { encoding: Some(encoding), ignored_columns: layout.ignored().to_vec() };
    Ok(reply::stream(import, batches, reading, about, publisher.turn))
}

fn file_problem(error: &HeaderError) -> Problem {
    match error {
        HeaderError::Wide => refused(Rule::Encoding, error.to_string()),
        HeaderError::Encoding { line } => refused(Rule::Encoding, error.to_string()).with("line", line),
        HeaderError::Refused { position, name, refused: why } => {
            refused(why.rule, format!("{error}: {}", why.rule.message()))
                .with("column", position)
                .with("name", name)
                .with("entry", why.entry)
                .with("source", why.source)
        }
        HeaderError::NotFound { .. } | HeaderError::Empty => refused(Rule::Columns, error.to_string()),
    }
}

async fn vcards(
    app: Arc<App>,
    publisher: Publisher,
    options: Options,
    mut parts: Parts,
    given: Given,
) -> Result<Response, Problem> {
    let permitted = publisher.may(Kind::Contact)?;
    let defaults = given.acquisition;
    check_acquisition(&defaults, None)?;
    let judge = permitted.judge;
    let read = Box::new(move |output: &mut dyn FnMut(Vec<_>) -> bool| {
        let mut input = || -> Chunk { parts.blocking_piece() };
        vcard::read(&mut input, &judge, &defaults, &mut |rows| output(rows))
    });
    let import = Import::new(app, permitted.permit, Kind::Contact, permitted.schema_id, options.dry_run);
    let (batches, reading) = reply::reading(read);
    Ok(reply::stream(import, batches, reading, About::default(), publisher.turn))
}

async fn calendar(
    app: Arc<App>,
    publisher: Publisher,
    options: Options,
    mut parts: Parts,
    given: Given,
) -> Result<Response, Problem> {
    let permitted = publisher.may(Kind::Meeting)?;
    let mut defaults = given.acquisition;
    defaults.method = defaults.method.or_else(|| Some("BUSINESS_MEETING".to_owned()));
    defaults.source = defaults.source.or_else(|| Some("icalendar".to_owned()));
    // The day of the meeting, or today.
    let day = Defaults { acquired_on: Some("each".to_owned()), ..defaults.clone() };
    check_acquisition(&day, None)?;
    let whole = parts.whole(ical::MAX_CALENDAR).await?;
    let at = publisher.at();
    let parsing = tokio::task::spawn_blocking(move || ical::parse(&whole, &given.own_domains, at));
    let items = parsing.await.map_err(|error| Problem::internal(&error))?.map_err(|error| {
        let rule = match error {
            ical::CalendarError::Encoding => Rule::Encoding,
            ical::CalendarError::None => Rule::NotACard,
            ical::CalendarError::Truncated => Rule::Truncated,
        };
        refused(rule, error.to_string())
    })?;
    let judge = permitted.judge;
    let emails: Vec<String> = ical::emails(&items).into_iter().map(str::to_owned).collect();
    let contacts = reply::contacts(&app, &judge, emails.into_iter()).await?;
    let read = Box::new(move |output: &mut dyn FnMut(Vec<_>) -> bool| {
        ical::read(&items, &judge, &contacts, &defaults, &mut |rows| output(rows))
    });
    let import = Import::new(app, permitted.permit, Kind::Meeting, permitted.schema_id, options.dry_run);
    let (batches, reading) = reply::reading(read);
    Ok(reply::stream(import, batches, reading, About::default(), publisher.turn))
}
