//! Liveness and readiness. A component registers a check and says when it is ready; the service is ready when all are
//! and it is not draining.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tokio::sync::watch;

/// All checks of a service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Health {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    ready: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    /// Name to the reason why it is not ready.
    checks: BTreeMap<String, Option<String>>,
    started: bool,
    draining: bool,
}

/// What `/health/ready` answers with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// `ready`, `starting`, `unready` or `draining`.
    pub status: &'static str,
    /// Each component that is not ready, with the reason.
    pub reasons: BTreeMap<String, String>,
}

impl Readiness {
    /// Whether to send traffic here.
    pub fn is_ready(&self) -> bool {
        self.status == "ready"
    }
}

impl Health {
    pub(crate) fn new() -> Self {
        let inner = Inner { state: Mutex::default(), ready: watch::Sender::new(false) };
        Self { inner: Arc::new(inner) }
    }

    /// Adds a component, which is not ready until its check says so. Registering a name again starts it over.
    pub fn register(&self, name: impl Into<String>) -> Check {
        let name = name.into();
        self.change(|state| {
            state.checks.insert(name.clone(), Some("starting".to_owned()));
        });
        Check { name, health: self.clone() }
    }

    /// The state of all components now.
    pub fn readiness(&self) -> Readiness {
        self.lock().readiness()
    }

    /// Waits until everything is ready.
    ///
    /// # Errors
    /// The components that are not when `deadline` has passed.
    pub async fn wait_ready(&self, deadline: Duration) -> Result<(), Readiness> {
        let mut ready = self.inner.ready.subscribe();
        let outcome = tokio::time::timeout(deadline, ready.wait_for(|ready| *ready)).await;
        if matches!(outcome, Ok(Ok(_))) { Ok(()) } else { Err(self.readiness()) }
    }

    /// Start-up is over: from now on the service is ready when its components are.
    pub(crate) fn started(&self) {
        self.change(|state| state.started = true);
    }

    pub(crate) fn drain(&self) {
        self.change(|state| state.draining = true);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        let now = state.readiness();
        let ready = now.is_ready();
        let changed = self.inner.ready.send_replace(ready) != ready;
        drop(state);
        if changed && ready {
            tracing::info!("ready");
        } else if changed {
            tracing::warn!(status = now.status, reasons = ?now.reasons, "not ready");
        }
    }
}

impl State {
    fn readiness(&self) -> Readiness {
        let reasons = self
            .checks
            .iter()
            .filter_map(|(name, reason)| Some((name.clone(), reason.clone()?)))
            .collect::<BTreeMap<_, _>>();
        let status = if self.draining {
            "draining"
        } else if !self.started {
            "starting"
        } else if reasons.is_empty() {
            "ready"
        } else {
            "unready"
        };
        Readiness { status, reasons }
    }
}

/// One component's say. Cheap to clone; dropping it leaves its last word standing.
#[derive(Clone, Debug)]
pub struct Check {
    name: String,
    health: Health,
}

impl Check {
    /// The component can do its work.
    pub fn ready(&self) {
        self.set(None);
    }

    /// It cannot. The reason is shown to operators: no personal data, no secrets.
    pub fn not_ready(&self, reason: impl Into<String>) {
        self.set(Some(reason.into()));
    }

    fn set(&self, reason: Option<String>) {
        {
            let state = self.health.lock();
            if state.checks.get(&self.name) == Some(&reason) {
                return;
            }
        }
        match &reason {
            Some(reason) => tracing::warn!(component = self.name, reason, "component is not ready"),
            None => tracing::debug!(component = self.name, "component is ready"),
        }
        self.health.change(|state| {
            state.checks.insert(self.name.clone(), reason);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn is_ready_when_all_are_and_never_while_draining() {
        let health = Health::new();
        let (kafka, database) = (health.register("kafka"), health.register("database"));
        assert_eq!(health.readiness().status, "starting");
        kafka.ready();
        database.ready();
        assert_eq!(health.readiness().status, "starting", "start-up is not over");
        health.started();
        assert!(health.readiness().is_ready());
        kafka.not_ready("no broker answers");
        let readiness = health.wait_ready(Duration::ZERO).await.unwrap_err();
        assert_eq!(readiness.reasons, BTreeMap::from([("kafka".to_owned(), "no broker answers".to_owned())]));
        kafka.ready();
        health.wait_ready(Duration::from_secs(1)).await.unwrap();
        health.drain();
        kafka.ready();
        assert_eq!(health.readiness().status, "draining");
    }
}
