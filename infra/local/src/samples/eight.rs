//! An export of Eight, the business-card service: 17 columns in the older form, 18 in the newer, under a preamble.

use encoding_rs::SHIFT_JIS;

use super::{card::Card, dice::Dice};

const OLDER: &[&str] = &[
    "会社名",
    "部署名",
    "役職",
    "氏名",
    "e-mail",
    "郵便番号",
    "住所",
    "TEL会社",
    "TEL部門",
    "TEL直通",
    "Fax",
    "携帯電話",
    "URL",
    "名刺交換日",
    "Eightでつながっている人",
    "再データ化中の名刺",
    "'?'を含んだデータ",
];

const NEWER: &[&str] = &[
    "会社名",
    "部署名",
    "役職",
    "姓",
    "名",
    "e-mail",
    "郵便番号",
    "住所",
    "TEL会社",
    "TEL部門",
    "TEL直通",
    "Fax",
    "携帯電話",
    "URL",
    "名刺交換日",
    "Eightでつながっている人",
    "再データ化中の名刺",
    "'?'を含んだデータ",
];

/// Which of the two forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// 氏名 in one column; CP932 with CRLF.
    Older,
    /// 姓 and 名 apart, a tag column of the user's behind; UTF-8 with a byte order mark.
    Newer,
}

/// The file, and the line (counted from 1) of each card.
#[derive(Debug)]
pub(crate) struct Export {
    /// Bytes as they would be downloaded.
    pub(crate) bytes: Vec<u8>,
    /// Line of each row, the bad ones at the end.
    pub(crate) lines: Vec<usize>,
}

/// Writes `cards`, then `bad` rows as they are.
pub(crate) fn export(cards: &[Card], bad: &[Vec<String>], form: Form, dice: &mut Dice) -> Export {
    let header = if form == Form::Older { OLDER } else { NEWER };
    let mut text = String::new();
    text.push_str("このファイルは2026年07月01日 09:00に作成されました。\r\n");
    text.push_str(&format!("合計 {} 件\r\n", cards.len() + bad.len()));
    for note in ["* 名刺交換日は名刺が登録された日です。", "* 文字コードで表せない文字は「＊」に置き換えています。"]
    {
        text.push_str(&format!("{note}\r\n"));
    }
    text.push_str("\r\n");
    push_row(&mut text, header.iter().map(|name| (*name).to_owned()).chain(tag(form, "タグ")), false);
    let mut lines = Vec::new();
    let before = text.matches('\n').count();
    for fields in cards.iter().map(|card| row(card, form)).chain(bad.iter().cloned()) {
        lines.push(before + lines.len() + 1);
        let quoted = dice.permille(300);
        let tagged = tag(form, if dice.permille(100) { "展示会" } else { "" });
        push_row(&mut text, fields.into_iter().chain(tagged), quoted);
    }
    Export { bytes: encode(&text, form), lines }
}

/// A row's fields from their texts: for the bad rows.
pub(crate) fn raw_row(
    form: Form,
    organisation: &str,
    name: (&str, &str),
    email: &str,
    telephone: &str,
    date: &str,
) -> Vec<String> {
    let names =
        if form == Form::Older { vec![format!("{} {}", name.0, name.1)] } else { vec![name.0.into(), name.1.into()] };
    [organisation, "", ""]
        .into_iter()
        .map(str::to_owned)
        .chain(names)
        .chain([email, "", "", telephone, "", "", "", "", "", date, "", "", ""].map(str::to_owned))
        .collect()
}

fn tag(form: Form, value: &str) -> Option<String> {
    (form == Form::Newer).then(|| value.to_owned())
}

fn row(card: &Card, form: Form) -> Vec<String> {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let flag = |set: bool| if set { "1".to_owned() } else { String::new() };
    let mut fields = vec![text(&card.organisation), text(&card.department), text(&card.title)];
    match form {
        Form::Older => fields.push(card.full_name().unwrap_or_default()),
        Form::Newer => fields.extend([text(&card.family), text(&card.given)]),
    }
    fields.extend([
        text(&card.email),
        text(&card.postal_code),
        card.address().unwrap_or_default(),
        text(&card.telephone),
        String::new(),
        text(&card.direct),
        text(&card.fax),
        text(&card.mobile),
        text(&card.url),
        card.registered_on.format("%Y/%m/%d").to_string(),
        flag(card.connected),
        String::new(),
        flag(card.unrecognised),
    ]);
    fields
}

fn push_row(text: &mut String, fields: impl Iterator<Item = String>, quoted: bool) {
    let fields: Vec<String> = fields.map(|field| super::csv_field(&field, quoted)).collect();
    text.push_str(&fields.join(","));
    text.push_str("\r\n");
}

fn encode(text: &str, form: Form) -> Vec<u8> {
    match form {
        Form::Newer => [b"\xEF\xBB\xBF", text.as_bytes()].concat(),
        Form::Older => {
            let mut bytes = Vec::with_capacity(text.len());
            let mut one = [0u8; 4];
            for character in text.chars() {
                match SHIFT_JIS.encode(character.encode_utf8(&mut one)) {
                    (encoded, _, false) => bytes.extend_from_slice(&encoded),
                    // What the encoding does not hold is a full-width asterisk, as the service writes it.
                    _ => bytes.extend_from_slice(&SHIFT_JIS.encode("＊").0),
                }
            }
            bytes
        }
    }
}
