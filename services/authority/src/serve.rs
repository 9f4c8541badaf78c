//! Start-up: database, keys, publisher, cluster, HTTP.

use std::{sync::Arc, time::Duration};

use authority_api::{SigningKey, SnapshotSigner, TokenSigner};
use bus::{ProduceOptions, Producer};
use jointuse::{Clock, SystemClock};
use runtime::{BoxError, Context, SecretFile};
use store::Store;

use crate::{
    api,
    audit::{Identity, Intake, Signer, SignerParts},
    auth::throttle::Throttle,
    cluster::{self, Cluster},
    config::Config,
    db,
    issue::{self, Issuer, IssuerParts, RuleBook},
    link::ClusterLink,
    metrics::Metrics,
    registry,
    state::{App, AppState},
};

/// How long the database may take to answer at start.
const DATABASE_PATIENCE: Duration = Duration::from_secs(60);

/// Starts everything; the tasks then run until the service drains.
pub(crate) async fn serve(config: Config, ctx: Context) -> Result<(), BoxError> {
    let store = Store::connect("authority", &config.database)?;
    watch_database(&ctx, &store);
    store.wait_up(DATABASE_PATIENCE).await?;
    store.migrate(db::MIGRATIONS).await?;

    let listener = ctx.listen("http", config.http.listen).await?;
    let public_url = match config.public.url.trim_end_matches('/') {
        "" => format!("http://{}", listener.local_addr()?),
        url => url.to_owned(),
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let audit = Arc::new(identity(&config)?);
    let rules = RuleBook::open(&config.policy_issue.rules_dir)?;
    let (publisher, inbox) = issue::channel();
    let app: AppState = Arc::new(App {
        public_url,
        store: store.clone(),
        clock: Arc::clone(&clock),
        tokens: TokenSigner::new(&signing_key(&config.tokens.key_file)?),
        audit: Arc::clone(&audit),
        rules: rules.clone(),
        publisher,
        link: Arc::new(ClusterLink::new()),
        cluster: Cluster::new(&config)?,
        throttle: Throttle::new(&config.throttle),
        metrics: Metrics::new(),
        config,
    });
    registry::register_missing(&app).await?;

    let issuer = Issuer::new(parts(&app, &ctx, rules)?, inbox);
    ctx.spawn("policy", issuer.run(ctx.stopping()));
    cluster::spawn(&ctx, &app);
    let check = ctx.health().register("audit");
    let leaves = Intake::new(store.clone(), app.metrics.clone());
    ctx.spawn("audit-intake", leaves.run(app.config.kafka.clone(), app.config.audit.topic.clone(), ctx.draining()));
    let parts = SignerParts { store, clock, identity: audit, check, metrics: app.metrics.clone() };
    ctx.spawn("audit", Signer::new(parts, &app.config.audit)?.run(ctx.draining()));
    let router = api::router(&app).merge(ctx.admin_router());
    ctx.spawn_http("http", listener, router);
    Ok(())
}

fn identity(config: &Config) -> Result<Identity, BoxError> {
    let (log, clock) = (signing_key(&config.audit.key_file)?, signing_key(&config.audit.time_key_file)?);
    Ok(Identity::new(&config.audit.origin.parse()?, &log, &clock)?)
}

fn parts(app: &App, ctx: &Context, rules: RuleBook) -> Result<IssuerParts, BoxError> {
    let issue = &app.config.policy_issue;
    // What is not taken while it is fresh is issued anew, so it need not wait for longer.
    let delivery_timeout = issue.validity().min(Duration::from_secs(5));
    let options = ProduceOptions { delivery_timeout, ..ProduceOptions::low_latency() };
    Ok(IssuerParts {
        store: app.store.clone(),
        clock: Arc::clone(&app.clock),
        signer: SnapshotSigner::new(signing_key(&issue.key_file)?),
        token_keys: vec![app.tokens.public()],
        producer: Producer::new(&app.config.kafka, "authority-policy", options)?,
        topic: issue.topic.as_str().into(),
        validity: issue.validity(),
        refresh: issue.refresh(),
        rules,
        check: ctx.health().register("policy"),
    })
}

fn signing_key(file: &SecretFile) -> Result<SigningKey, BoxError> {
    let pem = file.read()?;
    SigningKey::from_pem(pem.expose())
        .ok_or_else(|| format!("{} is not a PEM file of an Ed25519 private key", file.path().display()).into())
}

/// Says whether the database answers, from the start on.
fn watch_database(ctx: &Context, store: &Store) {
    let check = ctx.health().register("database");
    let (store, draining) = (store.clone(), ctx.draining());
    ctx.spawn("database-watch", async move {
        let watch = store.monitor(Duration::from_secs(2), |answer| match answer {
            Ok(()) => check.ready(),
            Err(error) => check.not_ready(error.to_string()),
        });
        tokio::select! {
            () = watch => {}
            () = draining.cancelled() => {}
        }
        Ok::<_, std::convert::Infallible>(())
    });
}
