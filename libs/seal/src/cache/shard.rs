//! A part of the cache. When it is full, the clock's hand goes around and takes the slot of the first that nobody used since it
//! last came by.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::Need;
use crate::{Contact, ContactKey, DataKey, KeyName, KeyState, Resolved};

/// How exactly it is known when a slot was loaded; always before it really was.
const TICK: Duration = Duration::from_millis(64);

/// What nearly every contact has, a single key, lies in the slot itself.
#[derive(Debug)]
enum Held {
    Key { version: u32, key: DataKey },
    Else(Box<KeyState>),
    Vacant,
}

/// One cache line, so that a key that was found costs no second wait for memory.
#[derive(Debug)]
#[repr(align(64))]
struct Slot {
    contact: Contact,
    held: Held,
    /// In ticks since the shard was made.
    loaded: u32,
    doubtful: bool,
    used: bool,
}

const _: () = assert!(size_of::<Slot>() == 64);

impl Slot {
    fn find(&self, need: Need, version: u32) -> Resolved {
        match &self.held {
            Held::Key { version: held, key } if need == Need::Seal || *held == version => {
                let name = KeyName { contact: self.contact, version: *held };
                Resolved::Key(ContactKey::new(name, key.clone()))
            }
            Held::Else(state) if need == Need::Seal => state.newest(),
            Held::Else(state) => state.version(version),
            Held::Key { .. } | Held::Vacant => Resolved::Unknown,
        }
    }
}

/// The slots, which never move, so that no copy of a key is left behind; and where a contact's is. The map hashes with a key
/// of its own (SipHash), as whoever writes envelopes chooses the contact ids in them.
#[derive(Debug)]
pub(super) struct Shard {
    places: HashMap<Contact, u32>,
    slots: Vec<Slot>,
    vacant: Vec<u32>,
    hand: usize,
    begun: Instant,
}

