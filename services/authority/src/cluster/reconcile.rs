//! The reconciler: compares, mends, records, reports.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use authority_api::types::{Applied, Change, ChangeKind};
use bus::{
    admin::{AdminError, Controller, ScramCredential},
    scram,
};
use chrono::{DateTime, TimeDelta, Utc};
use jointuse::{KafkaTopicId, Login, TopicName};
use policy::{LoadError, Policy, Snapshot};
use runtime::{Check, Context, SecretError};
use store::StoreError;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::{
    broker::{self, Outcome},
    db,
    metrics::Metrics,
    plan::{Found, Step, facts_left, plan},
    scope::Scope,
    wanted::{LiveCredential, Sources, Wanted},
};
use crate::{
    config::Config,
    db::activity,
    issue::RulesError,
    state::{App, AppState},
};

/// Each call to a broker is given up after this long.
const CALL: Duration = Duration::from_secs(10);
/// Between two tries of what failed.
const RETRY: Duration = Duration::from_secs(1);
/// For the services' passwords, which people may have chosen.
const SERVICE_ITERATIONS: u32 = 8192;

/// Why the cluster could not be compared with the approved state.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Rules(#[from] RulesError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("loading the policy panicked")]
    Panicked,
    #[error("no salt could be generated")]
    Random,
    #[error("the topic does not exist on the cluster")]
    NoTopic,
}

/// The administered cluster. Shared by the reconciler and the handlers.
#[derive(Debug)]
pub(crate) struct Cluster {
    controller: Controller,
    scope: Scope,
    /// The services' credentials, by login.
    services: BTreeMap<String, ScramCredential>,
    metrics: Metrics,
    memory: Mutex<Memory>,
}

/// What one comparison tells the next. Held while one runs, so that they go one after another.
#[derive(Debug, Default)]
struct Memory {
    /// Credentials that were written since the start.
    written: BTreeMap<String, ScramCredential>,
    /// What could not be mended the last time, so that it is reported once.
    unmended: BTreeSet<(Change, String)>,
}

/// Starts the reconciler: it runs at start, when woken and at every interval, until the service drains.
pub(crate) fn spawn(ctx: &Context, app: &AppState) {
    ctx.spawn("cluster", run(Arc::clone(app), ctx.draining(), ctx.health().register("cluster")));
}

async fn run(app: AppState, draining: CancellationToken, check: Check) -> Result<(), Infallible> {
    let interval = Duration::from_secs_f64(app.config.cluster.interval_seconds);
    let (mut wait, mut failing, mut followed) = (Duration::ZERO, false, false);
    loop {
        tokio::select! {
            () = draining.cancelled() => return Ok(()),
            // While it fails, a wake must not turn into a busy loop.
            () = app.link.woken(), if !failing => {}
            () = tokio::time::sleep(wait) => {}
        }
        let reconciled = tokio::select! {
            () = draining.cancelled() => return Ok(()),
            reconciled = app.cluster.reconcile(&app) => reconciled,
        };
        failing = match reconciled {
            Ok(applied) => {
                followed = true;
                check.ready();
                !applied.failed.is_empty()
            }
            Err(error) => {
                app.cluster.metrics.failed();
                tracing::warn!(%error, "the cluster could not be compared with the approved state, trying again");
                true
            }
        };
        // Once it has followed, decisions can go on while brokers are away; the publisher says when they cannot.
        if !followed {
            check.not_ready("the cluster has not been brought to the approved state yet");
        }
        wait = match (failing, wait) {
            (false, _) => interval,
            // What keeps failing is tried ever more rarely.
            (true, before) if before < interval => (before * 2).clamp(RETRY.min(interval), interval),
            (true, _) => RETRY.min(interval),
        };
    }
}

impl Cluster {
    /// Makes the administrator; nothing is called yet.
    ///
    /// # Errors
    /// A password file cannot be read.
    pub(crate) fn new(config: &Config) -> Result<Self, ClusterError> {
        let mut services = BTreeMap::new();
        for (login, file) in &config.cluster.services {
            services.insert(login.clone(), service_credential(login, file.read()?.expose())?);
        }
        Ok(Self {
            controller: Controller::new(&config.kafka, "authority-cluster", CALL)?,
            scope: Scope::new(&config.kafka.login, config.cluster.services.keys()),
            services,
            metrics: Metrics::new(),
            memory: Mutex::default(),
        })
    }

    /// What [`reconcile`](Self::reconcile) would do.
    pub(super) async fn plan(&self, app: &App) -> Result<Vec<Change>, ClusterError> {
        let memory = self.memory.lock().await;
        let (wanted, found) = (self.wanted(app).await?, broker::observe(&self.controller, &self.scope).await?);
        Ok(plan(&wanted, &found, &memory.written).iter().map(Step::change).collect())
    }

