//! A CSV export of Sansan, the corporate card service, with its ids, readings and owners.

use super::{card::Card, dice::Dice};

/// Header of the export, in the preset's names.
pub(crate) const HEADER: &[&str] = &[
    "名刺ID",
    "人物ID",
    "会社ID",
    "会社名",
    "部署名",
    "役職",
    "姓",
    "名",
    "姓カナ",
    "名カナ",
    "e-mail",
    "TEL",
    "携帯",
    "FAX",
    "郵便番号",
    "住所",
    "URL",
    "名刺交換日",
    "所有者",
    "登録日時",
];

/// The file (UTF-8 with a byte order mark, CRLF), and the line of each row.
pub(crate) fn export(cards: &[Card], bad: &[Vec<String>], dice: &mut Dice) -> (Vec<u8>, Vec<usize>) {
    let mut text = String::from("\u{feff}");
    push_row(&mut text, HEADER.iter().map(|name| (*name).to_owned()));
    let mut lines = Vec::new();
    let mut line = 2;
    for fields in cards.iter().map(|card| row(card, dice)).collect::<Vec<_>>().into_iter().chain(bad.iter().cloned()) {
        lines.push(line);
        line += 1 + fields.iter().map(|field| field.matches('\n').count()).sum::<usize>();
        push_row(&mut text, fields.into_iter());
    }
    (text.into_bytes(), lines)
}

/// The service's own id of the person, which several cards share: the reference of the contact.
pub(crate) fn person_id(card: &Card) -> String {
    format!("p{:06}", card.human)
}

/// A row with only these columns set.
pub(crate) fn raw_row(columns: &[(&str, &str)]) -> Vec<String> {
    HEADER
        .iter()
        .map(|name| {
            columns.iter().find(|(column, _)| column == name).map_or(String::new(), |(_, value)| (*value).to_owned())
        })
        .collect()
}

fn row(card: &Card, dice: &mut Dice) -> Vec<String> {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let day = card.registered_on.format("%Y/%m/%d").to_string();
    // Someone presses Enter in a cell now and then: a quoted line break.
    let department = text(&card.department).replace(' ', if dice.permille(500) { "\n" } else { " " });
    vec![
        card.reference.clone(),
        person_id(card),
        String::new(),
        text(&card.organisation),
        department,
        text(&card.title),
        text(&card.family),
        text(&card.given),
        text(&card.family_kana),
        text(&card.given_kana),
        text(&card.email),
        text(&card.telephone),
        text(&card.mobile),
        text(&card.fax),
        text(&card.postal_code),
        card.address().unwrap_or_default(),
        text(&card.url),
        day.clone(),
        format!("営業{}課", dice.between(1, 5)),
        format!("{day} {:02}:{:02}:00", dice.between(9, 18), dice.below(60)),
    ]
}

fn push_row(text: &mut String, fields: impl Iterator<Item = String>) {
    let fields: Vec<String> = fields.map(|field| super::csv_field(&field, true)).collect();
    text.push_str(&fields.join(","));
    text.push_str("\r\n");
}
