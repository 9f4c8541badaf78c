//! The newest checkpoint that was signed, in a file: what the database cannot make undone.
//!
//! A database that is restored from a backup knows nothing of what was signed since. Signing on from there would show two
//! histories under one key; this file tells, and nothing is signed.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use audit::checkpoint::SignedCheckpoint;

const NAME: &str = "audit-checkpoint";

/// Why the file cannot be relied on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeptError {
    /// The file or its folder.
    #[error("cannot use {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    /// Not what we wrote.
    #[error("{0} is not a signed checkpoint")]
    Malformed(PathBuf),
}

/// The file.
#[derive(Debug)]
pub(crate) struct Kept(PathBuf);

impl Kept {
    /// In this folder, which is made if it is not there.
    pub(crate) fn open(folder: &Path) -> Result<Self, KeptError> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|source| KeptError::Io { path: folder.to_owned(), source })?;
        Ok(Self(folder.join(NAME)))
    }

    pub(crate) fn read(&self) -> Result<Option<SignedCheckpoint>, KeptError> {
        match fs::read_to_string(&self.0) {
            Ok(note) => note.parse().map(Some).map_err(|_| KeptError::Malformed(self.0.clone())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(self.failed(source)),
        }
    }

    /// Replaces it as a whole; it is on the disk when this returns.
    pub(super) fn write(&self, signed: &SignedCheckpoint) -> Result<(), KeptError> {
        let new = self.0.with_extension("new");
        let write = || {
            let mut file = File::create(&new)?;
            file.write_all(signed.to_string().as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &self.0)?;
            self.0.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
        };
        write().map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> KeptError {
        KeptError::Io { path: self.0.clone(), source }
    }
}
