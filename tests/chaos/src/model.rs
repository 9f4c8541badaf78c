//! What each subscription may see, record by record, and what of what it got is otherwise.
//!
//! Faults, decisions and reads race, so nothing is taken to happen at a moment. A decision is *possibly* in force from when
//! its call began until it is known at the hub to have ended, and *certainly* from when it is known at the hub until the
//! call that ends it began. A record passed the hub in one of the ranges that the hub wrote down before ([`Range`]),
//! between that range's begin and its end. So a delivery is a violation when it was certainly forbidden in every range in
//! which it can have been made, and a hole is one when in no range that passed over it anything can have forbidden it.

mod ban;
mod ranges;

use std::collections::{BTreeMap, BTreeSet};

pub use ban::{Ban, Effect, Whom};
pub use ranges::{Range, Ranges};
use serde::Serialize;

use crate::content::{Content, Schemas};

/// Microseconds since 1970.
pub type Micros = i64;

/// Where a record lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Place {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
}

/// What lies there.
#[derive(Debug, Clone, PartialEq)]
pub struct Lying {
    /// The record key: a contact's id.
    pub contact: String,
    /// Who shares it; empty where nobody does (tombstones).
    pub publisher: String,
    pub said: Said,
    /// As the broker holds them: names and hex values, in order.
    pub headers: Vec<(String, Option<String>)>,
    /// Milliseconds since 1970.
    pub timestamp: i64,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    Known(Content),
    /// Intake sealed it, and its contact is erased: nobody can say any more.
    Destroyed,
    Tombstone,
}

/// A record as a client printed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    pub place: Place,
    pub key: Vec<u8>,
    pub value: Option<Vec<u8>>,
    /// Names and hex values, in order.
    pub headers: Vec<(String, Option<String>)>,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// The client's wall clock.
    pub at: Micros,
}

/// One client's reading of a subscription.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    pub subscription: String,
    /// Its company.
    pub company: String,
    pub client: String,
    pub topics: Vec<String>,
    pub items: BTreeSet<String>,
    /// What was disclosed before is not its doing.
    pub since: Micros,
    pub delivered: Vec<Delivered>,
}

/// Everything that was done and seen in a run.
#[derive(Debug, Default)]
pub struct Facts {
    pub schemas: Schemas,
    /// All that lies on the topics in the end.
    pub lying: BTreeMap<Place, Lying>,
    /// What brokers or intake acknowledged: where, and about whom it is; nobody named where intake did not say.
    pub acknowledged: BTreeMap<Place, String>,
    pub bans: Vec<Ban>,
    /// By subscription.
    pub ranges: BTreeMap<String, Ranges>,
    pub readings: Vec<Reading>,
}

/// What must not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wrong {
    /// Acknowledged, and not on the topic.
    LostByTheBroker,
    /// Nothing can have forbidden it, and it did not come.
    Lost,
    /// It came, and was forbidden all the time.
    Unpermitted,
    /// It came, and nothing was written down before.
    Undisclosed,
    /// It came, and is not what it must be.
    Bytes,
    /// It came, and does not lie there.
    Invented,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    pub wrong: Wrong,
    pub subscription: String,
    pub client: String,
    pub place: Place,
    pub contact: String,
    /// What is known about it.
    pub why: String,
}

/// The figures of one reading.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    pub subscription: String,
    pub client: String,
    /// Records that lie on its topics.
    pub published: u64,
    pub delivered: u64,
    pub withheld_publisher: u64,
    pub withheld_restricted: u64,
    pub withheld_erased: u64,
    /// Records without an e-mail address for the contact's sake.
    pub muted: u64,
    /// Delivered once more.
    pub duplicates: u64,
    pub lost: u64,
    pub without_permit: u64,
    pub without_disclosure: u64,
    pub wrong_bytes: u64,
}

/// How a run is judged.
#[derive(Debug, Default, Serialize)]
pub struct Verdict {
    pub tallies: Vec<Tally>,
    pub violations: Vec<Violation>,
}

