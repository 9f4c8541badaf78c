//! A bundle of vCards from telephones: version 3.0 with folded lines and grouped properties, and some of 4.0.

use super::{card::Card, dice::Dice};

/// One text with all cards; each tenth is of version 4.0.
pub(crate) fn bundle(cards: &[Card], dice: &mut Dice) -> String {
    cards.iter().map(|card| if dice.permille(100) { version4(card) } else { version3(card) }).collect()
}

fn version3(card: &Card) -> String {
    let mut out = Lines::begin("3.0");
    names(&mut out, card);
    if let Some(kana) = &card.family_kana {
        out.line("X-PHONETIC-LAST-NAME", kana);
    }
    if let Some(kana) = &card.given_kana {
        out.line("X-PHONETIC-FIRST-NAME", kana);
    }
    work(&mut out, card);
    if let Some(email) = &card.email {
        out.line("EMAIL;TYPE=INTERNET;TYPE=WORK", email);
    }
    for (kind, number) in [("WORK;TYPE=VOICE", &card.telephone), ("CELL", &card.mobile), ("WORK;TYPE=FAX", &card.fax)] {
        if let Some(number) = number {
            out.line(&format!("TEL;TYPE={kind}"), number);
        }
    }
    if let Some(url) = &card.url {
        out.line("ITEM1.URL", url);
        out.line("ITEM1.X-ABLabel", "_$!<HomePage>!$_");
    }
    address(&mut out, "ADR;TYPE=WORK", card);
    out.end(card)
}

fn version4(card: &Card) -> String {
    let mut out = Lines::begin("4.0");
    names(&mut out, card);
    work(&mut out, card);
    if let Some(email) = &card.email {
        out.line("EMAIL;TYPE=work", email);
    }
    for (kind, number) in [("\"work,voice\"", &card.telephone), ("cell", &card.mobile), ("\"work,fax\"", &card.fax)] {
        if let Some(number) = number {
            out.line(&format!("TEL;VALUE=uri;TYPE={kind}"), &format!("tel:{number}"));
        }
    }
    address(&mut out, "ADR;TYPE=work", card);
    out.end(card)
}

fn names(out: &mut Lines, card: &Card) {
    let text = |field: &Option<String>| escape(field.as_deref().unwrap_or_default());
    out.line("N", &format!("{};{};;;", text(&card.family), text(&card.given)));
    out.line("FN", &escape(&card.full_name().unwrap_or_default()));
}

fn work(out: &mut Lines, card: &Card) {
    if let Some(organisation) = &card.organisation {
        let department = card.department.as_deref().map(|name| format!(";{}", escape(name))).unwrap_or_default();
        out.line("ORG", &format!("{}{department}", escape(organisation)));
    }
    if let Some(title) = &card.title {
        out.line("TITLE", &escape(title));
    }
}

fn address(out: &mut Lines, name: &str, card: &Card) {
    if let Some(rest) = &card.rest_of_address {
        let region = escape(card.prefecture.as_deref().unwrap_or_default());
        let code = card.postal_code.as_deref().unwrap_or_default();
        out.line(name, &format!(";;{};;{region};{code};Japan", escape(rest)));
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace(';', "\\;").replace(',', "\\,").replace('\n', "\\n")
}

struct Lines(String);

impl Lines {
    fn begin(version: &str) -> Self {
        Self(format!("BEGIN:VCARD\r\nVERSION:{version}\r\n"))
    }

    fn line(&mut self, name: &str, value: &str) {
        self.0.push_str(&super::fold(&format!("{name}:{value}")));
    }

    fn end(mut self, card: &Card) -> String {
        self.line("UID", &format!("urn:card:{}", card.reference));
        self.line("REV", &card.registered_on.format("%Y-%m-%dT00:00:00Z").to_string());
        self.0.push_str("END:VCARD\r\n");
        self.0
    }
}
