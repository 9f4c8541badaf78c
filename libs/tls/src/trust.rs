//! Whom a service believes when it connects.

use std::{fmt, io, path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, TlsStream};

use crate::{Stream, TlsError, provider};

/// The certificate authorities of one file, and nobody else: not those of the operating system. Cheap to clone.
#[derive(Clone)]
pub struct Trust(TlsConnector);

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trust(..)")
    }
}

impl Trust {
    /// Reads a PEM file with one or more certificates of authorities.
    ///
    /// # Errors
    /// The file cannot be read, or holds no certificate that can be trusted.
    pub fn read(path: &Path) -> Result<Self, TlsError> {
        let pem = std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })?;
        let unusable = |_| TlsError::Pem { path: path.to_owned(), what: "certificate" };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(unusable)?;
            roots.add(certificate).map_err(|source| TlsError::Trust { path: path.to_owned(), source })?;
        }
        if roots.is_empty() {
            return Err(TlsError::Pem { path: path.to_owned(), what: "certificate" });
        }
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|source| TlsError::Trust { path: path.to_owned(), source })?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Shakes hands with the server that is to have a certificate for `host` (a name or an IP address).
    ///
    /// # Errors
    /// `host` is neither, the server's certificate is not believed, or the connection broke.
    pub async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<Stream> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, format!("{host} is no name of a server")))?;
        let stream = self.0.connect(name, stream).await?;
        Ok(Stream::Tls(Box::new(TlsStream::Client(stream))))
    }
}
