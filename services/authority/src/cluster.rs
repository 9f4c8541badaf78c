//! The cluster follows the approved state: topics, SCRAM logins and ACLs.
//!
//! [`wanted`] says what should be, from the catalogue, the grants and the policy's own decisions; [`broker`] what is;
//! [`plan`] the difference, as typed steps; [`reconcile`] takes them, at every change and every few seconds, and reports
//! what the approved state does not explain as drift. Only what carries our prefixes is ever touched ([`scope`]).

mod api;
mod broker;
mod db;
mod metrics;
mod plan;
mod reconcile;
mod scope;
mod wanted;

pub(crate) use api::routes;
pub(crate) use db::recorded_topic_ids;
use reconcile::ClusterError;
pub(crate) use reconcile::{Cluster, spawn};
