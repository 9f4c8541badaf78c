//! The one task that signs checkpoints.
//!
//! It looks every second rather than being told, because entries also come from other processes (`authority operator`).
//! Nothing is signed that is not shown, from the stored nodes, to continue what was signed before.

use std::{convert::Infallible, sync::Arc, time::Duration};

use audit::{
    Hash, ProofError, ProofPlan,
    checkpoint::{Checkpoint, SignedCheckpoint, TimeError, TrustError},
    tree::verify_consistency,
};
use chrono::{DateTime, Utc};
use diesel::PgConnection;
use jointuse::Clock;
use runtime::Check;
use store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

use super::{
    db,
    identity::Identity,
    kept::{Kept, KeptError},
};
use crate::{config::AuditConfig, metrics::Metrics};

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
enum SignError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Kept(#[from] KeptError),
    #[error("what was kept was not signed by this log's key; see `authority audit begin --help`")]
    Foreign(#[from] TrustError),
    #[error(
        "{have} entries are there, but {signed} were signed: was the database restored from a backup? See `authority audit begin --help`"
    )]
    Shorter { have: u64, signed: u64 },
    #[error("the entries are not those that were signed; see `authority audit begin --help`")]
    Changed(#[from] ProofError),
    #[error("the clock")]
    Time(#[from] TimeError),
}

/// What the task works with.
#[derive(Debug)]
pub(crate) struct SignerParts {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) identity: Arc<Identity>,
    /// The newest checkpoint of the log before this one, if there is one: it may still be the kept one.
    pub(crate) former: Option<String>,
    pub(crate) check: Check,
    pub(crate) metrics: Metrics,
}

/// The task's state.
#[derive(Debug)]
pub(crate) struct Signer {
    parts: SignerParts,
    kept: Kept,
    interval: Duration,
    /// The largest checkpoint that was signed; unknown before the first look.
    before: Option<Checkpoint>,
    /// Signed and kept, but not in the database yet.
    unpublished: Option<(SignedCheckpoint, DateTime<Utc>)>,
}

/// The log as the database has it.
pub(super) struct Found {
    pub(super) size: u64,
    pub(super) root: Hash,
    /// That it continues what was signed before; `None` when it is shorter.
    pub(super) proof: Option<Vec<Hash>>,
}

impl Signer {
    /// Makes it; the folder for what was signed is made if it is not there.
    ///
    /// # Errors
    /// When that folder cannot be used.
    pub(crate) fn new(parts: SignerParts, config: &AuditConfig) -> Result<Self, KeptError> {
        let interval = Duration::from_secs_f64(config.interval_seconds);
        Ok(Self { parts, kept: Kept::open(&config.state_dir)?, interval, before: None, unpublished: None })
    }

    /// Signs until the service drains, and then once more. What is decided while it drains is signed after the next start.
    pub(crate) async fn run(mut self, draining: CancellationToken) -> Result<(), Infallible> {
        let mut failing = false;
        loop {
            let ended = tokio::select! {
                () = draining.cancelled() => true,
                () = tokio::time::sleep(self.interval) => false,
            };
            match self.look().await {
                Ok(size) => {
                    failing = false;
                    self.parts.metrics.audit_signed(size);
                    self.parts.check.ready();
                }
                Err(error) => {
                    self.parts.metrics.audit_failed();
                    // Once, and again when it has been well in between.
                    if !failing {
                        tracing::error!(%error, "no checkpoint of the audit log can be signed");
                    }
                    failing = true;
                    self.parts.check.not_ready(format!("no checkpoint of the audit log can be signed: {error}"));
                }
            }
            if ended {
                return Ok(());
            }
        }
    }

    /// Signs what is new; gives the size that is signed now.
    async fn look(&mut self) -> Result<u64, SignError> {
        if self.before.is_none() {
            self.before = self.recall().await?;
        }
        self.publish().await?;
        let signed = self.before.as_ref().map_or(0, |before| before.size);
        let Found { size, root, proof } = self.parts.store.read("audit_look", move |conn| find(conn, signed)).await?;
        let proof = proof.ok_or(SignError::Shorter { have: size, signed })?;
        if let Some(before) = &self.before {
            verify_consistency(before.size, &before.root, size, &root, &proof)?;
        }
        if size == signed {
            return Ok(size);
        }
        let (now, identity) = (self.parts.clock.now(), &self.parts.identity);
        let checkpoint = Checkpoint::new(identity.log_key().name().clone(), size, root);
        let signed = identity.sign(checkpoint.clone(), now)?;
        // On the disk before anybody sees it.
        self.kept.write(&signed)?;
        self.before = Some(checkpoint);
        self.unpublished = Some((signed, now));
        self.publish().await?;
        Ok(size)
    }

    /// Puts what was signed where others see it; tried again at the next look while the database is away.
    async fn publish(&mut self) -> Result<(), StoreError> {
        if let Some((signed, at)) = self.unpublished.clone() {
            let keep = move |conn: &mut PgConnection| db::keep(conn, &signed, at).map(|_| ());
            self.parts.store.run_tx("audit_checkpoint", keep).await?;
            self.unpublished = None;
        }
        Ok(())
    }

    /// The largest of what the file and the database say was signed. What the file alone has is yet to be published: the service
    /// was killed in between.
    async fn recall(&mut self) -> Result<Option<Checkpoint>, SignError> {
        let stored = self.parts.store.read("audit_recall", db::newest).await?;
        let stored = stored.map(|signed| self.parts.identity.open(&signed)).transpose()?;
        let kept = self.kept.read()?.filter(|kept| self.parts.former.as_ref() != Some(&kept.to_string()));
        let Some(kept) = kept else { return Ok(stored) };
        let checkpoint = self.parts.identity.open(&kept)?;
        let signed = checkpoint.size;
        let Found { size, root, proof } = self.parts.store.read("audit_look", move |conn| find(conn, signed)).await?;
        let proof = proof.ok_or(SignError::Shorter { have: size, signed })?;
        verify_consistency(checkpoint.size, &checkpoint.root, size, &root, &proof)?;
        if stored.as_ref().is_some_and(|stored| stored.size >= signed) {
            return Ok(stored);
        }
        self.unpublished = Some((kept, self.parts.clock.now()));
        Ok(Some(checkpoint))
    }
}

/// What there is, beside `signed` entries.
pub(super) fn find(conn: &mut PgConnection, signed: u64) -> Result<Found, StoreError> {
    let size = db::size(conn)?;
    let root = db::frontier(conn, size)?.root();
    let proof = ProofPlan::consistency(signed, size).ok().map(|plan| db::prove(conn, &plan)).transpose()?;
    Ok(Found { size, root, proof })
}
