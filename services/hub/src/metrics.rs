//! Names of everything the hub measures. Labels are topics, logins, reasons and API names; never anything of a record.

use std::time::Duration;

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram, UpDownCounter},
};
use runtime::metrics::Metric;

use crate::{delivery::Passed, refusal::Refusal};

/// The metrics' names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    /// Open client connections.
    Connections,
    /// Connections ended, by why.
    Closed,
    /// Requests, by API.
    Requests,
    /// Fetches that the broker answered, by how they stand to a session.
    Fetches,
    /// Fetch sessions.
    FetchSessions,
    /// Refusals, by reason and API.
    Refusals,
    /// Record set bytes that left, by topic.
    DeliveredBytes,
    /// Records that left, by topic.
    DeliveredRecords,
    /// Records that did not leave, by topic and reason.
    WithheldRecords,
    /// Records found broken for the first time, by topic and reason.
    Quarantined,
    /// Records that left opened, by topic.
    OpenedRecords,
    /// Records that left with items blanked, by topic.
    BlankedRecords,
    /// From the decision to the closed connection.
    Revocation,
    /// From handing over to durable.
    Disclosure,
    /// Rows in one transaction.
    DisclosureRows,
}

impl Metric for Name {
    fn name(self) -> &'static str {
        match self {
            Self::Connections => "hub_connections",
            Self::Closed => "hub_connections_closed_total",
            Self::Requests => "hub_requests_total",
            Self::Fetches => "hub_fetches_total",
            Self::FetchSessions => "hub_fetch_sessions",
            Self::Refusals => "hub_refusals_total",
            Self::DeliveredBytes => "hub_delivered_bytes_total",
            Self::DeliveredRecords => "hub_delivered_records_total",
            Self::WithheldRecords => "hub_withheld_records_total",
            Self::Quarantined => "hub_quarantined_total",
            Self::OpenedRecords => "hub_opened_records_total",
            Self::BlankedRecords => "hub_blanked_records_total",
            Self::Revocation => "hub_revocation_seconds",
            Self::Disclosure => "hub_disclosure_commit_seconds",
            Self::DisclosureRows => "hub_disclosure_rows",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::Connections => "Open client connections",
            Self::Closed => "Client connections ended, by reason",
            Self::Requests => "Requests read from clients, by API",
            Self::Fetches => {
                "Fetches that the broker answered, by what was asked for: whole, without a session; begin; change"
            }
            Self::FetchSessions => "Fetch sessions of clients that are mirrored",
            Self::Refusals => "Requests, topics and connections refused, by reason and API",
            Self::DeliveredBytes => "Bytes of record sets delivered, by topic",
            Self::DeliveredRecords => "Records delivered, by topic",
            Self::WithheldRecords => "Records of granted topics that were withheld, by topic and reason",
            Self::Quarantined => "Records found broken, each once however often it is read, by topic and reason",
            Self::OpenedRecords => "Records delivered that were opened, by topic",
            Self::BlankedRecords => "Records delivered with items blanked that were not granted, by topic",
            Self::Revocation => "From the decision that ended a grant to the closed connection",
            Self::Disclosure => "From handing a disclosure over until it was durable",
            Self::DisclosureRows => "Disclosure rows committed together",
        }
    }
}

/// The instruments.
#[derive(Debug)]
pub(crate) struct Metrics {
    connections: UpDownCounter<i64>,
    closed: Counter<u64>,
    requests: Counter<u64>,
    fetches: Counter<u64>,
    fetch_sessions: UpDownCounter<i64>,
    refusals: Counter<u64>,
    delivered_bytes: Counter<u64>,
    delivered_records: Counter<u64>,
    withheld_records: Counter<u64>,
    quarantined: Counter<u64>,
    opened_records: Counter<u64>,
    blanked_records: Counter<u64>,
    revocation: Histogram<f64>,
    disclosure: Histogram<f64>,
    disclosure_rows: Histogram<f64>,
}

impl Metrics {
    /// Makes them; call once, after telemetry is set up.
    pub(crate) fn new() -> Self {
        Self {
            connections: Name::Connections.up_down(),
            closed: Name::Closed.counter(),
            requests: Name::Requests.counter(),
            fetches: Name::Fetches.counter(),
            fetch_sessions: Name::FetchSessions.up_down(),
            refusals: Name::Refusals.counter(),
            delivered_bytes: Name::DeliveredBytes.counter(),
            delivered_records: Name::DeliveredRecords.counter(),
            withheld_records: Name::WithheldRecords.counter(),
            quarantined: Name::Quarantined.counter(),
            opened_records: Name::OpenedRecords.counter(),
            blanked_records: Name::BlankedRecords.counter(),
            revocation: Name::Revocation.seconds(),
            disclosure: Name::Disclosure.seconds(),
            disclosure_rows: Name::DisclosureRows
                .histogram(vec![1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 1000.0]),
        }
    }

    /// A connection was accepted.
    pub(crate) fn opened(&self) {
        self.connections.add(1, &[]);
    }

    /// A connection ended.
    pub(crate) fn closed(&self, why: &'static str) {
        self.connections.add(-1, &[]);
        self.closed.add(1, &[KeyValue::new("why", why)]);
    }

    /// A request was read.
    pub(crate) fn request(&self, api: &'static str) {
        self.requests.add(1, &[KeyValue::new("api", api)]);
    }

    /// A Fetch was answered by the broker.
    pub(crate) fn fetch(&self, asked: &'static str) {
        self.fetches.add(1, &[KeyValue::new("asked", asked)]);
    }

    /// So many fetch sessions more.
    pub(crate) fn sessions(&self, more: i64) {
        self.fetch_sessions.add(more, &[]);
    }

    /// Something was refused.
    pub(crate) fn refused(&self, why: Refusal, api: &'static str) {
        self.refusals.add(1, &[KeyValue::new("reason", why.label()), KeyValue::new("api", api)]);
    }

    /// Records left for a client.
    pub(crate) fn delivered(&self, topic: &str, bytes: usize, records: u64) {
        let label = [KeyValue::new("topic", topic.to_owned())];
        self.delivered_bytes.add(u64::try_from(bytes).unwrap_or(u64::MAX), &label);
        self.delivered_records.add(records, &label);
    }

    /// Records were held back from a client, or left with less in them.
    pub(crate) fn passed(&self, topic: &str, passed: &Passed) {
        for (reason, count) in passed.withheld.by_reason() {
            let labels = [KeyValue::new("topic", topic.to_owned()), KeyValue::new("reason", reason.label())];
            self.withheld_records.add(count, &labels);
        }
        for (counter, count) in [(&self.opened_records, passed.opened), (&self.blanked_records, passed.blanked)] {
            if count > 0 {
                counter.add(count, &[KeyValue::new("topic", topic.to_owned())]);
            }
        }
    }

    /// Records were found broken that were not known to be.
    pub(crate) fn quarantined(&self, topic: &str, reason: &str, count: u64) {
        let labels = [KeyValue::new("topic", topic.to_owned()), KeyValue::new("reason", reason.to_owned())];
        self.quarantined.add(count, &labels);
    }

    /// A live connection was closed by a decision.
    pub(crate) fn revoked(&self, seconds: f64) {
        self.revocation.record(seconds, &[]);
    }

    /// Rows became durable.
    pub(crate) fn disclosed(&self, rows: usize, took: Duration) {
        self.disclosure.record(took.as_secs_f64(), &[]);
        self.disclosure_rows.record(f64::from(u32::try_from(rows).unwrap_or(u32::MAX)), &[]);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
