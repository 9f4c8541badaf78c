//! What stands in the ledger, made so in the databases: at every start, and so after every restore.

use std::{collections::BTreeSet, path::Path};

use chrono::{DateTime, Utc};
use seal::{Contact, Fences, KeyError};
use store::{Store, StoreError};
use uuid::Uuid;

use super::ledger::{Entry, Ledger, LedgerError};
use crate::db;

/// Contacts that are looked at together.
const PAGE: u32 = 1_000;

/// Why fences cannot be replayed. While they are not, no restored key gives anything out.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReplayError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There should be one.
    #[error(
        "the ledger of erasures {0} is not there, and without it erased people could come back: put its copy there"
    )]
    Missing(String),
    /// It is not the one that this key store was used with.
    #[error("the ledger of erasures {path} is {found}, but the key store's is {wanted}")]
    Other { path: String, found: Uuid, wanted: Uuid },
    /// It lacks what even the restored key store knows.
    #[error("the ledger of erasures {path} is older than what was restored: it lacks {lacks} fenced contacts at least")]
    Old { path: String, lacks: usize },
}

/// Replays, and says that all fences stand. Gives the ledger, to be gone on with.
pub(super) async fn replay(
    path: &Path,
    store: &Store,
    fences: &Fences,
    at: DateTime<Utc>,
) -> Result<Ledger, ReplayError> {
    fences.store().migrate(seal::MIGRATIONS).await?;
    let (complete, wanted) = (fences.is_complete().await?, fences.ledger().await?);
    let name = || path.display().to_string();
    let ledger = match (Ledger::open(path)?, wanted) {
        (Some(ledger), Some(wanted)) if ledger.id() != wanted => {
            return Err(ReplayError::Other { path: name(), found: ledger.id(), wanted });
        }
        (Some(ledger), _) => ledger,
        (None, None) if complete => Ledger::create(path)?,
        (None, _) => return Err(ReplayError::Missing(name())),
    };
    if wanted.is_none() {
        fences.kept_in(ledger.id()).await?;
    }
    let entries: Vec<Entry> = ledger.entries().collect();
    let contacts: BTreeSet<Contact> =
        entries.iter().flat_map(|entry| &entry.asked.contacts).map(Contact::from).collect();
    if !complete {
        let lacks = lacking(fences, &contacts).await?;
        if lacks > 0 {
            return Err(ReplayError::Old { path: name(), lacks });
        }
    }
    let contacts: Vec<Contact> = contacts.into_iter().collect();
    let mut replayed = 0;
    for page in contacts.chunks(PAGE as usize) {
        let left: Vec<Contact> = fences.verify_gone(page).await?.into_iter().map(|left| left.contact).collect();
        if !left.is_empty() {
            fences.fence(&left, at).await?;
            fences.destroy(&left, at).await?;
            replayed += left.len();
        }
    }
    // An erasure that this database does not know any more is carried out anew, with all its steps.
    let add = move |conn: &mut diesel::PgConnection| {
        let mut added = 0;
        for entry in &entries {
            added += usize::from(db::erasures::add(conn, entry.erasure, &entry.asked)?);
        }
        if !complete {
            // Services have seen higher numbers of snapshots than this database knows, and would ignore those that follow.
            db::policy_issue::leap(conn, at)?;
        }
        Ok::<_, StoreError>(added)
    };
    let taken_up = store.run_tx("erasures_take_up", add).await?;
    if !complete {
        fences.complete().await?;
        tracing::warn!(replayed, taken_up, "the databases were restored: all fences stand again");
    }
    Ok(ledger)
}

/// How many of the first fences of the key store are not in the ledger.
async fn lacking(fences: &Fences, ledger: &BTreeSet<Contact>) -> Result<usize, KeyError> {
    let mut after = None;
    loop {
        let page = fences.list(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(0) };
        after = Some(last.contact);
        let lacks = page.iter().filter(|fence| !ledger.contains(&fence.contact)).count();
        if lacks > 0 {
            return Ok(lacks);
        }
    }
}
