//! What a card's properties mean for us. What is not of the organisation (home address, private mail, birthday, notes) is
//! not in the notice and is left out.

use calcard::vcard::{
    VCard, VCardEntry, VCardKind, VCardParameterName, VCardParameterValue, VCardProperty as P, VCardType, VCardValue,
};
use chrono::NaiveDate;

use crate::{
    judge::{Card, Field, object::printable},
    refused,
    rule::{Finding, Rule},
};

/// The fields of a card, and the names of properties that were left out.
pub(super) fn card(vcard: &VCard, today: NaiveDate) -> Result<(Card<'static>, Vec<String>), Finding> {
    let mut reading = Reading { vcard, card: Card::default(), ignored: Vec::new() };
    for (position, entry) in vcard.entries.iter().enumerate() {
        if let P::Other(name) = &entry.name
            && let Some(refused) = refused::check(name.trim_start_matches(['x', 'X', '-']), today)
        {
            return Err(Finding::new(printable(name, position), refused.rule));
        }
        reading.entry(entry, position)?;
    }
    reading.ignored.sort();
    reading.ignored.dedup();
    Ok((reading.card, reading.ignored))
}

struct Reading<'v> {
    vcard: &'v VCard,
    card: Card<'static>,
    ignored: Vec<String>,
}

/// What TYPE parameters and a label of the same group say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Kinds {
    fax: bool,
    cell: bool,
    home: bool,
    direct: bool,
    other: bool,
}

impl Reading<'_> {
    fn entry(&mut self, entry: &VCardEntry, position: usize) -> Result<(), Finding> {
        match &entry.name {
            P::Begin
            | P::End
            | P::Version
            | P::Prodid
            | P::Rev
            | P::Source
            | P::Created
            | P::Language
            | P::Lang
            | P::Clientpidmap
            | P::Xml
            | P::Jsprop
            | P::Url => {}
            P::Kind => match entry.values.first() {
                Some(VCardValue::Kind(VCardKind::Individual)) | None => {}
                Some(VCardValue::Text(text)) if text.eq_ignore_ascii_case("individual") => {}
                Some(_) => return Err(Finding::new("KIND", Rule::NotACard)),
            },
            P::Uid => self.put(Field::Reference, text(entry, 0)),
            P::Fn => self.put(Field::FullName, text(entry, 0)),
            P::N => {
                self.put(Field::Family, text(entry, 0));
                self.put(Field::Given, text(entry, 1));
            }
            P::Org => {
                self.put(Field::Organisation, text(entry, 0));
                let units: Vec<_> = (1..entry.values.len()).filter_map(|index| text(entry, index)).collect();
                self.put(Field::Department, Some(units.join(" ")));
            }
            P::Title => self.put(Field::Title, text(entry, 0)),
            P::Tel => self.telephone(entry),
            P::Email if self.kinds(entry).home => self.ignored.push("EMAIL (home)".into()),
            P::Email => self.put(Field::Email, text(entry, 0)),
            P::Adr => self.address(entry),
            P::Sound if is(entry, "X-IRMC-N") => {
                // Old Japanese telephones: the reading, in the parts of N.
                let all = entry.values.iter().filter_map(VCardValue::as_text).collect::<Vec<_>>().join(";");
                let mut parts = all.split(';');
                self.put(Field::FamilyKana, parts.next().map(str::to_owned));
                self.put(Field::GivenKana, parts.next().map(str::to_owned));
            }
            P::Other(name) => match name.to_ascii_uppercase().as_str() {
                "X-PHONETIC-LAST-NAME" => self.put(Field::FamilyKana, text(entry, 0)),
                "X-PHONETIC-FIRST-NAME" => self.put(Field::GivenKana, text(entry, 0)),
                "X-ABLABEL" | "X-ABSHOWAS" | "X-ABUID" => {}
                _ => self.ignored.push(printable(name, position)),
            },
            other => self.ignored.push(other.as_str().to_owned()),
        }
        Ok(())
    }

    fn put(&mut self, field: Field, text: Option<String>) {
        if let Some(text) = text {
            self.card.put(field, text);
        }
    }

    fn telephone(&mut self, entry: &VCardEntry) {
        let kinds = self.kinds(entry);
        let number = text(entry, 0).map(|number| {
            let number = number.strip_prefix("tel:").map_or(number.as_str(), |number| number);
            number.split(";ext=").next().unwrap_or_default().to_owned()
        });
        let field = match kinds {
            Kinds { home: true, .. } => return self.ignored.push("TEL (home)".into()),
            Kinds { other: true, .. } => return self.ignored.push("TEL (pager or text)".into()),
            Kinds { fax: true, .. } => Field::Fax,
            Kinds { cell: true, .. } => Field::Mobile,
            Kinds { direct: true, .. } => Field::DirectTelephone,
            _ if self.card.get(Field::Telephone).is_some() => Field::DirectTelephone,
            _ => Field::Telephone,
        };
        self.put(field, number);
    }

    fn address(&mut self, entry: &VCardEntry) {
        if self.kinds(entry).home {
            return self.ignored.push("ADR (home)".into());
        }
        let part = |index| text(entry, index).unwrap_or_default();
        // PO box; extended; street; locality; region; code; country. In Japan from the large to the small.
        let (region, locality, street, extended) = (part(4), part(3), part(2), part(1));
        let gap = if street.is_ascii() && !locality.is_empty() { " " } else { "" };
        let parts = [region, locality, street, extended];
        let address = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(gap);
        self.put(Field::PostalCode, text(entry, 5));
        if self.card.get(Field::Address).is_none() {
            self.put(Field::Address, Some(address));
        }
    }

    fn kinds(&self, entry: &VCardEntry) -> Kinds {
        let mut kinds = Kinds::default();
        for parameter in &entry.params {
            match &parameter.value {
                VCardParameterValue::Type(kind) => match kind {
                    VCardType::Fax => kinds.fax = true,
                    VCardType::Cell => kinds.cell = true,
                    VCardType::Home => kinds.home = true,
                    VCardType::Pager | VCardType::Text | VCardType::Textphone => kinds.other = true,
                    _ => {}
                },
                VCardParameterValue::Text(text) if text.eq_ignore_ascii_case("home") => kinds.home = true,
                _ => {}
            }
        }
        if let Some(group) = &entry.group {
            let labels = self.vcard.entries.iter().filter(|other| other.group.as_ref() == Some(group));
            for label in
                labels.filter(|other| matches!(&other.name, P::Other(name) if name.eq_ignore_ascii_case("X-ABLabel")))
            {
                let label = text(label, 0).unwrap_or_default().to_lowercase();
                kinds.direct |= label.contains("直通");
                kinds.fax |= label.contains("fax") || label.contains("ファックス");
                kinds.cell |= label.contains("携帯") || label.contains("mobile");
                kinds.home |= label.contains("自宅") || label.contains("home>");
            }
        }
        kinds
    }
}

/// The text of a component; several of one component are joined.
fn text(entry: &VCardEntry, index: usize) -> Option<String> {
    let text = match entry.values.get(index)? {
        VCardValue::Component(parts) => parts.join(" "),
        value => value.as_text()?.to_owned(),
    };
    (!text.trim().is_empty()).then_some(text)
}

fn is(entry: &VCardEntry, parameter: &str) -> bool {
    entry.params.iter().any(|param| match (&param.name, &param.value) {
        (VCardParameterName::Other(name), _) if name.eq_ignore_ascii_case(parameter) => true,
        (_, VCardParameterValue::Text(text)) => text.eq_ignore_ascii_case(parameter),
        _ => false,
    })
}
