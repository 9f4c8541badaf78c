//! Decisions that keep records from somebody, and when they can have been and must have been in force.

use std::fmt;

use super::{Micros, Range};

/// About whom a decision is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whom {
    /// The records of a contact.
    Contact(String),
    /// The records that a company shares.
    Publisher(String),
    /// What a company's subscription gets.
    Company(String),
    /// What a subscription gets.
    Subscription(String),
}

/// What it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Records are passed over.
    Withhold,
    /// As that, for ever.
    Erase,
    /// The address for mail is null.
    Mute,
    /// Nothing is given, and nothing passed over: it comes when the decision has ended.
    Refuse,
}

/// A decision.
#[derive(Debug, Clone)]
pub struct Ban {
    pub whom: Whom,
    pub effect: Effect,
    /// When the call began: not in force before.
    pub called: Micros,
    /// From when it is known to be in force at the hub.
    pub known: Option<Micros>,
    /// A range with this number was made with the decision in force, whatever the time: of the stop list for contacts, of
    /// the policy for others.
    pub number: Option<u64>,
    /// When the call that ends it began.
    pub lift_called: Option<Micros>,
    /// From when it is known at the hub to have ended.
    pub lift_known: Option<Micros>,
}

/// A margin for a range's begin, which is read a moment after its records were judged.
const JUDGED_BEFORE: Micros = 200_000;

impl Ban {
    /// Whether it was in force all the time from a range's begin until `until`.
    pub(super) fn certain(&self, range: &Range, until: Micros) -> bool {
        let number = match self.whom {
            Whom::Contact(_) => range.stops,
            Whom::Publisher(_) | Whom::Company(_) | Whom::Subscription(_) => range.policy,
        };
        let begun = self.known.is_some_and(|known| known < range.at) || self.number.is_some_and(|from| from <= number);
        begun && self.lift_called.is_none_or(|lift| until < lift)
    }

    /// Whether it can have been in force at some time from a range's begin until `until`.
    pub(super) fn possible(&self, range: &Range, until: Micros) -> bool {
        self.called <= until && self.lift_known.is_none_or(|lifted| lifted >= range.at - JUDGED_BEFORE)
    }
}

impl fmt::Display for Ban {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { whom, effect, called, known, number, lift_called, lift_known } = self;
        write!(
            f,
            "{effect:?} {whom:?} (called {called}, known {known:?}, number {number:?}, lift called {lift_called:?}, known {lift_known:?})"
        )
    }
}
