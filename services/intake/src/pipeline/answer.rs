//! What is answered for each row, and in the end.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    judge::{Id, Place},
    rule::{Finding, Said},
};

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Published: all in-sync replicas acknowledged it.
    Accepted,
    /// Published before with the same content, or something newer was: nothing was published.
    Unchanged,
    /// Not published.
    Refused,
}

impl Outcome {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
        }
    }
}

/// Where a record was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
}

/// A row's answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Which row.
    pub place: Place,
    /// What became of it.
    pub outcome: Outcome,
    /// Its id.
    pub id: Option<Id>,
    /// Where it was written.
    pub written: Option<Written>,
    /// Why it was refused.
    pub errors: Vec<Finding>,
    /// What to look at.
    pub warnings: Vec<Finding>,
}

/// A row's answer in JSON.
#[derive(Debug, Serialize, ToSchema)]
pub struct RowAnswer<'a> {
    /// Number of the row in the request, from 0
    pub index: u64,
    /// Line on which it begins, from 1 (CSV, vCard); number of the event, from 1 (iCalendar)
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// `accepted`, `unchanged` or `refused`
    pub outcome: Outcome,
    /// Id of the contact or event
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "00112233445566778899aabbccddeeff")]
    pub id: Option<String>,
    /// Topic that it was written to
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<&'a str>,
    /// Partition that it was written to
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<i32>,
    /// Offset at which it was written; absent when the broker says only that it has the record already (a repeated send)
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<i64>,
    /// Why it was refused
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Said<'a>>,
    /// What to look at, although it was taken
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Said<'a>>,
}

impl Answer {
    /// A refusal.
    pub fn refused(place: Place, errors: Vec<Finding>) -> Self {
        Self { place, outcome: Outcome::Refused, id: None, written: None, errors, warnings: Vec::new() }
    }

    /// For sending.
    pub fn row<'a>(&'a self, topic: &'a str) -> RowAnswer<'a> {
        RowAnswer {
            index: self.place.index,
            line: self.place.line,
            outcome: self.outcome,
            id: self.id.map(hex::encode),
            topic: self.written.map(|_| topic),
            partition: self.written.map(|written| written.partition),
            // A broker that takes a batch for a repetition of one that it has does not say where that is (librdkafka: -1001).
            offset: self.written.map(|written| written.offset).filter(|offset| *offset >= 0),
            errors: self.errors.iter().map(Finding::said).collect(),
            warnings: self.warnings.iter().map(Finding::said).collect(),
        }
    }
}

/// The last object of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Summary {
    /// Rows in all
    pub rows: u64,
    /// Rows published
    pub accepted: u64,
    /// Rows that needed no publishing
    pub unchanged: u64,
    /// Rows refused
    pub refused: u64,
    /// Rows with warnings
    pub warned: u64,
    /// Nothing was published: what would have been is said
    pub dry_run: bool,
    /// The file was read to its end
    pub complete: bool,
    /// Encoding that the file was read in
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<&'static str>,
    /// Positions of columns, from 1, that nobody knows and that were left out
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignored_columns: Vec<usize>,
}

impl Summary {
    /// Counts answers.
    pub fn count(&mut self, answers: &[Answer]) {
        for answer in answers {
            self.rows += 1;
            match answer.outcome {
                Outcome::Accepted => self.accepted += 1,
                Outcome::Unchanged => self.unchanged += 1,
                Outcome::Refused => self.refused += 1,
            }
            self.warned += u64::from(!answer.warnings.is_empty());
        }
    }
}

/// The last line of an answer in NDJSON.
#[derive(Debug, Serialize, ToSchema)]
pub struct LastLine {
    /// Totals
    pub summary: Summary,
}

/// An answer in one document.
#[derive(Debug, Serialize, ToSchema)]
pub struct Document<'a> {
    /// One for each row, in their order
    pub rows: Vec<RowAnswer<'a>>,
    /// Totals
    pub summary: Summary,
}
