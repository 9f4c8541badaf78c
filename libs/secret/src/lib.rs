//! Values that must not be printed, and the one way in which services get them: from a private file.
//!
//! Configuration names files (`password_file = "/run/secrets/kafka"`), never secrets, so that no configuration, process
//! list, environment dump or log line holds one. [`SecretFile`] is such a key; [`SecretFile::read`] gives the
//! [`Secret`], whose `Debug` prints no content and which has no `Display`.

use std::{
    fmt, fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use serde::Deserialize;

/// A value that is not printed. Take it out only where it is used.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. The name is meant to be noticed in review.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// Gives up the wrapper.
    pub fn into_exposed(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Why a secret could not be read. Messages name the file, never what is in it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file is missing or may not be read.
    #[error("cannot read the secret file {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    /// Others than the owner may read or write the file.
    #[error("the secret file {path} has mode {mode:03o}, others may open it: run `chmod 600 {path}`")]
    Permissions { path: PathBuf, mode: u32 },
    /// It is a directory, a socket, ...
    #[error("the secret file {path} is not a regular file")]
    NotAFile { path: PathBuf },
    /// It holds nothing.
    #[error("the secret file {path} is empty")]
    Empty { path: PathBuf },
    /// It holds something that is not text.
    #[error("the secret file {path} is not UTF-8 text")]
    NotText { path: PathBuf },
}

/// The path of a file that holds a secret: the type of every `*_file` key in a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct SecretFile(PathBuf);

impl SecretFile {
    /// Names the file; it is opened by [`SecretFile::read`].
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Reads the text in the file without the newline at its end.
    ///
    /// # Errors
    /// The file must be a regular file that neither its group nor others may read or write (a link to one is
    /// followed, as Kubernetes mounts secrets that way), and must hold UTF-8 text.
    pub fn read(&self) -> Result<Secret<String>, SecretError> {
        let bytes = self.read_bytes()?.into_exposed();
        let mut text = String::from_utf8(bytes).map_err(|_| SecretError::NotText { path: self.0.clone() })?;
        while text.ends_with(['\n', '\r']) {
            text.pop();
        }
        if text.is_empty() {
            return Err(SecretError::Empty { path: self.0.clone() });
        }
        Ok(Secret::new(text))
    }

    /// Reads the bytes in the file as they are (a PEM or binary key).
    ///
    /// # Errors
    /// As [`SecretFile::read`], except that any bytes will do.
    pub fn read_bytes(&self) -> Result<Secret<Vec<u8>>, SecretError> {
        let path = &self.0;
        let io = |source| SecretError::Io { path: path.clone(), source };
        let file = fs::File::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if !metadata.is_file() {
            return Err(SecretError::NotAFile { path: path.clone() });
        }
        let mode = metadata.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(SecretError::Permissions { path: path.clone(), mode });
        }
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut { file }, &mut bytes).map_err(io)?;
        if bytes.is_empty() {
            return Err(SecretError::Empty { path: path.clone() });
        }
        Ok(Secret::new(bytes))
    }
}

impl From<&Path> for SecretFile {
    fn from(path: &Path) -> Self {
        Self::new(path)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn file(content: &[u8], mode: u32) -> (tempfile::TempDir, SecretFile) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (dir, SecretFile::new(path))
    }

    #[test]
    fn reads_without_the_newline_and_prints_nothing() {
        let (_dir, file) = file(b"correct horse \n", 0o600);
        let secret = file.read().unwrap();
        assert_eq!(secret.expose(), "correct horse ");
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }

    #[test]
    fn refuses_what_others_may_open() {
        for mode in [0o640, 0o604, 0o620, 0o644] {
            let (_dir, file) = file(b"x", mode);
            let error = file.read().unwrap_err();
            assert!(matches!(error, SecretError::Permissions { mode: found, .. } if found == mode), "{error}");
        }
        let (_dir, file) = file(b"x", 0o400);
        assert!(file.read().is_ok());
    }

    #[test]
    fn refuses_nothing_and_what_is_no_text() {
        assert!(matches!(file(b"\n", 0o600).1.read(), Err(SecretError::Io { .. } | SecretError::Empty { .. })));
        let (_dir, empty) = file(b"\n", 0o600);
        assert!(matches!(empty.read(), Err(SecretError::Empty { .. })));
        let (_dir, binary) = file(&[0xff, 0xfe], 0o600);
        assert!(matches!(binary.read(), Err(SecretError::NotText { .. })));
        assert!(binary.read_bytes().is_ok());
    }

    #[test]
    fn is_a_plain_string_in_configuration() {
        #[derive(Deserialize)]
        struct Section {
            password_file: SecretFile,
        }
        let section: Section = toml::from_str("password_file = '/run/secrets/kafka'").unwrap();
        assert_eq!(section.password_file.path(), Path::new("/run/secrets/kafka"));
    }
}
