//! `local logs` and `local clean`.
use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    error::{LocalError, file},
    places, status,
};

/// Shows the last lines of one log or of all, and goes on with what comes when `follow` is set.
///
/// # Errors
/// When nothing runs or there is no such service.
pub fn logs(service: Option<&str>, follow: bool, lines: u32) -> Result<(), LocalError> {
    let mut tail = Command::new("tail");
    tail.args(["-n", &lines.to_string()]);
    if follow {
        // By name: a log that is replaced is followed on.
        tail.args(["-F"]);
    }
    for part in status::logs_of(service)? {
        tail.arg(part.log);
    }
    tail.status().map_err(|source| LocalError::Program { program: "tail", source })?;
    Ok(())
}

/// Removes data, logs, configuration and what was written for people; what `make setup` installed stays. The stack
/// must be down.
///
/// # Errors
/// When something cannot be removed.
pub fn clean() -> Result<(), LocalError> {
    // A data directory that had to be elsewhere (see `testkit::postgres`) is found by its link.
    if let Ok(elsewhere) = std::fs::read_link(places::stack().join("postgres/data")) {
        remove(elsewhere.parent().map(Path::to_path_buf).unwrap_or(elsewhere))?;
    }
    remove(places::run())?;
    // Everything else in ./local was written by `up`, `seed` or `demo`; a new file of theirs is not forgotten here.
    let entries = std::fs::read_dir(places::local()).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name() != "deps") {
        remove(entry.path())?;
    }
    Ok(())
}

fn remove(path: PathBuf) -> Result<(), LocalError> {
    let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(file("remove", path)(error)),
        _ => Ok(()),
    }
}
