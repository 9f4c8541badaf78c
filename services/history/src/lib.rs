//! The history service: reads the shared topics with its own login, keeps the newest state in PostgreSQL, clusters
//! contacts into persons, and answers with a person's or an organisation's history, under the same policy as the hub.
//!
//! | module | what |
//! |---|---|
//! | [`config`], [`service`] | configuration and start-up |
//! | [`consume`], [`record`], [`registry`] | from Kafka records to rows |
//! | [`apply`] | rows and offsets into the database, in one transaction |
//! | [`cluster`] | which contacts are one person: pure, and to be replaced |
//! | [`api`], [`mask`], [`db`] | answers: decided, blanked, disclosed |

pub mod api;
pub mod apply;
pub mod cluster;
pub mod config;
pub mod consume;
pub mod db;
pub mod mask;
pub mod metrics;
pub mod opening;
pub mod record;
pub mod registry;
mod schema;
pub mod service;
pub mod spread;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};

/// The service, as `runtime` starts it.
pub const SERVICE: runtime::Service = runtime::Service {
    name: "history",
    version: env!("CARGO_PKG_VERSION"),
    about: "Serves unified histories of persons and organisations to subscriptions of the joint use",
    default_toml: include_str!("../default.toml"),
};

/// The database's tables.
pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");
