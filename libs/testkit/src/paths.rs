//! Where the repository, the installed programs and the built binaries are.
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The repository's root. `JOINTUSE_ROOT` overrides the place where this crate was compiled.
pub fn root() -> PathBuf {
    match std::env::var_os("JOINTUSE_ROOT") {
        Some(root) => PathBuf::from(root),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).map(Path::to_path_buf).unwrap_or_default(),
    }
}

/// `local/deps`: what `infra/local/setup.sh` installs.
pub fn deps() -> PathBuf {
    root().join("local/deps")
}

/// The folder of the Kafka jars.
///
/// # Errors
/// [`Error::Missing`] when `make setup` has not run.
pub fn kafka_lib() -> Result<PathBuf> {
    present("Apache Kafka", deps().join("kafka/lib"), "run `make setup`")
}

/// Java class path of everything in [`kafka_lib`], in a fixed order (the class archive depends on it).
///
/// # Errors
/// [`Error::Missing`] when `make setup` has not run.
pub fn kafka_class_path() -> Result<String> {
    let lib = kafka_lib()?;
    let mut jars: Vec<String> = std::fs::read_dir(&lib)
        .map_err(|source| Error::Io { what: "list the Kafka jars", path: lib.clone(), source })?
        .filter_map(|entry| entry.ok().map(|entry| entry.path().display().to_string()))
        .filter(|path| path.ends_with(".jar"))
        .collect();
    jars.sort();
    Ok(jars.join(":"))
}

/// The Python of the virtual environment with the test clients.
///
/// # Errors
/// [`Error::Missing`] when `make setup` has not run.
pub fn python() -> Result<PathBuf> {
    present("the Python environment", deps().join("venv/bin/python"), "run `make setup`")
}

/// The folder of PostgreSQL's server programs.
///
/// # Errors
/// [`Error::Missing`] when no PostgreSQL of version 15 or newer is installed.
pub fn postgres_bin() -> Result<PathBuf> {
    let fifteen = PathBuf::from("/usr/lib/postgresql/15/bin");
    (15..=18)
        .map(|version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")))
        .find(|bin| bin.join("postgres").exists())
        .ok_or(Error::Missing { what: "PostgreSQL".to_owned(), path: fifteen, hint: "run `make setup`" })
}

/// A binary of this workspace, built by the same cargo profile as the running program.
///
/// # Errors
/// [`Error::Missing`] when it has not been built (`cargo test` alone does not build other crates' binaries).
pub fn binary(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().unwrap_or_default();
    let mut folder = own.parent().map(Path::to_path_buf).unwrap_or_default();
    if folder.ends_with("deps") || folder.ends_with("examples") {
        folder.pop();
    }
    present(name, folder.join(name), "run `cargo build --workspace` first (`make test` does)")
}

fn present(what: &str, path: PathBuf, hint: &'static str) -> Result<PathBuf> {
    if path.exists() { Ok(path) } else { Err(Error::Missing { what: what.to_owned(), path, hint }) }
}
