//! A private PostgreSQL, a key file, and the key store on both.
#![allow(dead_code, unreachable_pub, reason = "each test takes what it needs")]

use std::{path::PathBuf, sync::Arc, time::Duration};

use seal::{Contact, ContactKey, Kek, KekId, KeyFile, KeyState, KeyStore, MIGRATIONS, Place, Resolved, Scratch, kek};
use secret::SecretFile;
use store::{DatabaseConfig, Store};
use tempfile::TempDir;
use testkit::{postgres::Postgres, wait};

pub const PLACE: Place<'static> =
    Place { topic: "jointuse.contact", partition: None, key: b"k", publisher: b"p", kind: b"contact" };

pub struct Rig {
    pub postgres: Postgres,
    pub dir: TempDir,
}

impl Rig {
    /// With its tables and a key file `keks` in its folder.
    pub async fn start() -> Self {
        let postgres = Postgres::start().await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        postgres.create_role("keys", "a password").await.unwrap();
        postgres.create_database("keys", "keys").await.unwrap();
        testkit::dir::write_secret(&dir.path().join("password"), "a password").unwrap();
        let rig = Self { postgres, dir };
        kek::create(&rig.file(), id("kek-1")).unwrap();
        rig.database().migrate(MIGRATIONS).await.unwrap();
        rig
    }

    pub fn file(&self) -> PathBuf {
        self.dir.path().join("keks")
    }

    pub fn database(&self) -> Store {
        let config = DatabaseConfig {
            url: self.postgres.url("keys", "keys"),
            password_file: Some(SecretFile::new(self.dir.path().join("password"))),
            max_connections: 8,
            connection_timeout_ms: 2_000,
            statement_timeout_ms: 20_000,
        };
        Store::connect("keys-test", &config).unwrap()
    }

    pub fn keks(&self) -> Arc<dyn Kek> {
        Arc::new(KeyFile::read(SecretFile::new(self.file())).unwrap())
    }

    /// A service's view: its own pool and its own reading of the key file.
    pub async fn keys(&self) -> KeyStore {
        KeyStore::open(self.database(), self.keks()).await.unwrap()
    }

    /// `kill -9`, until nobody answers any more: workers of a killed server live on for a moment.
    pub async fn kill(&mut self, keys: &KeyStore) {
        self.postgres.kill9();
        let silent =
            wait::until("the server to be gone", SOON, async || keys.store().ping().await.is_err().then_some(()));
        silent.await.unwrap();
    }

    pub async fn back(&mut self, keys: &KeyStore) {
        self.postgres.restart().await.unwrap();
        keys.store().wait_up(SOON).await.unwrap();
    }

    pub async fn sql(&self, sql: &str) -> String {
        self.postgres.sql("keys", sql).await.unwrap().trim().to_owned()
    }
}

pub fn id(text: &str) -> KekId {
    text.parse().unwrap()
}

pub fn contact(n: u32) -> Contact {
    let mut bytes = [0x55; 16];
    bytes[..4].copy_from_slice(&n.wrapping_mul(0x9E37_79B9).to_be_bytes());
    Contact::new(bytes)
}

pub fn contacts(range: std::ops::Range<u32>) -> Vec<Contact> {
    range.map(contact).collect()
}

/// The newest key of a state.
pub fn newest(state: &KeyState) -> ContactKey {
    key(&state.newest())
}

pub fn key(resolved: &Resolved) -> ContactKey {
    match resolved {
        Resolved::Key(key) => key.clone(),
        other => panic!("no key: {other:?}"),
    }
}

/// What the key seals.
pub fn seal(key: &ContactKey) -> Vec<u8> {
    let mut out = Vec::new();
    key.seal(1, &PLACE, b"datum", &mut Scratch::new(), &mut out).unwrap();
    out
}

/// Whether the key opens a value: the only way to tell that two keys are the same.
pub fn opens(key: &ContactKey, value: &[u8]) -> bool {
    let envelope = seal::Envelope::parse(value).unwrap();
    let mut out = Vec::new();
    envelope.open_onto(key, &PLACE, &mut Scratch::new(), 0, &mut out).is_ok() && out == b"datum"
}

pub const SOON: Duration = Duration::from_secs(20);
