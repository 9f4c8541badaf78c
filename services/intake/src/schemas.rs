//! Ids of this build's schemas in the registry. They are asked for until they are known, and kept in a file, so that
//! intake starts while the authority is away: an id is never reused for another schema.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use authority_api::{HttpError, RegistryConfig};
use jointuse::Kind;
use runtime::Check;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

/// How long to wait before asking again.
const AGAIN: Duration = Duration::from_secs(1);

/// Known ids.
#[derive(Debug)]
pub struct SchemaIds {
    url: String,
    http: reqwest::Client,
    file: PathBuf,
    /// By digest of the schema's text.
    ids: Mutex<BTreeMap<String, u32>>,
}

#[derive(Deserialize)]
struct Answer {
    id: u32,
}

#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("the registry does not answer")]
    Unreachable(#[source] reqwest::Error),
    #[error("the registry answered {0}: the schema is not registered, or not for this service")]
    Status(u16),
}

impl SchemaIds {
    /// Asks the registry; ids are kept in `state_dir`.
    ///
    /// # Errors
    /// The registry may not be called as configured.
    pub fn new(registry: &RegistryConfig, state_dir: &Path) -> Result<Self, HttpError> {
        let http = registry.client()?;
        let file = state_dir.join("schema-ids.json");
        let kept = std::fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        Ok(Self { url: registry.base().to_owned(), http, file, ids: Mutex::new(kept) })
    }

    /// The id of the schema that this build writes `kind` by, when it is known.
    pub fn get(&self, kind: Kind) -> Option<u32> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).get(&digest(kind)).copied()
    }

    /// Asks for what is not known until all is.
    pub async fn resolve(&self, check: Check, cancel: CancellationToken) {
        loop {
            let missing: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| self.get(*kind).is_none()).collect();
            if missing.is_empty() {
                return check.ready();
            }
            let mut failed = false;
            for kind in missing {
                match self.ask(kind).await {
                    Ok(id) => self.keep(kind, id),
                    Err(error) => {
                        tracing::warn!(kind = kind.as_str(), %error, "waiting for the id of a schema");
                        check.not_ready(format!("the registry does not know the schema of {}: {error}", kind.as_str()));
                        failed = true;
                        break;
                    }
                }
            }
            let pause = if failed { AGAIN } else { Duration::ZERO };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = cancel.cancelled() => return,
            }
        }
    }

    async fn ask(&self, kind: Kind) -> Result<u32, AskError> {
        let Some(topic) = contract::catalogue().topic_of(kind) else { return Err(AskError::Status(404)) };
        let url = format!("{}/subjects/{}", self.url, contract::subject(&topic.name));
        let body = serde_json::json!({ "schema": contract::schema_text(kind) });
        let unreachable = |error: reqwest::Error| AskError::Unreachable(error.without_url());
        let answer = self.http.post(url).json(&body).send().await.map_err(unreachable)?;
        if !answer.status().is_success() {
            return Err(AskError::Status(answer.status().as_u16()));
        }
        Ok(answer.json::<Answer>().await.map_err(unreachable)?.id)
    }

    fn keep(&self, kind: Kind, id: u32) {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.insert(digest(kind), id);
        let temporary = self.file.with_extension("writing");
        let written = serde_json::to_vec_pretty(&*ids)
            .map_err(std::io::Error::other)
            .and_then(|text| std::fs::write(&temporary, text))
            .and_then(|()| std::fs::rename(&temporary, &self.file));
        if let Err(error) = written {
            tracing::warn!(%error, "the ids of schemas cannot be kept: intake will not start without the registry");
        }
    }
}

fn digest(kind: Kind) -> String {
    hex::encode(Sha256::digest(contract::schema_text(kind)))
}
