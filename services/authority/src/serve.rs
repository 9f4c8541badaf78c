//! Start-up: database, keys, publisher, cluster, HTTP.

use std::{sync::Arc, time::Duration};

use authority_api::{RestrictionSigner, SigningKey, SnapshotSigner, TokenSigner, token::read_jwks};
use bus::{ProduceOptions, Producer};
use jointuse::{Clock, SystemClock};
use policy::TokenKey;
use runtime::{BoxError, Context, SecretFile};
use store::{Store, StoreError, patiently};
use tokio::sync::Notify;

use crate::{
    api,
    audit::{self, Begun, Identity, Intake, Signer, SignerParts},
    auth::throttle::Throttle,
    cluster::{self, Cluster},
    config::{Config, PublicConfig, TokensConfig},
    db, erasure,
    issue::{self, Issuer, IssuerParts, RuleBook},
    link::ClusterLink,
    metrics::Metrics,
    registry, restrictions,
    state::{App, AppState},
};

/// How long the database may take to answer at start.
const DATABASE_PATIENCE: Duration = Duration::from_secs(60);

/// Starts everything; the tasks then run until the service drains.
pub(crate) async fn serve(config: Config, ctx: Context) -> Result<(), BoxError> {
    let store = Store::connect("authority", &config.database)?;
    watch_database(&ctx, &store);
    db::migrate(&store, DATABASE_PATIENCE).await?;

    let listener = ctx.listen("http", config.http.listen).await?;
    let tls = ctx.identity("http", config.http.tls.as_ref())?;
    let public_url = match config.public.url.trim_end_matches('/') {
        "" if tls.is_some() => format!("https://{}", listener.local_addr()?),
        "" => format!("http://{}", listener.local_addr()?),
        url => url.to_owned(),
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let current = || store.read("audit_current", audit::current);
    let log = patiently(Some(DATABASE_PATIENCE), StoreError::is_transient, |_| (), current).await?;
    let audit = Arc::new(identity(&config, log.as_ref())?);
    let rules = RuleBook::open(&config.policy_issue.rules_dir)?;
    let (publisher, inbox) = issue::channel();
    let (stop_list, restricted) = restrictions::channel();
    let tokens = TokenSigner::new(&signing_key(&config.tokens.key_file)?);
    let app: AppState = Arc::new(App {
        public_url,
        hub_trust: hub_trust(&config.public)?,
        store: store.clone(),
        clock: Arc::clone(&clock),
        token_keys: token_keys(&config.tokens, &tokens)?,
        tokens,
        audit: Arc::clone(&audit),
        rules: rules.clone(),
        publisher,
        stop_list,
        link: Arc::new(ClusterLink::new()),
        cluster: Cluster::new(&config)?,
        throttle: Throttle::new(&config.throttle),
        erasing: Notify::new(),
        metrics: Metrics::new(),
        config,
    });
    registry::register_missing(&app, DATABASE_PATIENCE).await?;

    let issuer = Issuer::new(parts(&app, &ctx, rules)?, inbox);
    ctx.spawn("policy", issuer.run(ctx.stopping()));
    let teller = restrictions::Teller::new(stop_list_parts(&app, &ctx)?, restricted);
    ctx.spawn("restrictions", teller.run(ctx.stopping()));
    cluster::spawn(&ctx, &app);
    erasure::spawn(&ctx, &app, signing_key(&app.config.policy_issue.key_file)?)?;
    let check = ctx.health().register("audit");
    let leaves = Intake::new(store.clone(), app.metrics.clone());
    ctx.spawn("audit-intake", leaves.run(app.config.kafka.clone(), app.config.audit.topic.clone(), ctx.draining()));
    let former = log.map(|begun| begun.former);
    let parts = SignerParts { store, clock, identity: audit, former, check, metrics: app.metrics.clone() };
    ctx.spawn("audit", Signer::new(parts, &app.config.audit)?.run(ctx.draining()));
    let router = api::router(&app).merge(ctx.admin_router());
    ctx.spawn_http("http", listener, tls, router);
    Ok(())
}

fn hub_trust(public: &PublicConfig) -> Result<Option<String>, BoxError> {
    let Some(path) = &public.hub_trust_file else { return Ok(None) };
    // What subscribers could not use is found out here.
    tls::Trust::read(path)?;
    Ok(Some(std::fs::read_to_string(path)?))
}

/// The keys that are published and believed: those that the brokers were given, where they were given any.
fn token_keys(config: &TokensConfig, signer: &TokenSigner) -> Result<Vec<TokenKey>, BoxError> {
    let own = signer.public();
    let Some(path) = &config.jwks_file else { return Ok(vec![own]) };
    let path_of = |error: &dyn std::fmt::Display| format!("tokens.jwks_file {}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| path_of(&error))?;
    let keys = read_jwks(&text).map_err(|error| path_of(&error))?;
    if !keys.contains(&own) {
        return Err(
            path_of(&"tokens.key_file is not in it, so brokers would refuse its tokens; see `authority jwks`").into()
        );
    }
    Ok(keys)
}

/// The log's, `begun` after others or the first.
pub(crate) fn identity(config: &Config, begun: Option<&Begun>) -> Result<Identity, BoxError> {
    let (log, clock) = (signing_key(&config.audit.key_file)?, signing_key(&config.audit.time_key_file)?);
    let number = begun.map_or(1, |begun| begun.number);
    Ok(Identity::new(config.audit.origin.parse()?, number, &log, &clock)?)
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
        token_keys: app.token_keys.clone(),
        producer: Producer::new(&app.config.kafka, "authority-policy", options)?,
        topic: issue.topic.as_str().into(),
        validity: issue.validity(),
        refresh: issue.refresh(),
        rules,
        check: ctx.health().register("policy"),
    })
}

/// Told as the policy is: by the same key and as often. It is valid for one heartbeat more, so that an authority that is
/// silent ends the policy first, and every refusal says so.
fn stop_list_parts(app: &App, ctx: &Context) -> Result<restrictions::Parts, BoxError> {
    let issue = &app.config.policy_issue;
    let topic = app.config.restrictions.topic.as_str();
    let delivery_timeout = issue.validity().min(Duration::from_secs(5));
    let options = ProduceOptions { delivery_timeout, ..ProduceOptions::low_latency() };
    Ok(restrictions::Parts {
        store: app.store.clone(),
        clock: Arc::clone(&app.clock),
        signer: RestrictionSigner::new(signing_key(&issue.key_file)?, topic),
        producer: Producer::new(&app.config.kafka, "authority-restrictions", options)?,
        kafka: app.config.kafka.clone(),
        topic: topic.into(),
        validity: issue.validity() + issue.refresh(),
        refresh: issue.refresh(),
        check: ctx.health().register("restrictions"),
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
