//! Errors over HTTP: `application/problem+json` (RFC 9457).
//!
//! `type` is `urn:jointuse:problem:<slug>`; the slug is what programs compare. `detail` is for people and holds no
//! personal data and nothing of how we work inside: [`Problem::internal`] logs its error and answers without it.

use std::{borrow::Cow, collections::BTreeMap, fmt, time::Duration};

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::shutdown::chain;

/// Media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";
const TYPE_PREFIX: &str = "urn:jointuse:problem:";

/// One problem, as it goes over the wire; clients deserialise the same type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `urn:jointuse:problem:<slug>`
    #[serde(rename = "type")]
    #[schema(example = "urn:jointuse:problem:not-found")]
    pub kind: Cow<'static, str>,
    /// The same for every problem of this type
    pub title: String,
    /// The HTTP status
    #[schema(example = 404)]
    pub status: u16,
    /// What is wrong this time and what would be right
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Members beyond RFC 9457
    #[serde(flatten)]
    pub members: BTreeMap<String, Value>,
    #[serde(skip)]
    #[schema(ignore)]
    headers: Headers,
}

/// Boxed, so that a `Result` with a problem stays small.
#[derive(Clone, Debug, Default, PartialEq)]
struct Headers(Option<Box<HeaderMap>>);

impl Problem {
    /// A problem of type `urn:jointuse:problem:<slug>` whose title is the slug in words.
    pub fn new(status: StatusCode, slug: &str) -> Self {
        let mut title = slug.replace('-', " ");
        if let Some(first) = title.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        Self {
            kind: Cow::Owned(format!("{TYPE_PREFIX}{slug}")),
            title,
            status: status.as_u16(),
            detail: None,
            members: BTreeMap::new(),
            headers: Headers::default(),
        }
    }

    /// Says what is wrong this time. No personal data, no internals.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Another title than the slug in words.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Adds a member for programs, for example the failed rows. What cannot be JSON is left out.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        match serde_json::to_value(value) {
            Ok(value) => {
                self.members.insert(name.into(), value);
            }
            Err(error) => tracing::error!(%error, "a problem's member is no JSON"),
        }
        self
    }

    /// Adds a header to the answer. What cannot be a header is left out.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.0.get_or_insert_default().insert(name, value);
        }
        self
    }

    /// The slug in the type, or all of it when it is not one of ours.
    pub fn slug(&self) -> &str {
        self.kind.strip_prefix(TYPE_PREFIX).unwrap_or(&self.kind)
    }

    /// 400: the request cannot be read.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request").detail(detail)
    }

    /// 401. `challenge` is the `WWW-Authenticate` header (RFC 9110, 11.6.1), for example `Bearer error="invalid_token"`.
    pub fn unauthorized(challenge: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized").detail(detail).header(header::WWW_AUTHENTICATE, challenge)
    }

    /// 403: known, and not allowed.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden").detail(detail)
    }

    /// 404.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found").detail(detail)
    }

    /// 409: the state does not allow it.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict").detail(detail)
    }

    /// 413. `limit` is in bytes.
    pub fn too_large(limit: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large").detail(format!("at most {limit} bytes are accepted"))
    }

    /// 415. `expected` is a media type.
    pub fn unsupported_media_type(expected: &str) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type")
            .detail(format!("expected Content-Type {expected}"))
    }

    /// 422: readable, but what it says is not acceptable.
    pub fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unprocessable").detail(detail)
    }

    /// 429, with `Retry-After` in whole seconds, at least one.
    pub fn too_many_requests(retry_after: Duration) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests").retry_after(retry_after)
    }

    /// 503, with `Retry-After` in whole seconds, at least one.
    pub fn unavailable(detail: impl Into<String>, retry_after: Duration) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable").detail(detail).retry_after(retry_after)
    }

    /// 500: logs the error with its sources and answers without it.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error = chain(error), "internal error");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal")
            .title("Internal error")
            .detail("the error was recorded; quote the x-request-id of this answer")
    }

    fn retry_after(self, wait: Duration) -> Self {
        self.header(header::RETRY_AFTER, &wait.as_secs().max(1).to_string())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.title)?;
        self.detail.as_ref().map_or(Ok(()), |detail| write!(f, ": {detail}"))
    }
}

impl std::error::Error for Problem {}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response();
        if let Some(headers) = self.headers.0 {
            response.headers_mut().extend(*headers);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_rfc_9457_and_reads_back() {
        let problem = Problem::unprocessable("row 3: the title is missing").with("row", 3).title("Row refused");
        let json = serde_json::to_value(&problem).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"type": "urn:jointuse:problem:unprocessable", "title": "Row refused", "status": 422,
                "detail": "row 3: the title is missing", "row": 3})
        );
        assert_eq!(serde_json::from_value::<Problem>(json).unwrap(), problem);
        assert_eq!(problem.slug(), "unprocessable");
        assert_eq!(Problem::new(StatusCode::CONFLICT, "already-active").title, "Already active");
    }

    #[test]
    fn carries_the_headers_that_clients_act_on() {
        let response = Problem::unavailable("the policy has expired", Duration::from_millis(10)).into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::CONTENT_TYPE], MEDIA_TYPE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        let response = Problem::unauthorized("Bearer error=\"invalid_token\"", "the token has expired").into_response();
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer error=\"invalid_token\"");
    }

    #[test]
    fn an_internal_error_stays_inside() {
        let secret = std::io::Error::other("duplicate key (taro@example.com)");
        let problem = Problem::internal(&secret);
        assert!(!serde_json::to_string(&problem).unwrap().contains("taro"));
    }
}
