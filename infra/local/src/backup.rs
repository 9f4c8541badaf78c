//! `local backup` and `local restore`: all databases at one moment, and back.
//!
//! What is not in a backup, and must not be: the ledger of erasures, from which the authority replays the fences when it
//! starts on restored databases, and the key-encryption keys, without which a backup opens nothing. Both stay where they
//! are in the stack's directory.
use std::path::{Path, PathBuf};

use testkit::postgres;

use crate::{
    error::{LocalError, file},
    places,
    running::Running,
    up,
};

/// Backs all databases of the running stack up. Answers where to.
///
/// # Errors
/// When nothing runs, the folder is there already or cannot be written.
pub async fn backup(out: Option<PathBuf>) -> Result<PathBuf, LocalError> {
    Running::load()?;
    let out = out.unwrap_or_else(|| places::backups().join(chrono::Utc::now().format("%Y%m%dT%H%M%SZ").to_string()));
    if out.exists() {
        return Err(LocalError::Step(format!("{} is there already: a backup is never overwritten", out.display())));
    }
    if let Some(folder) = out.parent() {
        std::fs::create_dir_all(folder).map_err(file("make", folder))?;
    }
    postgres::backup_at(&places::stack().join("postgres"), &out).await?;
    Ok(out)
}

/// Says that databases were restored which no `up` has taken up yet, and from what.
fn restored_file() -> PathBuf {
    places::stack().join("restored")
}

/// Why the audit log may not go on from what the databases hold, if they were restored.
pub(crate) fn restored() -> Option<String> {
    std::fs::read_to_string(restored_file()).ok()
}

/// The stack runs on what was restored.
pub(crate) fn taken_up() -> Result<(), LocalError> {
    match std::fs::remove_file(restored_file()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(file("remove", restored_file())(error)),
        _ => Ok(()),
    }
}

/// Stops the stack and puts a backup in the place of its databases. The next `up` begins another audit log if the one in
/// the backup is shorter than what was signed, and replays the fences before anything serves. Answers whether something had to be stopped.
///
/// # Errors
/// When there is no such backup, no stack, or the files cannot be written.
pub async fn restore(from: &Path) -> Result<bool, LocalError> {
    let stopped = up::down().await?;
    // Before, so that a restore that was cut off after its work is known too.
    let (reason, note) = (format!("restored from {}", from.display()), restored_file());
    std::fs::write(&note, reason).map_err(file("write", &note))?;
    postgres::restore_at(&places::stack().join("postgres"), from).await?;
    Ok(stopped)
}
