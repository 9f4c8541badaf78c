//! Start-up: opens what the service needs and gives its tasks to the runtime.

use std::{sync::Arc, time::Duration};

use audit::Service;
use authority_api::{RestrictionSigner, RestrictionWatch, Restrictions, SigningKey, SnapshotWatch};
use bus::{ConsumeOptions, Consumer, ProduceOptions, Producer, Status};
use chrono::Utc;
use disclosure_feed::Feed as Disclosures;
use jointuse::{Clock, SystemClock};
use policy_feed::{Feed, RestrictionFeed};
use runtime::{BoxError, Check, Context};
use seal::{Forgetter, KeyCache};
use store::{Store, StoreError, patiently};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    MIGRATIONS, api, apply,
    config::{ApplyConfig, Config},
    consume::Applier,
    mask::Masks,
    metrics::Metrics,
    registry::Registry,
    spread::{Parts, Spread},
};

/// How often the database is asked whether it is there.
const PING: Duration = Duration::from_secs(1);
/// How long to wait between attempts while something needed for starting is away.
const AGAIN: Duration = Duration::from_millis(500);

/// Starts the service.
///
/// # Errors
/// When a key, a state folder or an address cannot be used. A database or broker that is away is waited for.
pub async fn start(config: Config, context: Context) -> Result<(), BoxError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let metrics = Metrics::default();
    let store = Store::connect("history", &config.database)?;

    let watch = SnapshotWatch::open(&config.policy)?;
    let policy = watch.handle();
    let draining = context.draining();
    let feed = Feed::new("history");
    let topic = config.policy.topic.clone();
    context.spawn("policy", feed.clone().follow(config.kafka.clone(), topic, watch, draining.clone()));
    let check = context.health().register("policy");
    let age = feed.watch_age(policy.clone(), Arc::clone(&clock), check, draining.clone());
    context.spawn("policy age", async move {
        age.await;
        Ok::<(), BoxError>(())
    });

    let keys = config.keys.cache("history")?;
    let (serving, keys_check, ended) = (keys.clone(), context.health().register("keys"), draining.clone());
    context.spawn("keys", async move {
        let served = serving.serve(|heard| match heard {
            Ok(()) => keys_check.ready(),
            Err(error) => keys_check.not_ready(error.readiness()),
        });
        tokio::select! {
            result = served => result,
            () = ended.cancelled() => Ok(()),
        }
    });

    let forgetter = keys.forgetter("history");

    let topic = config.restrictions.topic.clone();
    let watch = RestrictionWatch::open(config.policy.keys()?, &topic, &config.policy.state_dir)?;
    let stops = watch.handle();
    let feed = RestrictionFeed::new("history");
    context.spawn("restrictions", feed.clone().follow(config.kafka.clone(), topic, watch, draining.clone()));
    let check = context.health().register("restrictions");
    let age = feed.watch_age(stops.clone(), Arc::clone(&clock), check, draining.clone());
    context.spawn("restrictions age", async move {
        age.await;
        Ok::<(), BoxError>(())
    });

    context.spawn("restrictions of persons", spread(&config, &context, &store, &clock, &stops)?.run(draining.clone()));

    let database = context.health().register("database");
    let (database_check, reading) = (database.clone(), context.health().register("consumer"));
    let consuming =
        consume(config.clone(), store.clone(), keys, metrics.clone(), Arc::clone(&clock), reading, draining.clone());
    let (forgetting, forgets, ended) = (forgetter.clone(), store.clone(), draining.clone());
    context.spawn("consumer", async move {
        tokio::select! {
            consumed = consuming => consumed,
            () = forget(forgetting, forgets, ended) => Ok(()),
        }
    });
    let (monitored, ended) = (store.clone(), draining);
    context.spawn("database", async move {
        let monitor = monitored.monitor(PING, |outcome| match outcome {
            Ok(()) => database_check.ready(),
            Err(_) => database_check.not_ready("the database does not answer"),
        });
        tokio::select! {
            () = monitor => {}
            () = ended.cancelled() => {}
        }
        Ok::<(), BoxError>(())
    });

    let gather = crate::db::leaves::gather;
    let disclosures =
        Disclosures::new(Service::History, store.clone(), &config.kafka, &config.audit, Arc::clone(&clock), gather)?;
    context.spawn("audit", disclosures.run(context.draining()));

    let app = Arc::new(api::App { store, policy, stops, clock, metrics, masks: Masks::load()?, forgetter });
    let listener = context.listen("http", config.http.listen).await?;
    let tls = context.identity("http", config.http.tls.as_ref())?;
    context.spawn_http("http", listener, tls, api::router(app).merge(context.admin_router()));
    Ok(())
}

