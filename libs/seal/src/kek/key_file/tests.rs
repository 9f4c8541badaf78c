use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::PathBuf,
};

use tempfile::TempDir;

use super::*;
use crate::{
    Contact,
    kek::{add, create, make_current, remove},
};

fn id(text: &str) -> KekId {
    text.parse().unwrap()
}

fn made() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keks");
    create(&path, id("kek-1")).unwrap();
    (dir, path)
}

fn read(path: &std::path::Path) -> KeyFile {
    KeyFile::read(SecretFile::new(path)).unwrap()
}

fn name(contact: u8, version: u32) -> KeyName {
    KeyName { contact: Contact::new([contact; 16]), version }
}

fn wrapped(keks: &KeyFile, name: KeyName) -> (Wrapped, [u8; 32]) {
    let key = DataKey::random().unwrap();
    let bytes = *key.expose();
    (keks.wrap(&[(name, key)]).unwrap().remove(0), bytes)
}

fn unwrap(keks: &KeyFile, wrapped: &Wrapped) -> Result<[u8; 32], KekError> {
    keks.unwrap_keys(std::slice::from_ref(wrapped)).unwrap().remove(0).map(|key| *key.expose())
}

#[test]
fn a_file_is_private_from_its_first_moment_and_never_overwritten() {
    let (dir, path) = made();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    let before = fs::read(&path).unwrap();
    assert!(matches!(create(&path, id("kek-9")), Err(KeyFileError::Write { .. })));
    assert_eq!(fs::read(&path).unwrap(), before);
    let names: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["keks"], "nothing is left beside it");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let error = KeyFile::read(SecretFile::new(&path)).unwrap_err();
    assert!(matches!(error, KeyFileError::Secret(SecretError::Permissions { .. })), "{error}");
}

#[test]
fn several_live_side_by_side_and_the_current_one_wraps() {
    let (_dir, path) = made();
    let (old, old_key) = wrapped(&read(&path), name(1, 1));
    add(&path, id("kek-2")).unwrap();
    assert_eq!(read(&path).current(), id("kek-1"), "a new key waits until every service has it");
    make_current(&path, id("kek-2")).unwrap();
    let keks = read(&path);
    let (new, new_key) = wrapped(&keks, name(1, 1));
    assert_eq!((old.kek.as_str(), new.kek.as_str()), ("kek-1", "kek-2"));
    assert_eq!((unwrap(&keks, &old), unwrap(&keks, &new)), (Ok(old_key), Ok(new_key)));
    assert!(matches!(remove(&path, &id("kek-2")), Err(KeyFileError::IsCurrent { .. })));
    assert!(matches!(add(&path, id("kek-2")), Err(KeyFileError::Twice { .. })));
    remove(&path, &id("kek-1")).unwrap();
    assert_eq!(unwrap(&read(&path), &old), Err(KekError::Missing { kek: id("kek-1") }));
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn an_unknown_id_is_looked_for_in_the_file_again() {
    let (_dir, path) = made();
    let running = read(&path);
    add(&path, id("kek-2")).unwrap();
    make_current(&path, id("kek-2")).unwrap();
    let (new, key) = wrapped(&read(&path), name(1, 1));
    assert_eq!(unwrap(&running, &new), Ok(key));
    fs::remove_file(&path).unwrap();
    let (unknown, _) = (Wrapped { kek: id("kek-3"), ..new.clone() }, ());
    assert_eq!(unwrap(&running, &unknown), Err(KekError::Missing { kek: id("kek-3") }));
    assert_eq!(unwrap(&running, &new), Ok(key), "what was read stays");
}

#[test]
fn a_wrapped_key_is_bound_to_its_contact_version_and_kek() {
    let (_dir, path) = made();
    let keks = read(&path);
    let (good, key) = wrapped(&keks, name(1, 1));
    assert_eq!(unwrap(&keks, &good), Ok(key));
    let wrong = Err(KekError::Wrong { kek: id("kek-1") });
    assert_eq!(unwrap(&keks, &Wrapped { name: name(2, 1), ..good.clone() }), wrong);
    assert_eq!(unwrap(&keks, &Wrapped { name: name(1, 2), ..good.clone() }), wrong);
    for bit in 0..good.bytes.len() * 8 {
        let mut bytes = good.bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(unwrap(&keks, &Wrapped { bytes, ..good.clone() }), wrong, "bit {bit}");
    }
    for len in 0..good.bytes.len() {
        assert_eq!(unwrap(&keks, &Wrapped { bytes: good.bytes[..len].to_vec(), ..good.clone() }), wrong);
    }
    // The same bytes under another id of the file: the id is bound too.
    let text = fs::read_to_string(&path).unwrap();
    let line = text.lines().find(|line| line.starts_with("kek-1 ")).unwrap();
    fs::write(&path, format!("{text}{}\n", line.replace("kek-1", "kek-2"))).unwrap();
    let moved = Wrapped { kek: id("kek-2"), ..good };
    assert_eq!(unwrap(&read(&path), &moved), Err(KekError::Wrong { kek: id("kek-2") }));
}

#[test]
fn another_key_under_the_same_id_fails_and_says_which() {
    let ((_one, first), (_two, second)) = (made(), made());
    let (foreign, _) = wrapped(&read(&first), name(1, 1));
    let error = unwrap(&read(&second), &foreign).unwrap_err();
    assert_eq!(error, KekError::Wrong { kek: id("kek-1") });
    assert!(error.to_string().contains("kek-1"));
}

#[test]
fn a_file_that_says_anything_else_is_refused_without_quoting_it() {
    let key = "ab".repeat(32);
    let cases = [
        (format!("kek-1 {key}\n"), "once which key is current"),
        (format!("current kek-1\ncurrent kek-1\nkek-1 {key}\n"), "once which key is current"),
        (format!("current kek-2\nkek-1 {key}\n"), "no key of the id kek-2"),
        (format!("current kek-1\nkek-1 {key}\nkek-1 {key}\n"), "two keys of the id kek-1"),
        (format!("current kek-1\nkek-1 {}\n", &key[1..]), "line 2"),
        (format!("current kek-1\nkek-1 {key}00\n"), "line 2"),
        (format!("# x\n\nKEK {key}\n"), "line 3"),
        (format!("current kek-1\n{key}\n"), "line 2"),
    ];
    for (text, expected) in cases {
        let error = Content::parse(&text).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("abab"), "{error}");
    }
    assert!("current".parse::<KekId>().is_err() && "".parse::<KekId>().is_err() && "a b".parse::<KekId>().is_err());
}

#[test]
fn many_adding_at_once_lose_no_key() {
    let (_dir, path) = made();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let path = &path;
            scope.spawn(move || add(path, id(&format!("new-{n}"))).unwrap());
        }
    });
    assert_eq!(read(&path).ids().len(), 9);
}

#[test]
fn nothing_prints_a_key() {
    let (_dir, path) = made();
    let text = fs::read_to_string(&path).unwrap();
    let digits = text.lines().last().unwrap().split(' ').nth(1).unwrap();
    let keks = read(&path);
    let printed = format!("{keks:?} {:?}", DataKey::random().unwrap());
    assert!(printed.contains("kek-1") && !printed.contains(&digits[..8]), "{printed}");
    assert!(printed.ends_with("DataKey(..)"), "{printed}");
}
