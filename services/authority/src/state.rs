//! What handlers and tasks share.

use std::{sync::Arc, time::Duration};

use authority_api::TokenSigner;
use jointuse::Clock;
use policy::TokenKey;
use store::Store;
use tokio::sync::Notify;

use crate::{
    audit::Identity,
    auth::throttle::Throttle,
    cluster::Cluster,
    config::Config,
    issue::{Publisher, RuleBook},
    link::ClusterLink,
    metrics::Metrics,
    restrictions::StopList,
};

/// One authority. Handlers get it as `State<AppState>`.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) config: Config,
    /// Base URL by which others reach this service, without a slash at the end.
    pub(crate) public_url: String,
    /// What subscribers shall trust at the hub (PEM).
    pub(crate) hub_trust: Option<String>,
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    /// Signs access tokens and sessions.
    pub(crate) tokens: TokenSigner,
    /// The keys whose tokens hold: the signer's, and the one before or after it while keys are changed.
    pub(crate) token_keys: Vec<TokenKey>,
    /// Signs the audit log's checkpoints.
    pub(crate) audit: Arc<Identity>,
    /// Cedar rules by date.
    pub(crate) rules: RuleBook,
    /// Tells decisions to the services.
    pub(crate) publisher: Publisher,
    /// Tells restrictions to the services.
    pub(crate) stop_list: StopList,
    /// Makes the cluster follow.
    pub(crate) link: Arc<ClusterLink>,
    /// Administers the brokers.
    pub(crate) cluster: Cluster,
    pub(crate) throttle: Throttle,
    /// Wakes the task that erases.
    pub(crate) erasing: Notify,
    pub(crate) metrics: Metrics,
}

/// As axum passes it.
pub(crate) type AppState = Arc<App>;

impl App {
    /// How long an answer waits for the brokers to have been told.
    pub(crate) fn told_within(&self) -> Duration {
        Duration::from_millis(self.config.policy_issue.told_within_ms)
    }
}
