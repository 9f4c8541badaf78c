//! Why a measurement could not be made. There is no figure then.

/// Result of this program.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Setup(&'static str),
    #[error("{0} did not answer as expected")]
    Answer(&'static str),
    #[error(transparent)]
    Harness(#[from] testkit::Error),
    #[error("a call failed")]
    Call(#[from] reqwest::Error),
    #[error("the authority refused")]
    Refused(#[source] Box<authority_api::ClientError>),
    #[error("{0} of {1} rows were not accepted")]
    Rows(u64, u64),
}

impl From<authority_api::ClientError> for Failure {
    fn from(error: authority_api::ClientError) -> Self {
        Self::Refused(Box::new(error))
    }
}
