//! Blanking programs by writer schema and granted items, and the schemas behind them.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use authority_api::schemas::{Schemas, SchemasError};
use contract::{Schema, blank::Program};
use jointuse::ItemId;

/// Most programs kept; there are few schemas, and few sets of items.
const MOST: usize = 4_096;
/// An id that the registry does not know is asked for again after so long.
const UNKNOWN_FOR: Duration = Duration::from_secs(30);

/// How to blank the data of a writer schema.
#[derive(Debug, Clone)]
pub(crate) enum Blanking {
    /// By this program.
    By(Arc<Program>),
    /// Not at all: there is no such schema, or none that can be blanked. Nothing written by it may leave.
    Never,
}

type Key = (u32, BTreeSet<ItemId>);

/// Kept programs. Ids are never reused, so what was compiled once stays right.
#[derive(Debug)]
pub(crate) struct Programs {
    schemas: Schemas,
    kept: Mutex<HashMap<Key, (Blanking, Instant)>>,
}

impl Programs {
    /// Over the schemas of a registry.
    pub(crate) fn new(schemas: Schemas) -> Self {
        Self { schemas, kept: Mutex::default() }
    }

    /// What is known already.
    pub(crate) fn get(&self, schema: u32, items: &BTreeSet<ItemId>) -> Option<Blanking> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // The key is cloned, a microsecond, once for each schema in a record set.
        let (blanking, at) = kept.get(&(schema, items.clone()))?;
        match blanking {
            Blanking::Never if at.elapsed() > UNKNOWN_FOR => None,
            known => Some(known.clone()),
        }
    }

    /// Makes it known: asks for the schema and compiles it.
    ///
    /// # Errors
    /// When it cannot be said now whether there is such a schema.
    pub(crate) async fn learn(&self, schema: u32, items: &BTreeSet<ItemId>) -> Result<(), SchemasError> {
        let blanking = match self.schemas.text(schema).await? {
            None => {
                tracing::error!(schema, "records name a schema that the registry does not know: they are withheld");
                Blanking::Never
            }
            Some(text) => match Schema::parse(&text).and_then(|parsed| Program::compile(&parsed, items)) {
                Ok(program) => Blanking::By(Arc::new(program)),
                Err(error) => {
                    tracing::error!(schema, %error, "a schema does not let items be blanked: its records are withheld");
                    Blanking::Never
                }
            },
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert((schema, items.clone()), (blanking, Instant::now()));
        Ok(())
    }
}
