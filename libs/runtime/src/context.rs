//! What a running service is given.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use axum::Router;
use prometheus::Registry;
use tls::{Identity, IdentityConfig, TlsError};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{health::Health, http, run::BoxError, shutdown::Tasks};

/// Tasks, health, listeners and shutdown of one service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Context {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: &'static str,
    tasks: Tasks,
    health: Health,
    registry: Registry,
    ports_file: Option<PathBuf>,
    ports: Mutex<BTreeMap<String, SocketAddr>>,
}

impl Context {
    pub(crate) fn new(name: &'static str, registry: Registry, ports_file: Option<PathBuf>) -> Self {
        let (tasks, health, ports) = (Tasks::default(), Health::new(), Mutex::default());
        Self { inner: Arc::new(Inner { name, tasks, health, registry, ports_file, ports }) }
    }

    /// A context without process around it (no signals, no telemetry), for tests of services.
    pub fn for_tests(name: &'static str) -> Self {
        let context = Self::new(name, Registry::new(), None);
        context.health().started();
        context
    }

    /// The service's name.
    pub fn name(&self) -> &'static str {
        self.inner.name
    }

    /// Where components say whether they are ready.
    pub fn health(&self) -> &Health {
        &self.inner.health
    }

    /// The registry that `/metrics` serves.
    pub fn registry(&self) -> &Registry {
        &self.inner.registry
    }

    /// Cancelled when the service drains: take no new work, finish what was begun, end.
    pub fn draining(&self) -> CancellationToken {
        self.inner.tasks.draining.clone()
    }

    /// Cancelled when the grace period is over: drop everything and end now.
    pub fn stopping(&self) -> CancellationToken {
        self.inner.tasks.stopping.clone()
    }

    /// Begins to drain, as SIGTERM does.
    pub fn shut_down(&self) {
        self.inner.tasks.draining.cancel();
    }

    /// Runs a task of the service. It should end soon after [`Context::draining`]; when it fails or panics at any time,
    /// the service drains and exits with code 1. A task that ends with `Ok` has simply done its work.
    pub fn spawn<F, E>(&self, name: &str, task: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.inner.tasks.spawn(name, task);
    }

    /// Binds an address (port 0 takes a free one) and, with `--ports-file`, writes what was bound under `name`.
    ///
    /// The file is replaced as a whole each time, so a reader sees whole JSON; wait for the key that you need.
    ///
    /// # Errors
    /// The address is in use or not ours, with the address in the message; the ports file cannot be written.
    pub async fn listen(&self, name: &str, address: SocketAddr) -> io::Result<TcpListener> {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address} ({name}): {error}")))?;
        let bound = listener.local_addr()?;
        tracing::info!(listener = name, address = %bound, "listening");
        self.announce(name, bound)?;
        Ok(listener)
    }

    /// Adds an address that was bound elsewhere to the ports file.
    ///
    /// # Errors
    /// The ports file cannot be written.
    pub fn announce(&self, name: &str, address: SocketAddr) -> io::Result<()> {
        let mut ports = self.inner.ports.lock().unwrap_or_else(PoisonError::into_inner);
        ports.insert(name.to_owned(), address);
        let Some(path) = &self.inner.ports_file else { return Ok(()) };
        let json = serde_json::to_vec(&*ports)?;
        let temporary = path.with_extension("writing");
        std::fs::write(&temporary, json).and_then(|()| std::fs::rename(&temporary, path)).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot write the ports file {}: {error}", path.display()))
        })
    }

    /// `/health/live`, `/health/ready` and `/metrics`.
    pub fn admin_router(&self) -> Router {
        http::admin_router(self.clone())
    }

    /// Opens a door's certificate, if it has one, and looks after it while the service runs.
    ///
    /// # Errors
    /// See [`Identity::open`].
    pub fn identity(&self, name: &str, config: Option<&IdentityConfig>) -> Result<Option<Arc<Identity>>, TlsError> {
        let Some(config) = config else { return Ok(None) };
        let identity = Arc::new(Identity::open(name, config)?);
        let (followed, draining) = (Arc::clone(&identity), self.draining());
        self.spawn(&format!("{name}-certificate"), async move {
            tokio::select! {
                () = followed.follow() => {}
                () = draining.cancelled() => {}
            }
            Ok::<_, BoxError>(())
        });
        Ok(Some(identity))
    }

    /// Serves a router until draining, as the task `name`. See [`http::serve_http`].
    pub fn spawn_http(&self, name: &str, listener: TcpListener, tls: Option<Arc<Identity>>, router: Router) {
        self.spawn(name, http::serve_http(self.clone(), listener, tls, router));
    }

    pub(crate) fn tasks(&self) -> &Tasks {
        &self.inner.tasks
    }
}
