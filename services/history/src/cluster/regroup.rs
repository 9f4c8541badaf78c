//! Keeping the partition while contacts come, change and go.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use uuid::Uuid;

use super::{Facts, Link, partition::partition};

/// A person as known so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonRef {
    /// Grows with every new person: the smaller, the older. First, so that order is by age.
    pub age: i64,
    /// Id.
    pub id: Uuid,
}

/// A contact and the person it belongs to so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The contact.
    pub facts: Facts,
    /// Its person; `None` when it is new.
    pub person: Option<PersonRef>,
}

/// What is known of all contacts. A database, or a map in tests.
pub trait Known {
    /// Why it cannot be asked.
    type Error;

    /// The keys of those of `links` that link nobody now: main numbers, and links carried by too many whole names.
    fn dead(&mut self, links: &[Link]) -> Result<HashSet<Uuid>, Self::Error>;

    /// Everyone who carries one of `links`. Asked only about links that few carry.
    fn holders(&mut self, links: &[Link]) -> Result<Vec<Member>, Self::Error>;

    /// All contacts of these persons.
    fn members(&mut self, persons: &[Uuid]) -> Result<Vec<Member>, Self::Error>;
}

/// What changed about persons.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Persons to be made, in the order of their age.
    pub created: Vec<Uuid>,
    /// Contacts and the person they belong to now, where that changed; sorted, each contact once.
    pub moved: Vec<(Uuid, Uuid)>,
    /// Persons that became part of another: from, into.
    pub merged: Vec<(Uuid, Uuid)>,
    /// Persons without any contact left that were not merged.
    pub emptied: Vec<Uuid>,
}

impl Outcome {
    /// The person that a contact belongs to now, if that changed.
    pub fn person_of(&self, contact: Uuid) -> Option<Uuid> {
        let found = self.moved.binary_search_by_key(&contact, |(contact, _)| *contact);
        found.ok().and_then(|index| self.moved.get(index)).map(|(_, person)| *person)
    }
}

/// What changed about contacts.
#[derive(Debug, Default)]
pub struct Change {
    /// New and changed contacts as they are now, and the person they belong to so far.
    pub put: Vec<Member>,
    /// Links that changed contacts had before, that removed ones had, and numbers that just became main numbers.
    pub touched: Vec<Link>,
    /// Persons that removed contacts belonged to.
    pub bereft: Vec<PersonRef>,
    /// Keys among those of `put` and `touched` that linked before this change: their carriers may have to part.
    pub lately_alive: Vec<Uuid>,
}

/// Finds the persons anew, after `change`, among all contacts that it can reach: from the changed contacts by live links,
/// by links that lived until now, and by the persons that these make up so far. `new_id` makes ids of persons.
///
/// A person's id stays with the group that holds most of its contacts (on a tie, the one with the smallest contact id);
/// where several persons become one, the oldest stays.
///
/// # Errors
/// What [`Known`] fails with.
pub fn regroup<K: Known>(known: &mut K, change: Change, mut new_id: impl FnMut() -> Uuid) -> Result<Outcome, K::Error> {
    let reached = Reach::from(known, change)?;
    let facts: Vec<Facts> = reached.members.values().map(|member| member.facts.clone()).collect();
    let groups = partition(&facts, &reached.dead);
    let groups: Vec<Vec<&Member>> = groups
        .iter()
        .map(|group| {
            let contacts = group.iter().filter_map(|index| facts.get(*index));
            contacts.filter_map(|facts| reached.members.get(&facts.contact)).collect()
        })
        .collect();
    Ok(assign(&groups, &reached.bereft, &mut new_id))
}

/// Contacts that a change can reach.
struct Reach {
    members: BTreeMap<Uuid, Member>,
    dead: HashSet<Uuid>,
    bereft: BTreeSet<PersonRef>,
}

impl Reach {
    fn from<K: Known>(known: &mut K, change: Change) -> Result<Self, K::Error> {
        let mut reach =
            Self { members: BTreeMap::new(), dead: HashSet::new(), bereft: change.bereft.iter().copied().collect() };
        let (mut asked, mut visited) = (HashSet::new(), HashSet::new());
        let forced: HashSet<Uuid> = change.lately_alive.into_iter().collect();
        let mut links: Vec<Link> = change.touched;
        let mut persons: Vec<Uuid> = change.bereft.iter().map(|person| person.id).collect();
        for member in change.put {
            reach.add(member, &mut links, &mut persons);
        }
        loop {
            let mut found = Vec::new();
            links.retain(|link| asked.insert(*link));
            if !links.is_empty() {
                let dead = known.dead(&links)?;
                let asks = |link: &Link| !dead.contains(&link.key) || forced.contains(&link.key);
                let live: Vec<Link> = links.drain(..).filter(asks).collect();
                reach.dead.extend(dead);
                found.extend(known.holders(&live)?);
            }
            persons.retain(|person| visited.insert(*person));
            if !persons.is_empty() {
                found.extend(known.members(&persons)?);
                persons.clear();
            }
            for member in found {
                reach.add(member, &mut links, &mut persons);
            }
            if links.is_empty() && persons.is_empty() {
                return Ok(reach);
            }
        }
    }

    fn add(&mut self, member: Member, links: &mut Vec<Link>, persons: &mut Vec<Uuid>) {
        if self.members.contains_key(&member.facts.contact) {
            return;
        }
        links.extend(&member.facts.links);
        persons.extend(member.person.map(|person| person.id));
        self.members.insert(member.facts.contact, member);
    }
}

/// Gives each group the id of a person, old ones first.
fn assign(groups: &[Vec<&Member>], bereft: &BTreeSet<PersonRef>, new_id: &mut impl FnMut() -> Uuid) -> Outcome {
    // For each person, in the order of age, how many of its contacts are in which group.
    let mut shares: BTreeMap<PersonRef, BTreeMap<usize, usize>> = BTreeMap::new();
    for person in bereft {
        shares.entry(*person).or_default();
    }
    for (index, group) in groups.iter().enumerate() {
        for person in group.iter().filter_map(|member| member.person) {
            *shares.entry(person).or_default().entry(index).or_default() += 1;
        }
    }
    let mut claimed: HashMap<usize, Uuid> = HashMap::new();
    let mut outcome = Outcome::default();
    for (person, shares) in &shares {
        // Groups are sorted by their smallest contact id, so the first of the largest is the one to take.
        let largest = |free: bool| {
            let shares = shares.iter().filter(|(group, _)| !free || !claimed.contains_key(group));
            shares.fold(None, |best: Option<(usize, usize)>, (group, count)| match best {
                Some((_, most)) if most >= *count => best,
                _ => Some((*group, *count)),
            })
        };
        if let Some((group, _)) = largest(true) {
            claimed.insert(group, person.id);
        } else if let Some(into) = largest(false).and_then(|(group, _)| claimed.get(&group)) {
            outcome.merged.push((person.id, *into));
        } else {
            outcome.emptied.push(person.id);
        }
    }
    for (index, group) in groups.iter().enumerate() {
        let person = *claimed.entry(index).or_insert_with(|| {
            let id = new_id();
            outcome.created.push(id);
            id
        });
        let moved = group.iter().filter(|member| member.person.is_none_or(|before| before.id != person));
        outcome.moved.extend(moved.map(|member| (member.facts.contact, person)));
    }
    outcome.moved.sort_unstable();
    outcome
}
