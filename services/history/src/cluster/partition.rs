//! The partition of a set of contacts, from nothing but the set.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use uuid::Uuid;

use super::{Facts, Name, SHARED_BY};

/// Links that are shared by their names alone: [`SHARED_BY`] or more whole names carry them.
pub fn shared_by_names<'a>(all: impl Iterator<Item = &'a Facts>) -> HashSet<Uuid> {
    let mut names: HashMap<Uuid, BTreeSet<&Name>> = HashMap::new();
    for facts in all.filter(|facts| facts.name.is_whole()) {
        for link in &facts.links {
            names.entry(link.key).or_default().insert(&facts.name);
        }
    }
    names.into_iter().filter(|(_, names)| names.len() >= SHARED_BY).map(|(key, _)| key).collect()
}

/// Groups of contacts that are one person each, as indices into `contacts`: sorted by contact id within and among them.
/// `dead` are the links that link nobody (shared ones and main numbers).
pub fn partition(contacts: &[Facts], dead: &HashSet<Uuid>) -> Vec<Vec<usize>> {
    let mut holders: BTreeMap<(Uuid, bool), Vec<usize>> = BTreeMap::new();
    for (index, facts) in contacts.iter().enumerate() {
        for link in facts.links.iter().filter(|link| !dead.contains(&link.key)) {
            holders.entry((link.key, link.by_email)).or_default().push(index);
        }
    }
    let mut sets = Sets::new(contacts.len());
    for ((_, by_email), holders) in holders {
        join(contacts, &holders, by_email, &mut sets);
    }
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for index in 0..contacts.len() {
        groups.entry(sets.root(index)).or_default().push(index);
    }
    let id = |index: &usize| contacts.get(*index).map(|facts| facts.contact);
    let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
    for group in &mut groups {
        group.sort_by_key(id);
    }
    groups.sort_by_key(|group| group.first().and_then(id));
    groups
}

/// Joins those who carry one link: same whole names, and incomplete names that fit exactly one of them.
fn join(contacts: &[Facts], holders: &[usize], by_email: bool, sets: &mut Sets) {
    let name = |index: &usize| contacts.get(*index).map(|facts| &facts.name);
    let mut whole: BTreeMap<&Name, usize> = BTreeMap::new();
    let mut incomplete: BTreeMap<&Name, usize> = BTreeMap::new();
    for index in holders {
        let Some(name) = name(index) else { continue };
        let first = if name.is_whole() { &mut whole } else { &mut incomplete };
        match first.get(name) {
            // By telephone an incomplete name joins nothing, not even its like.
            Some(_) if !name.is_whole() && !by_email => {}
            Some(first) => sets.join(*first, *index),
            None => {
                first.insert(name, *index);
            }
        }
    }
    if !by_email {
        return;
    }
    for (name, index) in incomplete {
        let mut fitting = whole.iter().filter(|(whole, _)| name.may_be(whole));
        if let (Some((_, only)), None) = (fitting.next(), fitting.next()) {
            sets.join(*only, index);
        }
    }
}

/// Disjoint sets.
struct Sets(Vec<usize>);

impl Sets {
    fn new(count: usize) -> Self {
        Self((0..count).collect())
    }

    fn root(&mut self, mut index: usize) -> usize {
        while let Some(parent) = self.0.get(index).copied().filter(|parent| *parent != index) {
            let above = self.0.get(parent).copied().unwrap_or(parent);
            if let Some(slot) = self.0.get_mut(index) {
                *slot = above;
            }
            index = above;
        }
        index
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        if let Some(slot) = self.0.get_mut(a.max(b)) {
            *slot = a.min(b);
        }
    }
}
