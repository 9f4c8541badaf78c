//! Where things are below `./local` (git-ignored).
//!
//! ```text
//! local/deps/            what `make setup` installed; `clean` keeps it
//! local/run/stack/       data, configuration, keys and logs of the stack
//! local/run/running.json what runs now, and where (see `Running`)
//! local/run/supervisor.* pid and log of the process that holds the stack
//! local/hub.env          addresses for a shell: `. local/hub.env`
//! local/backups/         sealed backups of the databases
//! local/clients/         client configurations of the sample subscriptions
//! ```
use std::path::PathBuf;

/// `./local`.
pub fn local() -> PathBuf {
    testkit::paths::root().join("local")
}

/// Everything that `clean` removes but the files for people.
pub fn run() -> PathBuf {
    local().join("run")
}

/// The stack's own directory.
pub fn stack() -> PathBuf {
    run().join("stack")
}

/// What runs now.
pub fn running() -> PathBuf {
    run().join("running.json")
}

/// The supervisor's process id and start time.
pub fn supervisor_pid() -> PathBuf {
    run().join("supervisor.pid")
}

/// The supervisor's log.
pub fn supervisor_log() -> PathBuf {
    run().join("supervisor.log")
}

/// Addresses for a shell.
pub fn hub_env() -> PathBuf {
    local().join("hub.env")
}

/// Backups of the databases.
pub fn backups() -> PathBuf {
    local().join("backups")
}

/// Client configurations of the sample subscriptions.
pub fn clients() -> PathBuf {
    local().join("clients")
}
