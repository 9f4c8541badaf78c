//! Why a command of `local` failed.
use std::path::PathBuf;

/// The one error type of the commands; the text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// Nothing runs.
    #[error("the stack is not running: start it with `make up`")]
    NotRunning,
    /// The supervisor ended while it was starting the stack.
    #[error("the stack did not come up: see above, or {log}", log = .log.display())]
    DidNotStart { log: PathBuf },
    /// A file could not be used.
    #[error("cannot {what} {path}", path = .path.display())]
    File {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A program could not be run.
    #[error("cannot run {program}")]
    Program {
        program: &'static str,
        #[source]
        source: std::io::Error,
    },
    /// No such service.
    #[error("no service {name}; there are: {known}")]
    NoService { name: String, known: String },
    /// Interrupted by the user.
    #[error("interrupted; everything that was started has been stopped")]
    Interrupted,
    /// Nothing opens backups here.
    #[error(
        "the identity that opens backups is not at {path}: put it back from where you keep it; without it none can be restored",
        path = .path.display()
    )]
    NoIdentity { path: PathBuf },
    /// The identity is not there, or is not for its owner only.
    #[error(transparent)]
    Secret(#[from] secret::SecretError),
    /// What is there is none.
    #[error("{path} holds no age identity", path = .path.display())]
    BadIdentity { path: PathBuf },
    /// The backup was made for another identity.
    #[error(
        "{backup} was not made for the identity in {identity} ({recipient}): put the one there by which it was made",
        backup = .backup.display(), identity = .identity.display()
    )]
    OtherIdentity { backup: PathBuf, identity: PathBuf, recipient: String },
    /// The file is not what `local backup` writes, or not all of it.
    #[error("{path} is not a whole backup", path = .path.display())]
    NoBackup {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The harness failed.
    #[error(transparent)]
    Testkit(#[from] testkit::Error),
    /// A step of the seed or of the demo failed.
    #[error("{0}")]
    Step(String),
}

/// Names what was tried with which file.
pub(crate) fn file(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> LocalError {
    let path = path.into();
    move |source| LocalError::File { what, path, source }
}
