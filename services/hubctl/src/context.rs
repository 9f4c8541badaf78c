//! The session between commands, files with secrets, and why a command failed.

use std::{
    env, fs,
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use authority_api::{AuthorityClient, ClientError, HttpError, http, types::Session};
use serde::{Deserialize, Serialize};

/// Why a command failed. Says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("not signed in at {0}: run `hubctl sign-in --operator NAME` first")]
    NotSignedIn(String),
    #[error("cannot use {path}")]
    File {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Call(Box<ClientError>),
    #[error(transparent)]
    Keys(Box<dyn std::error::Error + Send + Sync>),
    #[error("{0}")]
    Unsound(String),
    #[error("{failed} of {all} changes could not be made; run `hubctl cluster plan` to see what is left")]
    Partly { failed: usize, all: usize },
}

impl Failure {
    /// Of the key store, or of key-encryption keys.
    pub(crate) fn keys(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Keys(Box::new(error))
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Call(Box::new(error))
    }
}

pub(crate) fn file_error(path: &Path) -> impl FnOnce(io::Error) -> Failure {
    let path = path.display().to_string();
    move |source| Failure::File { path, source }
}

#[derive(Serialize, Deserialize)]
struct Kept {
    authority: String,
    session: Session,
}

/// Where the authority is and who is signed in.
pub(crate) struct Context {
    pub(crate) json: bool,
    authority: String,
    trust_file: Option<PathBuf>,
    session_file: PathBuf,
}

impl Context {
    pub(crate) fn new(authority: &str, trust_file: Option<PathBuf>, session_file: Option<PathBuf>, json: bool) -> Self {
        let session_file = session_file.unwrap_or_else(|| {
            let state = env::var_os("XDG_STATE_HOME").map(PathBuf::from);
            let home = env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
            state.or(home).unwrap_or_else(|| PathBuf::from(".")).join("hubctl/session.json")
        });
        Self { json, authority: authority.trim_end_matches('/').to_owned(), trust_file, session_file }
    }

    /// A client that is not signed in. Passwords and sessions do not cross machines in plain text.
    pub(crate) fn anonymous(&self) -> Result<AuthorityClient, Failure> {
        let unusable = |error: HttpError| Failure::Usage(format!("{}: {error}", self.authority));
        http::check(&self.authority, "--trust-file").map_err(unusable)?;
        AuthorityClient::trusting(&self.authority, self.trust_file.as_deref()).map_err(unusable)
    }

    /// A client with the kept session. A session of another authority is not sent there.
    pub(crate) fn client(&self) -> Result<AuthorityClient, Failure> {
        let not = || Failure::NotSignedIn(self.authority.clone());
        let text = match fs::read_to_string(&self.session_file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(not()),
            Err(error) => return Err(file_error(&self.session_file)(error)),
        };
        let kept: Kept = serde_json::from_str(&text).map_err(|_| not())?;
        if kept.authority != self.authority {
            return Err(not());
        }
        Ok(self.anonymous()?.with_token(kept.session.token))
    }

    pub(crate) fn keep(&self, session: &Session) -> Result<(), Failure> {
        let kept = Kept { authority: self.authority.clone(), session: session.clone() };
        let text = serde_json::to_string(&kept).map_err(io::Error::other).map_err(file_error(&self.session_file))?;
        if let Some(folder) = self.session_file.parent() {
            fs::create_dir_all(folder).map_err(file_error(folder))?;
        }
        write_secret(&self.session_file, &text)
    }

    pub(crate) fn forget(&self) -> Result<(), Failure> {
        match fs::remove_file(&self.session_file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file_error(&self.session_file)(error)),
            _ => Ok(()),
        }
    }
}

/// Writes a file that only its owner may read, replacing it as a whole.
pub(crate) fn write_secret(path: &Path, text: &str) -> Result<(), Failure> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    let write = || -> io::Result<()> {
        let _ = fs::remove_file(&temporary);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&temporary, path)
    };
    write().map_err(file_error(path))
}

/// Reads a secret from a file, or from standard input when none is named.
pub(crate) fn read_secret(file: Option<&Path>) -> Result<String, Failure> {
    let text = if let Some(path) = file {
        fs::read_to_string(path).map_err(file_error(path))?
    } else {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map_err(file_error(Path::new("standard input")))?;
        text
    };
    let secret = text.trim_end_matches(['\r', '\n']).to_owned();
    if secret.is_empty() { Err(Failure::Usage("the secret is empty".into())) } else { Ok(secret) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_session_is_kept_privately_and_goes_only_where_it_came_from() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("deep/session.json");
        let session = Session {
            operator: "sato".parse().unwrap(),
            roles: Default::default(),
            token: "t".into(),
            expires_at: chrono::DateTime::UNIX_EPOCH,
        };
        let here = Context::new("http://127.0.0.1:1/", None, Some(file.clone()), false);
        assert!(matches!(here.client(), Err(Failure::NotSignedIn(_))));
        here.keep(&session).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(here.client().is_ok());
        let there = Context::new("http://127.0.0.2:1", None, Some(file.clone()), false);
        assert!(matches!(there.client(), Err(Failure::NotSignedIn(_))));
        let abroad = Context::new("http://authority.example", None, Some(file.clone()), false);
        assert!(matches!(abroad.anonymous(), Err(Failure::Usage(_))));
        here.forget().unwrap();
        here.forget().unwrap();
        assert!(!file.exists());
    }
}