/// Judges all of it.
pub fn judge(facts: &Facts) -> Verdict {
    let mut verdict = Verdict::default();
    for (place, contact) in &facts.acknowledged {
        if facts.lying.get(place).is_none_or(|lying| !contact.is_empty() && lying.contact != *contact) {
            verdict.violations.push(Violation {
                wrong: Wrong::LostByTheBroker,
                subscription: String::new(),
                client: String::new(),
                place: place.clone(),
                contact: contact.clone(),
                why: "acknowledged, and not on the topic".to_owned(),
            });
        }
    }
    for reading in &facts.readings {
        let (tally, violations) = Judge::new(facts, reading).judge();
        verdict.tallies.push(tally);
        verdict.violations.extend(violations);
    }
    verdict
}

struct Judge<'a> {
    facts: &'a Facts,
    reading: &'a Reading,
    ranges: &'a Ranges,
    /// Bans that speak of this subscription, or of contacts and publishers.
    bans: BTreeMap<Whom, Vec<&'a Ban>>,
    tally: Tally,
    violations: Vec<Violation>,
}

static NO_RANGES: Ranges = Ranges::none();

impl<'a> Judge<'a> {
    fn new(facts: &'a Facts, reading: &'a Reading) -> Self {
        let mut bans: BTreeMap<Whom, Vec<&Ban>> = BTreeMap::new();
        for ban in &facts.bans {
            bans.entry(ban.whom.clone()).or_default().push(ban);
        }
        let tally = Tally {
            subscription: reading.subscription.clone(),
            client: reading.client.clone(),
            published: facts.lying.keys().filter(|place| reading.topics.contains(&place.topic)).count() as u64,
            ..Tally::default()
        };
        let ranges = facts.ranges.get(&reading.subscription).unwrap_or(&NO_RANGES);
        Self { facts, reading, ranges, bans, tally, violations: Vec::new() }
    }

    fn judge(mut self) -> (Tally, Vec<Violation>) {
        let mut seen = BTreeSet::new();
        for delivered in &self.reading.delivered {
            if !seen.insert(&delivered.place) {
                self.tally.duplicates += 1;
            }
            self.delivery(delivered);
        }
        self.tally.delivered = seen.len() as u64;
        for (place, lying) in &self.facts.lying {
            if self.reading.topics.contains(&place.topic) && !seen.contains(place) {
                self.hole(place, lying);
            }
        }
        (self.tally, self.violations)
    }

    fn delivery(&mut self, delivered: &Delivered) {
        let Some(lying) = self.facts.lying.get(&delivered.place) else {
            return self.violated(Wrong::Invented, &delivered.place, "", "nothing lies there".to_owned());
        };
        let place = &delivered.place;
        let contact = &lying.contact;
        if !self.reading.topics.contains(&place.topic) {
            return self.violated(Wrong::Unpermitted, place, contact, "the topic was not granted".to_owned());
        }
        let ranges: Vec<&Range> = self
            .ranges
            .over(place)
            .filter(|range| range.at >= self.reading.since && range.at <= delivered.at)
            .collect();
        if ranges.is_empty() {
            self.tally.without_disclosure += 1;
            return self.violated(Wrong::Undisclosed, place, contact, format!("read at {}", delivered.at));
        }
        let forbidding = |range: &Range| {
            let until = range.end.min(delivered.at);
            let forbids = |ban: &&&Ban| ban.effect != Effect::Mute && ban.certain(range, until);
            self.bans_of(lying).iter().find(forbids).map(ToString::to_string)
        };
        let permitted: Vec<&Range> = ranges.iter().copied().filter(|range| forbidding(range).is_none()).collect();
        if permitted.is_empty() {
            let why = ranges.iter().map(|range| format!("{range}: {}", forbidding(range).unwrap_or_default()));
            let why = format!("read at {}; {}", delivered.at, why.collect::<Vec<_>>().join("; "));
            self.tally.without_permit += 1;
            return self.violated(Wrong::Unpermitted, place, contact, why);
        }
        self.bytes(delivered, lying, &permitted);
    }

