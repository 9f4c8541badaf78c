//! Making and changing key files. Every change is a whole new file, on disk before it takes the old one's name: a power
//! cut leaves the old or the new one. Two that change it at once are kept apart by a lock, as a lost key is lost data.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use aws_lc_rs::rand;
use secret::SecretFile;
use zeroize::{Zeroize as _, Zeroizing};

use super::{
    KekId,
    key_file::{Content, KekBytes, KeyFileError},
};

const HEAD: &str = "# Key-encryption keys of the key store: every contact's key is wrapped under one of them.\n\
    # Whoever has this file and the key store can read every record; whoever loses it can read none. Keep a copy apart\n\
    # from the backups of the database, and give it to no one.\n";

/// Makes a key file with one new, current key. The file gets mode 0600.
///
/// # Errors
/// [`KeyFileError::Write`], also when there is a file of that name already: a key is never overwritten.
pub fn create(path: &Path, first: KekId) -> Result<(), KeyFileError> {
    let content = Content { keys: [(first.clone(), fresh()?)].into(), current: first };
    let new = write_beside(path, &content)?;
    // A hard link, unlike a renaming, does not replace what is there.
    let linked = fs::hard_link(&new, path).map_err(|source| KeyFileError::Write { path: path.to_owned(), source });
    let removed = fs::remove_file(&new).map_err(|source| KeyFileError::Write { path: new, source });
    linked?;
    removed?;
    sync_folder(path)
}

/// Adds a new key that is not current yet: give the file to every service, then [`make_current`].
///
/// # Errors
/// [`KeyFileError`]; the file is then as it was.
pub fn add(path: &Path, id: KekId) -> Result<(), KeyFileError> {
    change(path, |content| {
        if content.keys.contains_key(&id) {
            return Err(KeyFileError::Twice { kek: id });
        }
        content.keys.insert(id, fresh()?);
        Ok(())
    })
}

/// Makes a key of the file the one that wraps.
///
/// # Errors
/// As [`add`].
pub fn make_current(path: &Path, id: KekId) -> Result<(), KeyFileError> {
    change(path, |content| {
        if !content.keys.contains_key(&id) {
            return Err(KeyFileError::NoSuchKey { kek: id });
        }
        content.current = id;
        Ok(())
    })
}

/// Takes a key out of the file, for ever. Only after [`KeyStore::retire`](crate::KeyStore::retire) agreed to it, which
/// it does when nothing is wrapped under it any more.
///
/// # Errors
/// As [`add`].
pub fn remove(path: &Path, id: &KekId) -> Result<(), KeyFileError> {
    change(path, |content| {
        if content.current == *id {
            return Err(KeyFileError::IsCurrent { kek: id.clone() });
        }
        content.keys.remove(id).map(drop).ok_or_else(|| KeyFileError::NoSuchKey { kek: id.clone() })
    })
}

fn fresh() -> Result<KekBytes, KeyFileError> {
    let mut key = KekBytes::default();
    rand::fill(key.as_mut_slice()).map_err(|_| KeyFileError::Random)?;
    Ok(key)
}

fn change(path: &Path, edit: impl FnOnce(&mut Content) -> Result<(), KeyFileError>) -> Result<(), KeyFileError> {
    // A link (Kubernetes mounts secrets that way) stays a link.
    let failed = |source| KeyFileError::Write { path: path.to_owned(), source };
    let path = path.canonicalize().map_err(failed)?;
    let _held = lock(&path).map_err(failed)?;
    let mut content = Content::read(&SecretFile::new(&path))?;
    edit(&mut content)?;
    let new = write_beside(&path, &content)?;
    fs::rename(&new, &path).map_err(failed)?;
    sync_folder(&path)
}

/// Locks the file that has the name *now*: while one waited, another may have put a new file there.
fn lock(path: &Path) -> io::Result<File> {
    loop {
        let file = File::open(path)?;
        file.lock()?;
        let (ours, there) = (file.metadata()?, fs::metadata(path)?);
        if (ours.dev(), ours.ino()) == (there.dev(), there.ino()) {
            return Ok(file);
        }
    }
}

/// Writes a file of mode 0600 beside `path`, down to the disk.
fn write_beside(path: &Path, content: &Content) -> Result<PathBuf, KeyFileError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    let mut unique = [0; 8];
    rand::fill(&mut unique).map_err(|_| KeyFileError::Random)?;
    name.push(format!(".new-{}", hex::encode(unique)));
    let new = path.with_file_name(name);
    let failed = |source| KeyFileError::Write { path: new.clone(), source };
    let text = text(content);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new).map_err(failed)?;
    if let Err(error) = file.write_all(text.as_bytes()).and_then(|()| file.sync_all()) {
        let _ = fs::remove_file(&new);
        return Err(failed(error));
    }
    Ok(new)
}

fn text(content: &Content) -> Zeroizing<String> {
    // Room for all, so that no copy is left behind in a string that was outgrown.
    let mut text = Zeroizing::new(String::with_capacity(HEAD.len() + 80 + content.keys.len() * 140));
    text.push_str(HEAD);
    text.push_str("current ");
    text.push_str(content.current.as_str());
    text.push('\n');
    for (id, key) in &content.keys {
        text.push_str(id.as_str());
        text.push(' ');
        let mut digits = [0; 64];
        if hex::encode_to_slice(key.as_slice(), &mut digits).is_ok() {
            text.extend(digits.iter().copied().map(char::from));
        }
        digits.zeroize();
        text.push('\n');
    }
    text
}

fn sync_folder(path: &Path) -> Result<(), KeyFileError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| KeyFileError::Write { path: folder.to_owned(), source })
}
