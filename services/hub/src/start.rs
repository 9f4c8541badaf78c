//! Puts the hub together.

use std::{sync::Arc, time::Duration};

use audit::Service;
use authority_api::{RestrictionWatch, SnapshotWatch, schemas::Schemas};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use disclosure_feed::Feed as Disclosures;
use jointuse::{Clock, SystemClock};
use policy_feed::{Feed, RestrictionFeed};
use runtime::{BoxError, Check, Context};
use store::{Store, StoreError, patiently};

use crate::{
    brokers,
    budget::Budget,
    cluster::Cluster,
    config::{Config, Limits},
    delivery::{Programs, Stops},
    disclosures, erasures,
    gate::Gate,
    hub::{Hub, Parts},
    ledger::{Ledger, leaves},
    metrics::Metrics,
    names::Names,
    proof,
    sessions::Sessions,
};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// Starts everything and returns; what runs on are the context's tasks.
pub(crate) async fn start(config: Config, ctx: Context) -> Result<(), BoxError> {
    let metrics = Arc::new(Metrics::new());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let watch = SnapshotWatch::open(&config.policy)?;
    let handle = watch.handle();
    let (topic, state) = (config.restrictions.topic.clone(), &config.policy.state_dir);
    let stop_watch = RestrictionWatch::open(config.policy.keys()?, &topic, state)?;
    let persons = &config.restrictions.persons_topic;
    let persons_watch = RestrictionWatch::open(config.restrictions.persons_keys()?, persons, state)?;
    let stops = Stops { decided: stop_watch.handle(), persons: persons_watch.handle() };
    let store = Store::connect("hub", &config.database)?;
    let keys = config.keys.cache("hub")?;
    let health = ctx.health();
    let (policy_check, stops_check) = (health.register("policy"), health.register("restrictions"));
    let (database, broker, keys_check) =
        (health.register("database"), health.register("broker"), health.register("keys"));
    let (ledger, writer) = Ledger::new(store.clone(), Arc::clone(&metrics), database.clone());
    let listen = &config.listen;
    let parts = Parts {
        limits: Limits::from(&config.limits),
        gate: Gate::new(handle.clone(), Arc::clone(&clock)).with_tokens(&config.tokens.issuer),
        stops: stops.clone(),
        cluster: Cluster::new(listen.advertised_host.clone(), Names::below(&listen.domain), config.bootstrap()),
        ledger,
        keys: keys.clone(),
        unsealed: config.keys.unsealed,
        programs: Programs::new(Schemas::open(&config.registry, &config.policy.state_dir.join("schemas"))?),
        budget: Budget::new(config.limits.memory_bytes, config.limits.keep_bytes),
        sessions: Sessions::new(
            config.limits.sessions_partitions,
            config.limits.session_partitions,
            Arc::clone(&metrics),
        ),
        metrics: Arc::clone(&metrics),
        identity: ctx.identity("clients", listen.tls.as_ref())?,
        trust: config.kafka.trust()?,
    };
    let hub = Hub::new(ctx.clone(), listen.clone(), parts);

    let admin = ctx.listen("admin", config.admin.listen).await?;
    let tls = ctx.identity("admin", config.admin.tls.as_ref())?;
    let questions = proof::router(Arc::clone(&hub), store.clone());
    let questions = questions.merge(disclosures::router(Arc::clone(&hub), store.clone()));
    ctx.spawn_http("admin", admin, tls, ctx.admin_router().merge(questions));
    // Disclosures and policy go on while connections drain; they end with the last of them.
    ctx.spawn("disclosures", writer.run(gone(ctx.clone(), Arc::clone(&hub))));
    let stop_feed = RestrictionFeed::new("hub");
    let follow = stop_feed.clone().follow(config.kafka.clone(), topic, stop_watch, ctx.stopping());
    ctx.spawn("restrictions", until_gone(ctx.clone(), Arc::clone(&hub), follow));
    let (topic, persons_feed) = (config.restrictions.persons_topic.clone(), RestrictionFeed::named("hub", "persons"));
    let follow = persons_feed.clone().follow(config.kafka.clone(), topic, persons_watch, ctx.stopping());
    ctx.spawn("restrictions-persons", until_gone(ctx.clone(), Arc::clone(&hub), follow));
    ctx.spawn("restrictions-persons-age", {
        let gauges = persons_feed.watch_gauges(stops.persons.clone(), Arc::clone(&clock), ctx.draining());
        async {
            gauges.await;
            Ok::<_, BoxError>(())
        }
    });
    ctx.spawn("restrictions-check", {
        let checks = stop_feed.watch_age(stops.decided, Arc::clone(&clock), stops_check, ctx.draining());
        async {
            checks.await;
            Ok::<_, BoxError>(())
        }
    });
    let topic = config.policy.topic.clone();
    let feed = Feed::new("hub");
    let follow = feed.clone().follow(config.kafka.clone(), topic, watch, ctx.stopping());
    ctx.spawn("policy", until_gone(ctx.clone(), Arc::clone(&hub), follow));
    let (told, draining) = (keys.clone(), ctx.draining());
    ctx.spawn("erasures", async move {
        tokio::select! {
            () = erasures::tell(told) => {}
            () = draining.cancelled() => {}
        }
        Ok::<_, BoxError>(())
    });
    let serve = async move {
        keys.serve(|heard| match heard {
            Ok(()) => keys_check.ready(),
            Err(error) => keys_check.not_ready(error.readiness()),
        })
        .await
    };
    ctx.spawn("keys", until_gone(ctx.clone(), Arc::clone(&hub), serve));
    let disclosures = Disclosures::new(
        Service::Hub,
        store.clone(),
        &config.kafka,
        &config.audit,
        Arc::clone(&clock),
        leaves::gather,
    )?;
    ctx.spawn("audit", disclosures.run(ctx.draining()));
    let draining = ctx.draining();
    ctx.spawn("policy-check", {
        let checks = feed.watch_age(handle, clock, policy_check, draining.clone());
        async {
            checks.await;
            Ok::<_, BoxError>(())
        }
    });
    ctx.spawn("database", {
        let watched = watch_database(store, database);
        async move {
            tokio::select! {
                result = watched => result,
                () = draining.cancelled() => Ok(()),
            }
        }
    });
    hub.open().await?;
    ctx.spawn("cluster", {
        let looks = brokers::follow(config.kafka, Arc::clone(&hub), broker, ctx.draining());
        async {
            looks.await;
            Ok::<_, BoxError>(())
        }
    });
    Ok(())
}

/// Waits until the service drains and its connections are gone.
async fn gone(ctx: Context, hub: Arc<Hub>) {
    let stopping = ctx.stopping();
    ctx.draining().cancelled().await;
    tokio::select! {
        () = hub.drained() => {}
        () = stopping.cancelled() => {}
    }
}

/// Runs a task that connections need, until they are gone.
async fn until_gone<E: Into<BoxError>>(
    ctx: Context,
    hub: Arc<Hub>,
    task: impl Future<Output = Result<(), E>>,
) -> Result<(), BoxError> {
    tokio::select! {
        result = task => result.map_err(Into::into),
        () = gone(ctx, hub) => Ok(()),
    }
}

/// Migrates when the database is there, then keeps the health check true.
async fn watch_database(store: Store, check: Check) -> Result<(), BoxError> {
    let waiting = |error: &StoreError| check.not_ready(format!("disclosures cannot be written: {error}"));
    patiently(None, StoreError::is_transient, waiting, || store.migrate(MIGRATIONS)).await?;
    store
        .monitor(Duration::from_secs(1), |outcome| match outcome {
            Ok(()) => check.ready(),
            Err(error) => check.not_ready(format!("disclosures cannot be written: {error}")),
        })
        .await;
    Ok(())
}
