//! Tells the services what was decided: one task numbers, signs and publishes the snapshots.
//!
//! A handler that committed a change waits for [`Publisher::tell`]; changes that arrive while a snapshot is on its way
//! share the next one. What cannot be told now is tried again until it is told: the state is in the database, and every
//! snapshot holds all of it, so nothing needs to be queued and a restart loses nothing.

mod issuer;
mod rules;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use policy::Policy;
use tokio::sync::{mpsc, oneshot, watch};

pub(crate) use issuer::{Issuer, IssuerParts};
pub(crate) use rules::{RuleBook, RulesError};

use crate::error::Refusal;

/// Changes that may wait at a time; beyond it handlers wait to be queued.
const QUEUE: usize = 1024;

/// Somebody waits for a change to be told.
#[derive(Debug)]
struct Request {
    /// When the change was asked for.
    at: DateTime<Utc>,
    done: oneshot::Sender<()>,
}

/// The handlers' side. Cheap to clone; the task ends when all are gone.
#[derive(Debug, Clone)]
pub(crate) struct Publisher {
    requests: mpsc::Sender<Request>,
    policy: watch::Receiver<Option<Arc<Policy>>>,
}

/// The task's side.
#[derive(Debug)]
pub(crate) struct Inbox {
    requests: mpsc::Receiver<Request>,
    policy: watch::Sender<Option<Arc<Policy>>>,
}

/// Both sides.
pub(crate) fn channel() -> (Publisher, Inbox) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let policy = watch::Sender::new(None);
    let publisher = Publisher { requests: sender, policy: policy.subscribe() };
    (publisher, Inbox { requests: receiver, policy })
}

impl Publisher {
    /// Returns when the brokers have acknowledged a snapshot that holds what was committed before the call. `at` is when
    /// the change was asked for.
    ///
    /// # Errors
    /// [`Refusal::NotTold`] when they have not within `patience`; it is tried on.
    pub(crate) async fn tell(&self, at: DateTime<Utc>, patience: Duration) -> Result<(), Refusal> {
        let (done, told) = oneshot::channel();
        let asked = async {
            self.requests.send(Request { at, done }).await.map_err(|_| Refusal::NotTold)?;
            told.await.map_err(|_| Refusal::NotTold)
        };
        tokio::time::timeout(patience, asked).await.unwrap_or(Err(Refusal::NotTold))
    }

    /// Asks for a snapshot without waiting for it.
    pub(crate) fn nudge(&self, at: DateTime<Utc>) {
        let (done, _) = oneshot::channel();
        // A full queue means that one is coming anyway.
        let _ = self.requests.try_send(Request { at, done });
    }

    /// The newest policy that was issued, valid or not: to load others after it.
    pub(crate) fn latest(&self) -> Option<Arc<Policy>> {
        self.policy.borrow().clone()
    }

    /// The newest policy that was issued, if it is valid at `at`.
    ///
    /// # Errors
    /// [`Refusal::NoPolicy`].
    pub(crate) fn policy(&self, at: DateTime<Utc>) -> Result<Arc<Policy>, Refusal> {
        self.policy.borrow().clone().filter(|policy| !policy.expired(at)).ok_or(Refusal::NoPolicy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_not_told_in_time_is_said_so_and_stays_asked_for() {
        let (publisher, mut inbox) = channel();
        let at = Utc::now();
        assert!(matches!(publisher.tell(at, Duration::from_millis(1)).await, Err(Refusal::NotTold)));
        assert_eq!(inbox.requests.recv().await.unwrap().at, at);
        assert!(matches!(publisher.policy(at), Err(Refusal::NoPolicy)));
        drop(inbox);
        assert!(matches!(publisher.tell(at, Duration::from_secs(60)).await, Err(Refusal::NotTold)));
    }
}
