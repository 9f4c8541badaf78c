//! HTTP clients of services, and whom they believe.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::{Certificate, Client};
use serde::Deserialize;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a URL cannot be called.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Neither `http` nor `https`.
    #[error("must begin with http:// or https://")]
    Scheme,
    /// Plain text to another machine.
    #[error(
        "leads to another machine, and plain text is for loopback only: use https://, and set {trust} if the \
             certificate is of an authority of your own"
    )]
    Plain { trust: &'static str },
    /// The file of trusted certificates cannot be read.
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    /// It holds no usable certificate.
    #[error("{path} holds no usable certificate in PEM")]
    Certificates { path: PathBuf },
    /// TLS cannot be set up.
    #[error("the HTTP client cannot be made")]
    Client(#[source] reqwest::Error),
}

/// `[registry]`: where the schema registry is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryConfig {
    /// Base URL.
    pub url: String,
    /// PEM file with the authorities that its certificate may be of; absent: those of the operating system.
    #[serde(default)]
    pub trust_file: Option<PathBuf>,
}

impl RegistryConfig {
    /// Checks what the types cannot say about `registry.url`.
    ///
    /// # Errors
    /// [`HttpError::Scheme`], [`HttpError::Plain`].
    pub fn validate(&self) -> Result<(), HttpError> {
        check(&self.url, "registry.trust_file")
    }

    /// A client for it that waits five seconds for an answer.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub fn client(&self) -> Result<Client, HttpError> {
        self.validate()?;
        build(&self.url, self.trust_file.as_deref(), Some(PATIENCE))
    }

    /// The base URL without a slash at its end.
    pub fn base(&self) -> &str {
        self.url.trim_end_matches('/')
    }
}

/// Whether passwords and tokens may be sent there. `trust` is what to set for certificates of one's own authority.
///
/// # Errors
/// [`HttpError::Scheme`], [`HttpError::Plain`].
pub fn check(url: &str, trust: &'static str) -> Result<(), HttpError> {
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(HttpError::Scheme);
    }
    if tls::url_is_plain_abroad(url) { Err(HttpError::Plain { trust }) } else { Ok(()) }
}

/// A client for `url`. For plain text no authority is read, not even those of the operating system.
pub(crate) fn build(url: &str, trust: Option<&Path>, patience: Option<Duration>) -> Result<Client, HttpError> {
    let mut builder = Client::builder();
    if let Some(patience) = patience {
        builder = builder.timeout(patience);
    }
    if let Some(path) = trust {
        let pem = std::fs::read(path).map_err(|source| HttpError::Read { path: path.to_owned(), source })?;
        let certificates = Certificate::from_pem_bundle(&pem).unwrap_or_default();
        if certificates.is_empty() {
            return Err(HttpError::Certificates { path: path.to_owned() });
        }
        builder = builder.tls_certs_only(certificates);
    } else if url.starts_with("http://") {
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(HttpError::Client)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_for_loopback_and_files_must_hold_certificates() {
        let config = |url: &str, trust: Option<&str>| RegistryConfig {
            url: url.to_owned(),
            trust_file: trust.map(PathBuf::from),
        };
        assert!(config("http://127.0.0.1:8080/registry", None).client().is_ok());
        assert!(config("https://authority.example/registry", None).validate().is_ok());
        let plain = config("http://authority.example/registry", None).client().unwrap_err().to_string();
        assert!(plain.contains("https://") && plain.contains("registry.trust_file"), "{plain}");
        assert!(matches!(config("authority.example", None).validate(), Err(HttpError::Scheme)));
        let missing = config("https://authority.example", Some("/none.pem")).client();
        assert!(matches!(missing, Err(HttpError::Read { .. })));
        let empty = config("https://authority.example", Some("/dev/null")).client();
        assert!(matches!(empty, Err(HttpError::Certificates { .. })));
    }
}
