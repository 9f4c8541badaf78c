//! `POST /v1/records/{kind}`.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{FromRequest as _, Request, State},
    http::header,
    response::Response,
};
use jointuse::Kind;
use runtime::{
    Problem,
    extract::{Path, Query},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    auth::Publisher,
    reply::{self, About, NDJSON},
};
use crate::{
    formats::json::Rows,
    pipeline::{Import, answer::Document},
    service::App,
};

/// Longest answer in one document, in rows.
const MAX_DOCUMENT: usize = 1_000;

/// Options of both ways of publishing.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Options {
    /// Judge and answer everything, publish and remember nothing.
    #[serde(default, rename = "dry-run")]
    #[param(rename = "dry-run")]
    pub(super) dry_run: bool,
}

#[utoipa::path(post, path = "/v1/records/{kind}", tag = "records",
    summary = "Publish one record, or an array of them",
    description = "Fields as in the kind's Avro schema, dates as YYYY-MM-DD, times as RFC 3339. `reference` is your own lasting \
        reference: the same again replaces or changes nothing. Other kinds than `contact` name their person by `contact` (that \
        person's reference) or `contact_email`. Up to 1,000 rows are answered in one document, more (or with `Accept: \
        application/x-ndjson`) line by line. A single object that is refused is answered with 422.",
    params(("kind" = String, Path, description = "`contact`, `transaction`, `meeting`, `contact-event` or `behaviour`"), Options),
    request_body(content = serde_json::Value, description = "One object or an array of them"),
    responses(
        (status = 200, description = "Each row's answer", body = Document<'static>),
        (status = 400, description = "Not JSON: nothing was taken", body = Problem),
        (status = 401, description = "No valid access token", body = Problem),
        (status = 403, description = "Not permitted, with the rules not met", body = Problem),
        (status = 422, description = "The single record was refused", body = Document<'static>),
        (status = 503, description = "No policy in force, or the database is away", body = Problem),
    )
)]
pub(super) async fn post(
    State(app): State<Arc<App>>,
    publisher: Publisher,
    Path(kind): Path<String>,
    Query(options): Query<Options>,
    request: Request,
) -> Result<Response, Problem> {
    let kind = Kind::from_name(&kind).ok_or_else(|| Problem::not_found("there is no such kind of record"))?;
    let permitted = publisher.may(kind)?;
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let lines = accept.contains(NDJSON);
    let limit = app.limits.json_bytes;
    let body = Bytes::from_request(request, &app).await.map_err(|_| Problem::too_large(limit))?;
    let rows = Rows::split(body).map_err(|error| {
        Problem::bad_request(error.to_string()).with("line", error.line).with("column", error.column)
    })?;
    let (single, count) = (rows.is_single(), rows.len());
    let emails = if kind == Kind::Contact { Default::default() } else { rows.contact_emails() };
    let judge = permitted.judge;
    let contacts = reply::contacts(&app, &judge, emails.into_iter()).await?;
    let import = Import::new(Arc::clone(&app), permitted.permit, kind, permitted.schema_id, options.dry_run);
    let read = Box::new(move |output: &mut dyn FnMut(Vec<_>) -> bool| {
        rows.read(&judge, &contacts, &mut |batch| output(batch))
    });
    if lines || count > MAX_DOCUMENT {
        let (batches, reading) = reply::reading(read);
        return Ok(reply::stream(import, batches, reading, About::default(), publisher.turn));
    }
    reply::document(import, read, single, publisher.turn).await
}
