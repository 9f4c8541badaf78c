//! Migrations, embedded in the services by `diesel_migrations::embed_migrations!`.

use diesel::connection::SimpleConnection as _;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _};

use crate::{Store, StoreError, transaction::is_recovering};

/// Any number will do, as long as all instances of all services take the same.
const LOCK: i64 = 0x6a75_6d69_6772_6174;

impl Store {
    /// Runs the migrations that the database does not have yet, in order; gives their names. Instances that start at
    /// the same time wait for each other.
    ///
    /// # Errors
    /// [`StoreError::Migration`] with the migration's name; the database is unreachable, or takes no writes yet.
    pub async fn migrate(&self, migrations: EmbeddedMigrations) -> Result<Vec<String>, StoreError> {
        self.exclusive(move |conn| {
            // The connection is closed afterwards, which gives the lock back and undoes the settings.
            // Without "$user" in the path: a migration that makes a schema of the login's name would be looked for in it next.
            let settings = "SET statement_timeout = 0; SET search_path = public";
            conn.batch_execute(&format!("{settings}; SELECT pg_advisory_lock({LOCK})"))?;
            if is_recovering(conn)? {
                return Err(StoreError::ReadOnly);
            }
            let names = match conn.run_pending_migrations(migrations) {
                Ok(run) => run.iter().map(ToString::to_string).collect::<Vec<_>>(),
                Err(error) => {
                    let error = error.to_string();
                    // A server that went away meanwhile is no fault of the migration's, and comes back.
                    conn.batch_execute("SELECT 1")?;
                    return Err(StoreError::Migration(error));
                }
            };
            if !names.is_empty() {
                tracing::info!(?names, "migrated the database");
            }
            Ok(names)
        })
        .await
    }
}
