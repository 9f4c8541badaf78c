//! What the hub follows by its own login: the signed policy, the cluster, and whether it can do its work at all.

use std::{sync::Arc, time::Duration};

use authority_api::{Offer, PolicyHandle, SnapshotWatch};
use bus::{KafkaConfig, TailEvent, admin::Controller, tail};
use jointuse::{Clock, KafkaTopicId};
use runtime::Check;
use tokio_util::sync::CancellationToken;

use crate::{cluster::Address, hub::Hub, metrics::Metrics};

/// How often the cluster is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// The same while it does not answer.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Feeds the policy topic into the watch, until cancelled.
pub(crate) async fn policy(
    kafka: KafkaConfig,
    topic: String,
    mut watch: SnapshotWatch,
    metrics: Arc<Metrics>,
    cancel: CancellationToken,
) -> Result<(), bus::BusError> {
    let mut caught_up = false;
    let mut older_at_start = None;
    tail(&kafka, "hub-policy", &topic, cancel, |event| match event {
        TailEvent::Record { value: Some(value), position, .. } => {
            let offer = watch.offer(value);
            if let Offer::Accepted(policy) = &offer {
                let snapshot = policy.snapshot();
                tracing::debug!(number = snapshot.number, expires_at = %snapshot.expires_at, "policy in force");
            }
            // Reading from the beginning meets older snapshots as a matter of course; later on nobody may write one.
            let expected = !caught_up && matches!(offer, Offer::Older { .. });
            match &offer {
                Offer::Older { number, .. } if expected => older_at_start = Some(*number),
                Offer::Accepted(_) => older_at_start = None,
                _ => {}
            }
            if let Some(reason) = offer.alarm().filter(|_| !expected) {
                metrics.policy_alarm(reason);
                let detail = match &offer {
                    Offer::Forged(error) => error.to_string(),
                    Offer::Unloadable(error) => error.to_string(),
                    Offer::Unkept(error) => error.to_string(),
                    Offer::Older { number, highest } => format!("number {number} after {highest}"),
                    Offer::Accepted(_) | Offer::Repeated => String::new(),
                };
                tracing::error!(
                    reason,
                    detail,
                    partition = position.partition,
                    offset = position.offset,
                    "a policy snapshot was ignored"
                );
            }
        }
        TailEvent::CaughtUp => {
            caught_up = true;
            // The newest on the topic is older than what an earlier run decided by: someone took snapshots away.
            if let Some(number) = older_at_start {
                metrics.policy_alarm("older");
                tracing::error!(number, "the policy topic ends with a snapshot older than one seen before");
            }
        }
        TailEvent::Away(reason) => tracing::warn!(reason, "the policy topic cannot be read"),
        TailEvent::Record { value: None, .. } | TailEvent::Back => {}
    })
    .await
}

/// Keeps the health check and the gauges of the policy true, until cancelled.
pub(crate) async fn watch_policy(
    mut handle: PolicyHandle,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    check: Check,
    cancel: CancellationToken,
) {
    loop {
        let now = clock.now();
        match (handle.current(now), handle.latest()) {
            (Some(_), _) => check.ready(),
            (None, Some(_)) => check.not_ready("the policy has expired: everything is refused"),
            (None, None) => check.not_ready("no policy has arrived: everything is refused"),
        }
        if let Some(policy) = handle.latest() {
            let snapshot = policy.snapshot();
            #[expect(clippy::cast_precision_loss, reason = "a gauge")]
            let left = (snapshot.expires_at - now).num_milliseconds() as f64 / 1000.0;
            metrics.policy(snapshot.number, left);
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            alive = handle.changed() => if !alive { tokio::time::sleep(Duration::from_millis(250)).await },
            () = tokio::time::sleep(Duration::from_millis(250)) => {}
        }
    }
}

/// Learns brokers and topics, until cancelled. Ready while a broker answers.
pub(crate) async fn cluster(kafka: KafkaConfig, hub: Arc<Hub>, check: Check, cancel: CancellationToken) {
    loop {
        let looked = tokio::select! {
            looked = look(&kafka, &hub, &check) => looked,
            () = cancel.cancelled() => return,
        };
        if let Err(error) = looked {
            check.not_ready(format!("no broker answers: {error}"));
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }
}

async fn look(kafka: &KafkaConfig, hub: &Hub, check: &Check) -> Result<(), bus::admin::AdminError> {
    let controller = Controller::new(kafka, "hub", Duration::from_secs(5))?;
    loop {
        for broker in controller.brokers().await? {
            if let Some(address) = Address::of(&broker.host, broker.port) {
                hub.learn_node(broker.id, address).await;
            }
        }
        for topic in controller.topics().await?.into_values() {
            hub.cluster.learn_topic(&topic.name, KafkaTopicId(*topic.id.as_bytes()));
        }
        check.ready();
        tokio::time::sleep(LOOK).await;
    }
}
