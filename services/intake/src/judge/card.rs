//! A card as a source has it: text by field, before anything is judged.

use std::borrow::Cow;

use serde::Deserialize;

/// What a column, property or JSON field means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
pub enum Field {
    /// The publisher's own reference.
    #[serde(rename = "reference")]
    Reference,
    /// How it was acquired.
    #[serde(rename = "acquisition.method")]
    Method,
    /// When.
    #[serde(rename = "acquisition.acquired_on")]
    AcquiredOn,
    /// The purpose stated then.
    #[serde(rename = "acquisition.purpose")]
    Purpose,
    /// System or export.
    #[serde(rename = "acquisition.source")]
    Source,
    /// Whole name.
    #[serde(rename = "name.full")]
    FullName,
    /// Family name.
    #[serde(rename = "name.family")]
    Family,
    /// Given name.
    #[serde(rename = "name.given")]
    Given,
    /// Reading of the family name.
    #[serde(rename = "name.family_kana")]
    FamilyKana,
    /// Reading of the given name.
    #[serde(rename = "name.given_kana")]
    GivenKana,
    /// Organisation.
    #[serde(rename = "organisation")]
    Organisation,
    /// Department.
    #[serde(rename = "department")]
    Department,
    /// Title.
    #[serde(rename = "title")]
    Title,
    /// Postal code.
    #[serde(rename = "postal_code")]
    PostalCode,
    /// Address; several are joined in their order.
    #[serde(rename = "address")]
    Address,
    /// E-mail address.
    #[serde(rename = "email")]
    Email,
    /// Main number.
    #[serde(rename = "telephone")]
    Telephone,
    /// Direct line; the first of several is taken.
    #[serde(rename = "direct_telephone")]
    DirectTelephone,
    /// Mobile number.
    #[serde(rename = "mobile")]
    Mobile,
    /// Fax.
    #[serde(rename = "fax")]
    Fax,
    /// Sansan's `entryStatus`: only `completed` is usable.
    #[serde(rename = "source.status")]
    SourceStatus,
    /// Anything here means that the source marks the card as not final.
    #[serde(rename = "source.flag")]
    SourceFlag,
}

impl Field {
    /// Its path in the record, and in findings.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Method => "acquisition.method",
            Self::AcquiredOn => "acquisition.acquired_on",
            Self::Purpose => "acquisition.purpose",
            Self::Source => "acquisition.source",
            Self::FullName => "name.full",
            Self::Family => "name.family",
            Self::Given => "name.given",
            Self::FamilyKana => "name.family_kana",
            Self::GivenKana => "name.given_kana",
            Self::Organisation => "organisation",
            Self::Department => "department",
            Self::Title => "title",
            Self::PostalCode => "postal_code",
            Self::Address => "address",
            Self::Email => "email",
            Self::Telephone => "telephone",
            Self::DirectTelephone => "direct_telephone",
            Self::Mobile => "mobile",
            Self::Fax => "fax",
            Self::SourceStatus => "source.status",
            Self::SourceFlag => "source.flag",
        }
    }
}

/// A card's texts. No `Debug`: they are personal.
#[derive(Default)]
pub struct Card<'a> {
    cells: Vec<(Field, Cow<'a, str>)>,
}

impl std::fmt::Debug for Card<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.cells.iter().map(|(field, _)| field)).finish()
    }
}

impl<'a> Card<'a> {
    /// Adds what a field says; blank text says nothing.
    pub fn put(&mut self, field: Field, text: impl Into<Cow<'a, str>>) {
        let text = text.into();
        if !text.trim().is_empty() {
            self.cells.push((field, text));
        }
    }

    /// The first that a field says.
    pub fn get(&self, field: Field) -> Option<&str> {
        self.all(field).next()
    }

    /// All that a field says, in order.
    pub fn all(&self, field: Field) -> impl Iterator<Item = &str> {
        self.cells.iter().filter(move |(of, _)| *of == field).map(|(_, text)| text.as_ref())
    }

    /// Whether it says nothing at all.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// All texts with their fields.
    pub fn cells(&self) -> impl Iterator<Item = (Field, &str)> {
        self.cells.iter().map(|(field, text)| (*field, text.as_ref()))
    }
}