/// Tells the hub whom restrictions of persons reach.
fn spread(
    config: &Config,
    context: &Context,
    store: &Store,
    clock: &Arc<dyn Clock>,
    stops: &Restrictions,
) -> Result<Spread, BoxError> {
    let c = &config.restrictions;
    let pem = c.key_file.read()?;
    let key = SigningKey::from_pem(pem.expose())
        .ok_or_else(|| format!("{} is not a PEM file of an Ed25519 private key", c.key_file.path().display()))?;
    Ok(Spread::new(Parts {
        store: store.clone(),
        clock: Arc::clone(clock),
        stops: stops.clone(),
        signer: RestrictionSigner::new(key, &c.persons_topic),
        producer: Producer::new(&config.kafka, "history-spread", ProduceOptions::low_latency())?,
        kafka: config.kafka.clone(),
        topic: c.persons_topic.as_str().into(),
        validity: Duration::from_secs_f64(c.validity_seconds),
        refresh: Duration::from_secs_f64(c.refresh_seconds),
        check: context.health().register("restrictions of persons"),
    }))
}

/// Migrates, then reads and applies for ever.
async fn consume(
    config: Config,
    store: Store,
    keys: KeyCache,
    metrics: Metrics,
    clock: Arc<dyn Clock>,
    check: Check,
    cancel: CancellationToken,
) -> Result<(), BoxError> {
    let waiting = |error: &StoreError| {
        check.not_ready("the database does not answer");
        tracing::warn!(%error, "waiting for the database");
    };
    let offsets = tokio::select! {
        offsets = patiently(None, StoreError::is_transient, waiting, || prepare(&store)) => offsets?,
        () = cancel.cancelled() => return Ok(()),
    };
    let topics: Vec<&str> = contract::catalogue().topics.iter().map(|topic| topic.name.as_str()).collect();
    let ApplyConfig { batch_records, .. } = config.apply;
    let options = ConsumeOptions { batch_records, batch_wait: config.apply.batch_wait(), ..ConsumeOptions::default() };
    let consumer = Consumer::new(&config.kafka, "history", &topics, offsets, options)?;
    let registry = Registry::new(&config.registry, store.clone())?;
    let applier = Applier::new(store, (keys, config.keys.unsealed), registry, metrics, clock);
    let reporting = report(consumer.status(), check);
    let running = consumer.run(cancel, move |batch| {
        let applier = applier.clone();
        async move { applier.apply(batch).await }
    });
    tokio::select! {
        result = running => Ok(result?),
        () = reporting => Ok(()),
    }
}

/// Forgets who was erased, for ever.
async fn forget(forgetter: Forgetter, store: Store, cancel: CancellationToken) {
    // The tables come with the consumer's start.
    let migrated = async {
        while store.read("erased_ready", apply::is_ready).await.is_err() {
            tokio::time::sleep(AGAIN).await;
        }
    };
    let forgetting = forgetter.run(|contacts| {
        let ids: Vec<Uuid> = contacts.iter().map(|contact| Uuid::from_bytes(*contact.as_bytes())).collect();
        let store = store.clone();
        async move { store.run_tx("erase", move |conn| apply::erase(conn, &ids, Utc::now())).await }
    });
    tokio::select! {
        () = async { migrated.await; forgetting.await } => {}
        () = cancel.cancelled() => std::future::pending().await,
    }
}

async fn prepare(store: &Store) -> Result<std::collections::BTreeMap<(String, i32), i64>, StoreError> {
    store.migrate(MIGRATIONS).await?;
    store.read("offsets", apply::offsets).await
}

/// Tells the readiness check how reading goes. Never ends while the consumer is there.
async fn report(mut status: watch::Receiver<Status>, check: Check) {
    loop {
        match &*status.borrow_and_update() {
            Status::Reading => check.ready(),
            Status::Connecting => check.not_ready("connecting to the brokers"),
            Status::Away(reason) => check.not_ready(format!("the topics cannot be read: {reason}")),
        }
        if status.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
