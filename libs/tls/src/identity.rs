//! A service's own certificate, read again whenever its files change.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::digest::{Context as Digest, SHA256};
use opentelemetry::{KeyValue, global, metrics::Gauge};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert},
    sign::CertifiedKey,
};
use secret::SecretFile;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsStream};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

use crate::{HandshakeError, Stream, TlsError, provider};

/// How often the files are looked at. They are small, and compared by what is in them: whoever replaces them may do so in
/// any way (a rename, a write, a changed link).
const LOOK: Duration = Duration::from_secs(2);

/// A section `tls` of a door.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityConfig {
    /// PEM: the certificate, then those between it and the authority.
    pub certificate_file: PathBuf,
    /// PEM: its private key; a secret file.
    pub key_file: SecretFile,
}

/// What a door shows to clients.
pub struct Identity {
    door: String,
    config: IdentityConfig,
    acceptor: TlsAcceptor,
    current: Arc<Current>,
    expiry: Gauge<f64>,
    stale: Gauge<f64>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("door", &self.door).field("config", &self.config).finish_non_exhaustive()
    }
}

/// A certificate with its key, when it ends, and the digest of the files that it came from.
#[derive(Debug)]
struct Loaded {
    key: Arc<CertifiedKey>,
    expires: i64,
    digest: [u8; 32],
}

#[derive(Debug)]
struct Current(RwLock<Loaded>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).key))
    }
}

impl Identity {
    /// Reads certificate and key. `door` names it in log lines and metrics.
    ///
    /// # Errors
    /// They cannot be read, do not belong together, or have expired.
    pub fn open(door: &str, config: &IdentityConfig) -> Result<Self, TlsError> {
        let current = Arc::new(Current(RwLock::new(load(config)?)));
        let mut server = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|source| TlsError::Pair { path: config.certificate_file.clone(), source })?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Current>::clone(&current));
        // Connections live long, and a resumed one would be of a certificate that has been replaced.
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        let meter = global::meter("tls");
        let gauge = |name: &'static str, help: &'static str| meter.f64_gauge(name).with_description(help).build();
        let identity = Self {
            door: door.to_owned(),
            config: config.clone(),
            acceptor: TlsAcceptor::from(Arc::new(server)),
            current,
            expiry: gauge("tls_certificate_expiry_timestamp_seconds", "When a door's certificate ends, in Unix time"),
            stale: gauge("tls_certificate_stale", "1 while a door's files hold a certificate that cannot be used"),
        };
        identity.tell(false);
        Ok(identity)
    }

    /// Looks after the files for ever.
    pub async fn follow(&self) {
        let mut bad = 0;
        loop {
            tokio::time::sleep(LOOK).await;
            let config = self.config.clone();
            // Cut off only by the end of the runtime.
            let Ok(read) = tokio::task::spawn_blocking(move || load(&config)).await else { return };
            bad = self.look(read, bad);
        }
    }

    /// Takes what was read, if it is new and good; gives the number of bad looks in a row.
    fn look(&self, read: Result<Loaded, TlsError>, bad: u32) -> u32 {
        let bad = match read {
            Ok(loaded) => {
                let mut current = self.current.0.write().unwrap_or_else(PoisonError::into_inner);
                if current.digest != loaded.digest {
                    *current = loaded;
                    tracing::info!(door = self.door, "certificate replaced");
                }
                0
            }
            Err(error) => {
                // Certificate and key are seldom replaced at the same moment: the second bad look complains, once.
                if bad == 1 {
                    tracing::error!(door = self.door, %error, "the new certificate cannot be used, the old one stays");
                }
                bad.saturating_add(1)
            }
        };
        self.tell(bad > 1);
        bad
    }

    fn tell(&self, stale: bool) {
        let door = [KeyValue::new("door", self.door.clone())];
        let expires = self.current.0.read().unwrap_or_else(PoisonError::into_inner).expires;
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit")]
        self.expiry.record(expires as f64, &door);
        self.stale.record(f64::from(u8::from(stale)), &door);
    }

    /// Shakes hands with a client. Takes as long as the client takes: the caller has the deadline.
    ///
    /// # Errors
    /// See [`HandshakeError`].
    pub async fn accept(&self, stream: TcpStream) -> Result<Stream, HandshakeError> {
        let stream = self.acceptor.accept(stream).await.map_err(HandshakeError::of)?;
        Ok(Stream::Tls(Box::new(TlsStream::Server(stream))))
    }
}

fn load(config: &IdentityConfig) -> Result<Loaded, TlsError> {
    let path = &config.certificate_file;
    let pem = std::fs::read(path).map_err(|source| TlsError::Read { path: path.clone(), source })?;
    let key_pem = config.key_file.read_bytes()?;
    let unusable = |_| TlsError::Pem { path: path.clone(), what: "certificate" };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(unusable)?;
    let first = chain.first().ok_or_else(|| TlsError::Pem { path: path.clone(), what: "certificate" })?;
    let (_, parsed) =
        X509Certificate::from_der(first).map_err(|_| TlsError::Pem { path: path.clone(), what: "certificate" })?;
    let expires = parsed.validity().not_after.timestamp();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    if expires < i64::try_from(now).unwrap_or(i64::MAX) {
        return Err(TlsError::Expired { path: path.clone() });
    }
    let key = PrivateKeyDer::from_pem_slice(key_pem.expose())
        .map_err(|_| TlsError::Pem { path: config.key_file.path().to_owned(), what: "private key" })?;
    let mut digest = Digest::new(&SHA256);
    digest.update(&pem);
    digest.update(key_pem.expose());
    let mut sum = [0; 32];
    sum.copy_from_slice(digest.finish().as_ref());
    // Also holds the key against the certificate.
    let key = CertifiedKey::from_der(chain, key, &provider())
        .map_err(|source| TlsError::Pair { path: path.clone(), source })?;
    Ok(Loaded { key: Arc::new(key), expires, digest: sum })
}

#[cfg(test)]
mod tests;
