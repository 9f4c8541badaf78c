//! A key store: its database, and the file with its key-encryption key.

use std::path::{Path, PathBuf};

use seal::{CacheConfig, KekError, KekId, KeysConfig, Unsealed};
use secret::SecretFile;
use store::DatabaseConfig;

use crate::{Error, Result, dir::write_secret, error::IoContext as _, kafka::secret, postgres::Postgres};

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
        let (url, password, key) = (&self.url, self.password_file.display(), self.key_file.display());
        format!("[keys]\nkey_file = '{key}'\n\n[keys.database]\nurl = '{url}'\npassword_file = '{password}'\n\n")
    }
}
