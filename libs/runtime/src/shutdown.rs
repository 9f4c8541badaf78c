//! Two-phase shutdown, after the lifecycle manager of matrix-authentication-service: the first signal (or a crashed
//! task) drains, the second signal (or the end of the grace period) stops.

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::FutureExt as _;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::run::BoxError;

/// After the hard phase began, tasks get this long to notice before the runtime drops them.
const LAST_MOMENT: Duration = Duration::from_secs(2);

/// The tasks of a service and the two tokens that stop them.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    pub(crate) draining: CancellationToken,
    pub(crate) stopping: CancellationToken,
    tracker: TaskTracker,
    running: Arc<Mutex<BTreeMap<u64, String>>>,
    next: AtomicU64,
    crashed: Arc<AtomicBool>,
}

impl Tasks {
    /// Runs a task to its end; an error or a panic of it drains the service and makes the exit code 1.
    pub(crate) fn spawn<F, E>(&self, name: &str, task: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.names().insert(id, name.to_owned());
        let (name, running) = (name.to_owned(), Arc::clone(&self.running));
        let (draining, crashed) = (self.draining.clone(), Arc::clone(&self.crashed));
        self.tracker.spawn(async move {
            let outcome = AssertUnwindSafe(task).catch_unwind().await;
            running.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
            match outcome {
                Ok(Ok(())) => {
                    tracing::debug!(task = name, "task ended");
                    return;
                }
                Ok(Err(error)) => {
                    let error: BoxError = error.into();
                    tracing::error!(task = name, error = chain(&*error), "task failed, shutting down");
                }
                // The panic hook has printed message and place.
                Err(_) => tracing::error!(task = name, "task panicked, shutting down"),
            }
            crashed.store(true, Ordering::SeqCst);
            draining.cancel();
        });
    }

    pub(crate) fn crashed(&self) -> bool {
        self.crashed.load(Ordering::SeqCst)
    }

    fn names(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, String>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn still_running(&self) -> Vec<String> {
        self.names().values().cloned().collect()
    }

    /// Waits for a reason to stop, then stops everything. `drained` is called when draining begins.
    pub(crate) async fn supervise(&self, mut signals: Signals, grace: Duration, drained: impl FnOnce()) {
        tokio::select! {
            name = signals.recv() => tracing::info!(signal = name, "draining"),
            () = self.draining.cancelled() => tracing::info!("draining"),
        }
        self.draining.cancel();
        drained();
        self.tracker.close();
        tokio::select! {
            () = self.tracker.wait() => return,
            name = signals.recv() => tracing::warn!(signal = name, tasks = ?self.still_running(), "stopping at once"),
            () = tokio::time::sleep(grace) => {
                tracing::warn!(seconds = grace.as_secs(), tasks = ?self.still_running(), "grace period is over, stopping");
            }
        }
        self.stopping.cancel();
        if timeout(LAST_MOMENT, self.tracker.wait()).await.is_err() {
            tracing::warn!(tasks = ?self.still_running(), "tasks are cut off");
        }
    }
}

/// SIGTERM and SIGINT.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(crate) fn install() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    pub(crate) async fn recv(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// An error and its sources in one line, each said once.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let message = error.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        source = error.source();
    }
    text
}
