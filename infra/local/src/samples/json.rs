//! JSON bodies as a company's own system would post them to intake.

use chrono::{Days, NaiveDate};
use serde_json::{Map, Value, json};

use super::{
    card::Card,
    dice::Dice,
    tables::{SERVICES, SUBJECTS},
    universe::AS_OF,
};

/// Rows of one kind, and which of them are wrong on purpose.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// The rows.
    pub(crate) rows: Vec<Value>,
    /// Index, field and what is wrong.
    pub(crate) bad: Vec<(usize, &'static str, &'static str)>,
}

impl Rows {
    fn spoil(
        &mut self,
        mut row: Value,
        field: &'static str,
        why: &'static str,
        spoil: impl FnOnce(&mut Map<String, Value>),
    ) {
        if let (Some(fields), number) = (row.as_object_mut(), self.rows.len()) {
            let reference = fields.get("reference").and_then(Value::as_str).unwrap_or("row");
            let reference = format!("{reference}-bad{number}");
            fields.insert("reference".into(), reference.into());
            spoil(fields);
            self.rows.push(row);
            self.bad.push((number, field, why));
        }
    }
}

fn acquisition(method: &str, day: NaiveDate, source: &str) -> Value {
    json!({ "method": method, "acquired_on": day, "purpose": "group-services-guidance", "source": source })
}

/// Contacts from a customer database.
pub(crate) fn contacts(cards: &[Card], dice: &mut Dice) -> Rows {
    let mut all = Rows { rows: cards.iter().map(|card| contact(card, dice)).collect(), bad: Vec::new() };
    let Some(sample) = all.rows.first().cloned() else { return all };
    all.spoil(sample.clone(), "acquisition", "nobody knows how it was acquired", |row| {
        row.remove("acquisition");
    });
    all.spoil(sample.clone(), "acquisition.purpose", "acquired for another purpose than the joint use's", |row| {
        if let Some(block) = row.get_mut("acquisition").and_then(Value::as_object_mut) {
            block.insert("purpose".into(), "own-services-guidance".into());
        }
    });
    all.spoil(sample.clone(), "religion", "a sensitive item", |row| {
        row.insert("religion".into(), "見本".into());
    });
    all.spoil(sample, "email", "not an e-mail address", |row| {
        row.insert("email".into(), "sample at example".into());
    });
    all
}

fn contact(card: &Card, dice: &mut Dice) -> Value {
    let method = dice.pick(&["BUSINESS_CARD", "BUSINESS_CARD", "BUSINESS_MEETING", "PUBLIC_INFORMATION"]);
    let mut name = Map::new();
    for (key, value) in [
        ("family", &card.family),
        ("given", &card.given),
        ("family_kana", &card.family_kana),
        ("given_kana", &card.given_kana),
    ] {
        put(&mut name, key, value.as_ref());
    }
    let mut row = Map::new();
    row.insert("reference".into(), card.reference.clone().into());
    row.insert("acquisition".into(), acquisition(method, card.registered_on, "customer-database"));
    if !name.is_empty() {
        row.insert("name".into(), name.into());
    }
    for (key, value) in [
        ("organisation", &card.organisation),
        ("department", &card.department),
        ("title", &card.title),
        ("postal_code", &card.postal_code),
        ("address", &card.address()),
        ("email", &card.email),
        ("telephone", &card.telephone),
        ("direct_telephone", &card.direct),
        ("mobile", &card.mobile),
        ("fax", &card.fax),
    ] {
        put(&mut row, key, value.as_ref());
    }
    row.into()
}

fn put(row: &mut Map<String, Value>, key: &str, value: Option<&String>) {
    if let Some(value) = value {
        row.insert(key.into(), value.clone().into());
    }
}

/// An event's common fields. `contact` is the publisher's own reference of the person.
fn event(prefix: &str, number: usize, contact: &str, dice: &mut Dice) -> (Map<String, Value>, NaiveDate) {
    let day = AS_OF.checked_sub_days(Days::new(1 + dice.below(540) as u64)).unwrap_or(AS_OF);
    let mut row = Map::new();
    row.insert("reference".into(), format!("{prefix}{number:05}").into());
    row.insert("contact".into(), contact.into());
    let at = format!("{day}T{:02}:{:02}:00+09:00", dice.between(8, 19), dice.below(60));
    row.insert("occurred_at".into(), at.into());
    (row, day)
}