    /// Brings the cluster to the approved state; gives what was done.
    pub(super) async fn reconcile(&self, app: &App) -> Result<Applied, ClusterError> {
        let mut memory = self.memory.lock().await;
        let begun = Instant::now();
        let wanted = self.wanted(app).await?;
        let found = broker::observe(&self.controller, &self.scope).await?;
        let steps = plan(&wanted, &found, &memory.written);
        let outcome = broker::apply(&self.controller, &wanted, &steps).await;
        remember(&mut memory, &wanted, &steps, &outcome);
        tell_logins(app, &found, &outcome);
        let applied = self.record(app, &mut memory, &wanted, &found, outcome).await?;
        self.metrics.reconciled(begun.elapsed(), memory.unmended.len());
        Ok(applied)
    }

    /// The approved state at this moment, read from the database rather than from the newest snapshot, which may be on
    /// its way.
    async fn wanted(&self, app: &App) -> Result<Wanted, ClusterError> {
        let at = app.clock.now();
        let read = move |conn: &mut diesel::PgConnection| {
            let decided = crate::db::snapshot::read(conn, &BTreeMap::new(), at)?;
            let credentials = crate::db::credentials::all(conn)?;
            Ok::<_, StoreError>((decided, credentials))
        };
        let (decided, credentials) = app.store.read("cluster_wanted", read).await?;
        let snapshot = Snapshot {
            number: 0,
            issued_at: at,
            expires_at: at + TimeDelta::days(1),
            changed_at: at,
            rules: app.rules.in_force(at)?,
            companies: decided.companies,
            grants: decided.grants,
            credentials: decided.credentials,
            topics: decided.topics,
            token_keys: Vec::new(),
        };
        // Milliseconds of a core: beside the runtime.
        let loaded = tokio::task::spawn_blocking(move || Policy::load(snapshot)).await;
        let policy = loaded.map_err(|_| ClusterError::Panicked)??;
        let live = credentials.into_iter().filter(|(credential, _)| credential.live);
        let credentials: Vec<_> = live
            .map(|(credential, verifier)| LiveCredential { login: credential.login, grant: credential.grant, verifier })
            .collect();
        Ok(Wanted::new(&Sources {
            catalogue: contract::catalogue(),
            policy: &policy,
            credentials: &credentials,
            services: &self.services,
            policy_topic: &app.config.policy_issue.topic,
            restriction_topic: &app.config.restrictions.topic,
            persons_topic: &app.config.restrictions.persons_topic,
            audit_topic: &app.config.audit.topic,
            replication: app.config.cluster.replication_factor,
            at,
        }))
    }

    /// Writes down what is on the cluster now, and what of the difference was drift.
    async fn record(
        &self,
        app: &App,
        memory: &mut Memory,
        wanted: &Wanted,
        found: &Found,
        outcome: Outcome,
    ) -> Result<Applied, ClusterError> {
        let at = app.clock.now();
        let mut ids = topic_ids(wanted, found);
        ids.extend(outcome.made.clone());
        let (wanted, wide) = (wanted.clone(), left_alone(wanted, found));
        let done: Vec<_> = outcome.done.iter().map(Step::change).collect();
        let failed: Vec<_> = outcome.failed.iter().map(|(step, reason)| (step.change(), reason.clone())).collect();
        let known = memory.unmended.clone();
        let write = move |conn: &mut diesel::PgConnection| {
            let before = db::facts(conn)?;
            let new_ids = db::record_new_topic_ids(conn, &ids, at)?;
            let recorded = db::recorded_topic_ids(conn)?;
            db::replace_facts(conn, &before, &facts_left(&wanted, &before, outcome.failed.keys()))?;
            let mut unmended: BTreeSet<_> = wide.iter().cloned().chain(remade(&recorded, &ids)).collect();
            let drift = |step: &&Step| step.is_drift(&before);
            let mended: Vec<_> = outcome.done.iter().filter(drift).map(Step::change).collect();
            let failing = outcome.failed.iter().filter(|(step, _)| step.is_drift(&before));
            unmended.extend(failing.map(|(step, reason)| (step.change(), reason.clone())));
            let news: Vec<_> = unmended.difference(&known).cloned().collect();
            if !(mended.is_empty() && news.is_empty()) {
                let applied = Applied { done: mended.clone(), failed: news };
                db::report(conn, &applied, at)?;
                note(conn, &applied, at)?;
            }
            Ok::<_, StoreError>((new_ids, mended, unmended))
        };
        let (new_ids, mended, unmended) = app.store.run_tx("cluster_record", write).await?;
        for change in mended {
            tracing::warn!(resource = change.resource, name = change.name, detail = change.detail, "drift mended");
            self.metrics.drifted(change.resource);
        }
        for (change, reason) in unmended.difference(&memory.unmended) {
            tracing::warn!(resource = change.resource, name = change.name, reason, "drift that is not mended");
        }
        for (change, reason) in &failed {
            tracing::warn!(resource = change.resource, name = change.name, reason, "a step on the cluster failed");
        }
        memory.unmended = unmended;
        if new_ids {
            // Snapshots carry the ids, and services go by them.
            app.publisher.nudge(at);
        }
        Ok(Applied { done, failed })
    }

