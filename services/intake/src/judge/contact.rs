//! Contacts.

use chrono::{DateTime, Datelike};
use jointuse::{
    Personal,
    records::{Contact, PersonName, Text},
};

use super::{Candidate, Card, Defaults, Field, Id, Judge, Place, RawAcquisition, Replacing, Row, Tie, bytes};
use crate::{
    normalise, reference,
    rule::{Finding, Rule},
};

type Normalise = fn(&str) -> Result<Option<String>, Rule>;

/// A name, title or the like.
fn line(text: &str) -> Result<Option<String>, Rule> {
    normalise::line(text, normalise::MAX_LINE)
}

/// A name, where a lone `?` says that nothing was recognised.
fn name(text: &str) -> Result<Option<String>, Rule> {
    Ok(line(text)?.filter(|name| !name.chars().all(|c| matches!(c, '?' | '？'))))
}

struct Reading<'j, 'c> {
    judge: &'j Judge,
    card: &'j Card<'c>,
    findings: Vec<Finding>,
}

impl Reading<'_, '_> {
    /// Normalises a field and checks that its item is granted; `of` is the record's field of the top level.
    fn text(&mut self, field: Field, of: &'static str, normalise: Normalise) -> Text {
        let text = self.card.get(field)?;
        match normalise(text) {
            Ok(None) => None,
            Ok(Some(_)) if !self.judge.granted.allows(of) => {
                self.findings.push(Finding::new(field.path(), Rule::ItemNotGranted));
                None
            }
            Ok(Some(text)) => Some(Personal::new(text)),
            Err(rule) => {
                self.findings.push(Finding::new(field.path(), rule));
                None
            }
        }
    }

    fn name(&mut self) -> Option<PersonName> {
        let family = self.text(Field::Family, "name", name);
        let given = self.text(Field::Given, "name", name);
        let joined =
            [&family, &given].into_iter().flatten().map(|part| part.expose().as_str()).collect::<Vec<_>>().join(" ");
        let full = self.text(Field::FullName, "name", name).or((!joined.is_empty()).then(|| Personal::new(joined)));
        let family_kana = self.text(Field::FamilyKana, "name", normalise::kana);
        let given_kana = self.text(Field::GivenKana, "name", normalise::kana);
        let name = PersonName { full, family, given, family_kana, given_kana };
        (name != PersonName::default()).then_some(name)
    }

    fn address(&mut self) -> Text {
        let mut parts = self.card.all(Field::Address).filter(|part| !part.trim().is_empty());
        let first = parts.next()?;
        match parts.next() {
            None => self.text(Field::Address, "address", line),
            Some(second) => {
                let joined = [first, second].into_iter().chain(parts).map(str::trim).collect::<String>();
                let mut whole = Card::default();
                whole.put(Field::Address, joined);
                let mut reading = Reading { judge: self.judge, card: &whole, findings: Vec::new() };
                let address = reading.text(Field::Address, "address", line);
                self.findings.append(&mut reading.findings);
                address
            }
        }
    }
}

impl Judge {
    /// Judges one card. `replacing` is how cards of its source replace each other when it has a reference of its own.
    pub fn contact(&self, card: &Card<'_>, defaults: &Defaults, replacing: Replacing, place: Place) -> Row {
        let mut reading = Reading { judge: self, card, findings: Vec::new() };
        let name = reading.name();
        let acquisition = RawAcquisition {
            method: card.get(Field::Method),
            acquired_on: card.get(Field::AcquiredOn),
            purpose: card.get(Field::Purpose),
            source: card.get(Field::Source),
        };
        let organisation = reading.text(Field::Organisation, "organisation", line);
        let email = reading.text(Field::Email, "email", normalise::email);
        let mut contact = Contact {
            // Replaced below, when the reference is known.
            contact_id: self.contact_id(""),
            company: self.company.clone(),
            recorded_at: DateTime::UNIX_EPOCH,
            acquisition: match self.acquisition(acquisition, defaults, &mut reading.findings) {
                Some(acquisition) => acquisition,
                None => return self.refused(place, reading, &name, &email),
            },
            department: reading.text(Field::Department, "department", line),
            title: reading.text(Field::Title, "title", line),
            postal_code: reading.text(Field::PostalCode, "postal_code", normalise::postal_code),
            address: reading.address(),
            telephone: reading.text(Field::Telephone, "telephone", normalise::telephone),
            direct_telephone: reading.text(Field::DirectTelephone, "direct_telephone", normalise::telephone),
            mobile: reading.text(Field::Mobile, "mobile", normalise::telephone),
            fax: reading.text(Field::Fax, "fax", normalise::telephone),
            name,
            organisation,
            email,
        };
        if card.get(Field::SourceStatus).is_some_and(|status| !status.trim().eq_ignore_ascii_case("completed")) {
            reading.findings.push(Finding::new(Field::SourceStatus.path(), Rule::Unfinished));
        }
        if !reading.findings.is_empty() {
            return self.refused(place, reading, &contact.name, &contact.email);
        }
        let (reference, replacing) = match referenced(card, &contact, replacing) {
            Ok(found) => found,
            Err(rule) => {
                return Row::bad(
                    place,
                    Finding::new(if rule == Rule::ContactMinimum { "name" } else { "reference" }, rule),
                );
            }
        };
        contact.contact_id = self.contact_id(&reference);
        let filled = filled(&contact);
        let Some((fingerprint, value)) = self.encode(&mut contact, |contact, at| contact.recorded_at = at) else {
            return Row::bad(place, Finding::new("record", Rule::Type));
        };
        let email_key: Option<Id> = contact.email.as_ref().map(|email| self.email_key(email.expose()));
        Row::Good(Box::new(Candidate {
            place,
            id: bytes(contact.contact_id.as_str()),
            contact: contact.contact_id,
            fingerprint,
            rank: i64::from(contact.acquisition.acquired_on.num_days_from_ce()),
            filled,
            replacing,
            email_key,
            value,
            warnings: warnings(card),
        }))
    }

