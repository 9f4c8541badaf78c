//! The rule by cases, and by properties: the partition does not depend on the order, ids last.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    convert::Infallible,
};

use proptest::prelude::*;
use uuid::Uuid;

use super::{
    links::main_number,
    partition::{partition, shared_by_names},
    regroup::Change,
    *,
};

/// A card in short: contact number, name, organisation, e-mail, direct number, main number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Card {
    id: u8,
    name: Option<&'static str>,
    organisation: Option<&'static str>,
    email: Option<&'static str>,
    direct: Option<&'static str>,
    main: Option<&'static str>,
}

impl Card {
    fn facts(&self) -> Facts {
        // A name that ends in a dot is a family name alone.
        let name = match self.name {
            Some(name) if name.ends_with('.') => Name::of(None, Some(name.trim_end_matches('.')), None),
            name => Name::of(name, None, None),
        };
        let organisation = self.organisation.and_then(normal::organisation);
        Facts::new(contact(self.id), name, organisation.as_deref(), self.email, self.direct, None)
    }

    fn main(&self) -> Option<Uuid> {
        main_number(&normal::organisation(self.organisation?)?, self.main?)
    }
}

fn contact(id: u8) -> Uuid {
    Uuid::from_u128(id.into())
}

/// All contacts in memory, as the database has them.
#[derive(Debug, Default)]
struct Memory {
    facts: BTreeMap<Uuid, Facts>,
    persons: BTreeMap<Uuid, PersonRef>,
    mains: HashSet<Uuid>,
    made: u32,
    redirects: HashMap<Uuid, Uuid>,
}

impl Memory {
    fn dead_now(&self) -> HashSet<Uuid> {
        shared_by_names(self.facts.values()).union(&self.mains).copied().collect()
    }

    fn member(&self, facts: &Facts) -> Member {
        Member { facts: facts.clone(), person: self.persons.get(&facts.contact).copied() }
    }

    /// Puts cards and removes contacts in one batch.
    fn apply(&mut self, put: &[Card], removed: &[u8]) -> Outcome {
        let before = self.dead_now();
        let mut change = Change::default();
        for id in removed.iter().map(|id| contact(*id)) {
            change.touched.extend(self.facts.remove(&id).iter().flat_map(|facts| &facts.links));
            change.bereft.extend(self.persons.remove(&id));
        }
        for card in put {
            change.touched.extend(self.facts.get(&contact(card.id)).iter().flat_map(|f| &f.links));
            self.facts.insert(contact(card.id), card.facts());
            if let Some(main) = card.main().filter(|main| self.mains.insert(*main)) {
                change.touched.push(Link { key: main, by_email: false });
            }
        }
        let changed: BTreeSet<Uuid> = put.iter().map(|card| contact(card.id)).collect();
        change.put = changed.iter().map(|id| self.member(&self.facts[id])).collect();
        change.lately_alive = self.dead_now().difference(&before).copied().collect();
        let mut made = self.made;
        let outcome = regroup(self, change, || {
            made += 1;
            Uuid::from_u128(1 << 64 | u128::from(made))
        })
        .unwrap();
        self.made = made;
        for (contact, person) in &outcome.moved {
            self.persons.insert(*contact, PersonRef { age: (person.as_u128() & 0xffff_ffff) as i64, id: *person });
        }
        self.redirects.extend(outcome.merged.iter().copied());
        outcome
    }

    fn groups(&self) -> BTreeSet<BTreeSet<Uuid>> {
        let mut groups: BTreeMap<PersonRef, BTreeSet<Uuid>> = BTreeMap::new();
        for (contact, person) in &self.persons {
            groups.entry(*person).or_default().insert(*contact);
        }
        groups.into_values().collect()
    }

    /// The partition from nothing but the set.
    fn at_once(&self) -> BTreeSet<BTreeSet<Uuid>> {
        let facts: Vec<Facts> = self.facts.values().cloned().collect();
        let ids = |group: Vec<usize>| group.into_iter().map(|index| facts[index].contact).collect();
        partition(&facts, &self.dead_now()).into_iter().map(ids).collect()
    }
}

impl Known for Memory {
    type Error = Infallible;

    fn dead(&mut self, links: &[Link]) -> Result<HashSet<Uuid>, Infallible> {
        let dead = self.dead_now();
        Ok(links.iter().map(|link| link.key).filter(|key| dead.contains(key)).collect())
    }

