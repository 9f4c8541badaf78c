//! The stop list: whose records must not be used, not be provided, or not be used for mail.
//!
//! Contact ids are keyed pseudonyms, so they fall evenly into [`PAGES`] pages by their first bits. A page is told as a
//! whole, in one signed record, and is the very array that is searched: what changes costs one page, and ten million entries
//! are 170 MB and a few thousand signatures. A [`Head`] says which pages there are, by one digest over theirs: whoever
//! lacks a page, or has an older one, finds out. No I/O, no clock and no keys here.

mod head;
mod list;
mod page;
mod words;

pub use head::{Head, HeadError};
pub use list::{List, Put};
pub use page::{Entry, PAGES, Page, PageError, page_of};
pub use words::{Flags, Measure, Reach, Subject};

/// Whether these bytes claim to be a page, or a head; anything else is neither.
pub fn is_head(bytes: &[u8]) -> bool {
    bytes.starts_with(head::MAGIC)
}

#[cfg(test)]
mod tests;
