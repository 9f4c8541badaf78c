//! Start-up: opens what intake needs and gives its tasks to the runtime.

use std::{sync::Arc, time::Duration};

use authority_api::{PolicyHandle, SnapshotWatch};
use bus::Producer;
use jointuse::{Clock, PseudonymKey, SystemClock};
use policy_feed::Feed;
use runtime::{BoxError, Context};
use seal::{Forgetter, KeyCache};
use store::{Store, StoreError, patiently};
use tokio::sync::Semaphore;

use crate::{
    config::{Config, Limits, PseudonymConfig},
    db, http,
    metrics::Metrics,
    schemas::SchemaIds,
};

/// How often the database is asked whether it is there.
const PING: Duration = Duration::from_secs(1);

/// What handlers and pipelines need.
#[derive(Debug)]
pub struct App {
    /// The database.
    pub store: Store,
    /// The brokers.
    pub producer: Producer,
    /// What seals.
    pub keys: KeyCache,
    /// The policy in force.
    pub policy: PolicyHandle,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// Key of ids.
    pub key: PseudonymKey,
    /// Ids of schemas.
    pub schemas: Arc<SchemaIds>,
    /// What is measured.
    pub metrics: Metrics,
    /// Sizes.
    pub limits: Limits,
    /// One for each request that may be read at the same time.
    pub requests: Arc<Semaphore>,
}

/// Why the key of ids cannot be used. Says nothing of its content.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file.
    #[error(transparent)]
    Secret(#[from] secret::SecretError),
    /// What is in it.
    #[error("pseudonym.key_file must hold 64 hexadecimal digits: make it with `openssl rand -hex 32`")]
    Format,
}

fn key(config: &PseudonymConfig) -> Result<PseudonymKey, KeyError> {
    let text = config.key_file.read()?;
    let mut key = [0; 32];
    hex::decode_to_slice(text.expose().trim(), &mut key).map_err(|_| KeyError::Format)?;
    Ok(PseudonymKey::new(key))
}

/// Starts the service.
///
/// # Errors
/// When a key, a state folder or an address cannot be used. A database, broker or registry that is away is waited for.
pub async fn start(config: Config, context: Context) -> Result<(), BoxError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let metrics = Metrics::new();
    let key = key(&config.pseudonym)?;
    let store = Store::connect("intake", &config.database)?;
    let keys = config.keys.cache("intake")?;
    let producer = Producer::new(&config.kafka, "intake", config.produce.options())?;
    let draining = context.draining();

    let watch = SnapshotWatch::open(&config.policy)?;
    let policy = watch.handle();
    let topic = config.policy.topic.clone();
    let feed = Feed::new("intake");
    context.spawn("policy", feed.clone().follow(config.kafka.clone(), topic, watch, draining.clone()));
    let check = context.health().register("policy");
    let age = feed.watch_age(policy.clone(), Arc::clone(&clock), check, draining.clone());
    context.spawn("policy age", async move {
        age.await;
        Ok::<(), BoxError>(())
    });

    let schemas = Arc::new(SchemaIds::new(&config.registry, &config.policy.state_dir)?);
    let (resolving, check, cancel) = (Arc::clone(&schemas), context.health().register("schemas"), draining.clone());
    context.spawn("schemas", async move {
        resolving.resolve(check, cancel).await;
        Ok::<(), BoxError>(())
    });
    watch_database(&context, store.clone(), keys.forgetter("intake"));
    watch_keys(&context, keys.clone());
    watch_brokers(&context, producer.clone());

    let limits = config.limits;
    let requests = Arc::new(Semaphore::new(limits.requests));
    let app = Arc::new(App { store, producer, keys, policy, clock, key, schemas, metrics, limits, requests });
    let listener = context.listen("http", config.http.listen).await?;
    let tls = context.identity("http", config.http.tls.as_ref())?;
    context.spawn_http("http", listener, tls, http::router(app).merge(context.admin_router()));
    Ok(())
}

/// Migrates as soon as the database is there, then tells whether it is, and forgets who was erased.
fn watch_database(context: &Context, store: Store, forgetter: Forgetter) {
    let (check, draining) = (context.health().register("database"), context.draining());
    context.spawn("database", async move {
        let waiting = |error: &StoreError| {
            check.not_ready("the database does not answer");
            tracing::warn!(%error, "waiting for the database");
        };
        tokio::select! {
            result = patiently(None, StoreError::is_transient, waiting, || store.migrate(db::MIGRATIONS)) => drop(result?),
            () = draining.cancelled() => return Ok(()),
        }
        let monitor = store.monitor(PING, |outcome| match outcome {
            Ok(()) => check.ready(),
            Err(_) => check.not_ready("the database does not answer"),
        });
        let forgetting = forgetter.run(|contacts| {
            let (store, ids) = (store.clone(), contacts.iter().map(|contact| *contact.as_bytes()).collect());
            async move { db::erased::forget(&store, ids).await }
        });
        tokio::select! {
            () = monitor => {}
            () = forgetting => {}
            () = draining.cancelled() => {}
        }
        Ok::<(), BoxError>(())
    });
}

/// Looks for erasures; requests that are still running when the service stops look by themselves.
fn watch_keys(context: &Context, keys: KeyCache) {
    let (check, draining) = (context.health().register("keys"), context.draining());
    context.spawn("keys", async move {
        let serving = keys.serve(|heard| match heard {
            Ok(()) => check.ready(),
            Err(error) => check.not_ready(error.readiness()),
        });
        tokio::select! {
            result = serving => result,
            () = draining.cancelled() => Ok(()),
        }
    });
}

fn watch_brokers(context: &Context, producer: Producer) {
    let topic = contract::catalogue().topics.first().map_or("", |topic| topic.name.as_str());
    let (check, draining) = (context.health().register("brokers"), context.draining());
    context.spawn("brokers", async move {
        let monitor = async {
            loop {
                match producer.ping(topic, Duration::from_secs(5)).await {
                    Ok(()) => check.ready(),
                    Err(_) => check.not_ready("no broker answers"),
                }
                tokio::time::sleep(PING).await;
            }
        };
        tokio::select! {
            () = monitor => {}
            () = draining.cancelled() => {}
        }
        Ok::<(), BoxError>(())
    });
}
