//! Publications and subscriptions: a company's permission to publish or to read.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// State of a publication or subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GrantState {
    /// Asked for; nobody approved yet.
    Requested,
    /// In force within its term.
    Approved,
    /// Refused by the second operator.
    Declined,
    /// Stopped for a time.
    Suspended,
    /// Ended for good.
    Revoked,
}

impl GrantState {
    /// Whether an operator may move a grant from this state to `next`.
    pub const fn may_become(self, next: Self) -> bool {
        use GrantState as G;
        matches!(
            (self, next),
            (G::Requested, G::Approved | G::Declined | G::Revoked)
                | (G::Approved, G::Suspended | G::Revoked)
                | (G::Suspended, G::Approved | G::Revoked)
        )
    }

    /// The word used in APIs and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Approved => "approved",
            Self::Declined => "declined",
            Self::Suspended => "suspended",
            Self::Revoked => "revoked",
        }
    }
}

/// When a grant is in force: from inclusive, until exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    /// First instant.
    pub from: DateTime<Utc>,
    /// First instant after it.
    pub until: DateTime<Utc>,
}

impl Term {
    /// Whether `at` lies in the term.
    pub fn contains(&self, at: DateTime<Utc>) -> bool {
        self.from <= at && at < self.until
    }
}
