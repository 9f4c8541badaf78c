//! The schemas that records were written by, by their id: from memory, from the database, from the registry.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use authority_api::{HttpError, RegistryConfig};
use contract::avro::WriterSchema;
use diesel::{PgConnection, prelude::*, sql_query, sql_types};
use serde::Deserialize;
use store::{Store, StoreError};

/// Why a schema could not be got now. Trying again later may help.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No answer, or not one of a registry.
    #[error("the schema registry does not answer")]
    Unreachable(#[source] reqwest::Error),
    /// An answer that says neither yes nor no.
    #[error("the schema registry answered {0}")]
    Status(u16),
    /// The schema is kept in the database, which is away.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Schemas by id. Ids are never reused, so what was got once stays.
#[derive(Debug)]
pub struct Registry {
    url: String,
    http: reqwest::Client,
    store: Store,
    known: Mutex<HashMap<u32, WriterSchema>>,
}

#[derive(Deserialize)]
struct Answer {
    schema: String,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = sql_types::Text)]
    text: String,
}

impl Registry {
    /// Reads there, and keeps what it gets in `store`.
    ///
    /// # Errors
    /// The registry may not be called as configured.
    pub fn new(registry: &RegistryConfig, store: Store) -> Result<Self, HttpError> {
        let http = registry.client()?;
        Ok(Self { url: registry.base().to_owned(), http, store, known: Mutex::default() })
    }

    /// The schema of that id; `None` when the registry says that there is none, or when it is no usable one.
    ///
    /// # Errors
    /// When neither database nor registry can say now.
    pub async fn schema(&self, id: u32) -> Result<Option<WriterSchema>, RegistryError> {
        if let Some(schema) = self.lock().get(&id) {
            return Ok(Some(schema.clone()));
        }
        let text = match self.kept(id).await? {
            Some(text) => text,
            None => match self.fetched(id).await? {
                Some(text) => text,
                None => return Ok(None),
            },
        };
        match WriterSchema::parse(&text) {
            Ok(schema) => {
                self.lock().insert(id, schema.clone());
                Ok(Some(schema))
            }
            Err(error) => {
                tracing::error!(%error, id, "a schema of the registry cannot be used");
                Ok(None)
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u32, WriterSchema>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn kept(&self, id: u32) -> Result<Option<String>, StoreError> {
        self.store
            .read("schema_kept", move |conn: &mut PgConnection| {
                let query = sql_query("SELECT text FROM writer_schema WHERE id = $1");
                let row: Option<Row> = query.bind::<sql_types::BigInt, _>(i64::from(id)).get_result(conn).optional()?;
                Ok::<_, StoreError>(row.map(|row| row.text))
            })
            .await
    }

    async fn fetched(&self, id: u32) -> Result<Option<String>, RegistryError> {
        let request = self.http.get(format!("{}/schemas/ids/{id}", self.url));
        let answer = request.send().await.map_err(|error| RegistryError::Unreachable(error.without_url()))?;
        match answer.status().as_u16() {
            200 => {}
            404 => return Ok(None),
            status => return Err(RegistryError::Status(status)),
        }
        let answer: Answer = answer.json().await.map_err(|error| RegistryError::Unreachable(error.without_url()))?;
        let text = answer.schema.clone();
        self.store
            .run_tx("schema_keep", move |conn: &mut PgConnection| {
                sql_query("INSERT INTO writer_schema (id, text) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING")
                    .bind::<sql_types::BigInt, _>(i64::from(id))
                    .bind::<sql_types::Text, _>(&text)
                    .execute(conn)?;
                Ok::<_, StoreError>(())
            })
            .await?;
        Ok(Some(answer.schema))
    }
}
