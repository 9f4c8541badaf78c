//! JSON: one object or an array of them, each judged by itself.

use std::collections::BTreeSet;

use jointuse::Kind;
use serde_json::{Value, value::RawValue};

use super::{Batches, Output};
use crate::{
    judge::{Card, ContactOf, Defaults, Field, Judge, Place, Replacing, Row, Tie, object::Object},
    normalise,
    rule::{Finding, Rule},
};

/// Rows as they were sent, not yet parsed.
#[derive(Debug)]
pub struct Rows<'b> {
    raw: Vec<&'b RawValue>,
    single: bool,
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

impl<'b> Rows<'b> {
    /// Splits a body into rows.
    ///
    /// # Errors
    /// [`NotJson`]: then nothing of it is taken.
    pub fn split(body: &'b [u8]) -> Result<Self, NotJson> {
        let at = |error: serde_json::Error| NotJson { line: error.line(), column: error.column() };
        match body.trim_ascii_start().first() {
            Some(b'[') => Ok(Self { raw: serde_json::from_slice(body).map_err(at)?, single: false }),
            Some(b'{') => Ok(Self { raw: vec![serde_json::from_slice(body).map_err(at)?], single: true }),
            _ => Err(NotJson { line: 1, column: 1 }),
        }
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.raw.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.raw.is_empty()
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
        let email = |raw: &&RawValue| serde_json::from_str::<Only>(raw.get()).ok();
        self.raw.iter().filter_map(email).filter_map(|only| normalise::email(&only.contact_email).ok()?).collect()
    }

    /// Judges all rows.
    pub fn read<'o>(&self, judge: &Judge, contacts: &ContactOf, output: &'o mut Output<'o>) -> bool {
        let mut batches = Batches::new(output);
        for raw in &self.raw {
            let place = Place { index: batches.next_index(), line: None };
            let row = match serde_json::from_str::<Value>(raw.get()) {
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
