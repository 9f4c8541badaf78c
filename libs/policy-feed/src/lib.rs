//! The policy in force: what arrives on the policy topic, believed or not, and how old it may get.
//!
//! Hub, intake and history follow it by the same code, so that none of them believes what another would refuse. What a
//! service measures of it is named after the service: `<service>_policy_number`, `<service>_policy_seconds_left`,
//! `<service>_policy_alarms_total{reason}`. The stop list is followed beside it ([`RestrictionFeed`]).

mod restrictions;

use std::{sync::Arc, time::Duration};

use authority_api::{Offer, PolicyHandle, SnapshotWatch};
use bus::{BusError, KafkaConfig, Position, TailEvent};
use jointuse::Clock;
use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Gauge},
};
use runtime::Check;
use tokio_util::sync::CancellationToken;

pub use restrictions::RestrictionFeed;

/// How often the age of the policy is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// What a service follows the policy with. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Feed {
    service: &'static str,
    number: Gauge<u64>,
    seconds_left: Gauge<f64>,
    alarms: Counter<u64>,
}

impl Feed {
    /// For the service of this name; call after telemetry is set up.
    pub fn new(service: &'static str) -> Self {
        let (meter, name) = (global::meter("policy"), |what: &str| format!("{service}_policy_{what}"));
        Self {
            service,
            number: meter.u64_gauge(name("number")).with_description("Number of the policy snapshot in force").build(),
            seconds_left: meter
                .f64_gauge(name("seconds_left"))
                .with_description("Seconds until the newest policy expires; negative when it has")
                .build(),
            alarms: meter
                .u64_counter(name("alarms_total"))
                .with_description("Policy snapshots not believed, by reason: each is worth a look")
                .build(),
        }
    }

    /// Feeds the policy topic into the watch until cancelled.
    ///
    /// # Errors
    /// When Kafka's client fails for good.
    pub async fn follow(
        self,
        kafka: KafkaConfig,
        topic: String,
        watch: SnapshotWatch,
        cancel: CancellationToken,
    ) -> Result<(), BusError> {
        let client = format!("{}-policy", self.service);
        let mut reading = Reading { feed: self, watch, caught_up: false, older_at_start: None };
        bus::tail(&kafka, &client, &topic, cancel, move |event| reading.event(&event)).await
    }

    /// Keeps the readiness check and the gauges true until cancelled.
    pub async fn watch_age(
        self,
        mut policy: PolicyHandle,
        clock: Arc<dyn Clock>,
        check: Check,
        cancel: CancellationToken,
    ) {
        loop {
            let now = clock.now();
            match (policy.current(now), policy.latest()) {
                (Some(_), _) => check.ready(),
                (None, Some(_)) => check.not_ready("the policy has expired and no newer one arrived: all is refused"),
                (None, None) => check.not_ready("no policy has arrived yet: all is refused"),
            }
            if let Some(policy) = policy.latest() {
                let snapshot = policy.snapshot();
                self.number.record(snapshot.number, &[]);
                #[expect(clippy::cast_precision_loss, reason = "a gauge")]
                self.seconds_left.record((snapshot.expires_at - now).num_milliseconds() as f64 / 1000.0, &[]);
            }
            tokio::select! {
                () = cancel.cancelled() => return,
                // When the watch is gone there is nothing to wait for but the end.
                alive = policy.changed() => if !alive { tokio::time::sleep(LOOK).await },
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    fn alarm(&self, reason: &'static str) {
        self.alarms.add(1, &[KeyValue::new("reason", reason)]);
    }
}

/// How far the topic has been read.
struct Reading {
    feed: Feed,
    watch: SnapshotWatch,
    caught_up: bool,
    older_at_start: Option<u64>,
}

impl Reading {
    fn event(&mut self, event: &TailEvent<'_>) {
        match event {
            TailEvent::Record { value: Some(value), position, .. } => self.offer(value, position),
            TailEvent::CaughtUp => {
                self.caught_up = true;
                // The newest on the topic is older than what an earlier run decided by: someone took snapshots away.
                if let Some(number) = self.older_at_start {
                    self.feed.alarm("older");
                    tracing::error!(number, "the policy topic ends with a snapshot older than one seen before");
                }
            }
            TailEvent::Away(reason) => tracing::warn!(reason, "the policy topic cannot be read"),
            TailEvent::Record { value: None, .. } | TailEvent::Back => {}
        }
    }

    fn offer(&mut self, value: &[u8], position: &Position) {
        let offer = self.watch.offer(value);
        let detail = match &offer {
            Offer::Accepted(policy) => {
                self.older_at_start = None;
                let snapshot = policy.snapshot();
                tracing::debug!(number = snapshot.number, expires_at = %snapshot.expires_at, "policy in force");
                return;
            }
            // The topic is read from its beginning: what was overtaken long ago still lies there until compaction.
            Offer::Older { number, .. } if !self.caught_up => {
                self.older_at_start = Some(*number);
                return;
            }
            Offer::Older { number, highest } => format!("number {number} after {highest}"),
            Offer::Forged(error) => error.to_string(),
            Offer::Unloadable(error) => error.to_string(),
            Offer::Unkept(error) => error.to_string(),
            Offer::Repeated => return,
        };
        if let Some(reason) = offer.alarm() {
            self.feed.alarm(reason);
            let (partition, offset) = (position.partition, position.offset);
            tracing::error!(reason, detail, partition, offset, "a policy snapshot was not believed");
        }
    }
}
