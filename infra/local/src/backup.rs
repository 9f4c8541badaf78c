//! `local backup` and `local restore`: all databases at one moment, and back.
//!
//! A backup is sealed ([`archive`]), as history's tables in it are not. What is not in one, and must not be: the ledger of
//! erasures, from which the authority replays the fences when it starts on restored databases; the key-encryption keys, without
//! which nothing from before an erasure is opened; and the identity that opens backups. They stay where they are in the
//! stack's directory.
mod archive;

use std::path::{Path, PathBuf};

use archive::Identity;
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
/// When nothing runs, the file is there already or cannot be written.
pub async fn backup(out: Option<PathBuf>) -> Result<PathBuf, LocalError> {
    Running::load()?;
    let named = || format!("{}.tar.age", chrono::Utc::now().format("%Y%m%dT%H%M%SZ"));
    let out = out.unwrap_or_else(|| places::backups().join(named()));
    write(&places::stack(), &out).await?;
    Ok(out)
}

/// The same, of a stack whose files are in this directory.
///
/// # Errors
/// When its PostgreSQL does not run, the file is there already or cannot be written.
pub async fn write(stack: &Path, out: &Path) -> Result<(), LocalError> {
    if out.exists() {
        return Err(LocalError::Step(format!("{} is there already: a backup is never overwritten", out.display())));
    }
    if let Some(folder) = out.parent() {
        std::fs::create_dir_all(folder).map_err(file("make", folder))?;
    }
    archive::write(stack, out).await
}

/// Makes what backups are sealed for, so that it can be kept apart before the first of them is needed.
pub(crate) fn prepare() -> Result<(), LocalError> {
    Identity::load_or_make(&places::stack()).map(|_| ())
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
/// When there is no such backup, no stack, another identity or none, or the files cannot be written. Nothing has been stopped
/// or changed then, unless the files could not be exchanged.
pub async fn restore(from: &Path) -> Result<bool, LocalError> {
    let stack = places::stack();
    unpack(&stack, from).await?;
    let stopped = up::down().await?;
    // Before, so that a restore that was cut off after its work is known too.
    let (reason, note) = (format!("restored from {}", from.display()), restored_file());
    std::fs::write(&note, reason).map_err(file("write", &note))?;
    postgres::put_back(&stack.join("postgres")).await?;
    Ok(stopped)
}

/// Puts a backup in the place of the databases of a stack whose files are in this directory, and whose PostgreSQL is stopped.
///
/// # Errors
/// As [`restore`].
pub async fn put_back(stack: &Path, from: &Path) -> Result<(), LocalError> {
    unpack(stack, from).await?;
    Ok(postgres::put_back(&stack.join("postgres")).await?)
}

async fn unpack(stack: &Path, from: &Path) -> Result<(), LocalError> {
    archive::open(from, &Identity::load(stack)?)?.unpack(stack).await
}
