//! The authority: the only place where companies, notices, grants, credentials, schemas, topics and ACLs are decided.
//!
//! Follow one decision: a handler in [`api`] runs a named transaction that takes the lock of decisions
//! ([`db::policy_issue`]), checks the pure rules ([`rules`]), writes state and activity, and commits; then it asks the
//! publisher ([`issue`]) to tell it, and answers when the brokers have acknowledged the signed snapshot. The cluster's
//! reconciler ([`cluster`]) is woken beside it ([`link`]) and makes logins and ACLs follow. The activity is a leaf of the audit
//! log ([`audit`]) by the same commit.

mod api;
mod audit;
mod auth;
mod cli;
mod cluster;
mod config;
mod db;
mod erasure;
mod error;
mod issue;
mod keygen;
mod link;
mod metrics;
mod operators;
mod registry;
mod restrictions;
mod rules;
mod secrets;
mod serve;
mod state;

pub use cli::main;
