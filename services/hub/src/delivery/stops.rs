//! What the stop lists say of a record: the authority's, and what history tells of persons.

use std::sync::Arc;

use authority_api::{InForce, Restrictions};
use chrono::{DateTime, Utc};
use restriction::{Flags, Subject};

use super::Reason;

/// Where the lists in force are read.
#[derive(Debug, Clone)]
pub(crate) struct Stops {
    /// What the authority decided, by contact.
    pub(crate) decided: Restrictions,
    /// The contacts of persons whose restriction reaches all their contacts.
    pub(crate) persons: Restrictions,
}

impl Stops {
    /// The lists in force at `at`. None, and nothing may leave, when the authority's is not known to be whole and recent,
    /// or when somebody's restriction reaches a person and it is not known whom it reaches.
    pub(crate) fn current(&self, at: DateTime<Utc>) -> Option<StopList> {
        let decided = self.decided.current(at)?;
        let persons = self.persons.current(at);
        if persons.is_none() && decided.list.reaches_persons() {
            return None;
        }
        Some(StopList { decided, persons })
    }
}

/// The lists by which an answer is made.
#[derive(Debug, Clone)]
pub(crate) struct StopList {
    decided: InForce,
    persons: Option<InForce>,
}

impl StopList {
    /// Number up to which what was decided is regarded.
    pub(crate) const fn sequence(&self) -> u64 {
        self.decided.sequence
    }

    /// Number up to which it is regarded for all contacts of the persons it reaches.
    pub(crate) fn persons_sequence(&self) -> u64 {
        self.persons.as_ref().map_or(0, |persons| persons.sequence)
    }

    /// Nobody is restricted.
    pub(crate) fn is_empty(&self) -> bool {
        self.decided.list.is_empty() && self.persons.as_ref().is_none_or(|persons| persons.list.is_empty())
    }

    /// The very same lists.
    pub(crate) fn same(&self, other: &Self) -> bool {
        let list = |held: &Option<InForce>| held.as_ref().map(|held| Arc::as_ptr(&held.list));
        Arc::ptr_eq(&self.decided.list, &other.decided.list) && list(&self.persons) == list(&other.persons)
    }

    fn flags(&self, contact: &Subject) -> Flags {
        let of_person = self.persons.as_ref().map_or(Flags::NONE, |persons| persons.list.get(contact));
        self.decided.list.get(contact).union(of_person)
    }

    /// Looks a record's contact up, by its key. A key that is no contact id cannot be judged while anybody is restricted.
    pub(crate) fn look(&self, key: Option<&[u8]>) -> Stop {
        if self.is_empty() {
            return Stop::Free;
        }
        let Some(contact) = key.and_then(Subject::from_key) else { return Stop::Withheld(Reason::NoContact) };
        let flags = self.flags(&contact);
        match () {
            () if flags.withholds() => Stop::Withheld(Reason::Restricted),
            () if flags.mutes() => Stop::Muted,
            () => Stop::Free,
        }
    }
}

/// What is to be done with a record for the sake of the contact that it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Nothing.
    Free,
    /// Its e-mail address does not leave.
    Muted,
    /// It does not leave.
    Withheld(Reason),
}

#[cfg(test)]
mod tests {
    use restriction::{List, Measure, Page, Put, Reach};

    use super::*;

    fn list(entries: &[(u8, Flags)]) -> List {
        let entries: Vec<_> = entries
            .iter()
            .map(|(last, flags)| (Subject::from_key(contact(*last).as_bytes()).unwrap(), *flags))
            .collect();
        let mut list = List::default();
        assert_eq!(list.put(Page::decode(&Page::encode(0, 1, &entries)).unwrap()), Put::Taken);
        list
    }

    fn contact(last: u8) -> String {
        format!("{last:032x}")
    }

    fn stops(decided: List, persons: List) -> Stops {
        Stops { decided: Restrictions::fixed(decided, 5), persons: Restrictions::fixed(persons, 4) }
    }

    #[test]
    fn records_are_stopped_by_their_contact() {
        let nobody = stops(List::default(), List::default()).current(Utc::now()).unwrap();
        assert_eq!(nobody.look(None), Stop::Free, "nobody is restricted: nothing is looked at");
        let of = |measure| Flags::of(measure, Reach::Contact);
        let decided = list(&[(1, of(Measure::Use)), (2, of(Measure::Provision)), (3, of(Measure::Mail))]);
        let held = stops(decided, list(&[(3, of(Measure::Use)), (5, of(Measure::Mail))])).current(Utc::now()).unwrap();
        let said = |last| held.look(Some(contact(last).as_bytes()));
        let withheld = Stop::Withheld(Reason::Restricted);
        assert_eq!([said(1), said(2), said(4)], [withheld, withheld, Stop::Free]);
        assert_eq!([said(3), said(5)], [withheld, Stop::Muted], "the most restrictive of both lists");
        assert_eq!(held.look(None), Stop::Withheld(Reason::NoContact));
        assert_eq!(held.look(Some(b"somebody")), Stop::Withheld(Reason::NoContact));
        assert_eq!((held.sequence(), held.persons_sequence()), (5, 4));
    }

    #[test]
    fn whom_a_person_restriction_reaches_must_be_known() {
        let gone = authority_api::RestrictionWatch::forgetful(Vec::new(), "persons").handle();
        let whole = list(&[(1, Flags::of(Measure::Use, Reach::Person))]);
        let unknown = Stops { decided: Restrictions::fixed(whole.clone(), 5), persons: gone.clone() };
        assert!(unknown.current(Utc::now()).is_none());
        assert!(stops(whole, List::default()).current(Utc::now()).is_some());
        let none = Stops { decided: Restrictions::fixed(List::default(), 5), persons: gone };
        assert!(none.current(Utc::now()).is_some(), "while no restriction reaches a person, nobody need tell");
    }
}
