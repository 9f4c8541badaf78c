//! Refusals in the registry's form: `{"error_code": 40401, "message": "…"}`, with the codes that clients act on.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use contract::{Fault, Faults, Level};
use runtime::Problem;
use serde::Serialize;
use store::StoreError;

use super::Answer;

/// What a caller typed as a name, if it can be one. Anything else (a sentence, an address, a person) is not repeated.
fn shown(text: &str) -> &str {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let named =
        text.starts_with("jointuse.") || text.parse::<i64>().is_ok_and(|number| number.unsigned_abs() < 1_000_000);
    if named && text.len() <= 100 && text.bytes().all(plain) { text } else { "..." }
}

/// Why a call is refused. The codes are those of `io.confluent.kafka.schemaregistry.rest.exceptions.Errors`.
#[derive(Debug, thiserror::Error)]
pub(super) enum RegistryError {
    #[error("Subject '{}' not found.", shown(.0))]
    NoSubject(String),
    #[error("Version {0} not found.")]
    NoVersion(i32),
    #[error("Schema not found")]
    NoSchema,
    #[error("Subject '{}' does not have subject-level compatibility configured", shown(.0))]
    NoSubjectLevel(String),
    #[error("Subject '{}' does not have subject-level mode configured", shown(.0))]
    NoSubjectMode(String),
    #[error("Invalid schema, details: {0}")]
    Invalid(Faults),
    #[error("The schema may not be shared under the notice, details: {0}")]
    Unlawful(Faults),
    #[error("Invalid schema: {0}")]
    Unsupported(&'static str),
    #[error(
        "The specified version '{}' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\"",
        shown(.0)
    )]
    BadVersion(String),
    #[error(
        "Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive"
    )]
    BadLevel,
    #[error("Operation not permitted: {0}")]
    NotPermitted(&'static str),
    #[error("The subject '{}' is not '<topic>-value' of a topic in the catalogue", shown(.0))]
    BadSubject(String),
    #[error(
        "Schema being registered is incompatible with an earlier schema for subject \"{subject}\", details: [{}], compatibility: '{level}'",
        .messages.join("; ")
    )]
    Incompatible { subject: String, level: Level, messages: Vec<String> },
    #[error("HTTP 404 Not Found")]
    NothingHere,
    #[error("Schemas are never deleted: records written by them may be read for as long as their topics keep them")]
    NeverDeleted,
    /// Who asks may not, or the body cannot be read.
    #[error("{0}")]
    Problem(Problem),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<diesel::result::Error> for RegistryError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Store(error.into())
    }
}

#[derive(Debug, Serialize)]
struct Body {
    error_code: u32,
    message: String,
    /// For programs: each fault with its path. Clients ignore what they do not know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<FaultBody>,
}

#[derive(Debug, Serialize)]
struct FaultBody {
    path: String,
    reason: String,
}

impl RegistryError {
    fn code(&self) -> (StatusCode, u32) {
        const UNPROCESSABLE: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;
        match self {
            Self::NoSubject(_) => (StatusCode::NOT_FOUND, 40401),
            Self::NoVersion(_) => (StatusCode::NOT_FOUND, 40402),
            Self::NoSchema => (StatusCode::NOT_FOUND, 40403),
            Self::NoSubjectLevel(_) => (StatusCode::NOT_FOUND, 40408),
            Self::NoSubjectMode(_) => (StatusCode::NOT_FOUND, 40409),
            Self::NothingHere => (StatusCode::NOT_FOUND, 404),
            Self::NeverDeleted => (StatusCode::METHOD_NOT_ALLOWED, 405),
            Self::Invalid(_) | Self::Unlawful(_) | Self::Unsupported(_) => (UNPROCESSABLE, 42201),
            Self::BadVersion(_) => (UNPROCESSABLE, 42202),
            Self::BadLevel => (UNPROCESSABLE, 42203),
            Self::NotPermitted(_) => (UNPROCESSABLE, 42205),
            Self::BadSubject(_) => (UNPROCESSABLE, 42208),
            Self::Incompatible { .. } => (StatusCode::CONFLICT, 409),
            Self::Problem(problem) => {
                let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                (status, u32::from(problem.status))
            }
            Self::Store(error) if error.is_transient() => (StatusCode::SERVICE_UNAVAILABLE, 50002),
            Self::Store(_) => (StatusCode::INTERNAL_SERVER_ERROR, 50001),
        }
    }
}

impl IntoResponse for RegistryError {
    fn into_response(self) -> Response {
        let (status, error_code) = self.code();
        let message = match &self {
            Self::Store(error) if error.is_transient() => {
                tracing::warn!(%error, "the database did not do its part");
                "Operation timed out".to_owned()
            }
            Self::Store(error) => {
                tracing::error!(%error, "the registry's database failed");
                "Error in the backend data store".to_owned()
            }
            Self::Problem(problem) => problem.detail.clone().unwrap_or_else(|| problem.title.clone()),
            other => other.to_string(),
        };
        let faults = match &self {
            Self::Invalid(Faults(faults)) | Self::Unlawful(Faults(faults)) => {
                faults.iter().map(FaultBody::from).collect()
            }
            _ => Vec::new(),
        };
        let mut response = (status, Answer(Body { error_code, message, faults })).into_response();
        let headers = response.headers_mut();
        match self {
            // The challenge and Retry-After of the refusal stay.
            Self::Problem(problem) => {
                let mut original = problem.into_response();
                for name in [header::WWW_AUTHENTICATE, header::RETRY_AFTER] {
                    if let Some(value) = original.headers_mut().remove(&name) {
                        headers.insert(name, value);
                    }
                }
            }
            Self::NeverDeleted => {
                headers.insert(header::ALLOW, axum::http::HeaderValue::from_static("GET, POST"));
            }
            _ => {}
        }
        response
    }
}

impl From<&Fault> for FaultBody {
    fn from(fault: &Fault) -> Self {
        Self { path: fault.path.clone(), reason: fault.reason.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_are_repeated() {
        for name in ["jointuse.contact-value", "jointuse.nonsense", "7", "-1"] {
            assert_eq!(shown(name), name);
        }
        for other in ["taro@mihon.example", "jointuse.taro@mihon.example", "太郎", "819000000000", "", "taro"] {
            assert_eq!(shown(other), "...");
        }
    }
}
