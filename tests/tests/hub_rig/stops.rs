//! A stop list told by the test's own hand.

use std::collections::BTreeMap;

use authority_api::{RestrictionSigner, SigningKey};
use chrono::Utc;
use restriction::{Flags, Head, List, Page, Subject, page_of};

use super::STOPS;

/// Its entries, and who signs them.
pub struct Stops {
    pub signer: RestrictionSigner,
    pub sequence: u64,
    /// How long a head is valid, in milliseconds.
    pub validity: i64,
    entries: BTreeMap<Subject, Flags>,
    list: List,
}

impl Stops {
    pub fn new(key: SigningKey) -> Self {
        let signer = RestrictionSigner::new(key, STOPS);
        Self { signer, sequence: 0, validity: 1_800_000, entries: BTreeMap::new(), list: List::default() }
    }

    /// The records that tell a change: pages, then the head.
    pub fn change(&mut self, contacts: &[(&str, Flags)]) -> Vec<Vec<u8>> {
        self.sequence += 1;
        let mut pages = std::collections::BTreeSet::new();
        for (contact, flags) in contacts {
            let subject = Subject::from_key(contact.as_bytes()).unwrap();
            pages.insert(page_of(&subject));
            match flags.is_none() {
                true => self.entries.remove(&subject),
                false => self.entries.insert(subject, *flags),
            };
        }
        let mut values = Vec::new();
        for number in pages {
            let entries: Vec<_> =
                self.entries.iter().filter(|(s, _)| page_of(s) == number).map(|(s, f)| (*s, *f)).collect();
            let page = Page::encode(number, self.sequence, &entries);
            self.list.put(Page::decode(&page).unwrap());
            values.push(self.signer.sign(page));
        }
        values.push(self.head());
        values
    }

    /// The head of the list as it stands, issued now.
    pub fn head(&self) -> Vec<u8> {
        let issued_at = Utc::now().timestamp_millis();
        let (entries, root) = (self.list.len(), self.list.root());
        let expires_at = issued_at + self.validity;
        self.signer.sign(Head { sequence: self.sequence, issued_at, expires_at, entries, root }.encode())
    }
}
