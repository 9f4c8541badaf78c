//! Extractors whose refusals are problems and repeat nothing of what was sent.
//!
//! axum's own rejections quote serde's messages, and those quote values (`invalid type: string "Taro"`), so a typing
//! error in a request could put a person's name into an answer and from there into somebody's log. These say where
//! (line, column, field) and what was expected.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request, rejection::BytesRejection},
    http::{HeaderMap, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::problem::Problem;

/// A JSON body, in or out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json<T>(pub T);

impl<T, S> FromRequest<S> for Json<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::unsupported_media_type("application/json"));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| body(&rejection))?;
        json(&bytes).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// Parameters of the query string.
#[derive(Clone, Copy, Debug, Default)]
pub struct Query<T>(pub T);

impl<T, S> FromRequestParts<S> for Query<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(value)| Self(value))
            .map_err(|rejection| Problem::bad_request(format!("query string: {}", expected(&rejection.body_text()))))
    }
}

/// Parameters of the path.
#[derive(Clone, Copy, Debug, Default)]
pub struct Path<T>(pub T);

impl<T, S> FromRequestParts<S> for Path<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            // What does not parse as an id names nothing that exists.
            Err(_) => Err(Problem::not_found("a part of the path is not well-formed")),
        }
    }
}

/// Reads JSON; a refusal gives line, column and field, and repeats no value.
///
/// # Errors
/// 400 when it is no JSON, 422 when it is JSON of another shape.
pub fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().clone();
        refusal(error.inner(), Some(&path))
    })?;
    deserializer.end().map_err(|error| refusal(&error, None))?;
    Ok(value)
}

fn refusal(error: &serde_json::Error, path: Option<&serde_path_to_error::Path>) -> Problem {
    let place = format!("line {}, column {}", error.line(), error.column());
    if !error.is_data() {
        return Problem::bad_request(format!("the body is not JSON: see {place}"))
            .with("line", error.line())
            .with("column", error.column());
    }
    let message = error.to_string();
    let mut segments = path.map(|path| path.iter().map(segment).collect::<Vec<_>>()).unwrap_or_default();
    if message.starts_with("unknown field") {
        segments.pop();
    }
    let field = segments.concat();
    let field = field.trim_start_matches('.');
    let at = if field.is_empty() { String::new() } else { format!("{field}: ") };
    Problem::unprocessable(format!("{at}{} ({place})", expected(&message)))
        .with("field", field)
        .with("line", error.line())
        .with("column", error.column())
}

/// Names of fields are ours; a key that somebody made up is not repeated.
fn segment(segment: &serde_path_to_error::Segment) -> String {
    use serde_path_to_error::Segment;
    match segment {
        Segment::Seq { index } => format!("[{index}]"),
        Segment::Map { key } if is_identifier(key) => format!(".{key}"),
        Segment::Enum { variant } if is_identifier(variant) => format!(".{variant}"),
        Segment::Map { .. } | Segment::Enum { .. } | Segment::Unknown => ".?".to_owned(),
    }
}

fn is_identifier(text: &str) -> bool {
    text.len() <= 40 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// The part of serde's message that is ours: which field is missing, or what was expected.
fn expected(message: &str) -> String {
    let message = message.split(" at line ").next().unwrap_or(message);
    if let Some(start) = message.find("missing field `") {
        return message.get(start..).unwrap_or_default().to_owned();
    }
    let unknown = if message.contains("unknown field") { "unknown field, " } else { "" };
    // The last one: what was sent may itself say "expected".
    message.rfind(", expected ").and_then(|start| message.get(start + 2..)).map_or_else(
        || if unknown.is_empty() { "the value is not acceptable".to_owned() } else { "unknown field".to_owned() },
        |expected| format!("{unknown}{expected}"),
    )
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

fn body(rejection: &BytesRejection) -> Problem {
    let status = rejection.status();
    let slug = if status.as_u16() == 413 { "too-large" } else { "unreadable-body" };
    Problem::new(status, slug).detail("the body could not be read to its end or is too large")
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only refusals are looked at")]
    struct Card {
        name: String,
        phones: Vec<Phone>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only refusals are looked at")]
    struct Phone {
        kind: Kind,
        number: u32,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Office,
        Mobile,
    }

    fn detail(text: &str) -> String {
        let problem = json::<Card>(text.as_bytes()).unwrap_err();
        problem.detail.unwrap()
    }

    #[test]
    fn says_where_and_what_was_expected() {
        assert_eq!(detail("{\"name\": \"a\"}"), "missing field `phones` (line 1, column 13)");
        let text = "{\"name\": \"a\",\n \"phones\": [{\"kind\": \"office\", \"number\": \"090-1234\"}]}";
        assert_eq!(detail(text), "phones[0].number: expected u32 (line 2, column 51)");
        let text = "{\"name\": \"a\", \"phones\": [{\"kind\": \"fax\", \"number\": 1}]}";
        assert!(detail(text).starts_with("phones[0].kind: expected `office` or `mobile`"), "{}", detail(text));
        assert!(detail("{\"name\": 1 2}").starts_with("name: ") || detail("{\"name\": 1 2}").contains("line 1"));
        assert!(detail("{").starts_with("the body is not JSON: see line 1"));
        assert!(json::<Kind>(b"\"office\" x").is_err(), "nothing may follow");
    }

    #[test]
    fn repeats_nothing_that_was_sent() {
        for text in [
            "{\"name\": [\"Taro\"], \"phones\": []}",
            "{\"Taro\": 1}",
            "{\"name\": \"a\", \"phones\": \"Taro\"}",
            "{\"name\": \"a\", \"phones\": \"x, expected Taro\"}",
            "{\"name\": \"a\", \"phones\": [{\"kind\": \"Taro\", \"number\": 1}]}",
            "{\"name\": \"a\", \"phones\": [{\"kind\": \"office\", \"number\": \"Taro\"}]}",
            "Taro",
        ] {
            let problem = json::<Card>(text.as_bytes()).unwrap_err();
            let answer = serde_json::to_string(&problem).unwrap();
            assert!(!answer.contains("Taro"), "{text} -> {answer}");
        }
    }
}
