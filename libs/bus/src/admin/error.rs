//! What can go wrong in administration.

use std::time::Duration;

use wire::ResponseError;

/// A refused or failed administrative call.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] crate::BusError),
    /// No broker of the bootstrap list could be reached.
    #[error("no broker can be reached: {0}")]
    Unreachable(String),
    /// The connection broke. Whether the call was carried out is unknown.
    #[error("the connection to the broker broke: {0}")]
    Io(#[from] std::io::Error),
    /// No answer in time. Whether the call was carried out is unknown.
    #[error("the broker did not answer within {0:?}")]
    Timeout(Duration),
    /// The broker does not let the login in.
    #[error("the broker refuses the login {login}: {message}")]
    Login { login: String, message: String },
    /// The broker did not prove that it knows the password.
    #[error(transparent)]
    Scram(#[from] crate::scram::ScramError),
    /// The broker does not speak a version that this client speaks.
    #[error("the broker does not support {0} in a version known here")]
    Unsupported(&'static str),
    /// A message could not be encoded or decoded.
    #[error("{0} cannot be encoded or decoded")]
    Codec(&'static str),
    /// The broker refused one thing of a request.
    #[error("{what}: {} ({code}){}", name(*code), message.as_deref().map(|text| format!(": {text}")).unwrap_or_default())]
    Refused { what: String, code: i16, message: Option<String> },
}

fn name(code: i16) -> String {
    ResponseError::try_from_code(code).map_or_else(|| "unknown error".to_owned(), |error| error.to_string())
}

impl AdminError {
    /// Whether the broker refused with this code of the protocol.
    pub fn is(&self, error: ResponseError) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == error.code())
    }

    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Io(_) | Self::Timeout(_) => true,
            Self::Refused { code, .. } => ResponseError::try_from_code(*code).is_some_and(|error| error.is_retriable()),
            _ => false,
        }
    }

    /// `Ok` for code 0.
    pub(crate) fn check(code: i16, message: Option<&str>, what: impl FnOnce() -> String) -> Result<(), Self> {
        if code == 0 {
            return Ok(());
        }
        Err(Self::Refused { what: what(), code, message: message.map(str::to_owned) })
    }
}
