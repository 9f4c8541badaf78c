//! Where the keys are. When it is full, the clock's hand goes around and takes the slot of the first that nobody used since it
//! last came by.

use std::{
    hash::{BuildHasher as _, RandomState},
    hint::black_box,
    ops::Range,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use hashbrown::HashTable;

use super::Need;
use crate::{Contact, ContactKey, DataKey, KeyName, KeyState, Resolved};

/// So many are looked up together.
const TOGETHER: usize = 64;

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
    /// In ticks since the table was made.
    loaded: u32,
    doubtful: bool,
    used: AtomicBool,
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

/// How long keys are kept, and how long doubtful answers are believed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ages {
    pub(super) max: Duration,
    pub(super) doubt: Duration,
}

impl Ages {
    fn expired(self, age: Duration, doubtful: bool) -> bool {
        age >= if doubtful { self.doubt.min(self.max) } else { self.max }
    }
}

/// The slots, which never move, so that no copy of a key is left behind; and where a contact's is. The numbers of slots are few
/// bytes, which the processor keeps near, so that a look-up waits for memory once: for the slot. They are found by a keyed hash
/// (SipHash), as whoever writes envelopes chooses the contact ids in them.
#[derive(Debug)]
pub(super) struct Table {
    places: HashTable<u32>,
    hasher: RandomState,
    slots: Vec<Slot>,
    vacant: Vec<u32>,
    hand: usize,
    begun: Instant,
    ages: Ages,
}