    fn holders(&mut self, links: &[Link]) -> Result<Vec<Member>, Infallible> {
        let carries = |facts: &&Facts| facts.links.iter().any(|link| links.contains(link));
        Ok(self.facts.values().filter(carries).map(|facts| self.member(facts)).collect())
    }

    fn members(&mut self, persons: &[Uuid]) -> Result<Vec<Member>, Infallible> {
        let belongs = |id: &Uuid| self.persons.get(id).is_some_and(|person| persons.contains(&person.id));
        Ok(self.facts.iter().filter(|(id, _)| belongs(id)).map(|(_, facts)| self.member(facts)).collect())
    }
}

fn card(id: u8, name: &'static str, email: &'static str, direct: &'static str) -> Card {
    let some = |text: &'static str| Some(text).filter(|text| !text.is_empty());
    let organisation = Some("見本商事");
    Card { id, name: some(name), organisation, email: some(email), direct: some(direct), main: None }
}

fn groups(cards: &[Card]) -> Vec<Vec<u8>> {
    let mut memory = Memory::default();
    memory.apply(cards, &[]);
    assert_eq!(memory.groups(), memory.at_once());
    let id = |id: &Uuid| u8::try_from(id.as_u128()).unwrap();
    let mut groups: Vec<Vec<u8>> = memory.groups().iter().map(|group| group.iter().map(id).collect()).collect();
    groups.sort();
    groups
}

#[test]
fn the_same_address_or_direct_line_links() {
    let cards = [
        card(1, "見本 太郎", "taro@mihon.example", ""),
        Card { organisation: Some("㈱見本商事"), ..card(2, "見本太郎", "TARO@mihon.example", "+81300001111") },
        card(3, "見本　太郎", "", "+81300001111"),
        card(4, "見本花子", "hanako@mihon.example", ""),
    ];
    assert_eq!(groups(&cards), [vec![1, 2, 3], vec![4]]);
}

#[test]
fn another_organisation_or_none_does_not_link() {
    let moved = Card { organisation: Some("別社"), ..card(2, "見本太郎", "taro@mihon.example", "") };
    let none = Card { organisation: None, ..card(3, "見本太郎", "taro@mihon.example", "") };
    assert_eq!(groups(&[card(1, "見本太郎", "taro@mihon.example", ""), moved, none]), [vec![1], vec![2], vec![3]]);
}

#[test]
fn role_addresses_and_main_numbers_do_not_link() {
    let same = |id| card(id, "佐藤太郎", "info@mihon.example", "");
    assert_eq!(groups(&[same(1), same(2)]), [vec![1], vec![2]]);
    let switchboard = |id| Card { main: Some("+81300000000"), ..card(id, "佐藤太郎", "", "") };
    assert_eq!(groups(&[switchboard(1), switchboard(2)]), [vec![1], vec![2]]);
    // A number that anybody has as the main number links nobody, though others took it for a direct line.
    let direct = |id| card(id, "佐藤太郎", "", "+81300000000");
    assert_eq!(groups(&[direct(1), direct(2)]), [vec![1, 2]]);
    assert_eq!(groups(&[direct(1), direct(2), switchboard(3)]), [vec![1], vec![2], vec![3]]);
}

#[test]
fn what_three_names_share_links_nobody() {
    let line = |id, name| card(id, name, "", "+81300002222");
    let two = [line(1, "佐藤太郎"), line(2, "佐藤太郎"), line(3, "鈴木花子")];
    assert_eq!(groups(&two), [vec![1, 2], vec![3]]);
    let three = [two.as_slice(), &[line(4, "高橋次郎")]].concat();
    assert_eq!(groups(&three), [vec![1], vec![2], vec![3], vec![4]]);
}

#[test]
fn a_couple_with_one_mailbox_stays_two() {
    let taro = card(1, "見本太郎", "mihon@mihon.example", "");
    let hanako = card(2, "見本花子", "mihon@mihon.example", "");
    let nobody = card(3, "", "mihon@mihon.example", "");
    let family = card(4, "見本.", "mihon@mihon.example", "");
    assert_eq!(groups(&[taro.clone(), nobody.clone(), family.clone()]), [vec![1, 3, 4]]);
    assert_eq!(groups(&[taro, hanako, nobody, family]), [vec![1], vec![2], vec![3], vec![4]]);
}

