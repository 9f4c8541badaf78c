//! The one task that issues snapshots.

use std::{sync::Arc, time::Duration};

use authority_api::SnapshotSigner;
use bus::{Producer, Record};
use chrono::{DateTime, TimeDelta, Utc};
use jointuse::Clock;
use policy::{LoadError, Policy, Snapshot, TokenKey};
use runtime::Check;
use sha2::{Digest as _, Sha256};
use store::{Store, StoreError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Inbox, Request, RuleBook, RulesError};
use crate::{
    audit, cluster,
    db::{self, snapshot::Decided},
    metrics::Metrics,
};

/// Record key: the topic is compacted to the newest snapshot.
const KEY: &str = "snapshot";
/// Between two tries of what failed.
const RETRY: Duration = Duration::from_millis(250);
/// When a newer notice becomes effective, what was issued before is not relied on for longer than this.
const OVERLAP: TimeDelta = TimeDelta::seconds(2);

/// Why no snapshot could be issued; tried again until one is.
#[derive(Debug, thiserror::Error)]
enum IssueError {
    #[error(transparent)]
    Rules(#[from] RulesError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("the snapshot cannot be signed")]
    Sign(#[from] serde_json::Error),
    #[error("the brokers did not take it")]
    Produce(#[from] bus::ProduceError),
}

impl IssueError {
    /// A closed word for the metric.
    const fn part(&self) -> &'static str {
        match self {
            Self::Rules(_) | Self::Load(_) => "rules",
            Self::Store(_) => "database",
            Self::Sign(_) => "signing",
            Self::Produce(_) => "brokers",
        }
    }
}

/// What the task works with.
#[derive(Debug)]
pub(crate) struct IssuerParts {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) signer: SnapshotSigner,
    pub(crate) token_keys: Vec<TokenKey>,
    pub(crate) producer: Producer,
    pub(crate) topic: Arc<str>,
    pub(crate) validity: Duration,
    pub(crate) refresh: Duration,
    pub(crate) rules: RuleBook,
    pub(crate) check: Check,
}

/// The task's state.
#[derive(Debug)]
pub(crate) struct Issuer {
    parts: IssuerParts,
    inbox: Inbox,
    metrics: Metrics,
    /// Until when the newest snapshot that the brokers took is valid.
    told_until: Option<DateTime<Utc>>,
    /// Digest of what the newest snapshot says; unknown after a start.
    said: Option<Digest>,
}

/// How long until the next snapshot is due. A boundary that passed while the last one was on its way is due at once.
fn until_next(boundary: Option<DateTime<Utc>>, now: DateTime<Utc>, refresh: Duration) -> Duration {
    boundary.map_or(refresh, |boundary| (boundary - now).to_std().unwrap_or_default().min(refresh))
}

/// Whether the brokers took a snapshot so late that the next one should have been on its way.
fn late(issued_at: DateTime<Utc>, now: DateTime<Utc>, refresh: Duration) -> bool {
    (now - issued_at).to_std().is_ok_and(|took| took > refresh)
}

/// A snapshot the brokers took.
struct Issued {
    number: u64,
    at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    /// When a notice becomes effective: the next snapshot is due then.
    boundary: Option<DateTime<Utc>>,
}

impl Issuer {
    pub(crate) fn new(parts: IssuerParts, inbox: Inbox) -> Self {
        Self { parts, inbox, metrics: Metrics::new(), told_until: None, said: None }
    }

    /// Issues at start, at every change, at every heartbeat and when a notice becomes effective, until nobody can ask
    /// any more (the handlers have finished) or the service stops.
    pub(crate) async fn run(mut self, stopping: CancellationToken) -> Result<(), std::convert::Infallible> {
        let mut waiting: Vec<Request> = Vec::new();
        let mut due = Instant::now();
        loop {
            let open = tokio::select! {
                biased;
                () = stopping.cancelled() => return Ok(()),
                count = self.inbox.requests.recv_many(&mut waiting, super::QUEUE) => count > 0,
                () = tokio::time::sleep_until(due) => true,
            };
            if !open {
                return Ok(());
            }
            let issued = tokio::select! {
                () = stopping.cancelled() => return Ok(()),
                issued = self.issue() => issued,
            };
            due = match issued {
                Ok(issued) => self.told(&issued, &mut waiting),
                Err(error) => self.failed(&error, waiting.len()),
            };
        }
    }

