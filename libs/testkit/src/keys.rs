//! A key store: its database, and the file with its key-encryption key; and sealing and opening as services do.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use seal::{
    CacheConfig, Contact, ContactKey, Envelope, KekError, KekId, KeyCache, KeysConfig, Place, Resolved, Scratch,
    Unsealed,
};
use secret::SecretFile;
use store::DatabaseConfig;

use crate::{Error, Result, dir::write_secret, error::IoContext as _, kafka::secret, postgres::Postgres, wait};

/// Where a key store is. What is there already is kept.
#[derive(Debug, Clone)]
pub struct Keys {
    url: String,
    password_file: PathBuf,
    key_file: PathBuf,
}

impl Keys {
    /// Name of the database and of the login that owns it.
    pub const NAME: &'static str = "keys";

    /// Makes login, database and key file; the files lie in `folder`.
    ///
    /// # Errors
    /// When the server refuses or a file cannot be written.
    pub async fn prepare(postgres: &Postgres, folder: &Path) -> Result<Self> {
        let (password_file, key_file) = (folder.join("keys-database"), folder.join("kek"));
        if !password_file.exists() {
            write_secret(&password_file, &format!("{}\n", secret()))?;
        }
        let password = std::fs::read_to_string(&password_file).at("read", &password_file)?;
        postgres.create_role(Self::NAME, password.trim()).await?;
        postgres.create_database(Self::NAME, Self::NAME).await?;
        if !key_file.exists() {
            let failed = |error: &dyn std::error::Error| Error::Answer {
                what: "making a key file".into(),
                answer: error.to_string(),
            };
            let id: KekId = "kek-1".parse().map_err(|error: KekError| failed(&error))?;
            seal::kek::create(&key_file, id).map_err(|error| failed(&error))?;
        }
        Ok(Self { url: postgres.url(Self::NAME, Self::NAME), password_file, key_file })
    }

    /// The file with the key-encryption keys.
    pub fn key_file(&self) -> &Path {
        &self.key_file
    }

    /// For a program that seals or opens itself.
    pub fn config(&self) -> KeysConfig {
        KeysConfig {
            database: DatabaseConfig {
                url: self.url.clone(),
                password_file: Some(SecretFile::new(&self.password_file)),
                max_connections: 4,
                connection_timeout_ms: 3_000,
                statement_timeout_ms: 30_000,
            },
            key_file: Some(SecretFile::new(&self.key_file)),
            pkcs11: None,
            unsealed: Unsealed::Refuse,
            cache: CacheConfig::default(),
        }
    }

    /// The sections `[keys]` of a service's configuration.
    pub fn toml(&self) -> String {
        format!("[keys]\nkey_file = '{}'\n\n{}", self.key_file.display(), self.database_toml())
    }

    /// The section `[keys.database]` alone, for who erases and opens nothing.
    pub fn database_toml(&self) -> String {
        let (url, password) = (&self.url, self.password_file.display());
        format!("[keys.database]\nurl = '{url}'\npassword_file = '{password}'\n\n")
    }
}

/// Where a record lies, and those of its headers that its seal binds.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    pub topic: &'a str,
    pub partition: Option<i32>,
    pub key: &'a str,
    pub publisher: &'a str,
    pub kind: &'a str,
}

impl<'a> At<'a> {
    const fn place(&self) -> Place<'a> {
        Place {
            topic: self.topic,
            partition: self.partition,
            key: self.key.as_bytes(),
            publisher: self.publisher.as_bytes(),
            kind: self.kind.as_bytes(),
        }
    }
}

/// Seals and opens, by the keys of a key store.
#[derive(Debug, Clone)]
pub struct Sealer {
    cache: KeyCache,
}

impl Keys {
    /// One that is ready. It looks for erasures as long as the runtime lives.
    ///
    /// # Errors
    /// When the key file cannot be read or the database does not come up.
    pub async fn sealer(&self) -> Result<Sealer> {
        let cache = self.config().cache("tests").map_err(|error| answer(&error))?;
        let serving = cache.clone();
        tokio::spawn(async move { serving.serve(|_| ()).await });
        wait::until("the key store", Duration::from_secs(30), async || cache.look().ok()).await?;
        Ok(Sealer { cache })
    }
}

impl Sealer {
    /// The keys of contacts, by their ids; those that have none get one.
    ///
    /// # Errors
    /// When the key store does not answer, or one of them is erased.
    pub async fn keys(&self, ids: &[&str]) -> Result<Vec<ContactKey>> {
        let contacts = ids.iter().map(|id| Ok(Contact::from(&id.parse().map_err(|error| answer(&error))?)));
        let contacts = contacts.collect::<Result<Vec<Contact>>>()?;
        let resolved = self.cache.resolve_for_sealing(&contacts).await.map_err(|error| answer(&error))?;
        let key = |resolved| match resolved {
            Resolved::Key(key) => Ok(key),
            other => Err(Error::Answer { what: "a key".to_owned(), answer: format!("{other:?}") }),
        };
        resolved.into_iter().map(key).collect()
    }

    /// The envelope of a datum that was written by a schema.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn envelope(&self, key: &ContactKey, at: &At<'_>, schema: u32, datum: &[u8]) -> Result<Vec<u8>> {
        let mut value = Vec::new();
        key.seal(schema, &at.place(), datum, &mut Scratch::new(), &mut value).map_err(|error| answer(&error))?;
        Ok(value)
    }

    /// Seals a record whose value is framed, by its key and headers. The partition is bound if the record names it.
    ///
    /// # Errors
    /// When its key is no contact id or its value is not framed, or the key store does not answer.
    pub async fn seal(&self, mut record: bus::Record) -> Result<bus::Record> {
        let Some(value) = &record.value else { return Ok(record) };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let header = |name: &str| {
            let header = record.headers.iter().find(|(header, _)| header == name);
            header.map_or_else(String::new, |(_, value)| text(value))
        };
        let id = record.key.as_deref().map(text).unwrap_or_default();
        let (publisher, kind) = (header("publisher"), header("kind"));
        let at = At { topic: &record.topic, partition: record.partition, key: &id, publisher: &publisher, kind: &kind };
        let frame = value.split_first_chunk::<5>();
        let Some(([0, schema @ ..], datum)) = frame else {
            return Err(Error::Answer { what: "sealing".to_owned(), answer: "the value is not framed".to_owned() });
        };
        let [key] = &self.keys(&[&id]).await?[..] else { return Ok(record) };
        let sealed = self.envelope(key, &at, u32::from_be_bytes(*schema), datum)?;
        record.value = Some(sealed.into());
        Ok(record)
    }

    /// What is in an envelope, framed; none if it does not open there.
    ///
    /// # Errors
    /// When the key store does not answer.
    pub async fn open(&self, at: &At<'_>, value: &[u8]) -> Result<Option<Vec<u8>>> {
        let Ok(envelope) = Envelope::parse(value) else { return Ok(None) };
        let resolved = self.cache.resolve(&[envelope.key()]).await.map_err(|error| answer(&error))?;
        let [Resolved::Key(key)] = &resolved[..] else { return Ok(None) };
        let mut datum = Vec::new();
        let opened = envelope.open_onto(key, &at.place(), &mut Scratch::new(), 0, &mut datum).is_ok();
        Ok(opened.then(|| [&[0][..], &envelope.schema_id().to_be_bytes(), &datum].concat()))
    }

    /// The cache behind it.
    pub const fn cache(&self) -> &KeyCache {
        &self.cache
    }
}

fn answer(error: &dyn std::error::Error) -> Error {
    Error::Answer { what: "the key store".to_owned(), answer: error.to_string() }
}
