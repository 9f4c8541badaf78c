//! What the cluster's reconciler and the rest of the authority tell each other, without waiting for each other.

use std::{collections::BTreeSet, time::Duration};

use jointuse::Login;
use tokio::sync::{Notify, watch};

/// Shared by the handlers, the publisher and the reconciler.
#[derive(Debug)]
pub(crate) struct ClusterLink {
    woken: Notify,
    logins: watch::Sender<BTreeSet<Login>>,
}

impl ClusterLink {
    pub(crate) fn new() -> Self {
        Self { woken: Notify::new(), logins: watch::Sender::new(BTreeSet::new()) }
    }

    /// The approved state changed: compare it with the cluster soon. Calls while a comparison runs lead to one more.
    pub(crate) fn wake(&self) {
        self.woken.notify_one();
    }

    /// For the reconciler: waits for [`wake`](Self::wake).
    pub(crate) async fn woken(&self) {
        self.woken.notified().await;
    }

    /// For the reconciler: these logins exist on the cluster now.
    pub(crate) fn logins_are(&self, logins: BTreeSet<Login>) {
        self.logins.send_replace(logins);
    }

    /// Waits until `login` exists on the cluster; `false` when it did not within `patience`.
    pub(crate) async fn login_exists(&self, login: &Login, patience: Duration) -> bool {
        let mut logins = self.logins.subscribe();
        let found = logins.wait_for(|logins| logins.contains(login));
        matches!(tokio::time::timeout(patience, found).await, Ok(Ok(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wake_is_not_lost_and_a_login_is_waited_for() {
        let link = std::sync::Arc::new(ClusterLink::new());
        link.wake();
        link.wake();
        link.woken().await;
        let login: Login = "ju-sub-a-1".parse().unwrap();
        assert!(!link.login_exists(&login, Duration::from_millis(1)).await);
        let waiting = tokio::spawn({
            let (link, login) = (std::sync::Arc::clone(&link), login.clone());
            async move { link.login_exists(&login, Duration::from_secs(10)).await }
        });
        link.logins_are(BTreeSet::from([login]));
        assert!(waiting.await.unwrap());
    }
}