    fn told(&mut self, issued: &Issued, waiting: &mut Vec<Request>) -> Instant {
        let now = self.parts.clock.now();
        tracing::debug!(number = issued.number, changes = waiting.len(), "policy told");
        self.metrics.told(issued.number);
        for request in waiting.drain(..) {
            self.metrics.change_told((now - request.at).to_std().unwrap_or_default());
            // Whoever gave up waiting has been answered.
            let _ = request.done.send(());
        }
        self.told_until = Some(issued.expires_at);
        if now < issued.expires_at {
            self.parts.check.ready();
        }
        if late(issued.at, now, self.parts.refresh) {
            // It waited for the brokers, and what is left of it may not last until the next heartbeat.
            return Instant::now();
        }
        Instant::now() + until_next(issued.boundary, now, self.parts.refresh)
    }

    fn failed(&self, error: &IssueError, waiting: usize) -> Instant {
        self.metrics.policy_failed(error.part());
        let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        tracing::warn!(%error, source, waiting, "no policy could be told, trying again");
        if self.told_until.is_none_or(|until| self.parts.clock.now() >= until) {
            self.parts.check.not_ready(format!("no valid policy is told: {}", error.part()));
        }
        Instant::now() + RETRY
    }

    async fn issue(&mut self) -> Result<Issued, IssueError> {
        let now = self.parts.clock.now();
        let rules = self.parts.rules.in_force(now)?;
        let (said, fixed) = (self.said, serde_json::to_value((&rules, &self.parts.token_keys))?);
        let read = move |conn: &mut diesel::PgConnection| read(conn, now, &fixed, said);
        let Read { numbered, decided, boundary, says } = self.parts.store.run_tx("issue_policy", read).await?;
        self.said = Some(says);
        let validity = TimeDelta::from_std(self.parts.validity).unwrap_or(TimeDelta::MAX);
        let expires_at = boundary.map_or(now + validity, |boundary| (now + validity).min(boundary + OVERLAP));
        let snapshot = Snapshot {
            number: numbered.number,
            issued_at: now,
            expires_at,
            changed_at: numbered.changed_at,
            rules,
            companies: decided.companies,
            grants: decided.grants,
            credentials: decided.credentials,
            topics: decided.topics,
            token_keys: self.parts.token_keys.clone(),
        };
        let signed = self.parts.signer.sign(&snapshot)?;
        // Rules are validated strictly before anything is issued by them.
        let previous = self.inbox.policy.borrow().clone();
        let loaded = match previous {
            Some(previous) => Policy::load_after(snapshot, &previous)?,
            None => Policy::load(snapshot)?,
        };
        // In force here at once: what is decided must not wait for brokers that are away.
        self.inbox.policy.send_replace(Some(Arc::new(loaded)));
        let record = Record::new(Arc::clone(&self.parts.topic), KEY, signed);
        self.parts.producer.send(record).await?;
        Ok(Issued { number: numbered.number, at: now, expires_at, boundary })
    }
}

/// What a snapshot is made of.
struct Read {
    numbered: db::policy_issue::Numbered,
    decided: Decided,
    boundary: Option<DateTime<Utc>>,
    /// Digest of all that it says, but for its number and times.
    says: Digest,
}

type Digest = [u8; 32];

/// Takes the next number and reads. A snapshot that says something else than the last one goes into the audit log, by the
/// digests of its parts; a heartbeat does not.
fn read(
    conn: &mut diesel::PgConnection,
    at: DateTime<Utc>,
    fixed: &serde_json::Value,
    said: Option<Digest>,
) -> Result<Read, StoreError> {
    let numbered = db::policy_issue::next(conn, at)?;
    db::notices::supersede(conn, at)?;
    let topic_ids = cluster::recorded_topic_ids(conn)?;
    let decided = db::snapshot::read(conn, &topic_ids, at)?;
    let boundary = db::notices::next_effective(conn, at)?;
    let parts = (&decided.companies, &decided.grants, &decided.credentials, &decided.topics, fixed);
    let says = serde_json::to_vec(&parts).map_err(|_| StoreError::Mapping("parameter"))?;
    let says: Digest = Sha256::digest(&says).into();
    if said != Some(says) {
        let details = serde_json::json!({ "sha256": hex::encode(says), "grants": decided.grants.len() });
        audit::snapshot(conn, numbered.number, at, &details)?;
    }
    Ok(Read { numbered, decided, boundary, says })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boundary_is_never_left_to_the_heartbeat() {
        let (now, refresh) = (Utc::now(), Duration::from_secs(10));
        let due = |milliseconds| until_next(Some(now + TimeDelta::milliseconds(milliseconds)), now, refresh);
        assert_eq!(until_next(None, now, refresh), refresh);
        assert_eq!(due(20_000), refresh);
        assert_eq!(due(300), Duration::from_millis(300));
        assert!(late(now, now + TimeDelta::seconds(11), refresh));
        assert!(!late(now, now + TimeDelta::seconds(9), refresh) && !late(now, now - TimeDelta::seconds(1), refresh));
        assert_eq!(due(-5), Duration::ZERO, "it passed while the last snapshot was on its way");
    }
}
