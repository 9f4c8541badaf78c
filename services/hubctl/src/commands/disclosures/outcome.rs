//! Whether a record that stands in a range was delivered with it. A range knows how many of its records were withheld, not
//! which; what is known beside it makes some of them certain.

use authority_api::types::{DisclosedRange, ErasedContact, Restriction};
use jointuse::ContactId;
use restriction::Measure;
use serde::Serialize;

/// What became of the records of a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Outcome {
    /// They were delivered, as a whole or with items blanked.
    Delivered,
    /// None of them was.
    Withheld,
    /// They were, unless for a reason that is named.
    DeliveredUnless,
}

/// What stopped deliveries of contacts.
#[derive(Debug, Default)]
pub(super) struct Stops {
    pub(super) restrictions: Vec<Restriction>,
    pub(super) erased: Vec<ErasedContact>,
}

impl Stops {
    /// The restriction that was regarded for a contact when everything up to this number was.
    fn restriction(&self, contact: &ContactId, regarded: i64) -> Option<&Restriction> {
        let regarded = u64::try_from(regarded).unwrap_or_default();
        let stops = |r: &&Restriction| {
            r.contact == *contact
                && matches!(r.measure, Measure::Use | Measure::Provision)
                && r.id <= regarded
                && r.lifted.as_ref().is_none_or(|lifted| lifted.number > regarded)
        };
        self.restrictions.iter().find(stops)
    }
}

/// What became of a contact's records in a range, and how that is said to people.
pub(super) fn of(range: &DisclosedRange, contact: &ContactId, stops: &Stops) -> (Outcome, String) {
    if let Some(restriction) = stops.restriction(contact, range.restrictions) {
        return (Outcome::Withheld, format!("withheld: restriction {}", restriction.id));
    }
    let unreadable = |one: &&ErasedContact| one.contact == *contact && one.heard_at.is_some_and(|at| range.at >= at);
    if let Some(erased) = stops.erased.iter().find(unreadable) {
        return (Outcome::Withheld, format!("withheld: erasure {}", erased.erasure));
    }
    if range.delivered == 0 && !range.open {
        return (Outcome::Withheld, "withheld: nothing of the range was delivered".to_owned());
    }
    let offsets = range.last_offset - range.first_offset + 1;
    let there = range.delivered + range.withheld;
    let mut unless = Vec::new();
    if range.withheld > 0 {
        unless.push(format!("withheld ({} of {there} in the range)", range.withheld));
    }
    if range.open {
        // How much of it left is not known, so neither is how many offsets were empty.
        unless.push("not reached (the range was reserved ahead)".to_owned());
    } else if there < offsets {
        unless.push(format!("no longer on the topic ({there} of {offsets} offsets held a record)"));
    }
    if unless.is_empty() {
        (Outcome::Delivered, "delivered".to_owned())
    } else {
        (Outcome::DeliveredUnless, format!("delivered unless {}", unless.join(" or ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use authority_api::types::Lifted;
    use chrono::{DateTime, TimeDelta};
    use restriction::Reach;

    fn contact() -> ContactId {
        "0123456789abcdef0123456789abcdef".parse().unwrap()
    }

    fn range(delivered: i64, withheld: i64, last: i64) -> DisclosedRange {
        DisclosedRange {
            id: uuid::Uuid::nil(),
            login: "ju-sub-sales-1".into(),
            subscription: "sales".into(),
            company: "persol-career".into(),
            purpose: "p".into(),
            notice_version: 1,
            decision: "d".into(),
            snapshot: 3,
            topic: "jointuse.contact".into(),
            partition: 0,
            first_offset: 0,
            last_offset: last,
            delivered,
            withheld,
            open: false,
            restrictions: 7,
            at: DateTime::UNIX_EPOCH + TimeDelta::seconds(10),
            until: DateTime::UNIX_EPOCH + TimeDelta::seconds(20),
        }
    }

    fn restriction(id: u64, measure: Measure, lifted: Option<u64>) -> Restriction {
        let by = "sato".parse().unwrap();
        let lifted = lifted.map(|number| Lifted { number, by, at: DateTime::UNIX_EPOCH, reason: "r".into() });
        Restriction {
            id,
            contact: contact(),
            measure,
            reach: Reach::Contact,
            reason: "r".into(),
            added_by: "kimura".parse().unwrap(),
            added_at: DateTime::UNIX_EPOCH,
            lifted,
        }
    }

    fn says(range: &DisclosedRange, stops: &Stops) -> (Outcome, String) {
        of(range, &contact(), stops)
    }

    #[test]
    fn counts_say_what_is_certain() {
        let none = Stops::default();
        assert_eq!(says(&range(10, 0, 9), &none), (Outcome::Delivered, "delivered".into()));
        assert_eq!(says(&range(0, 10, 9), &none).0, Outcome::Withheld);
        let (outcome, text) = says(&range(9, 1, 9), &none);
        assert_eq!(
            (outcome, text.as_str()),
            (Outcome::DeliveredUnless, "delivered unless withheld (1 of 10 in the range)")
        );
        let (outcome, text) = says(&range(4, 0, 9), &none);
        assert_eq!(outcome, Outcome::DeliveredUnless);
        assert!(text.contains("no longer on the topic (4 of 10 offsets held a record)"), "{text}");
        let open = DisclosedRange { open: true, ..range(10, 0, 99) };
        assert!(says(&open, &none).1.contains("reserved ahead"));
        let open = DisclosedRange { open: true, ..range(0, 0, 99) };
        assert_eq!(says(&open, &none).0, Outcome::DeliveredUnless, "a hub that was killed tells the most");
    }

    #[test]
    fn a_restriction_counts_between_its_numbers() {
        for (restriction, withheld) in [
            (restriction(7, Measure::Use, None), true),
            (restriction(8, Measure::Use, None), false),
            (restriction(5, Measure::Provision, Some(7)), false),
            (restriction(5, Measure::Provision, Some(8)), true),
            (restriction(5, Measure::Mail, None), false),
        ] {
            let said = says(&range(9, 1, 9), &Stops { restrictions: vec![restriction.clone()], erased: Vec::new() });
            assert_eq!(said.0 == Outcome::Withheld, withheld, "{restriction:?}: {said:?}");
        }
        let other = Restriction { contact: "f".repeat(32).parse().unwrap(), ..restriction(1, Measure::Use, None) };
        let stops = Stops { restrictions: vec![other], erased: Vec::new() };
        assert_eq!(says(&range(10, 0, 9), &stops).0, Outcome::Delivered);
    }

    #[test]
    fn an_erasure_counts_once_it_was_heard() {
        let erased = |heard: Option<i64>| Stops {
            restrictions: Vec::new(),
            erased: vec![ErasedContact {
                contact: contact(),
                erasure: uuid::Uuid::nil(),
                asked_at: DateTime::UNIX_EPOCH,
                heard_at: heard.map(|at| DateTime::UNIX_EPOCH + TimeDelta::seconds(at)),
            }],
        };
        assert_eq!(says(&range(9, 1, 9), &erased(Some(10))).0, Outcome::Withheld);
        assert_eq!(says(&range(9, 1, 9), &erased(Some(11))).0, Outcome::DeliveredUnless);
        assert_eq!(says(&range(9, 1, 9), &erased(None)).0, Outcome::DeliveredUnless);
    }
}
