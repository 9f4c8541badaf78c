//! A part of the cache. When it is full, the clock's hand goes around and takes the place of the first that nobody used since
//! it last came by.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::{Contact, KeyState};

#[derive(Debug)]
struct Slot {
    state: KeyState,
    loaded: Instant,
    /// Place on the clock's face.
    at: usize,
    doubtful: bool,
    used: bool,
}

impl Slot {
    fn expired(&self, now: Instant, max_age: Duration, doubt: Duration) -> bool {
        now.saturating_duration_since(self.loaded) >= if self.doubtful { doubt.min(max_age) } else { max_age }
    }
}

/// The slots, in the map itself so that a lookup touches little memory, and the contacts around the clock's face. The map
/// hashes with a key of its own (SipHash), as whoever writes envelopes chooses the contact ids in them.
#[derive(Debug)]
pub(super) struct Shard {
    slots: HashMap<Contact, Slot>,
    face: Vec<Contact>,
    hand: usize,
    capacity: usize,
}

impl Shard {
    pub(super) fn new(capacity: usize) -> Self {
        Self { slots: HashMap::new(), face: Vec::new(), hand: 0, capacity: capacity.max(1) }
    }

    pub(super) fn len(&self) -> usize {
        self.face.len()
    }

    /// What is kept of a contact, and for how long it has been.
    pub(super) fn get(
        &mut self,
        contact: &Contact,
        now: Instant,
        max_age: Duration,
        doubt: Duration,
    ) -> Option<(&KeyState, Duration)> {
        let slot = self.slots.get_mut(contact)?;
        if slot.expired(now, max_age, doubt) {
            return None;
        }
        slot.used = true;
        Some((&slot.state, now.saturating_duration_since(slot.loaded)))
    }

    pub(super) fn insert(&mut self, contact: Contact, state: KeyState, loaded: Instant) {
        let at = match self.slots.get(&contact) {
            Some(there) => there.at,
            None if self.face.len() < self.capacity => {
                self.face.push(contact);
                self.face.len() - 1
            }
            None => self.take_over(contact),
        };
        let slot = Slot { doubtful: state.is_doubtful(), state, loaded, at, used: false };
        self.slots.insert(contact, slot);
    }

    /// Gives `contact` the place of the first that was not used since the hand passed it; ends within two rounds.
    fn take_over(&mut self, contact: Contact) -> usize {
        loop {
            let at = self.hand;
            self.hand = (at + 1) % self.face.len().max(1);
            let Some(place) = self.face.get_mut(at) else { return at };
            match self.slots.get_mut(place) {
                Some(slot) if slot.used => slot.used = false,
                _ => {
                    self.slots.remove(place);
                    *place = contact;
                    return at;
                }
            }
        }
    }

    pub(super) fn remove(&mut self, contact: &Contact) -> bool {
        let Some(Slot { at, .. }) = self.slots.remove(contact) else { return false };
        self.face.swap_remove(at);
        if let Some(moved) = self.face.get(at).and_then(|moved| self.slots.get_mut(moved)) {
            moved.at = at;
        }
        if self.hand >= self.face.len() {
            self.hand = 0;
        }
        true
    }

    /// Drops what is too old; gives how many.
    pub(super) fn sweep(&mut self, now: Instant, max_age: Duration, doubt: Duration) -> usize {
        let expired = |(contact, slot): (&Contact, &Slot)| slot.expired(now, max_age, doubt).then_some(*contact);
        let expired: Vec<Contact> = self.slots.iter().filter_map(expired).collect();
        expired.iter().filter(|contact| self.remove(contact)).count()
    }

    pub(super) fn clear(&mut self) -> usize {
        self.slots.clear();
        self.hand = 0;
        std::mem::take(&mut self.face).len()
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
            assert!(shard.slots.contains_key(&contact(n)), "the newest is in");
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
        /// Whatever happens, map and face agree.
        #[test]
        fn map_and_face_agree(steps in proptest::collection::vec((0u8..4, 0u8..12), 0..200)) {
            let (mut shard, now) = (Shard::new(5), Instant::now());
            for (what, n) in steps {
                match what {
                    0 => { shard.remove(&contact(n)); prop_assert!(!has(&mut shard, n, now)); }
                    1 => { shard.get(&contact(n), now, LONG, SHORT); }
                    _ => { shard.insert(contact(n), KeyState::Erased, now); prop_assert!(has(&mut shard, n, now)); }
                }
                prop_assert!(shard.len() <= 5);
                prop_assert_eq!(shard.slots.len(), shard.face.len());
                for (contact, slot) in &shard.slots {
                    prop_assert_eq!(shard.face[slot.at], *contact);
                }
            }
        }
    }
}
