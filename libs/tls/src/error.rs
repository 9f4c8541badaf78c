//! What can go wrong. Messages name files, never what is in a key.

use std::{io, path::PathBuf};

use secret::SecretError;

/// A certificate, key or trust file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file is missing or may not be read.
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    /// The key file is missing, or open to others.
    #[error(transparent)]
    Key(#[from] SecretError),
    /// It is not PEM, or holds nothing of the kind.
    #[error("{path} holds no usable {what} in PEM")]
    Pem { path: PathBuf, what: &'static str },
    /// The certificate and the key do not belong together, or are of a kind that is not spoken.
    #[error("certificate {path} and its key cannot be used: {source}")]
    Pair { path: PathBuf, source: rustls::Error },
    /// Nobody would believe it any more.
    #[error("certificate {path} has expired")]
    Expired { path: PathBuf },
    /// The certificates that are to be trusted are not.
    #[error("the certificates in {path} cannot be trusted: {source}")]
    Trust { path: PathBuf, source: rustls::Error },
}

/// A client did not get through the handshake.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// What came is no TLS: a client that speaks plainly, as a rule.
    #[error("what came is no TLS")]
    NotTls,
    /// The client went away, does not believe the certificate, or speaks no version or cipher that is offered.
    #[error("no agreement: {0}")]
    Failed(#[source] io::Error),
}

impl HandshakeError {
    pub(crate) fn of(error: io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match inner {
            Some(rustls::Error::InvalidMessage(_)) => Self::NotTls,
            _ => Self::Failed(error),
        }
    }
}
