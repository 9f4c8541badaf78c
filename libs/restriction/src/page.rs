//! One page: all entries whose ids begin with the same bits, sorted, as they are told and as they are searched.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::{Flags, Subject};

/// Pages of a list: the first 12 bits of an id name its page.
pub const PAGES: u16 = 4096;

pub(crate) const MAGIC: &[u8] = b"JURP\x01";
/// Magic, page, sequence, count.
const HEAD: usize = MAGIC.len() + 2 + 8 + 4;
/// An id and its flags.
const ENTRY: usize = 17;

/// A contact and what stops for it.
pub type Entry = (Subject, Flags);

/// The page of an id.
pub fn page_of(subject: &Subject) -> u16 {
    let [first, second, ..] = subject.0;
    u16::from(first) << 4 | u16::from(second) >> 4
}

/// Why bytes are no page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// Not the beginning of one.
    #[error("not a page of restrictions of this version")]
    Head,
    /// Longer or shorter than it says.
    #[error("the page's length is not what it says")]
    Length,
    /// An id that belongs elsewhere, or not after the one before it.
    #[error("entry {0} is out of its place")]
    Order(usize),
    /// Flags that mean nothing here.
    #[error("entry {0} has unknown flags")]
    Flags(usize),
}

/// A page as held.
#[derive(Clone, PartialEq, Eq)]
pub struct Page {
    number: u16,
    sequence: u64,
    digest: [u8; 32],
    entries: Box<[[u8; ENTRY]]>,
    reaching: u64,
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Page({}, sequence {}, {} entries)", self.number, self.sequence, self.entries.len())
    }
}

impl Page {
    /// The bytes of a page; `entries` in the order of their ids, each once. What does not belong is found by
    /// [`Page::decode`].
    pub fn encode(number: u16, sequence: u64, entries: &[Entry]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + entries.len() * ENTRY);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&number.to_be_bytes());
        bytes.extend_from_slice(&sequence.to_be_bytes());
        bytes.extend_from_slice(&u32::try_from(entries.len()).unwrap_or(u32::MAX).to_be_bytes());
        for (subject, flags) in entries {
            bytes.extend_from_slice(&subject.0);
            bytes.push(flags.bits());
        }
        bytes
    }

    /// Reads a page whose signature held.
    ///
    /// # Errors
    /// When it is not one, or not sorted, or holds what belongs to another page.
    pub fn decode(bytes: &[u8]) -> Result<Self, PageError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(PageError::Head)?;
        let (number, rest) = rest.split_first_chunk().ok_or(PageError::Length)?;
        let (sequence, rest) = rest.split_first_chunk().ok_or(PageError::Length)?;
        let (count, rest) = rest.split_first_chunk().ok_or(PageError::Length)?;
        let number = u16::from_be_bytes(*number);
        let (entries, left) = rest.as_chunks::<ENTRY>();
        if !left.is_empty() || usize::try_from(u32::from_be_bytes(*count)) != Ok(entries.len()) {
            return Err(PageError::Length);
        }
        let (mut before, mut reaching) = (None, 0);
        for (index, entry) in entries.iter().enumerate() {
            let (subject, bits) = split(entry);
            if page_of(&subject) != number || before.is_some_and(|before| before >= subject) {
                return Err(PageError::Order(index));
            }
            let flags = Flags::from_bits(bits).filter(|flags| !flags.is_none()).ok_or(PageError::Flags(index))?;
            reaching += u64::from(!flags.of_person().is_none());
            before = Some(subject);
        }
        Ok(Self {
            number,
            sequence: u64::from_be_bytes(*sequence),
            digest: Self::digest_of(bytes),
            entries: entries.into(),
            reaching,
        })
    }

    /// What a head counts a page by.
    pub fn digest_of(bytes: &[u8]) -> [u8; 32] {
        Sha256::digest(bytes).into()
    }

    /// Which one.
    pub const fn number(&self) -> u16 {
        self.number
    }

    /// Everything decided up to this number that concerns the page is in it.
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Digest of the page as it was told.
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// How many entries.
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many of them reach all contacts of a person.
    pub(crate) const fn reaching(&self) -> u64 {
        self.reaching
    }

    /// No entries.
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What stops for a contact of this page. Ids are compared whole: no two contacts are ever taken for one.
    pub fn get(&self, subject: &Subject) -> Flags {
        let found = self.entries.binary_search_by(|entry| split(entry).0.cmp(subject));
        found.ok().and_then(|index| self.entries.get(index)).map_or(Flags::NONE, flags)
    }

    /// All entries, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = Entry> + '_ {
        self.entries.iter().map(|entry| (split(entry).0, flags(entry)))
    }
}

const fn split(entry: &[u8; ENTRY]) -> (Subject, u8) {
    let [id @ .., bits] = entry;
    (Subject(*id), *bits)
}

fn flags(entry: &[u8; ENTRY]) -> Flags {
    Flags::from_bits(split(entry).1).unwrap_or_default()
}
