//! From batches of Kafka records to transactions.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use contract::avro::WriterSchema;
use diesel::PgConnection;
use jointuse::{Clock, Kind};
use seal::{KeyCache, Unsealed};
use store::{Store, StoreError};
use tracing::Span;

use crate::{
    apply::{self, Applied, Batch},
    metrics::Metrics,
    opening::{self, KeysAway, Opened, Value},
    record::{Broken, Incoming, Reason, What},
    registry::{Registry, RegistryError},
};

/// Most traces that one batch is told to: a bulk import is one.
const MOST_TRACES: usize = 32;

/// Why a batch was not applied; it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Keys are not at hand.
    #[error(transparent)]
    Keys(#[from] KeysAway),
    /// A schema is not at hand.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The database did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Applies batches.
#[derive(Debug, Clone)]
pub struct Applier {
    store: Store,
    keys: KeyCache,
    unsealed: Unsealed,
    registry: Arc<Registry>,
    topics: Arc<BTreeMap<Kind, String>>,
    metrics: Metrics,
    clock: Arc<dyn Clock>,
}

impl Applier {
    /// For the topics of the catalogue.
    pub fn new(
        store: Store,
        (keys, unsealed): (KeyCache, Unsealed),
        registry: Registry,
        metrics: Metrics,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let topics = contract::catalogue().topics.iter().map(|topic| (topic.kind, topic.name.to_string())).collect();
        Self { store, keys, unsealed, registry: Arc::new(registry), topics: Arc::new(topics), metrics, clock }
    }

    /// Applies one batch: all of it or nothing. A record that cannot be applied is quarantined and wedges nothing.
    ///
    /// # Errors
    /// When the registry or the database is away. Nothing was changed then, or it is unknown whether the transaction was
    /// committed; either way the batch may be applied again.
    pub async fn apply(&self, messages: Arc<bus::Batch>) -> Result<(), ApplyError> {
        let opened = opening::open(&self.keys, self.unsealed, &messages).await?;
        let schemas = self.schemas(&messages, &opened).await?;
        let batch = Arc::new(self.decode(messages.into_iter().enumerate(), &opened, &schemas));
        let _spans = traces(&messages);
        let applied = match self.commit(Arc::clone(&batch)).await {
            Err(error) if is_about_content(&error) => {
                tracing::warn!(%error, records = batch.records.len(), "the database refuses a record: looking for it");
                self.isolate(&messages, &opened, &schemas).await?
            }
            result => result?,
        };
        let newest = messages.messages().iter().filter_map(|message| message.timestamp).max();
        let delay = newest.map(|at| self.clock.now().timestamp_millis().saturating_sub(at));
        let delay = delay.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis);
        self.metrics.applied(&applied, delay);
        Ok(())
    }

    async fn schemas(
        &self,
        messages: &bus::Batch,
        opened: &Opened,
    ) -> Result<HashMap<u32, WriterSchema>, RegistryError> {
        let mut schemas = HashMap::new();
        let mut asked = None;
        for (index, message) in messages.into_iter().enumerate() {
            let Value::Datum(id, _) = opened.value(index, message) else { continue };
            if asked != Some(id) && !schemas.contains_key(&id) {
                if let Some(schema) = self.registry.schema(id).await? {
                    schemas.insert(id, schema);
                }
                asked = Some(id);
            }
        }
        Ok(schemas)
    }

    fn decode<'a>(
        &self,
        messages: impl IntoIterator<Item = (usize, &'a bus::Message)>,
        opened: &Opened,
        schemas: &HashMap<u32, WriterSchema>,
    ) -> Batch {
        let mut batch = Batch { topics: BTreeMap::clone(&self.topics), ..Batch::default() };
        for (index, message) in messages {
            let Some(kind) = self.topics.iter().find(|(_, topic)| ***topic == *message.topic).map(|(kind, _)| *kind)
            else {
                continue;
            };
            let value = opened.value(index, message);
            let schema = if let Value::Datum(id, _) = value { schemas.get(&id) } else { None };
            batch.records.push(Incoming::new(message, value, kind, schema));
            batch.next.insert((message.topic.to_string(), message.partition), message.offset + 1);
        }
        batch
    }

    async fn commit(&self, batch: Arc<Batch>) -> Result<Applied, StoreError> {
        self.store.run_tx("apply", move |conn: &mut PgConnection| apply::apply(conn, &batch)).await
    }

    /// Applies the records one by one, in their order, and quarantines those that the database refuses to store.
    async fn isolate(
        &self,
        messages: &bus::Batch,
        opened: &Opened,
        schemas: &HashMap<u32, WriterSchema>,
    ) -> Result<Applied, StoreError> {
        let mut all = Applied::default();
        for (index, message) in messages.into_iter().enumerate() {
            let batch = self.decode([(index, message)], opened, schemas);
            let applied = match self.commit(Arc::new(batch)).await {
                Err(error) if is_about_content(&error) => {
                    let mut batch = self.decode([(index, message)], opened, schemas);
                    let value = opened.value(index, message);
                    let schema_id = if let Value::Datum(id, _) = value { Some(id) } else { None };
                    for record in &mut batch.records {
                        let broken = Broken { reason: Reason::Refused, schema_id };
                        record.what = What::Broken(broken);
                    }
                    self.commit(Arc::new(batch)).await?
                }
                result => result?,
            };
            all.add(applied);
        }
        Ok(all)
    }
}

/// Whether the database refused the values, and would so for ever. Everything else (no space, no table, no connection)
/// is the database's trouble, for which no record is put aside.
fn is_about_content(error: &StoreError) -> bool {
    const ABOUT_CONTENT: &[&str] = &[
        "unsupported Unicode escape sequence",
        "invalid byte sequence for encoding",
        "index row size",
        "index row requires",
        "string too long to represent as jsonb",
        "value too long for type",
        "date out of range",
        "timestamp out of range",
    ];
    match error {
        StoreError::Refused(message) => ABOUT_CONTENT.iter().any(|start| message.starts_with(start)),
        StoreError::Mapping("parameter") => true,
        _ => false,
    }
}

/// Spans that continue the traces that the records were published in: one for each trace in the batch.
fn traces(messages: &bus::Batch) -> Vec<Span> {
    let mut parents: Vec<(&str, u64)> = Vec::new();
    for message in messages {
        let Some(parent) = message.header_text("traceparent") else { continue };
        if let Some((_, records)) = parents.iter_mut().rev().find(|(known, _)| *known == parent) {
            *records += 1;
        } else if parents.len() < MOST_TRACES {
            parents.push((parent, 1));
        }
    }
    let span = |(parent, records): &(&str, u64)| {
        let span: Span = tracing::info_span!("apply", otel.name = "history apply", otel.kind = "consumer", records);
        runtime::propagation::adopt(&span, |name| (name == "traceparent").then_some(*parent));
        span
    };
    parents.iter().map(span).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_refused_content_is_put_aside() {
        let refused = |message: &str| StoreError::Refused(message.to_owned());
        assert!(is_about_content(&refused("index row size 2800 exceeds btree version 4 maximum 2704 for index")));
        assert!(is_about_content(&refused("unsupported Unicode escape sequence")));
        for message in ["could not extend file", "relation does not exist", "permission denied for table contact"] {
            assert!(!is_about_content(&refused(message)), "{message}");
        }
        assert!(!is_about_content(&StoreError::Lost));
    }
}
