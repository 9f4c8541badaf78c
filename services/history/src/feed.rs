//! The policy in force: what arrives on the policy topic, believed or not.

use std::{sync::Arc, time::Duration};

use authority_api::{Offer, PolicyHandle, SnapshotWatch};
use bus::{KafkaConfig, TailEvent};
use jointuse::Clock;
use runtime::{Check, Context};
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// How often the age of the policy is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Follows the policy topic until cancelled.
///
/// # Errors
/// When Kafka's client fails for good.
pub async fn follow(
    kafka: KafkaConfig,
    topic: String,
    mut watch: SnapshotWatch,
    metrics: Metrics,
    cancel: CancellationToken,
) -> Result<(), bus::BusError> {
    let mut caught_up = false;
    let mut older_at_start = None;
    bus::tail(&kafka, "history-policy", &topic, cancel, move |event| match event {
        TailEvent::Record { value: Some(value), .. } => match watch.offer(value) {
            Offer::Accepted(policy) => {
                older_at_start = None;
                metrics.policy(policy.snapshot().number);
            }
            // The topic is read from its beginning: what was overtaken long ago still lies there until compaction.
            Offer::Older { number, .. } if !caught_up => older_at_start = Some(number),
            offer => {
                if let Some(reason) = offer.alarm() {
                    metrics.policy_alarm(reason);
                    tracing::error!(reason, "a policy snapshot was not believed");
                }
            }
        },
        TailEvent::CaughtUp => {
            caught_up = true;
            // The newest on the topic is older than what an earlier run decided by: someone took snapshots away.
            if let Some(number) = older_at_start {
                metrics.policy_alarm("older");
                tracing::error!(number, "the policy topic ends with a snapshot older than one seen before");
            }
        }
        TailEvent::Record { value: None, .. } | TailEvent::Away(_) | TailEvent::Back => {}
    })
    .await
}

/// Tells the readiness check whether there is a policy to decide by.
pub async fn watch_age(policy: PolicyHandle, clock: Arc<dyn Clock>, check: Check, context: Context) {
    let draining = context.draining();
    while !draining.is_cancelled() {
        match (policy.current(clock.now()), policy.latest()) {
            (Some(_), _) => check.ready(),
            (None, Some(_)) => check.not_ready("the policy has expired and no newer one arrived"),
            (None, None) => check.not_ready("no policy arrived yet"),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = draining.cancelled() => {}
        }
    }
}
