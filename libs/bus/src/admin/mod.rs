//! Administration of the cluster: topics, configurations, ACLs, SCRAM logins, groups.
//!
//! [`Controller`] speaks Kafka's protocol over one connection to any broker (KRaft brokers pass on what is for the
//! controller). Errors name the broker's code and message; a lost connection is made anew at the next call.
//!
//! A write is answered by the controller, a read by the broker from what it has replicated so far: a read directly after
//! a write may still show the state before. Plans are made again until nothing is left to do.

mod acl;
mod client;
mod connection;
mod credentials;
mod error;
mod groups;
mod topics;

pub use acl::{Acl, AclFilter, Operation, Pattern, Permission, ResourceType};
pub use client::Controller;
pub use credentials::{ScramCredential, ScramUser};
pub use error::AdminError;
pub use topics::{Broker, NewTopic, Topic};
