//! Runs a request's rows through the pipeline and answers: one document for small posts, a stream of lines otherwise.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    body::Body,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use runtime::Problem;
use store::StoreError;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::{
    db,
    judge::{ContactOf, Judge, Row},
    pipeline::{
        Answer, Import, Summary,
        answer::{Document, LastLine},
        spool, topic_number,
    },
    rule::{Finding, Rule},
    service::App,
};

/// Media type of the stream.
pub(super) const NDJSON: &str = "application/x-ndjson";
/// Batches that wait between reading and publishing.
const WAITING: usize = 2;

/// Reads rows on a thread for blocking work. Gets where batches go; answers whether everything was read.
type Read = Box<dyn FnOnce(&mut dyn FnMut(Vec<Row>) -> bool) -> bool + Send>;

/// Batches of judged rows.
type Batches = mpsc::Receiver<Vec<Row>>;
/// Whether everything was read.
type Reading = tokio::task::JoinHandle<bool>;

/// What is said of the whole request.
#[derive(Debug, Default)]
pub(super) struct About {
    pub(super) encoding: Option<&'static str>,
    pub(super) ignored_columns: Vec<usize>,
}

/// Starts reading; batches come out of the channel, whether all was read at the end.
pub(super) fn reading(read: Read) -> (Batches, Reading) {
    let (sender, batches) = mpsc::channel(WAITING);
    let done = tokio::task::spawn_blocking(move || read(&mut |rows| sender.blocking_send(rows).is_ok()));
    (batches, done)
}

async fn run(
    import: Arc<Import>,
    batches: Batches,
    reading: Reading,
    about: About,
    told: impl FnMut(Vec<Answer>) + Send,
) -> Summary {
    let mut summary = import.run(batches, told).await;
    summary.complete = reading.await.unwrap_or(false);
    summary.encoding = about.encoding;
    summary.ignored_columns = about.ignored_columns;
    summary
}

/// Answers in one document when everything is done.
pub(super) async fn document(
    import: Import,
    read: Read,
    single: bool,
    turn: OwnedSemaphorePermit,
) -> Result<Response, Problem> {
    let import = Arc::new(import);
    let topic = import.topic().clone();
    // In a task of its own: what was begun is finished, also when the client is gone.
    let running = tokio::spawn(async move {
        let mut answers = Vec::new();
        let (batches, reading) = reading(read);
        let summary = run(import, batches, reading, About::default(), |more| answers.extend(more)).await;
        drop(turn);
        (answers, summary)
    });
    let (answers, summary) = running.await.map_err(|error| Problem::internal(&error))?;
    let later = |finding: &Finding| {
        matches!(finding.rule, Rule::NotAcknowledged | Rule::StateUnavailable | Rule::KeysUnavailable)
    };
    let status = match answers.first() {
        // The record is not to blame: the same again will do.
        Some(answer) if single && answer.errors.iter().any(later) => StatusCode::SERVICE_UNAVAILABLE,
        _ if single && summary.refused > 0 => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::OK,
    };
    let rows = answers.iter().map(|answer| answer.row(topic.as_str())).collect();
    Ok((status, axum::Json(Document { rows, summary })).into_response())
}

/// Answers line by line while rows are read.
pub(super) fn stream(
    import: Import,
    batches: Batches,
    reading: Reading,
    about: About,
    turn: OwnedSemaphorePermit,
) -> Response {
    let import = Arc::new(import);
    let topic = import.topic().clone();
    let (writer, reader) = spool::spool();
    tokio::spawn(async move {
        let told = |answers: Vec<Answer>| {
            let mut lines = Vec::with_capacity(answers.len() * 160);
            for answer in &answers {
                line(&mut lines, &answer.row(topic.as_str()));
            }
            writer.write(lines.into());
        };
        let summary = run(import, batches, reading, about, told).await;
        let mut last = Vec::new();
        line(&mut last, &LastLine { summary });
        writer.write(Bytes::from(last));
        drop(turn);
    });
    ([(header::CONTENT_TYPE, NDJSON)], Body::from_stream(reader.stream())).into_response()
}

fn line(lines: &mut Vec<u8>, value: &impl serde::Serialize) {
    let begin = lines.len();
    match serde_json::to_writer(&mut *lines, value) {
        Ok(()) => lines.push(b'\n'),
        Err(error) => {
            lines.truncate(begin);
            tracing::error!(%error, "an answer is no JSON");
        }
    }
}

/// The contacts that have these addresses, as far as they were published and are not ambiguous.
pub(super) async fn contacts(
    app: &App,
    judge: &Judge,
    emails: impl Iterator<Item = String>,
) -> Result<ContactOf, Problem> {
    let keys: BTreeMap<_, String> = emails.map(|email| (judge.email_key(&email), email)).collect();
    let wanted = keys.keys().copied().collect();
    let found = db::contacts::by_email(&app.store, topic_number(jointuse::Kind::Contact), wanted).await;
    let found = found.map_err(|error| unavailable(&error))?;
    let contact = |(key, id): (_, _)| Some((keys.get(&key)?.clone(), hex::encode::<[u8; 16]>(id).parse().ok()?));
    Ok(found.into_iter().filter_map(contact).collect())
}

fn unavailable(error: &StoreError) -> Problem {
    if error.is_transient() {
        tracing::warn!(%error, "the database does not answer");
        return Problem::unavailable("the database does not answer", std::time::Duration::from_secs(5));
    }
    Problem::internal(error)
}
