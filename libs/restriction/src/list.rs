//! All pages together.

use std::{fmt, sync::Arc};

use sha2::{Digest as _, Sha256};

use crate::{Entry, Flags, PAGES, Page, Subject, page_of};

/// The list as held. Cloning shares the pages.
#[derive(Clone)]
pub struct List {
    pages: Vec<Option<Arc<Page>>>,
    entries: u64,
    reaching: u64,
}

/// What became of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It stands in the list now.
    Taken,
    /// The very page that stands there.
    Repeated,
    /// One that knows more stands there.
    Older,
}

impl Default for List {
    fn default() -> Self {
        Self { pages: vec![None; usize::from(PAGES)], entries: 0, reaching: 0 }
    }
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "List({} entries)", self.entries)
    }
}

impl List {
    /// Puts a page into its place.
    pub fn put(&mut self, page: Page) -> Put {
        let Some(slot) = self.pages.get_mut(usize::from(page.number())) else { return Put::Older };
        match slot {
            Some(held) if held.digest() == page.digest() => return Put::Repeated,
            // The same number twice with other content: an issue that was interrupted and made anew; the later one counts.
            Some(held) if held.sequence() > page.sequence() => return Put::Older,
            _ => {}
        }
        let count = |page: &Page| u64::try_from(page.len()).unwrap_or(u64::MAX);
        self.entries = self.entries - slot.as_deref().map_or(0, count) + count(&page);
        self.reaching = self.reaching - slot.as_deref().map_or(0, Page::reaching) + page.reaching();
        *slot = Some(Arc::new(page));
        Put::Taken
    }

    /// What stops for a contact.
    pub fn get(&self, subject: &Subject) -> Flags {
        let page = self.pages.get(usize::from(page_of(subject)));
        page.and_then(Option::as_deref).map_or(Flags::NONE, |page| page.get(subject))
    }

    /// Nobody is restricted.
    pub const fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Some restriction reaches all contacts of a person.
    pub const fn reaches_persons(&self) -> bool {
        self.reaching > 0
    }

    /// How many contacts are restricted.
    pub const fn len(&self) -> u64 {
        self.entries
    }

    /// All entries, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = Entry> + '_ {
        self.pages.iter().flatten().flat_map(|page| page.iter())
    }

    /// The pages held, in the order of their numbers.
    pub fn pages(&self) -> impl Iterator<Item = &Page> {
        self.pages.iter().flatten().map(|page| &**page)
    }

    /// Numbers and digests of the pages held, in the order of the numbers.
    pub fn digests(&self) -> impl Iterator<Item = (u16, [u8; 32])> + '_ {
        self.pages.iter().flatten().map(|page| (page.number(), *page.digest()))
    }

    /// The digest that a head must name when these pages are all.
    pub fn root(&self) -> [u8; 32] {
        Self::root_of(self.digests())
    }

    /// The same over pages' numbers and digests, in the order of the numbers.
    pub fn root_of(digests: impl IntoIterator<Item = (u16, [u8; 32])>) -> [u8; 32] {
        let mut hash = Sha256::new();
        for (number, digest) in digests {
            hash.update(number.to_be_bytes());
            hash.update(digest);
        }
        hash.finalize().into()
    }
}
