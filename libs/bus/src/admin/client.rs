//! The administrator's client.

use std::{sync::Arc, time::Duration};

use secret::Secret;
use tls::Trust;
use tokio::sync::Mutex;
use wire::protocol::Request;

use super::{AdminError, connection::Connection};
use crate::KafkaConfig;

/// Administers a cluster. Cheap to clone; calls of all clones go one after another over one connection.
#[derive(Clone, Debug)]
pub struct Controller {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    kafka: KafkaConfig,
    client_id: String,
    password: Secret<String>,
    trust: Option<Trust>,
    timeout: Duration,
    connection: Mutex<Option<Connection>>,
}

impl Controller {
    /// Makes a client; it connects at the first call. Each call is given up after `timeout`.
    ///
    /// # Errors
    /// The configuration or its password file cannot be used.
    pub fn new(kafka: &KafkaConfig, client_id: &str, timeout: Duration) -> Result<Self, AdminError> {
        kafka.validate()?;
        let password = kafka.password_file.read().map_err(crate::BusError::from)?;
        let trust = kafka.trust()?;
        let (kafka, client_id, connection) = (kafka.clone(), client_id.to_owned(), Mutex::new(None));
        Ok(Self { inner: Arc::new(Inner { kafka, client_id, password, trust, timeout, connection }) })
    }

    /// Milliseconds that the broker is told to spend on a call, a little less than we wait.
    pub(crate) fn timeout_ms(&self) -> i32 {
        i32::try_from(self.inner.timeout.as_millis() * 9 / 10).unwrap_or(i32::MAX)
    }

    pub(crate) async fn call<R: Request>(&self, request: &R, name: &'static str) -> Result<R::Response, AdminError> {
        let timeout = self.inner.timeout;
        let calling = async {
            let mut slot = self.inner.connection.lock().await;
            // Out of the slot while in use: when this is cancelled half-way, the connection is dropped with it.
            let reused = slot.take();
            let was_reused = reused.is_some();
            let mut connection = match reused {
                Some(connection) => connection,
                None => self.connect().await?,
            };
            let mut result = connection.call(request, name).await;
            // An idle connection may have been closed by the broker; these calls may be repeated.
            if was_reused && matches!(result, Err(AdminError::Io(_))) {
                connection = self.connect().await?;
                result = connection.call(request, name).await;
            }
            if !matches!(result, Err(AdminError::Io(_) | AdminError::Codec(_))) {
                *slot = Some(connection);
            }
            result
        };
        tokio::time::timeout(timeout, calling).await.map_err(|_| AdminError::Timeout(timeout))?
    }

    async fn connect(&self) -> Result<Connection, AdminError> {
        let Inner { kafka, client_id, password, trust, timeout, .. } = &*self.inner;
        let login = (kafka.login.as_str(), password.expose().as_str());
        let mut failures = Vec::new();
        for address in kafka.addresses() {
            match Connection::open(address, trust.as_ref(), client_id, login, *timeout / 2).await {
                Ok(connection) => return Ok(connection),
                // Another broker would say the same.
                Err(error @ (AdminError::Login { .. } | AdminError::Scram(_))) => return Err(error),
                Err(error) => failures.push(format!("{address}: {error}")),
            }
        }
        Err(AdminError::Unreachable(failures.join("; ")))
    }
}
