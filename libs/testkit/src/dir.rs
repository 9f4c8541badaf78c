//! A directory that goes away with its owner, unless somebody will want to look into it.
use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use crate::{Result, error::IoContext as _};

/// A private directory for the files of one stack, broker or database.
///
/// A *temporary* one is removed when dropped, but kept (and its path printed to stderr) while its thread panics, so a
/// failed test leaves its logs; `JOINTUSE_KEEP=1` keeps every one. A *given* one is never removed.
#[derive(Debug)]
pub struct Dir {
    path: PathBuf,
    temporary: bool,
}

impl Dir {
    /// A new temporary directory below `$TMPDIR` whose name starts with `jointuse-<purpose>-`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn temporary(purpose: &str) -> Result<Self> {
        let path = tempfile::Builder::new()
            .prefix(&format!("jointuse-{purpose}-"))
            .tempdir()
            .at("make a temporary directory", std::env::temp_dir())?
            .keep();
        // PostgreSQL, which refuses to run as root, must be able to pass through to its own folder.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o711)).at("set the mode of", &path)?;
        Ok(Self { path, temporary: true })
    }

    /// An existing or new directory that outlives the program.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn given(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        std::fs::create_dir_all(&path).at("make the directory", &path)?;
        let path = path.canonicalize().at("find the directory", &path)?;
        Ok(Self { path, temporary: false })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A folder in it, made if it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        std::fs::create_dir_all(&path).at("make the directory", &path)?;
        Ok(path)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        if !self.temporary {
            return;
        }
        if std::thread::panicking() || std::env::var_os("JOINTUSE_KEEP").is_some_and(|keep| keep == "1") {
            eprintln!("kept for a look: {}", self.path.display());
        } else if let Err(error) = std::fs::remove_dir_all(&self.path) {
            eprintln!("could not remove {}: {error}", self.path.display());
        }
    }
}

/// Writes a file that only its owner may read (passwords, keys).
///
/// # Errors
/// When it cannot be written.
pub fn write_secret(path: &Path, content: &str) -> Result<()> {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .at("open for writing", path)?;
    file.write_all(content.as_bytes()).at("write", path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_directory_goes_with_its_owner_and_a_given_one_stays() {
        let temporary = Dir::temporary("test").unwrap();
        let given = Dir::given(temporary.path().join("a/b")).unwrap();
        let (outer, inner) = (temporary.path().to_owned(), given.path().to_owned());
        drop(given);
        assert!(inner.is_dir());
        drop(temporary);
        assert!(!outer.exists());
    }

    #[test]
    fn a_failing_test_keeps_its_directory() {
        let kept = std::thread::spawn(|| {
            let dir = Dir::temporary("failing").unwrap();
            std::panic::panic_any(dir.path().to_owned());
        });
        let path = kept.join().unwrap_err().downcast::<PathBuf>().unwrap();
        // The payload was made before the unwinding that dropped the directory.
        assert!(path.is_dir());
        std::fs::remove_dir_all(*path).unwrap();
    }

    #[test]
    fn a_secret_is_for_its_owner_only() {
        let dir = Dir::temporary("secret").unwrap();
        let path = dir.path().join("password");
        write_secret(&path, "x").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
