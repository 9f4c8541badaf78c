//! Membership: what a company's published notice entitles it to.
//!
//! It follows from the notice's life: drafted, notified (to the principals or the Commission where needed), published,
//! evidence checked by Holdings, then active. Only [`Membership::Active`] lets records in or out.

use serde::{Deserialize, Serialize};

/// State of a company in the joint use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Membership {
    /// Registered; no notice yet.
    None,
    /// A notice is being written.
    Drafted,
    /// The company told Holdings that it notified.
    Notified,
    /// The notice is public at its URL.
    Published,
    /// Holdings compared the evidence with the notice.
    EvidenceChecked,
    /// In the joint use.
    Active,
    /// Stopped for a time.
    Suspended,
    /// Leaving: may no longer publish or read, obligations remain.
    Exiting,
    /// Left.
    Ended,
}

impl Membership {
    /// Whether the law's steps allow going from this state to `next`.
    pub const fn may_become(self, next: Self) -> bool {
        use Membership as M;
        matches!(
            (self, next),
            (M::None, M::Drafted)
                | (M::Drafted, M::Notified)
                | (M::Notified, M::Published)
                | (M::Published, M::EvidenceChecked)
                | (M::EvidenceChecked, M::Active)
                | (M::Active, M::Suspended | M::Exiting)
                | (M::Suspended, M::Active | M::Exiting)
                | (M::Exiting, M::Ended)
                // A notice withdrawn before or after activation takes the company back to the start.
                | (M::Drafted | M::Notified | M::Published | M::EvidenceChecked | M::Active | M::Suspended, M::None)
        )
    }

    /// The word used in APIs and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Drafted => "drafted",
            Self::Notified => "notified",
            Self::Published => "published",
            Self::EvidenceChecked => "evidence-checked",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Exiting => "exiting",
            Self::Ended => "ended",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Membership as M;

    #[test]
    fn only_checked_evidence_leads_to_active() {
        for from in [M::None, M::Drafted, M::Notified, M::Published, M::Exiting, M::Ended] {
            assert!(!from.may_become(M::Active), "{from:?}");
        }
        assert!(M::EvidenceChecked.may_become(M::Active));
        assert!(M::Suspended.may_become(M::Active));
        assert!(!M::Ended.may_become(M::Drafted));
    }
}
