//! `local logs` and `local clean`.
use std::{
    path::{Path, PathBuf},
    process::Command,
};

use testkit::stack::Name;

use crate::{
    error::{LocalError, file},
    places,
};

/// Shows the last lines of one log or of all, and goes on with what comes when `follow` is set. Works also when
/// nothing runs any more, which is when logs are wanted most.
///
/// # Errors
/// When there is no log or no such service.
pub fn logs(service: Option<&str>, follow: bool, lines: u32) -> Result<(), LocalError> {
    let mut tail = Command::new("tail");
    tail.args(["-n", &lines.to_string()]);
    if follow {
        // By name: a log that is replaced is followed on.
        tail.args(["-F"]);
    }
    let all = log_files();
    let chosen: Vec<&PathBuf> =
        all.iter().filter(|(name, _)| service.is_none_or(|wanted| wanted == name)).map(|(_, log)| log).collect();
    match (chosen.is_empty(), service) {
        (false, _) => {}
        (true, None) => return Err(LocalError::NotRunning),
        (true, Some(name)) => {
            let known = all.into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
            return Err(LocalError::NoService { name: name.to_owned(), known });
        }
    }
    tail.args(chosen);
    tail.status().map_err(|source| LocalError::Program { program: "tail", source })?;
    Ok(())
}

/// The names of all parts and their logs, as far as there are any.
fn log_files() -> Vec<(String, PathBuf)> {
    let stack = places::stack();
    let mut files = vec![("supervisor".to_owned(), places::supervisor_log())];
    files.extend((1..=3).map(|id| (format!("kafka-{id}"), stack.join(format!("kafka/node-{id}/kafka.log")))));
    files.push(("postgres".to_owned(), stack.join("postgres/postgres.log")));
    files.extend(Name::ALL.map(|name| (name.as_str().to_owned(), stack.join(name.as_str()).join("log"))));
    files.retain(|(_, log)| log.exists());
    files
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
