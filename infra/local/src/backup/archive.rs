//! A backup on the disk: one file, sealed, that only the identity of this stack opens.
//!
//! In the databases are histories in the clear, so no byte of them is written but sealed: `pg_basebackup` writes a tar archive
//! into [age](https://age-encryption.org/v1), and what comes out of it is the file. The `age` program opens it as well:
//! `age --decrypt -i local/run/stack/secrets/backup-identity FILE | tar --extract --directory FOLDER`.
use std::{
    fs::File,
    io::{self, BufReader, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use age::{DecryptError, Decryptor, Encryptor, secrecy::ExposeSecret as _, stream::StreamReader, x25519};
use secret::SecretFile;
use testkit::{dir::write_secret, postgres};

use crate::error::{LocalError, file};

/// What opens this stack's backups, beside its key-encryption key and like it in no backup.
pub(super) struct Identity {
    path: PathBuf,
    key: x25519::Identity,
}

impl Identity {
    fn path(stack: &Path) -> PathBuf {
        stack.join("secrets/backup-identity")
    }

    /// The one that is there. Never another: that one would open no backup.
    pub(super) fn load(stack: &Path) -> Result<Self, LocalError> {
        let path = Self::path(stack);
        if !path.exists() {
            return Err(LocalError::NoIdentity { path });
        }
        let text = SecretFile::new(&path).read()?.into_exposed();
        let key = text.lines().find(|line| !line.starts_with('#')).and_then(|line| line.trim().parse().ok());
        match key {
            Some(key) => Ok(Self { path, key }),
            None => Err(LocalError::BadIdentity { path }),
        }
    }

    /// Makes one if there is none.
    pub(super) fn load_or_make(stack: &Path) -> Result<Self, LocalError> {
        let path = Self::path(stack);
        if path.exists() {
            return Self::load(stack);
        }
        let key = x25519::Identity::generate();
        let (public, private) = (key.to_public(), key.to_string());
        let text = format!("# what opens this stack's backups; public key: {public}\n{}\n", private.expose_secret());
        let new = path.with_extension(format!("new-{}", std::process::id()));
        write_secret(&new, &text)?;
        File::open(&new).and_then(|new| new.sync_all()).map_err(file("write", &new))?;
        // Whole, and never in the place of one that another process has just made.
        let linked = std::fs::hard_link(&new, &path);
        std::fs::remove_file(&new).map_err(file("remove", &new))?;
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(file("write", path)(error)),
            _ => Self::load(stack),
        }
    }
}

/// Writes a backup of the databases of the stack in a directory to a file, which appears when it is whole.
pub(super) async fn write(stack: &Path, out: &Path) -> Result<(), LocalError> {
    let recipient = Identity::load_or_make(stack)?.key.to_public();
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = out.with_file_name(name);
    let written = write_part(stack, recipient, &part).await;
    if written.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    written?;
    std::fs::rename(&part, out).map_err(file("write", out))
}

async fn write_part(stack: &Path, recipient: x25519::Recipient, part: &Path) -> Result<(), LocalError> {
    let mut options = std::fs::OpenOptions::new();
    let sealed = options.write(true).create(true).truncate(true).mode(0o600).open(part).map_err(file("write", part))?;
    let recipients = std::iter::once(&recipient as &dyn age::Recipient);
    let encryptor =
        Encryptor::with_recipients(recipients).map_err(|error| file("seal", part)(io::Error::other(error)))?;
    let plain = encryptor.wrap_output(sealed).map_err(file("write", part))?;
    let plain = postgres::base_backup(&stack.join("postgres"), plain).await?;
    // Without this end it would be refused as cut off.
    let mut sealed = plain.finish().map_err(file("write", part))?;
    sealed.flush().and_then(|()| sealed.sync_all()).map_err(file("write", part))
}

/// A backup whose seal the identity has opened; its content is checked as it is read.
pub(super) struct Opened {
    path: PathBuf,
    plain: StreamReader<BufReader<File>>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Opens a backup, and writes nothing.
pub(super) fn open(path: &Path, identity: &Identity) -> Result<Opened, LocalError> {
    let no_backup = |error| LocalError::NoBackup { path: path.to_owned(), source: io::Error::other(error) };
    let sealed = BufReader::new(File::open(path).map_err(file("read", path))?);
    let sealed = Decryptor::new_buffered(sealed).map_err(no_backup)?;
    match sealed.decrypt(std::iter::once(&identity.key as &dyn age::Identity)) {
        Ok(plain) => Ok(Opened { path: path.to_owned(), plain }),
        Err(DecryptError::NoMatchingKeys) => Err(LocalError::OtherIdentity {
            backup: path.to_owned(),
            identity: identity.path.clone(),
            recipient: identity.key.to_public().to_string(),
        }),
        Err(error) => Err(no_backup(error)),
    }
}

impl Opened {
    /// Unpacks all of it into the folder that the server's data are put back from; what cannot be unpacked to its end leaves nothing there.
    pub(super) async fn unpack(self, stack: &Path) -> Result<(), LocalError> {
        let folder = postgres::folder_for_backup(&stack.join("postgres"))?;
        let path = self.path.clone();
        let into = folder.clone();
        let unpacked = tokio::task::spawn_blocking(move || {
            let mut archive = tar::Archive::new(self.plain);
            archive.unpack(&into)?;
            // The archive ends before the seal does, by which alone it is known to be whole.
            io::copy(&mut archive.into_inner(), &mut io::sink()).map(|_| ())
        })
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)));
        unpacked.map_err(|source| {
            let _ = std::fs::remove_dir_all(&folder);
            LocalError::NoBackup { path, source }
        })
    }
}
