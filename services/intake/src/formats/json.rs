//! JSON: one object or an array of them, each judged by itself.

use std::{collections::BTreeSet, fmt, ops::Range};

use bytes::Bytes;
use jointuse::Kind;
use serde_json::{Value, value::RawValue};

use super::{Batches, Output};
use crate::{
    judge::{Card, ContactOf, Defaults, Field, Judge, Place, Replacing, Row, Tie, object::Object},
    normalise,
    rule::{Finding, Rule},
};

/// Rows as they were sent, not yet parsed.
pub struct Rows {
    body: Bytes,
    /// Where each stands in the body.
    rows: Vec<Range<usize>>,
    single: bool,
}

/// No content.
impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("rows", &self.rows.len()).field("single", &self.single).finish_non_exhaustive()
    }
}

/// The body is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body is not one JSON object or an array of them: see line {line}, column {column}")]
pub struct NotJson {
    /// Where.
    pub line: usize,
    /// Where.
    pub column: usize,
}

impl Rows {
    /// Splits a body into rows.
    ///
    /// # Errors
    /// [`NotJson`]: then nothing of it is taken.
    pub fn split(body: Bytes) -> Result<Self, NotJson> {
        let at = |error: serde_json::Error| NotJson { line: error.line(), column: error.column() };
        let (raw, single): (Vec<&RawValue>, bool) = match body.trim_ascii_start().first() {
            Some(b'[') => (serde_json::from_slice(&body).map_err(at)?, false),
            Some(b'{') => (vec![serde_json::from_slice(&body).map_err(at)?], true),
            _ => return Err(NotJson { line: 1, column: 1 }),
        };
        // Slices of the body, as places in it: so it is scanned once, and may move on to the thread that reads it.
        let begin = body.as_ptr().addr();
        let place = |raw: &RawValue| {
            let start = raw.get().as_ptr().addr() - begin;
            start..start + raw.get().len()
        };
        let rows = raw.into_iter().map(place).collect();
        Ok(Self { body, rows, single })
    }

    fn texts(&self) -> impl Iterator<Item = &[u8]> {
        self.rows.iter().map(|row| self.body.get(row.clone()).unwrap_or_default())
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether the body was one object, not an array.
    pub const fn is_single(&self) -> bool {
        self.single
    }

    /// All addresses by which rows name their contact, normalised.
    pub fn contact_emails(&self) -> BTreeSet<String> {
        #[derive(serde::Deserialize)]
        struct Only {
            contact_email: String,
        }
        let email = |text: &[u8]| serde_json::from_slice::<Only>(text).ok();
        self.texts().filter_map(email).filter_map(|only| normalise::email(&only.contact_email).ok()?).collect()
    }

    /// Judges all rows.
    pub fn read<'o>(&self, judge: &Judge, contacts: &ContactOf, output: &'o mut Output<'o>) -> bool {
        let mut batches = Batches::new(output);
        for text in self.texts() {
            let place = Place { index: batches.next_index(), line: None };
            let row = match serde_json::from_slice::<Value>(text) {
                Ok(value) if judge.kind() == Kind::Contact => contact(&value, judge, place),
                Ok(value) => judge.interaction(&value, contacts, place),
                // Deeper than any record.
                Err(_) => Row::bad(place, Finding::new("record", Rule::Type)),
            };
            if !batches.push(row) {
                return false;
            }
        }
        batches.flush()
    }
}

const NAME: [(&str, Field); 5] = [
    ("full", Field::FullName),
    ("family", Field::Family),
    ("given", Field::Given),
    ("family_kana", Field::FamilyKana),
    ("given_kana", Field::GivenKana),
];

const TEXTS: [(&str, Field); 11] = [
    ("reference", Field::Reference),
    ("organisation", Field::Organisation),
    ("department", Field::Department),
    ("title", Field::Title),
    ("postal_code", Field::PostalCode),
    ("address", Field::Address),
    ("email", Field::Email),
    ("telephone", Field::Telephone),
    ("direct_telephone", Field::DirectTelephone),
    ("mobile", Field::Mobile),
    ("fax", Field::Fax),
];

const ACQUISITION: [(&str, Field); 4] = [
    ("method", Field::Method),
    ("acquired_on", Field::AcquiredOn),
    ("purpose", Field::Purpose),
    ("source", Field::Source),
];

/// A contact posted as JSON has a reference of its own: the publisher's word replaces what was said before.
fn contact(value: &Value, judge: &Judge, place: Place) -> Row {
    let mut findings = Vec::new();
    let mut card = Card::default();
    let Some(object) = Object::new(value, "", &mut findings) else { return Row::Bad { place, findings } };
    let known: Vec<_> = TEXTS.iter().map(|(name, _)| *name).chain(["name", "acquisition"]).collect();
    object.only(&known, judge.today(), &mut findings);
    put(&object, &TEXTS, &mut card, &mut findings);
    for (name, prefix, fields) in [("name", "name.", NAME.as_slice()), ("acquisition", "acquisition.", &ACQUISITION)] {
        if let Some(part) = object.object(name, prefix, &mut findings) {
            let known: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
            part.only(&known, judge.today(), &mut findings);
            put(&part, fields, &mut card, &mut findings);
        }
    }
    if card.get(Field::Reference).is_none() && findings.iter().all(|finding| finding.field != "reference") {
        findings.push(Finding::new("reference", Rule::Required));
    }
    match judge.contact(&card, &Defaults::default(), Replacing { tie: Tie::Refuse, monotonic: false }, place) {
        row if findings.is_empty() => row,
        Row::Good(_) => Row::Bad { place, findings },
        Row::Bad { findings: more, .. } => {
            // What could not be read is not missing as well.
            let new = more.into_iter().filter(|finding| findings.iter().all(|known| known.field != finding.field));
            let new: Vec<_> = new.collect();
            findings.extend(new);
            Row::Bad { place, findings }
        }
    }
}

fn put<'v>(object: &Object<'v>, fields: &[(&str, Field)], card: &mut Card<'v>, findings: &mut Vec<Finding>) {
    for (name, field) in fields {
        if let Some(text) = object.text(name, findings) {
            card.put(*field, text);
        }
    }
}