/// `count` transactions with the people of these references.
pub(crate) fn transactions(references: &[String], count: usize, dice: &mut Dice) -> Rows {
    let mut all = Rows::default();
    for number in 0..count {
        let (mut row, day) = event("t", number, dice.choose(references).as_str(), dice);
        row.insert("acquisition".into(), acquisition("APPLICATION_FOR_TRANSACTION", day, "order-system"));
        row.insert("service".into(), dice.pick(SERVICES).into());
        row.insert("subject".into(), dice.pick(SUBJECTS).into());
        row.insert("stage".into(), dice.pick(&["引合", "提案", "見積", "契約", "納品"]).into());
        if dice.permille(700) {
            row.insert("amount_jpy".into(), (dice.between(5, 400) * 10_000).into());
        }
        all.rows.push(row.into());
    }
    let Some(sample) = all.rows.first().cloned() else { return all };
    all.spoil(sample.clone(), "occurred_at", "no such day", |row| {
        row.insert("occurred_at".into(), "2026-02-30T10:00:00+09:00".into());
    });
    all.spoil(sample, "salary_wish", "information on an individual client", |row| {
        row.insert("salary_wish".into(), 0.into());
    });
    all
}

/// `count` calls, mails and visits.
pub(crate) fn contact_events(references: &[String], count: usize, dice: &mut Dice) -> Rows {
    let mut all = Rows::default();
    for number in 0..count {
        let (mut row, day) = event("e", number, dice.choose(references).as_str(), dice);
        row.insert("acquisition".into(), acquisition("BUSINESS_MEETING", day, "activity-log"));
        row.insert("channel".into(), dice.pick(&["CALL", "MAIL", "VISIT"]).into());
        row.insert("direction".into(), dice.pick(&["OUTBOUND", "OUTBOUND", "INBOUND"]).into());
        row.insert("summary".into(), dice.pick(SUBJECTS).into());
        all.rows.push(row.into());
    }
    let Some(sample) = all.rows.first().cloned() else { return all };
    all.spoil(sample, "channel", "none of the three ways", |row| {
        row.insert("channel".into(), "TELEPATHY".into());
    });
    all
}

/// `count` mail opens, link clicks and page views.
pub(crate) fn behaviour(references: &[String], count: usize, dice: &mut Dice) -> Rows {
    let mut all = Rows::default();
    for number in 0..count {
        let (mut row, day) = event("b", number, dice.choose(references).as_str(), dice);
        row.insert("acquisition".into(), acquisition("BUSINESS_MEETING", day, "mailing-system"));
        let basis = if dice.permille(850) { "HELD_AS_PERSONAL_DATA" } else { "CONSENT_CONFIRMED" };
        row.insert("basis".into(), basis.into());
        let (field, action) = action(dice);
        row.insert(field.into(), action);
        if dice.permille(600) {
            row.insert("cookie".into(), format!("c-{}", dice.hex(12)).into());
        }
        if dice.permille(500) {
            row.insert("device".into(), dice.pick(&["Windows", "macOS", "iPhone", "Android"]).into());
        }
        if dice.permille(500) {
            // Documentation addresses (RFC 5737).
            row.insert("ip_address".into(), format!("198.51.100.{}", dice.between(1, 254)).into());
        }
        all.rows.push(row.into());
    }
    let Some(sample) = all.rows.first().cloned() else { return all };
    all.spoil(sample.clone(), "basis", "no ground for tying it to the person (Art. 31)", |row| {
        row.remove("basis");
    });
    all.spoil(sample, "mail_open", "two actions in one record", |row| {
        row.insert("mail_open".into(), json!({ "campaign": "2026-summer" }));
        row.insert("page_view".into(), json!({ "url": "https://service.example/" }));
    });
    all
}

fn action(dice: &mut Dice) -> (&'static str, Value) {
    let campaign = dice.pick(&["2025-autumn", "2026-spring", "2026-summer"]);
    let page = format!("https://service.example/{}", dice.pick(&["guide", "seminar", "price", "case"]));
    match dice.below(3) {
        0 => ("mail_open", json!({ "campaign": campaign })),
        1 => ("link_click", json!({ "campaign": campaign, "url": page })),
        _ => ("page_view", json!({ "url": page, "duration_ms": dice.between(500, 240_000) })),
    }
}
