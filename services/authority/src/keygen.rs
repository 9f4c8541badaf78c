//! `authority keygen`: the keys that sign policies, tokens and the audit log, and history's.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use authority_api::{KeyError, SigningKey};

/// Why no keys were made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeygenError {
    /// Something is there already: a key is never overwritten.
    #[error("{0} is there already: keys are never overwritten, choose another folder")]
    Exists(PathBuf),
    /// The folder or a file cannot be written.
    #[error("cannot write {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    /// The generator failed.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Makes the private keys `policy.key`, `token.key`, `audit.key`, `audit-time.key` and `history.key`, and the public halves that
/// others need, in `dir`, for the owner's eyes only. None is made if one of them is there.
pub(crate) fn keygen(dir: &Path) -> Result<Vec<PathBuf>, KeygenError> {
    let (policy, history) = (SigningKey::generate()?, SigningKey::generate()?);
    let files = [
        ("policy.key", policy.to_pem()),
        ("policy.pub.pem", policy.public().to_pem()),
        ("token.key", SigningKey::generate()?.to_pem()),
        ("audit.key", SigningKey::generate()?.to_pem()),
        ("audit-time.key", SigningKey::generate()?.to_pem()),
        ("history.key", history.to_pem()),
        ("history.pub.pem", history.public().to_pem()),
    ];
    if let Some((name, _)) = files.iter().find(|(name, _)| fs::symlink_metadata(dir.join(name)).is_ok()) {
        return Err(KeygenError::Exists(dir.join(name)));
    }
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|source| KeygenError::Write { path: dir.to_owned(), source })?;
    files.into_iter().map(|(name, text)| write(dir.join(name), &text)).collect()
}

fn write(path: PathBuf, text: &str) -> Result<PathBuf, KeygenError> {
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    match written {
        Ok(()) => Ok(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(KeygenError::Exists(path)),
        Err(source) => Err(KeygenError::Write { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use authority_api::PublicKey;

    use super::*;

    #[test]
    fn makes_private_keys_once() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/keys");
        let files = keygen(&folder).unwrap();
        assert_eq!(files.len(), 7);
        for file in &files {
            assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
        }
        let key = SigningKey::read(&folder.join("policy.key")).unwrap();
        assert_eq!(PublicKey::read(&folder.join("policy.pub.pem")).unwrap(), key.public());
        assert_ne!(SigningKey::read(&folder.join("token.key")).unwrap().public(), key.public());
        assert!(matches!(keygen(&folder), Err(KeygenError::Exists(_))));
        fs::remove_file(folder.join("policy.key")).unwrap();
        assert!(matches!(keygen(&folder), Err(KeygenError::Exists(_))), "half a set is not completed");
        assert!(!folder.join("policy.key").exists());
    }
}
