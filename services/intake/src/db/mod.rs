//! The intake's own database: what was published before. No content, only keyed digests.

pub mod contacts;
pub mod erased;
pub mod published;
pub mod schema;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};

/// All migrations.
pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

/// For the transaction: every query of a batch is a bounded number of probes of an index, whatever statistics say. Beside a
/// hundred thousand records they say that a batch of a thousand is found sooner by reading all of them, which it is not.
const PLANS: &str = "SET LOCAL enable_seqscan = off; SET LOCAL jit = off";