    /// The id that a shared topic has on the cluster now.
    pub(super) async fn topic_id(&self, name: &TopicName) -> Result<KafkaTopicId, ClusterError> {
        let topic = self.controller.topic(name.as_str()).await?.ok_or(ClusterError::NoTopic)?;
        Ok(KafkaTopicId(*topic.id.as_bytes()))
    }
}

fn remember(memory: &mut Memory, wanted: &Wanted, steps: &BTreeSet<Step>, outcome: &Outcome) {
    memory.written.retain(|login, _| wanted.logins.contains_key(login));
    for step in steps {
        if let Step::WriteLogin { login, .. } = step {
            match wanted.logins.get(login).filter(|_| outcome.done.contains(step)) {
                Some(credential) => memory.written.insert(login.clone(), credential.clone()),
                None => memory.written.remove(login),
            };
        }
    }
}

fn tell_logins(app: &App, found: &Found, outcome: &Outcome) {
    let mut logins: BTreeSet<&str> = found.logins.keys().map(String::as_str).collect();
    for step in &outcome.done {
        match step {
            Step::WriteLogin { login, .. } => logins.insert(login),
            Step::RemoveLogin(login) => logins.remove(login.as_str()),
            _ => continue,
        };
    }
    let logins: BTreeSet<Login> = logins.into_iter().filter_map(|login| login.parse().ok()).collect();
    app.link.logins_are(logins);
}

fn service_credential(login: &str, password: &str) -> Result<ScramCredential, ClusterError> {
    let mut salt = vec![0; 32];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| ClusterError::Random)?;
    let salted_password = scram::salted_password(password, &salt, SERVICE_ITERATIONS).to_vec();
    Ok(ScramCredential { login: login.to_owned(), iterations: SERVICE_ITERATIONS, salt, salted_password })
}

fn topic_ids(wanted: &Wanted, found: &Found) -> BTreeMap<String, KafkaTopicId> {
    let ours = found.topics.iter().filter(|(name, _)| wanted.topics.contains_key(*name));
    ours.map(|(name, topic)| (name.clone(), KafkaTopicId(*topic.id.as_bytes()))).collect()
}

/// Topics that were deleted and made anew.
fn remade(recorded: &BTreeMap<TopicName, KafkaTopicId>, ids: &BTreeMap<String, KafkaTopicId>) -> Vec<(Change, String)> {
    let differing = recorded.iter().filter_map(|(name, old)| {
        let new = ids.get(name.as_str()).filter(|new| *new != old)?;
        let detail = format!("has id {}, recorded is {}", hex::encode(new.0), hex::encode(old.0));
        let change = Change { change: ChangeKind::Alter, resource: "topic".to_owned(), name: name.to_string(), detail };
        Some((
            change,
            "the topic was deleted and made anew: grants mean the old one until a steward accepts it".to_owned(),
        ))
    });
    differing.collect()
}

/// Differences that are not mended by themselves.
fn left_alone(wanted: &Wanted, found: &Found) -> Vec<(Change, String)> {
    let mut left = Vec::new();
    let mut leave = |change, resource: &str, name: &str, detail: String, reason: &str| {
        let change = Change { change, resource: resource.to_owned(), name: name.to_owned(), detail };
        left.push((change, reason.to_owned()));
    };
    for (name, topic) in &found.topics {
        match wanted.topics.get(name) {
            None => leave(
                ChangeKind::Delete,
                "topic",
                name,
                "is not in the catalogue".to_owned(),
                "topics are never deleted by themselves",
            ),
            Some(wanted) if topic.partitions > wanted.partitions => leave(
                ChangeKind::Alter,
                "topic",
                name,
                format!("has {} partitions instead of {}", topic.partitions, wanted.partitions),
                "Kafka cannot take partitions away",
            ),
            Some(_) => {}
        }
    }
    for acl in &found.wide {
        leave(
            ChangeKind::Delete,
            "acl",
            &acl.principal,
            acl.to_string(),
            "it lets a foreign login at the shared topics, and is about others too",
        );
    }
    left
}

/// One line in the record of activities for each thing.
fn note(conn: &mut diesel::PgConnection, applied: &Applied, at: DateTime<Utc>) -> Result<(), StoreError> {
    let mended = applied.done.iter().map(|change| ("cluster.mend-drift", change, ""));
    let left = applied.failed.iter().map(|(change, reason)| ("cluster.report-drift", change, reason.as_str()));
    for (action, change, reason) in mended.chain(left) {
        let subject = format!("{} {}: {}", change.resource, change.name, change.detail);
        activity::record(conn, activity::Step { at, operator: None, action, subject: &subject, reason })?;
    }
    Ok(())
}
