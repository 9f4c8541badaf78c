//! The intake's own database: what was published before. No content, only keyed digests.

pub mod contacts;
pub mod erased;
pub mod published;
pub mod schema;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};

/// All migrations.
pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!();