    /// Everything that is wrong with the card, so that one correction is enough.
    fn refused(&self, place: Place, reading: Reading<'_, '_>, name: &Option<PersonName>, email: &Text) -> Row {
        let mut rest = Reading { judge: self, card: reading.card, findings: reading.findings };
        let known: Vec<_> = rest.findings.iter().map(|finding| finding.field.clone()).collect();
        let all: [(Field, &'static str, Normalise); 8] = [
            (Field::Department, "department", line),
            (Field::Title, "title", line),
            (Field::PostalCode, "postal_code", normalise::postal_code),
            (Field::Address, "address", line),
            (Field::Telephone, "telephone", normalise::telephone),
            (Field::DirectTelephone, "direct_telephone", normalise::telephone),
            (Field::Mobile, "mobile", normalise::telephone),
            (Field::Fax, "fax", normalise::telephone),
        ];
        for (field, of, normalise) in all {
            if !known.iter().any(|known| known == field.path()) {
                rest.text(field, of, normalise);
            }
        }
        let said = [Field::FullName, Field::Family, Field::Given, Field::Email]
            .iter()
            .any(|field| rest.card.get(*field).is_some());
        if name.is_none() && email.is_none() && !said {
            rest.findings.push(Finding::new("name", Rule::ContactMinimum));
        }
        Row::Bad { place, findings: rest.findings }
    }
}

/// The publisher's own reference, or a derived one.
fn referenced(card: &Card<'_>, contact: &Contact, replacing: Replacing) -> Result<(String, Replacing), Rule> {
    let full = contact.name.as_ref().and_then(|name| {
        // Family and given name joined are the same as the whole name without its space.
        let parts =
            [&name.family, &name.given].into_iter().flatten().map(|part| part.expose().as_str()).collect::<String>();
        if parts.is_empty() { name.full.as_ref().map(|full| full.expose().clone()) } else { Some(parts) }
    });
    let email = contact.email.as_ref().map(|email| email.expose().as_str());
    let has_name = full.as_ref().is_some_and(|name| !name.is_empty());
    if let Some(own) = card.get(Field::Reference) {
        if !has_name && email.is_none() {
            return Err(Rule::ContactMinimum);
        }
        return Ok((reference::own(own)?.to_owned(), replacing));
    }
    let organisation = contact.organisation.as_ref().map(|organisation| organisation.expose().as_str());
    let derived = reference::derive(full.as_deref(), email, organisation)?;
    Ok((derived, Replacing { tie: Tie::Pick, monotonic: true }))
}

fn filled(contact: &Contact) -> i16 {
    let name = contact.name.as_ref().map_or(0, |name| {
        [&name.full, &name.family, &name.given, &name.family_kana, &name.given_kana].into_iter().flatten().count()
    });
    let texts = [
        &contact.organisation,
        &contact.department,
        &contact.title,
        &contact.postal_code,
        &contact.address,
        &contact.email,
        &contact.telephone,
        &contact.direct_telephone,
        &contact.mobile,
        &contact.fax,
    ];
    i16::try_from(name + texts.into_iter().flatten().count()).unwrap_or(i16::MAX)
}

/// What the publisher should look at, although it is taken as it is.
fn warnings(card: &Card<'_>) -> Vec<Finding> {
    use Field as F;
    let mut warnings = Vec::new();
    for (field, text) in card.cells() {
        match field {
            F::FullName
            | F::Family
            | F::Given
            | F::FamilyKana
            | F::GivenKana
            | F::Organisation
            | F::Department
            | F::Title
            | F::Address => {
                let mut warn = |rule| warnings.push(Finding::new(field.path(), rule));
                if text.contains(['?', '？']) {
                    warn(Rule::Unrecognised);
                }
                if text.contains('＊') {
                    warn(Rule::Unencodable);
                }
                if text.starts_with(['=', '+', '-', '@']) {
                    warn(Rule::FormulaLike);
                }
            }
            F::SourceFlag => warnings.push(Finding::new(field.path(), Rule::FlaggedBySource)),
            _ => {}
        }
    }
    warnings
}