    fn bytes(&mut self, delivered: &Delivered, lying: &Lying, ranges: &[&Range]) {
        let mutes: Vec<&Ban> = self.bans_of(lying).into_iter().filter(|ban| ban.effect == Effect::Mute).collect();
        let until = |range: &Range| range.end.min(delivered.at);
        let may_be_muted = ranges.iter().any(|range| mutes.iter().any(|ban| ban.possible(range, until(range))));
        let must_be_muted = ranges.iter().all(|range| mutes.iter().any(|ban| ban.certain(range, until(range))));
        let shown = |muted| match &lying.said {
            Said::Known(content) => Some(content.seen_with(&self.reading.items, muted, &self.facts.schemas)),
            Said::Destroyed | Said::Tombstone => None,
        };
        let whole = match lying.said {
            Said::Destroyed => delivered.value.is_some(),
            Said::Known(_) | Said::Tombstone => !must_be_muted && delivered.value == shown(false),
        };
        let muted = !whole && may_be_muted && delivered.value.is_some() && delivered.value == shown(true);
        let key = delivered.key == lying.contact.as_bytes();
        let headers = delivered.headers == lying.headers;
        let timestamp = delivered.timestamp == lying.timestamp;
        if (whole || muted) && key && headers && timestamp {
            self.tally.muted += u64::from(muted);
            return;
        }
        self.tally.wrong_bytes += 1;
        let got = delivered.value.as_deref().map(hex::encode);
        let why = format!(
            "key {key}, headers {headers}, timestamp {timestamp}, may be muted {may_be_muted}, must be {must_be_muted}; got {got:?}, whole is {:?}",
            shown(false).map(hex::encode)
        );
        self.violated(Wrong::Bytes, &delivered.place, &lying.contact, why);
    }

    fn hole(&mut self, place: &Place, lying: &Lying) {
        let ranges: Vec<&Range> = self.ranges.over(place).filter(|range| range.at >= self.reading.since).collect();
        let withholds = |ban: &Ban| {
            matches!(ban.effect, Effect::Withhold | Effect::Erase)
                && ranges.iter().any(|range| ban.possible(range, range.end))
        };
        let excuse =
            self.bans_of(lying).into_iter().filter(|_| lying.said != Said::Tombstone).find(|ban| withholds(ban));
        match excuse {
            Some(Ban { whom: Whom::Publisher(_), .. }) => self.tally.withheld_publisher += 1,
            Some(Ban { effect: Effect::Erase, .. }) => self.tally.withheld_erased += 1,
            Some(_) => self.tally.withheld_restricted += 1,
            None => {
                self.tally.lost += 1;
                let over: Vec<String> = ranges.iter().map(ToString::to_string).collect();
                let tombstone = lying.said == Said::Tombstone;
                let why = format!("tombstone {tombstone}; passed over in: {}", over.join("; "));
                self.violated(Wrong::Lost, place, &lying.contact, why);
            }
        }
    }

    /// What was ever decided that concerns this record for this subscription.
    fn bans_of(&self, lying: &Lying) -> Vec<&'a Ban> {
        let mut whom =
            vec![Whom::Subscription(self.reading.subscription.clone()), Whom::Company(self.reading.company.clone())];
        // A tombstone tells nothing of anybody.
        if lying.said != Said::Tombstone {
            whom.push(Whom::Contact(lying.contact.clone()));
            whom.push(Whom::Publisher(lying.publisher.clone()));
        }
        whom.iter().filter_map(|whom| self.bans.get(whom)).flatten().copied().collect()
    }

    fn violated(&mut self, wrong: Wrong, place: &Place, contact: &str, why: String) {
        self.violations.push(Violation {
            wrong,
            subscription: self.reading.subscription.clone(),
            client: self.reading.client.clone(),
            place: place.clone(),
            contact: contact.to_owned(),
            why,
        });
    }
}

#[cfg(test)]
mod tests;
