//! Key-encryption keys. These commands ask no authority: they work on the key store and the key file of this host.

use std::path::Path;

use chrono::Utc;
use seal::{KeyError, KeyStore, KeysConfig, kek};
use serde::Serialize;
use store::Store;

use crate::{
    cli::{KeysCommand, KeysFrom},
    context::{Context, Failure, file_error},
    output,
};

pub(super) async fn run(context: &Context, command: KeysCommand) -> Result<(), Failure> {
    match command {
        KeysCommand::Create { file, id } => {
            kek::create(&file, id.clone()).map_err(Failure::keys)?;
            let say = format!("{} holds {id}, which is current; keep a copy apart from the database's", file.display());
            output::said(context.json, &Made { id: id.as_str() }, &say);
        }
        KeysCommand::Add { from, id } => {
            let config = read(&from)?;
            match (config.file(), &config.pkcs11) {
                (_, Some(device)) => seal::Pkcs11::generate(device, &id).map_err(Failure::keys)?,
                (Some(file), None) => kek::add(file.path(), id.clone()).map_err(Failure::keys)?,
                (None, None) => return Err(nowhere(&from)),
            }
            let say = format!("{id} is there: give it to every service, and then make it current");
            output::said(context.json, &Made { id: id.as_str() }, &say);
        }
        KeysCommand::Use { from, id } => {
            let config = read(&from)?;
            let (Some(file), None) = (config.file(), &config.pkcs11) else {
                let say =
                    "a device's current key is named in the configuration: change keys.pkcs11.current and restart";
                return Err(Failure::Usage(say.to_owned()));
            };
            kek::make_current(file.path(), id.clone()).map_err(Failure::keys)?;
            let say = format!("{id} is current here; `hubctl keys rotate` wraps what is there already under it");
            output::said(context.json, &Made { id: id.as_str() }, &say);
        }
        KeysCommand::Status { from } => status(context, &read(&from)?).await?,
        KeysCommand::Rotate { from, batch, plan } => rotate(context, &read(&from)?, batch, plan).await?,
        KeysCommand::Retire { from, id } => {
            let config = read(&from)?;
            open(&config).await?.retire(id.clone(), Utc::now()).await.map_err(Failure::keys)?;
            let mut say = format!("{id} is retired: nothing is wrapped under it, and nothing will be");
            if let Some(file) = config.file() {
                match kek::remove(file.path(), &id) {
                    Ok(()) => say += "; it was taken out of this key file",
                    Err(kek::KeyFileError::NoSuchKey { .. }) => {}
                    // The device wraps now.
                    Err(kek::KeyFileError::IsCurrent { .. }) if config.pkcs11.is_some() => {
                        say += "; it is the last of its key file: set keys.key_file to \"\" and destroy the file";
                    }
                    Err(error) => return Err(Failure::keys(error)),
                }
            }
            output::said(context.json, &Made { id: id.as_str() }, &say);
        }
    }
    Ok(())
}

#[derive(Serialize)]
struct Made<'a> {
    id: &'a str,
}

#[derive(Serialize)]
struct Count {
    id: String,
    current: bool,
    keys: u64,
}

/// How many keys are wrapped under each; the current one also when there are none.
async fn counts(keys: &KeyStore) -> Result<Vec<Count>, Failure> {
    let current = keys.current_kek();
    let mut counts: Vec<Count> = keys
        .counts_by_kek()
        .await
        .map_err(Failure::keys)?
        .into_iter()
        .map(|(id, keys)| Count { current: id == current, id: id.to_string(), keys })
        .collect();
    if !counts.iter().any(|count| count.current) {
        counts.push(Count { id: current.to_string(), current: true, keys: 0 });
    }
    Ok(counts)
}

async fn status(context: &Context, config: &KeysConfig) -> Result<(), Failure> {
    let counts = counts(&open(config).await?).await?;
    let row = |count: &Count| {
        vec![count.id.clone(), if count.current { "current" } else { "" }.to_owned(), count.keys.to_string()]
    };
    let rows = counts.iter().map(row).collect();
    output::table(context.json, &counts, &["key-encryption key", "", "contacts' keys under it"], rows);
    Ok(())
}

#[derive(Serialize)]
struct Rotated {
    moved: u64,
    /// Contacts whose keys do not open, and stay as they are.
    damaged: Vec<String>,
}

async fn rotate(context: &Context, config: &KeysConfig, batch: u32, plan: bool) -> Result<(), Failure> {
    let keys = open(config).await?;
    let counts = counts(&keys).await?;
    let others: u64 = counts.iter().filter(|count| !count.current).map(|count| count.keys).sum();
    let current = keys.current_kek();
    if plan {
        output::said(context.json, &counts, &format!("{others} keys would be wrapped under {current}"));
        return Ok(());
    }
    let rotated = keys.rewrap(batch, |progress| output::progress(progress.done, progress.total, "keys")).await;
    let rotated = rotated.map_err(Failure::keys)?;
    let damaged: Vec<String> = rotated.damaged.iter().map(|name| name.contact.to_string()).collect();
    let say = format!("{} keys are now wrapped under {current}; no record was touched", rotated.moved);
    output::said(context.json, &Rotated { moved: rotated.moved, damaged: damaged.clone() }, &say);
    if damaged.is_empty() {
        return Ok(());
    }
    Err(Failure::Usage(format!("{} keys do not open and stay as they are: {}", damaged.len(), damaged.join(" "))))
}

fn read(from: &KeysFrom) -> Result<KeysConfig, Failure> {
    #[derive(serde::Deserialize)]
    struct File {
        keys: Option<KeysConfig>,
    }
    let text = std::fs::read_to_string(&from.config).map_err(file_error(&from.config))?;
    let file: File = toml::from_str(&text)
        .map_err(|error| Failure::Usage(format!("{}: {}", from.config.display(), error.message())))?;
    file.keys.ok_or_else(|| nowhere(from))
}

fn nowhere(from: &KeysFrom) -> Failure {
    let path: &Path = &from.config;
    Failure::Usage(format!("{} has no section [keys] with a key_file or pkcs11", path.display()))
}

/// The key store, if its key-encryption keys are those of this host.
async fn open(config: &KeysConfig) -> Result<KeyStore, Failure> {
    let store = Store::connect("hubctl", &config.database).map_err(|error| Failure::keys(KeyError::from(error)))?;
    KeyStore::open(store, config.kek().map_err(Failure::keys)?).await.map_err(Failure::keys)
}
