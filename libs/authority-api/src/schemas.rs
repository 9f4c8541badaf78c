//! The schemas that records were written by, by their id: from memory, from a folder, from the registry.
//!
//! Ids are never reused, so what was got once stays right, and a service that has seen a schema needs the registry for it
//! no more.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use serde::Deserialize;

use crate::http::RegistryConfig;

/// It cannot be said now whether there is such a schema. Trying again later may help.
#[derive(Debug, thiserror::Error)]
pub enum SchemasError {
    /// No answer, or not one of a registry.
    #[error("the schema registry does not answer")]
    Unreachable(#[source] reqwest::Error),
    /// An answer that says neither yes nor no.
    #[error("the schema registry answered {0}")]
    Status(u16),
}

/// Schema texts by id.
#[derive(Debug)]
pub struct Schemas {
    url: String,
    http: reqwest::Client,
    folder: PathBuf,
    known: Mutex<HashMap<u32, Arc<str>>>,
}

#[derive(Deserialize)]
struct Answer {
    schema: String,
}

impl Schemas {
    /// Asks the registry; what it says is kept in `folder`, which is made.
    ///
    /// # Errors
    /// When the folder cannot be made, or the registry may not be called as configured.
    pub fn open(registry: &RegistryConfig, folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let http = registry.client().map_err(io::Error::other)?;
        Ok(Self { url: registry.base().to_owned(), http, folder: folder.to_owned(), known: Mutex::default() })
    }

    /// The text of that schema; `None` when the registry says that there is none.
    ///
    /// # Errors
    /// When neither folder nor registry can say now.
    pub async fn text(&self, id: u32) -> Result<Option<Arc<str>>, SchemasError> {
        if let Some(text) = self.lock().get(&id) {
            return Ok(Some(Arc::clone(text)));
        }
        let file = self.folder.join(format!("{id}.avsc"));
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(_) => match self.ask(id).await? {
                Some(text) => {
                    keep(&file, &text);
                    text
                }
                None => return Ok(None),
            },
        };
        let text: Arc<str> = text.into();
        self.lock().insert(id, Arc::clone(&text));
        Ok(Some(text))
    }

    async fn ask(&self, id: u32) -> Result<Option<String>, SchemasError> {
        let unreachable = |error: reqwest::Error| SchemasError::Unreachable(error.without_url());
        let answer = self.http.get(format!("{}/schemas/ids/{id}", self.url)).send().await.map_err(unreachable)?;
        match answer.status().as_u16() {
            200 => Ok(Some(answer.json::<Answer>().await.map_err(unreachable)?.schema)),
            404 => Ok(None),
            status => Err(SchemasError::Status(status)),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u32, Arc<str>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whole or not at all. A folder that cannot be written costs a question after the next start, no more.
fn keep(file: &Path, text: &str) {
    let temporary = file.with_extension("new");
    let _ = std::fs::write(&temporary, text).and_then(|()| std::fs::rename(&temporary, file));
}
