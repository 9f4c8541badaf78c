//! A part of the cache: a map into slots, of which the clock's hand takes the next that nobody used since it last came by.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::{Contact, KeyState};

#[derive(Debug)]
struct Slot {
    contact: Contact,
    state: KeyState,
    doubtful: bool,
    loaded: Instant,
    used: bool,
}

impl Slot {
    fn expired(&self, now: Instant, max_age: Duration, doubt: Duration) -> bool {
        now.saturating_duration_since(self.loaded) >= if self.doubtful { doubt.min(max_age) } else { max_age }
    }
}

/// The slots and where each contact is. The map hashes with a key of its own (SipHash), as whoever writes envelopes
/// chooses the contact ids in them.
#[derive(Debug)]
pub(super) struct Shard {
    index: HashMap<Contact, usize>,
    slots: Vec<Slot>,
    hand: usize,
    capacity: usize,
}

impl Shard {
    pub(super) fn new(capacity: usize) -> Self {
        Self { index: HashMap::new(), slots: Vec::new(), hand: 0, capacity: capacity.max(1) }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// What is kept of a contact, and for how long it has been.
    pub(super) fn get(
        &mut self,
        contact: &Contact,
        now: Instant,
        max_age: Duration,
        doubt: Duration,
    ) -> Option<(&KeyState, Duration)> {
        let slot = self.slots.get_mut(*self.index.get(contact)?)?;
        if slot.expired(now, max_age, doubt) {
            return None;
        }
        slot.used = true;
        Some((&slot.state, now.saturating_duration_since(slot.loaded)))
    }

    pub(super) fn insert(&mut self, contact: Contact, state: KeyState, loaded: Instant) {
        let slot = Slot { contact, doubtful: state.is_doubtful(), state, loaded, used: false };
        if let Some(there) = self.index.get(&contact).and_then(|at| self.slots.get_mut(*at)) {
            *there = slot;
        } else if self.slots.len() < self.capacity {
            self.index.insert(contact, self.slots.len());
            self.slots.push(slot);
        } else {
            let at = self.next_victim();
            if let Some(victim) = self.slots.get_mut(at) {
                self.index.remove(&victim.contact);
                self.index.insert(contact, at);
                *victim = slot;
            }
        }
    }

    /// Passes over those in use once, and takes their mark away; ends within two rounds.
    fn next_victim(&mut self) -> usize {
        loop {
            let at = self.hand;
            self.hand = (at + 1) % self.slots.len().max(1);
            match self.slots.get_mut(at) {
                Some(slot) if slot.used => slot.used = false,
                _ => return at,
            }
        }
    }

    pub(super) fn remove(&mut self, contact: &Contact) -> bool {
        let Some(at) = self.index.remove(contact) else { return false };
        self.slots.swap_remove(at);
        if let Some(moved) = self.slots.get(at) {
            self.index.insert(moved.contact, at);
        }
        if self.hand >= self.slots.len() {
            self.hand = 0;
        }
        true
    }

    /// Drops what is too old; gives how many.
    pub(super) fn sweep(&mut self, now: Instant, max_age: Duration, doubt: Duration) -> usize {
        let expired: Vec<Contact> =
            self.slots.iter().filter(|slot| slot.expired(now, max_age, doubt)).map(|slot| slot.contact).collect();
        expired.iter().filter(|contact| self.remove(contact)).count()
    }

    pub(super) fn clear(&mut self) -> usize {
        let count = self.slots.len();
        self.index.clear();
        self.slots.clear();
        self.hand = 0;
        count
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_secs(2);

    fn contact(n: u8) -> Contact {
        Contact::new([n; 16])
    }

    fn has(shard: &mut Shard, n: u8, now: Instant) -> bool {
        shard.get(&contact(n), now, LONG, SHORT).is_some()
    }

    #[test]
    fn what_is_used_stays_and_the_number_is_bounded() {
        let (mut shard, now) = (Shard::new(4), Instant::now());
        for n in 0..4 {
            shard.insert(contact(n), KeyState::Erased, now);
        }
        for n in 4..100 {
            assert!(has(&mut shard, 0, now) && has(&mut shard, 1, now), "used ones stay, {n}");
            shard.insert(contact(n), KeyState::Erased, now);
            assert!(shard.index.contains_key(&contact(n)), "the newest is in");
            assert_eq!(shard.len(), 4);
        }
    }

    #[test]
    fn time_ends_it_and_doubt_sooner() {
        let (mut shard, now) = (Shard::new(4), Instant::now());
        shard.insert(contact(1), KeyState::Erased, now);
        shard.insert(contact(2), KeyState::Unknown, now);
        assert!(has(&mut shard, 2, now + SHORT / 2));
        assert!(!has(&mut shard, 2, now + SHORT) && has(&mut shard, 1, now + SHORT));
        assert_eq!(shard.sweep(now + SHORT, LONG, SHORT), 1);
        assert_eq!((shard.len(), shard.sweep(now + LONG, LONG, SHORT), shard.len()), (1, 1, 0));
    }

    proptest! {
        /// Whatever happens, index and slots agree.
        #[test]
        fn index_and_slots_agree(steps in proptest::collection::vec((0u8..4, 0u8..12), 0..200)) {
            let (mut shard, now) = (Shard::new(5), Instant::now());
            for (what, n) in steps {
                match what {
                    0 => { shard.remove(&contact(n)); prop_assert!(!has(&mut shard, n, now)); }
                    1 => { shard.get(&contact(n), now, LONG, SHORT); }
                    _ => { shard.insert(contact(n), KeyState::Erased, now); prop_assert!(has(&mut shard, n, now)); }
                }
                prop_assert!(shard.len() <= 5);
                prop_assert_eq!(shard.index.len(), shard.slots.len());
                for (contact, at) in &shard.index {
                    prop_assert_eq!(shard.slots[*at].contact, *contact);
                }
            }
        }
    }
}
