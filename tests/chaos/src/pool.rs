//! The contacts that records are about now, and those that something is being done to.

use std::collections::BTreeSet;

use testkit::seeded::Seeded;

/// Contacts whose records are sealed here, at a time.
const SEALED: usize = 40;
/// The first of these stand two by two for one person, whom two companies know. They are never erased: somebody new in the
/// place of one would be the same person, whom a restriction may reach that is under way.
const PAIRED: usize = 16;
/// Contacts whose records are posted to intake, which gives them their ids.
const POSTED: usize = 8;

/// What somebody is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Restriction,
    /// One that reaches a person: of one with two contacts, as long as any is free.
    OfPerson,
    Erasure,
}

#[derive(Debug)]
struct Slot {
    /// Not known yet, if intake is to say it.
    contact: Option<String>,
    /// Whose contact it is: what its cards say of name, organisation and address is made from this.
    person: String,
    busy: bool,
}

/// All of them.
#[derive(Debug)]
pub struct Pool {
    slots: Vec<Slot>,
    /// Who was erased. Intake's answer may come later than that.
    gone: BTreeSet<String>,
    seeded: Seeded,
}

impl Pool {
    pub fn new(mut seeded: Seeded) -> Self {
        let mut slots: Vec<Slot> = Vec::with_capacity(SEALED + POSTED);
        for slot in 0..SEALED {
            let contact = seeded.id();
            let second = slot < PAIRED && slot % 2 == 1;
            let person = slots.last().filter(|_| second).map_or_else(|| contact.clone(), |first| first.person.clone());
            slots.push(Slot { contact: Some(contact), person, busy: false });
        }
        slots.extend((0..POSTED).map(|_| Slot { contact: None, person: String::new(), busy: false }));
        Self { slots, gone: BTreeSet::new(), seeded }
    }

    /// A free one, drawn by this number; nothing else is done to it until it is given back.
    pub fn take(&mut self, number: u64, what: What) -> Option<(usize, String)> {
        let all = self.slots.len();
        let from = if what == What::OfPerson { index(number) % PAIRED } else { index(number) };
        let fits = |slot: &usize| what != What::Erasure || *slot >= PAIRED;
        for slot in (0..all).map(|step| (from + step) % all).filter(fits) {
            let one = &mut self.slots[slot];
            if let (Some(contact), false) = (one.contact.clone(), one.busy) {
                one.busy = true;
                return Some((slot, contact));
            }
        }
        None
    }

    /// The other contact of the person, if there is one.
    pub fn other(&self, slot: usize) -> Option<String> {
        if slot < PAIRED { self.slots[slot ^ 1].contact.clone() } else { None }
    }

    pub fn give_back(&mut self, slot: usize) {
        self.slots[slot].busy = false;
    }

    /// Somebody else in the place of one who was erased.
    pub fn replace(&mut self, slot: usize) {
        let contact = (slot < SEALED).then(|| self.seeded.id());
        let person = contact.clone().unwrap_or_default();
        let before = std::mem::replace(&mut self.slots[slot], Slot { contact, person, busy: false });
        self.gone.extend(before.contact);
    }

    /// One whom to seal a record about, and its person: half of the time one to whom something is being done, as that is
    /// what matters.
    pub fn any(&self, number: u64) -> (usize, String, String) {
        let slot = self.drawn(0..SEALED, number);
        let Slot { contact, person, .. } = &self.slots[slot];
        (slot, contact.clone().unwrap_or_default(), person.clone())
    }

    /// One whom to post a record about, drawn in the same way: its number among them.
    pub fn reference(&self, number: u64) -> usize {
        self.drawn(SEALED..SEALED + POSTED, number) - SEALED
    }

    /// Intake said the id of one of those.
    pub fn named(&mut self, reference: usize, contact: &str) {
        if !self.gone.contains(contact) {
            self.slots[SEALED + reference].contact = Some(contact.to_owned());
        }
    }

    fn drawn(&self, among: std::ops::Range<usize>, number: u64) -> usize {
        let busy: Vec<usize> = among.clone().filter(|slot| self.slots[*slot].busy).collect();
        let drawn = index(number / 2);
        if number.is_multiple_of(2) || busy.is_empty() {
            among.start + drawn % among.len()
        } else {
            busy[drawn % busy.len()]
        }
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn persons_of_two_contacts_are_two_by_two_and_never_erased() {
        let mut pool = Pool::new(Seeded::new(1));
        for slot in 0..SEALED {
            let other = pool.other(slot);
            assert_eq!(other.is_some(), slot < PAIRED);
            let same = |one: &Slot| one.person == pool.slots[slot].person;
            assert_eq!(pool.slots[..SEALED].iter().filter(|one| same(one)).count(), 1 + usize::from(other.is_some()));
            assert_ne!(other, pool.slots[slot].contact);
        }
        while let Some((slot, _)) = pool.take(3, What::Erasure) {
            assert!(slot >= PAIRED);
        }
        assert!(pool.take(3, What::Restriction).is_some_and(|(slot, _)| slot == 3));
        assert!(
            (0..PAIRED as u64 - 1).all(|n| pool.take(7 * n, What::OfPerson).is_some_and(|(slot, _)| slot < PAIRED))
        );
    }

    #[test]
    fn one_of_intake_is_there_from_when_intake_named_it_and_until_it_is_erased() {
        let mut pool = Pool::new(Seeded::new(1));
        let number = SEALED as u64;
        assert!(pool.take(number, What::Erasure).is_some_and(|(slot, _)| slot < SEALED), "none is known yet");
        pool.named(0, "aa");
        assert_eq!(pool.take(number, What::Erasure), Some((SEALED, "aa".to_owned())));
        assert_eq!((1..20).filter(|number| pool.reference(2 * number + 1) == 0).count(), 19, "about the busy one");
        pool.replace(SEALED);
        pool.named(0, "aa");
        assert!(pool.take(number, What::Erasure).is_some_and(|(slot, _)| slot != SEALED), "an answer of before");
        pool.named(0, "bb");
        assert_eq!(pool.take(number, What::Erasure), Some((SEALED, "bb".to_owned())));
    }
}
