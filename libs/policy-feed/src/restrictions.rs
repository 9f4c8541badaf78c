//! The stop list in force: what arrives on its topic, believed or not, and how old it may get.
//!
//! Measured as `<service>_restrictions_sequence`, `<service>_restrictions_entries`, `<service>_restrictions_seconds_left`
//! and `<service>_restrictions_alarms_total{reason}`.

use std::{sync::Arc, time::Duration};

use authority_api::{RestrictionOffer, RestrictionWatch, Restrictions};
use bus::{BusError, KafkaConfig, Position, TailEvent};
use jointuse::Clock;
use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Gauge},
};
use runtime::Check;
use tokio_util::sync::CancellationToken;

/// How often the age of the list is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// What a service follows a stop list with. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RestrictionFeed {
    client: String,
    sequence: Gauge<u64>,
    entries: Gauge<u64>,
    seconds_left: Gauge<f64>,
    alarms: Counter<u64>,
}

impl RestrictionFeed {
    /// For the service of this name; call after telemetry is set up.
    pub fn new(service: &str) -> Self {
        Self::named(service, "restrictions")
    }

    /// For another list than the authority's.
    pub fn named(service: &str, list: &str) -> Self {
        let (meter, name) = (global::meter("restrictions"), |what: &str| format!("{service}_{list}_{what}"));
        Self {
            client: format!("{service}-{}", list.replace('_', "-")),
            sequence: meter
                .u64_gauge(name("sequence"))
                .with_description("Number up to which the stop list in force is whole")
                .build(),
            entries: meter.u64_gauge(name("entries")).with_description("Contacts on the stop list in force").build(),
            seconds_left: meter
                .f64_gauge(name("seconds_left"))
                .with_description("Seconds until the stop list expires; negative when it has")
                .build(),
            alarms: meter
                .u64_counter(name("alarms_total"))
                .with_description("Pages and heads of the stop list not believed, by reason: each is worth a look")
                .build(),
        }
    }

    /// Feeds the topic into the watch until cancelled.
    ///
    /// # Errors
    /// When Kafka's client fails for good.
    pub async fn follow(
        self,
        kafka: KafkaConfig,
        topic: String,
        watch: RestrictionWatch,
        cancel: CancellationToken,
    ) -> Result<(), BusError> {
        let client = self.client.clone();
        let mut reading = Reading { feed: self, watch, caught_up: false, owed: None };
        bus::tail(&kafka, &client, &topic, cancel, move |event| reading.event(&event)).await
    }

    /// Keeps the readiness check and the gauges true until cancelled.
    pub async fn watch_age(self, list: Restrictions, clock: Arc<dyn Clock>, check: Check, cancel: CancellationToken) {
        self.watch(list, clock, cancel, |standing| match standing {
            Standing::InForce => check.ready(),
            Standing::Expired => check.not_ready("the stop list has expired and nothing newer arrived: all is refused"),
            Standing::Missing => check.not_ready("the stop list has not arrived as a whole: all is refused"),
        })
        .await;
    }

    /// Keeps the gauges alone true until cancelled: for a list that is not always needed.
    pub async fn watch_gauges(self, list: Restrictions, clock: Arc<dyn Clock>, cancel: CancellationToken) {
        self.watch(list, clock, cancel, |_| ()).await;
    }

    async fn watch(
        self,
        mut list: Restrictions,
        clock: Arc<dyn Clock>,
        cancel: CancellationToken,
        tell: impl Fn(Standing),
    ) {
        loop {
            let now = clock.now();
            tell(match (list.current(now), list.latest()) {
                (Some(_), _) => Standing::InForce,
                (None, Some(_)) => Standing::Expired,
                (None, None) => Standing::Missing,
            });
            if let Some(held) = list.latest() {
                self.sequence.record(held.sequence, &[]);
                self.entries.record(held.list.len(), &[]);
                #[expect(clippy::cast_precision_loss, reason = "a gauge")]
                self.seconds_left.record((held.expires_at - now.timestamp_millis()) as f64 / 1000.0, &[]);
            }
            tokio::select! {
                () = cancel.cancelled() => return,
                // When the watch is gone there is nothing to wait for but the end.
                alive = list.changed() => if !alive { tokio::time::sleep(LOOK).await },
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    fn alarm(&self, reason: &'static str) {
        self.alarms.add(1, &[KeyValue::new("reason", reason)]);
    }
}

/// Whether there is a list to go by.
enum Standing {
    InForce,
    Expired,
    Missing,
}

/// How far the topic has been read.
struct Reading {
    feed: RestrictionFeed,
    watch: RestrictionWatch,
    caught_up: bool,
    /// What was wrong with the last head before everything had been read, if something was.
    owed: Option<&'static str>,
}

impl Reading {
    fn event(&mut self, event: &TailEvent<'_>) {
        match event {
            TailEvent::Record { value: Some(value), position, .. } => self.offer(value, position),
            TailEvent::CaughtUp => {
                self.caught_up = true;
                if let Some(reason) = self.owed.take() {
                    self.feed.alarm(reason);
                    tracing::error!(reason, "the stop list's topic ends with a list that cannot be believed");
                }
            }
            TailEvent::Away(reason) => tracing::warn!(reason, "the stop list cannot be read"),
            TailEvent::Record { value: None, .. } | TailEvent::Back => {}
        }
    }

    fn offer(&mut self, value: &[u8], position: &Position) {
        let offer = self.watch.offer(value);
        if let RestrictionOffer::Head(head) = &offer {
            self.owed = None;
            tracing::debug!(sequence = head.sequence, entries = head.entries, "stop list in force");
            return;
        }
        let Some(reason) = offer.alarm() else { return };
        // The topic is read from its beginning: what was overtaken long ago still lies there until compaction, and heads
        // may stand before pages that were told anew.
        let passing =
            matches!(offer, RestrictionOffer::Older | RestrictionOffer::Incomplete | RestrictionOffer::Rewound);
        if passing && !self.caught_up {
            if !matches!(offer, RestrictionOffer::Older) {
                self.owed = Some(reason);
            }
            return;
        }
        self.feed.alarm(reason);
        let detail = match &offer {
            RestrictionOffer::Forged(error) => error.to_string(),
            RestrictionOffer::Unkept(error) => error.to_string(),
            _ => String::new(),
        };
        let (partition, offset) = (position.partition, position.offset);
        tracing::error!(reason, detail, partition, offset, "a part of the stop list was not believed");
    }
}