impl Shard {
    pub(super) fn new(capacity: usize) -> Self {
        let capacity = capacity.clamp(1, u32::MAX as usize);
        let slots = Vec::with_capacity(capacity);
        Self { places: HashMap::new(), slots, vacant: Vec::new(), hand: 0, begun: Instant::now() }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// What is kept of a key, and for how long it has been.
    pub(super) fn get(
        &mut self,
        need: Need,
        name: &KeyName,
        now: Instant,
        max_age: Duration,
        doubt: Duration,
    ) -> Option<(Resolved, Duration)> {
        let slot = self.slots.get_mut(*self.places.get(&name.contact)? as usize)?;
        let age = now.saturating_duration_since(self.begun + TICK * slot.loaded);
        if expired(age, slot.doubtful, max_age, doubt) {
            return None;
        }
        slot.used = true;
        Some((slot.find(need, name.version), age))
    }

    pub(super) fn insert(&mut self, contact: Contact, state: &KeyState, loaded: Instant) {
        let held = match state.single() {
            Some(key) => Held::Key { version: key.name().version, key: key.data().clone() },
            None => Held::Else(Box::new(state.clone())),
        };
        let ticks = loaded.saturating_duration_since(self.begun).as_millis() / TICK.as_millis();
        let loaded = u32::try_from(ticks).unwrap_or(u32::MAX);
        let slot = Slot { contact, held, loaded, doubtful: state.is_doubtful(), used: false };
        let place = self.places.get(&contact).copied().or_else(|| self.vacant.pop()).unwrap_or_else(|| self.room());
        match self.slots.get_mut(place as usize) {
            Some(there) => *there = slot,
            None => self.slots.push(slot),
        }
        self.places.insert(contact, place);
    }

    /// A place that is not used yet, or the first that nobody used since the hand passed it; ends within two rounds.
    fn room(&mut self) -> u32 {
        if self.slots.len() < self.slots.capacity() {
            return u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        }
        loop {
            let at = self.hand;
            self.hand = (at + 1) % self.slots.len().max(1);
            match self.slots.get_mut(at) {
                Some(slot) if slot.used => slot.used = false,
                Some(slot) => {
                    self.places.remove(&slot.contact);
                    return u32::try_from(at).unwrap_or(u32::MAX);
                }
                None => return 0,
            }
        }
    }

    pub(super) fn remove(&mut self, contact: &Contact) -> bool {
        let Some(place) = self.places.remove(contact) else { return false };
        if let Some(slot) = self.slots.get_mut(place as usize) {
            (slot.held, slot.used) = (Held::Vacant, false);
        }
        self.vacant.push(place);
        true
    }

    /// Drops what is too old; gives how many.
    pub(super) fn sweep(&mut self, now: Instant, max_age: Duration, doubt: Duration) -> usize {
        let begun = self.begun;
        let too_old = |slot: &&Slot| {
            let age = now.saturating_duration_since(begun + TICK * slot.loaded);
            !matches!(slot.held, Held::Vacant) && expired(age, slot.doubtful, max_age, doubt)
        };
        let old: Vec<Contact> = self.slots.iter().filter(too_old).map(|slot| slot.contact).collect();
        old.iter().filter(|contact| self.remove(contact)).count()
    }

    pub(super) fn clear(&mut self) -> usize {
        let count = self.places.len();
        self.places.clear();
        self.slots.clear();
        self.vacant.clear();
        self.hand = 0;
        count
    }
}

fn expired(age: Duration, doubtful: bool, max_age: Duration, doubt: Duration) -> bool {
    age >= if doubtful { doubt.min(max_age) } else { max_age }
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

    fn name(n: u8) -> KeyName {
        KeyName { contact: contact(n), version: 1 }
    }

    fn has(shard: &mut Shard, n: u8, now: Instant) -> bool {
        shard.get(Need::Open, &name(n), now, LONG, SHORT).is_some()
    }

    #[test]
    fn what_is_used_stays_and_the_number_is_bounded() {
        let (mut shard, now) = (Shard::new(4), Instant::now());
        for n in 0..4 {
            shard.insert(contact(n), &KeyState::Erased, now);
        }
        for n in 4..100 {
            assert!(has(&mut shard, 0, now) && has(&mut shard, 1, now), "used ones stay, {n}");
            shard.insert(contact(n), &KeyState::Erased, now);
            assert!(shard.places.contains_key(&contact(n)), "the newest is in");
            assert_eq!(shard.len(), 4);
        }
    }

    #[test]
    fn time_ends_it_and_doubt_sooner() {
        let (mut shard, now) = (Shard::new(4), Instant::now());
        shard.insert(contact(1), &KeyState::Erased, now);
        shard.insert(contact(2), &KeyState::Unknown, now);
        assert!(has(&mut shard, 2, now + SHORT / 2));
        assert!(!has(&mut shard, 2, now + SHORT) && has(&mut shard, 1, now + SHORT));
        assert_eq!(shard.sweep(now + SHORT, LONG, SHORT), 1);
        assert_eq!((shard.len(), shard.sweep(now + LONG, LONG, SHORT), shard.len()), (1, 1, 0));
    }

    proptest! {
        /// Whatever happens, each contact has a slot of its own, and the others are vacant.
        #[test]
        fn places_and_slots_agree(steps in proptest::collection::vec((0u8..4, 0u8..12), 0..200)) {
            let (mut shard, now) = (Shard::new(5), Instant::now());
            let capacity = shard.slots.capacity();
            for (what, n) in steps {
                match what {
                    0 => { shard.remove(&contact(n)); prop_assert!(!has(&mut shard, n, now)); }
                    1 => { shard.get(Need::Open, &name(n), now, LONG, SHORT); }
                    _ => { shard.insert(contact(n), &KeyState::Erased, now); prop_assert!(has(&mut shard, n, now)); }
                }
                prop_assert_eq!(shard.slots.capacity(), capacity, "nothing was moved");
                prop_assert_eq!(shard.places.len() + shard.vacant.len(), shard.slots.len());
                for (contact, place) in &shard.places {
                    prop_assert_eq!(shard.slots[*place as usize].contact, *contact);
                }
                prop_assert!(shard.vacant.iter().all(|at| matches!(shard.slots[*at as usize].held, Held::Vacant)));
            }
        }
    }

    /// A key is found by its version alone, and what a slot held is overwritten by what comes after it.
    #[test]
    fn keys_lie_in_their_slots() {
        let (mut shard, now) = (Shard::new(1), Instant::now());
        let key = |n: u8| ContactKey::new(name(n), DataKey::random().unwrap());
        let find = |shard: &mut Shard, need, version| {
            let (found, _) = shard.get(need, &KeyName { contact: contact(1), version }, now, LONG, SHORT).unwrap();
            match found {
                Resolved::Key(key) => Some(*key.data().expose()),
                _ => None,
            }
        };
        let (one, two) = (key(1), key(2));
        shard.insert(contact(1), &KeyState::of(one.clone()), now);
        assert_eq!(find(&mut shard, Need::Open, 1).as_ref(), Some(one.data().expose()));
        assert_eq!(find(&mut shard, Need::Open, 2), None);
        assert_eq!(find(&mut shard, Need::Seal, 0).as_ref(), Some(one.data().expose()));
        shard.insert(contact(2), &KeyState::of(two), now);
        assert_eq!((shard.len(), has(&mut shard, 1, now)), (1, false));
    }
}