impl Table {
    pub(super) fn new(capacity: usize, ages: Ages) -> Self {
        let capacity = capacity.clamp(1, u32::MAX as usize);
        let (places, slots) = (HashTable::with_capacity(capacity), Vec::with_capacity(capacity));
        let begun = Instant::now();
        Self { places, hasher: RandomState::new(), slots, vacant: Vec::new(), hand: 0, begun, ages }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// What is kept of keys, in the order of their names; none is a miss.
    pub(super) fn look(&self, need: Need, names: &[KeyName], now: Instant, mut give: impl FnMut(Option<Resolved>)) {
        for names in names.chunks(TOGETHER) {
            let mut hashes = [0; TOGETHER];
            for (hash, name) in hashes.iter_mut().zip(names) {
                *hash = self.hasher.hash_one(name.contact);
            }
            // The slots that most likely are theirs, so that all of them are on their way from memory at once.
            let likely = hashes.iter().take(names.len()).filter_map(|hash| self.places.find(*hash, |_| true));
            let touched = likely.filter_map(|place| self.slots.get(*place as usize)).map(|slot| slot.loaded);
            black_box(touched.fold(0, u32::wrapping_add));
            for (hash, name) in hashes.iter().zip(names) {
                give(self.get(need, *hash, name, now));
            }
        }
    }

    fn get(&self, need: Need, hash: u64, name: &KeyName, now: Instant) -> Option<Resolved> {
        let place = self.places.find(hash, |place| self.is_at(*place, &name.contact))?;
        let slot = self.slots.get(*place as usize)?;
        let age = self.age(slot, now);
        if self.ages.expired(age, slot.doubtful) {
            return None;
        }
        if !slot.used.load(Ordering::Relaxed) {
            slot.used.store(true, Ordering::Relaxed);
        }
        match slot.find(need, name.version) {
            // A version that is not there may have been made since; and a contact without keys is given one.
            Resolved::Unknown if need == Need::Seal || age >= self.ages.doubt => None,
            found => Some(found),
        }
    }

    fn is_at(&self, place: u32, contact: &Contact) -> bool {
        self.slots.get(place as usize).is_some_and(|slot| slot.contact == *contact)
    }

    fn age(&self, slot: &Slot, now: Instant) -> Duration {
        now.saturating_duration_since(self.begun + TICK * slot.loaded)
    }

    pub(super) fn insert(&mut self, contact: Contact, state: &KeyState, loaded: Instant) {
        let held = match state.single() {
            Some(key) => Held::Key { version: key.name().version, key: key.data().clone() },
            None => Held::Else(Box::new(state.clone())),
        };
        let ticks = loaded.saturating_duration_since(self.begun).as_millis() / TICK.as_millis();
        let loaded = u32::try_from(ticks).unwrap_or(u32::MAX);
        let slot = Slot { contact, held, loaded, doubtful: state.is_doubtful(), used: AtomicBool::new(false) };
        let hash = self.hasher.hash_one(contact);
        if let Some(place) = self.places.find(hash, |place| self.is_at(*place, &contact)) {
            if let Some(there) = self.slots.get_mut(*place as usize) {
                *there = slot;
            }
            return;
        }
        let place = self.vacant.pop().unwrap_or_else(|| self.room());
        match self.slots.get_mut(place as usize) {
            Some(there) => *there = slot,
            None => self.slots.push(slot),
        }
        let Self { places, slots, hasher, .. } = self;
        places.insert_unique(hash, place, |place| {
            slots.get(*place as usize).map_or(0, |slot| hasher.hash_one(slot.contact))
        });
    }

    /// A place that is not used yet, or the first that nobody used since the hand passed it; ends within two rounds.
    fn room(&mut self) -> u32 {
        if self.slots.len() < self.slots.capacity() {
            return u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        }
        loop {
            let at = self.hand;
            self.hand = (at + 1) % self.slots.len().max(1);
            let Some(slot) = self.slots.get_mut(at) else { return 0 };
            if !std::mem::replace(slot.used.get_mut(), false) {
                let contact = slot.contact;
                self.forget_place(&contact);
                return u32::try_from(at).unwrap_or(u32::MAX);
            }
        }
    }

    fn forget_place(&mut self, contact: &Contact) -> Option<u32> {
        let slots = &self.slots;
        let is_at = |place: &u32| slots.get(*place as usize).is_some_and(|slot| slot.contact == *contact);
        let found = self.places.find_entry(self.hasher.hash_one(contact), is_at).ok()?;
        Some(found.remove().0)
    }

    pub(super) fn remove(&mut self, contact: &Contact) -> bool {
        let Some(place) = self.forget_place(contact) else { return false };
        if let Some(slot) = self.slots.get_mut(place as usize) {
            (slot.held, slot.used) = (Held::Vacant, AtomicBool::new(false));
        }
        self.vacant.push(place);
        true
    }

    /// How many slots were ever used.
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Drops what is too old in these slots; gives how many.
    pub(super) fn sweep(&mut self, slots: Range<usize>, now: Instant) -> usize {
        let slots = self.slots.get(slots.start..slots.end.min(self.slots.len())).unwrap_or_default();
        let old = slots
            .iter()
            .filter(|slot| !matches!(slot.held, Held::Vacant) && self.ages.expired(self.age(slot, now), slot.doubtful));
        let old: Vec<Contact> = old.map(|slot| slot.contact).collect();
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

#[cfg(test)]
mod tests {
    use std::{fs::File, os::unix::fs::FileExt as _};

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

    fn table(capacity: usize) -> Table {
        Table::new(capacity, Ages { max: LONG, doubt: SHORT })
    }

    fn find(table: &Table, need: Need, name: KeyName, now: Instant) -> Option<Resolved> {
        let mut found = Vec::new();
        table.look(need, &[name], now, |one| found.push(one));
        assert_eq!(found.len(), 1);
        found.remove(0)
    }

    fn has(table: &Table, n: u8, now: Instant) -> bool {
        find(table, Need::Open, name(n), now).is_some()
    }

    #[test]
    fn what_is_used_stays_and_the_number_is_bounded() {
        let (mut table, now) = (table(4), Instant::now());
        for n in 0..4 {
            table.insert(contact(n), &KeyState::Erased, now);
        }
        for n in 4..100 {
            assert!(has(&table, 0, now) && has(&table, 1, now), "used ones stay, {n}");
            table.insert(contact(n), &KeyState::Erased, now);
            assert!(table.slots.iter().any(|slot| slot.contact == contact(n)), "the newest is in");
            assert_eq!(table.len(), 4);
        }
    }

    #[test]
    fn time_ends_it_and_doubt_sooner() {
        let (mut table, now) = (table(4), Instant::now());
        table.insert(contact(1), &KeyState::Erased, now);
        table.insert(contact(2), &KeyState::Unknown, now);
        assert!(has(&table, 2, now + SHORT / 2));
        assert!(!has(&table, 2, now + SHORT) && has(&table, 1, now + SHORT));
        assert_eq!(table.sweep(0..1, now + SHORT), 0);
        assert_eq!(table.sweep(0..9, now + SHORT), 1);
        assert_eq!((table.len(), table.sweep(0..9, now + LONG), table.len()), (1, 1, 0));
    }

    proptest! {
        /// Whatever happens, each contact has a slot of its own, and the others are vacant.
        #[test]
        fn places_and_slots_agree(steps in proptest::collection::vec((0u8..4, 0u8..12), 0..200)) {
            let (mut table, now) = (table(5), Instant::now());
            let capacity = table.slots.capacity();
            for (what, n) in steps {
                match what {
                    0 => { table.remove(&contact(n)); prop_assert!(!has(&table, n, now)); }
                    1 => { has(&table, n, now); }
                    _ => { table.insert(contact(n), &KeyState::Erased, now); prop_assert!(has(&table, n, now)); }
                }
                prop_assert_eq!(table.slots.capacity(), capacity, "nothing was moved");
                prop_assert_eq!(table.places.len() + table.vacant.len(), table.slots.len());
                let mut taken: Vec<u32> = table.places.iter().chain(&table.vacant).copied().collect();
                taken.sort_unstable();
                prop_assert!(taken.iter().zip(0..).all(|(place, nth)| *place == nth), "each slot is somebody's, or vacant");
                prop_assert!(table.vacant.iter().all(|at| matches!(table.slots[*at as usize].held, Held::Vacant)));
            }
        }
    }

    /// The slots' memory, the unused ones' too, as a debugger would read it.
    fn memory(table: &Table) -> Vec<u8> {
        let mut bytes = vec![0; table.slots.capacity() * size_of::<Slot>()];
        let at = u64::try_from(table.slots.as_ptr().addr()).unwrap();
        File::open("/proc/self/mem").unwrap().read_exact_at(&mut bytes, at).unwrap();
        bytes
    }

    #[test]
    fn nothing_of_a_key_is_left_in_its_slot() {
        let (mut table, now) = (table(4), Instant::now());
        let put = |table: &mut Table, n: u8| {
            let key = DataKey::random().unwrap();
            table.insert(contact(n), &KeyState::of(ContactKey::new(name(n), key.clone())), now);
            assert!(lies(table, &key), "a key that is kept is seen by this test");
            key
        };
        fn lies(table: &Table, key: &DataKey) -> bool {
            memory(table).windows(key.expose().len()).any(|bytes| bytes == key.expose())
        }
        let removed = put(&mut table, 1);
        assert!(table.remove(&contact(1)));
        assert!(!lies(&table, &removed), "forgotten");
        let renewed = put(&mut table, 1);
        let mut keys = vec![put(&mut table, 1)];
        assert!(!lies(&table, &renewed), "a newer one in its place");
        keys.extend((2..8).map(|n| put(&mut table, n)));
        assert_eq!(keys.iter().filter(|key| lies(&table, key)).count(), 4, "pushed out by others");
        assert_eq!(table.sweep(0..9, now + LONG), 4);
        assert!(!keys.iter().any(|key| lies(&table, key)), "too old");
        let cleared = [put(&mut table, 1), put(&mut table, 2)];
        table.clear();
        assert!(!cleared.iter().any(|key| lies(&table, key)), "all forgotten");
    }

    /// A key is found by its version alone, and what a slot held is overwritten by what comes after it.
    #[test]
    fn keys_lie_in_their_slots() {
        let (mut table, now) = (table(1), Instant::now());
        let key = |n: u8| ContactKey::new(name(n), DataKey::random().unwrap());
        let find = |table: &Table, need, version| match find(table, need, KeyName { version, ..name(1) }, now) {
            Some(Resolved::Key(key)) => Some(*key.data().expose()),
            _ => None,
        };
        let (one, two) = (key(1), key(2));
        table.insert(contact(1), &KeyState::of(one.clone()), now);
        assert_eq!(find(&table, Need::Open, 1).as_ref(), Some(one.data().expose()));
        assert_eq!(find(&table, Need::Open, 2), None);
        assert_eq!(find(&table, Need::Seal, 0).as_ref(), Some(one.data().expose()));
        table.insert(contact(2), &KeyState::of(two), now);
        assert_eq!((table.len(), has(&table, 1, now)), (1, false));
    }
}
