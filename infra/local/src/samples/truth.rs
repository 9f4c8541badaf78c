//! What the sample files do not say: which cards are of one human being, and which rows are wrong on purpose.

use serde::Serialize;

/// The truth about one run of the generator (`truth.json`).
#[derive(Debug, Serialize)]
pub struct Truth {
    /// Seed it was made from.
    pub seed: u64,
    /// How many cards in all.
    pub cards: usize,
    /// Every human being who stands on a card.
    pub humans: Vec<HumanTruth>,
    /// People whom two or more companies know at one organisation by one address, the most told of first.
    pub shared: Vec<SharedPerson>,
    /// Rows that intake must refuse.
    pub bad_rows: Vec<BadRow>,
    /// Meetings and who of the clients attends.
    pub meetings: Vec<super::icalendar::Event>,
}

/// All cards of one human being.
#[derive(Debug, Serialize)]
pub struct HumanTruth {
    /// Number.
    pub human: usize,
    /// The cards.
    pub cards: Vec<CardRef>,
}

/// Where a card stands.
#[derive(Debug, Clone, Serialize)]
pub struct CardRef {
    /// Company that holds it.
    pub company: &'static str,
    /// File, from the folder of the samples.
    pub file: &'static str,
    /// Line in a CSV (from 1, where the row begins); position of the card or row (from 0) in other files.
    pub at: usize,
    /// The company's own reference, where the file carries one.
    pub reference: Option<String>,
    /// Whether the name, the organisation and the e-mail address are all there and as registered.
    pub complete: bool,
}

/// A row that intake must refuse, and why.
#[derive(Debug, Clone, Serialize)]
pub struct BadRow {
    /// File.
    pub file: &'static str,
    /// As in [`CardRef::at`].
    pub at: usize,
    /// The field that is wrong.
    pub field: &'static str,
    /// What is wrong with it.
    pub why: &'static str,
}

/// Somebody whom several companies know.
#[derive(Debug, Clone, Serialize)]
pub struct SharedPerson {
    /// Number.
    pub human: usize,
    /// Family and given name.
    pub name: String,
    /// Address on the cards, in lower case.
    pub email: String,
    /// Organisation as registered.
    pub organisation: String,
    /// The companies.
    pub companies: Vec<&'static str>,
    /// How many meetings, and transactions or contact events, the samples tell of.
    pub events: usize,
}
