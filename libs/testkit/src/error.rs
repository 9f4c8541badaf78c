//! What can go wrong while starting, watching or stopping something.
use std::{path::PathBuf, time::Duration};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure of the harness. The text says what to do where there is something to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something that `make setup` or `cargo build` provides is not there.
    #[error("{what} is missing at {path}: {hint}", path = .path.display())]
    Missing { what: String, path: PathBuf, hint: &'static str },
    /// A file or directory could not be read or written.
    #[error("{what}: {path}", path = .path.display())]
    Io {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A child process could not be started.
    #[error("cannot start {program}")]
    Spawn {
        program: String,
        #[source]
        source: std::io::Error,
    },
    /// A state was not reached in time.
    #[error("{what}: not within {after:?}{detail}")]
    Deadline { what: String, after: Duration, detail: String },
    /// A child ended though it should run.
    #[error("{name} ended with {status}; the end of {log}:\n{tail}", log = .log.display())]
    Ended { name: String, status: String, log: PathBuf, tail: String },
    /// A program that was run to its end said no.
    #[error("{program} failed with {status}:\n{output}")]
    Failed { program: String, status: String, output: String },
    /// No free port was found.
    #[error("no free loopback port between {from} and {to}")]
    NoPort { from: u16, to: u16 },
    /// The peer answered something that is not understood.
    #[error("{what}: unexpected answer: {answer}")]
    Answer { what: String, answer: String },
    /// HTTP to a service failed.
    #[error("request to a service failed")]
    Http(#[from] reqwest::Error),
    /// JSON from a client or a service is not what was agreed.
    #[error("not the expected JSON: {text}")]
    Json {
        text: String,
        #[source]
        source: serde_json::Error,
    },
}

/// Turns an I/O error into [`Error::Io`] with what was tried and where.
pub(crate) trait IoContext<T> {
    fn at(self, what: &'static str, path: impl Into<PathBuf>) -> Result<T>;
}

impl<T> IoContext<T> for std::io::Result<T> {
    fn at(self, what: &'static str, path: impl Into<PathBuf>) -> Result<T> {
        self.map_err(|source| Error::Io { what, path: path.into(), source })
    }
}
