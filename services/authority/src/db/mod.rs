//! Queries, one file an aggregate. Everything takes a connection inside one of the caller's named transactions.

pub(crate) mod activity;
pub(crate) mod companies;
pub(crate) mod credentials;
pub(crate) mod erasures;
pub(crate) mod grants;
pub(crate) mod notices;
pub(crate) mod operators;
pub(crate) mod policy_issue;
pub(crate) mod questions;
pub(crate) mod restrictions;
pub(crate) mod schema;
pub(crate) mod snapshot;

use std::time::Duration;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use store::{Store, StoreError, patiently};

/// All tables of the authority, the registry's and the cluster's too.
pub(crate) const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// Migrates, waiting for the database for a while: it may be starting, or recovering after a restore.
pub(crate) async fn migrate(store: &Store, patience: Duration) -> Result<(), StoreError> {
    let waiting = |error: &StoreError| tracing::debug!(%error, "waiting for the database");
    patiently(Some(patience), StoreError::is_transient, waiting, || store.migrate(MIGRATIONS)).await.map(drop)
}

/// A text of the database as the type it was written from. Constraints keep anything else out.
pub(crate) fn parsed<T: std::str::FromStr>(text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| StoreError::Mapping("result"))
}

/// A closed word (a state, a role) by its serde name.
pub(crate) fn word<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).map_err(|_| StoreError::Mapping("result"))
}

/// A set of ids of a text[] column.
pub(crate) fn set<T: std::str::FromStr + Ord>(texts: &[String]) -> Result<std::collections::BTreeSet<T>, StoreError> {
    texts.iter().map(|text| parsed(text)).collect()
}

/// A set of ids for a text[] column.
pub(crate) fn texts<T: ToString>(set: &std::collections::BTreeSet<T>) -> Vec<String> {
    set.iter().map(ToString::to_string).collect()
}

/// A version or ordinal of an integer column.
pub(crate) fn count(number: i32) -> Result<u32, StoreError> {
    u32::try_from(number).map_err(|_| StoreError::Mapping("result"))
}
