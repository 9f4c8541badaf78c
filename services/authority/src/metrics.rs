//! What the authority measures. Labels are closed words: never an id, a name or an address.

use std::time::Duration;

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Gauge, Histogram},
};
use runtime::metrics::Metric;

/// The names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    /// See [`Metric::help`], as for the others.
    PolicyNumber,
    PolicyToldSeconds,
    PolicyFailures,
    Changes,
    Tokens,
    SignIns,
    AuditSigned,
    AuditFailures,
    AuditRefused,
}

impl Metric for Name {
    fn name(self) -> &'static str {
        match self {
            Self::PolicyNumber => "authority_policy_number",
            Self::PolicyToldSeconds => "authority_policy_told_seconds",
            Self::PolicyFailures => "authority_policy_failures_total",
            Self::Changes => "authority_changes_total",
            Self::Tokens => "authority_tokens_total",
            Self::SignIns => "authority_sign_ins_total",
            Self::AuditSigned => "authority_audit_signed_entries",
            Self::AuditFailures => "authority_audit_failures_total",
            Self::AuditRefused => "authority_audit_refused_leaves_total",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::PolicyNumber => "Number of the newest snapshot that the brokers acknowledged",
            Self::PolicyToldSeconds => {
                "From a change call to the brokers' acknowledgement of the snapshot that holds it"
            }
            Self::PolicyFailures => "Snapshots that could not be issued, by the part that failed",
            Self::Changes => "Decisions recorded, by action",
            Self::Tokens => "Answers of the token endpoint, by outcome",
            Self::SignIns => "Operators' sign-ins, by outcome",
            Self::AuditSigned => "Entries of the audit log that the newest checkpoint covers",
            Self::AuditRefused => "Records on the audit topic that are no leaf of a ledger: somebody else wrote there",
            Self::AuditFailures => "Times that no checkpoint of the audit log could be signed",
        }
    }
}

/// The instruments.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    policy_number: Gauge<f64>,
    policy_told: Histogram<f64>,
    policy_failures: Counter<u64>,
    changes: Counter<u64>,
    tokens: Counter<u64>,
    sign_ins: Counter<u64>,
    audit_signed: Gauge<f64>,
    audit_failures: Counter<u64>,
    audit_refused: Counter<u64>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            policy_number: Name::PolicyNumber.gauge(),
            policy_told: Name::PolicyToldSeconds.seconds(),
            policy_failures: Name::PolicyFailures.counter(),
            changes: Name::Changes.counter(),
            tokens: Name::Tokens.counter(),
            sign_ins: Name::SignIns.counter(),
            audit_signed: Name::AuditSigned.gauge(),
            audit_failures: Name::AuditFailures.counter(),
            audit_refused: Name::AuditRefused.counter(),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 snapshots")]
    pub(crate) fn told(&self, number: u64) {
        self.policy_number.record(number as f64, &[]);
    }

    pub(crate) fn change_told(&self, took: Duration) {
        self.policy_told.record(took.as_secs_f64(), &[]);
    }

    pub(crate) fn policy_failed(&self, part: &'static str) {
        self.policy_failures.add(1, &[KeyValue::new("part", part)]);
    }

    pub(crate) fn changed(&self, action: &'static str) {
        self.changes.add(1, &[KeyValue::new("action", action)]);
    }

    pub(crate) fn token(&self, outcome: &'static str) {
        self.tokens.add(1, &[KeyValue::new("outcome", outcome)]);
    }

    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 entries")]
    pub(crate) fn audit_signed(&self, size: u64) {
        self.audit_signed.record(size as f64, &[]);
    }

    pub(crate) fn audit_refused(&self) {
        self.audit_refused.add(1, &[]);
    }

    pub(crate) fn audit_failed(&self) {
        self.audit_failures.add(1, &[]);
    }

    pub(crate) fn sign_in(&self, outcome: &'static str) {
        self.sign_ins.add(1, &[KeyValue::new("outcome", outcome)]);
    }
}