#[test]
fn an_incomplete_name_never_ties_two_names_together() {
    let cards = [
        card(1, "見本太郎", "a@mihon.example", ""),
        card(2, "", "a@mihon.example", "+81300003333"),
        card(3, "佐藤花子", "", "+81300003333"),
    ];
    assert_eq!(groups(&cards), [vec![1, 2], vec![3]]);
}

#[test]
fn the_oldest_id_survives_a_merge_and_leaves_a_redirect() {
    let mut memory = Memory::default();
    memory.apply(&[card(9, "見本太郎", "taro@mihon.example", "")], &[]);
    let old = memory.persons[&contact(9)];
    memory.apply(&[card(1, "見本太郎", "", "+81300001111")], &[]);
    let young = memory.persons[&contact(1)];
    let outcome = memory.apply(&[card(5, "見本太郎", "taro@mihon.example", "+81300001111")], &[]);
    assert_eq!(outcome.merged, [(young.id, old.id)]);
    assert!(outcome.created.is_empty());
    assert!(memory.persons.values().all(|person| *person == old));
    // The bridge goes: the old id stays with the group of the smallest contact id, the other gets a new one.
    let outcome = memory.apply(&[], &[5]);
    assert_eq!((outcome.created.len(), outcome.merged.len(), outcome.emptied.len()), (1, 0, 0));
    assert_eq!(memory.persons[&contact(1)], old);
    let outcome = memory.apply(&[], &[1]);
    assert_eq!(outcome.emptied, [old.id]);
}

fn any_card() -> impl Strategy<Value = Card> {
    let names = vec![None, Some("見本太郎"), Some("見本花子"), Some("佐藤次郎"), Some("見本."), Some("見?太郎")];
    let emails = vec![None, Some("a@m.example"), Some("b@m.example"), Some("c@m.example"), Some("info@m.example")];
    let numbers = vec![None, Some("+81300000001"), Some("+81300000002"), Some("+81300000003")];
    let mains = vec![None, None, None, Some("+81300000003")];
    (
        0..24_u8,
        prop::sample::select(names),
        prop::sample::select(vec![Some("見本商事"), Some("㈱見本商事"), Some("別社"), None]),
        prop::sample::select(emails),
        prop::sample::select(numbers),
        prop::sample::select(mains),
    )
        .prop_map(|(id, name, organisation, email, direct, main)| Card {
            id,
            name,
            organisation,
            email,
            direct,
            main,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever comes, changes and goes, in whatever batches: the groups are those of the final set.
    #[test]
    fn step_by_step_is_the_same_as_at_once(
        batches in prop::collection::vec((prop::collection::vec(any_card(), 0..6), prop::collection::vec(0..24_u8, 0..2)), 1..14)
    ) {
        let mut memory = Memory::default();
        for (put, removed) in &batches {
            let removed: Vec<u8> = removed.iter().copied().filter(|id| put.iter().all(|card| card.id != *id)).collect();
            memory.apply(put, &removed);
            prop_assert_eq!(memory.groups(), memory.at_once());
            // Every contact has a person, and a person that was merged away has no contacts.
            prop_assert!(memory.facts.keys().all(|id| memory.persons.contains_key(id)));
        }
    }

    #[test]
    fn the_order_does_not_matter(
        cards in prop::collection::vec(any_card(), 1..24),
        seed in prop::collection::vec(any::<u32>(), 24),
        size in 1..7_usize,
    ) {
        let cards: Vec<Card> = cards.iter().enumerate().map(|(id, card)| Card { id: u8::try_from(id).unwrap(), ..card.clone() }).collect();
        let mut shuffled: Vec<(u32, Card)> = seed.iter().copied().zip(cards.iter().cloned()).collect();
        shuffled.sort_by_key(|(order, _)| *order);
        let shuffled: Vec<Card> = shuffled.into_iter().map(|(_, card)| card).collect();
        let (mut one, mut other) = (Memory::default(), Memory::default());
        one.apply(&cards, &[]);
        for batch in shuffled.chunks(size) {
            other.apply(batch, &[]);
        }
        prop_assert_eq!(one.groups(), other.groups());
    }

    /// Nobody is ever tied to somebody of another whole name.
    #[test]
    fn two_names_are_never_one_person(cards in prop::collection::vec(any_card(), 1..24)) {
        let mut memory = Memory::default();
        memory.apply(&cards, &[]);
        for group in memory.groups() {
            let names: BTreeSet<&Name> =
                group.iter().map(|id| &memory.facts[id].name).filter(|name| name.is_whole()).collect();
            prop_assert!(names.len() <= 1);
        }
    }
}
