//! A person who does not exist, unmistakable in every field.
use serde_json::{Value, json};

use super::acquisition;

/// What to hunt for. Each is part of planted values, in the form that normalisation leaves as it is.
pub const WORDS: [&str; 16] = [
    "金糸雀",         // family name, organisation, department, title, address, meeting's subject
    "啼一郎",         // given name
    "カナリヤノ",     // reading
    "kanaria.naku",   // e-mail
    "naki-goe",       // the e-mail's domain
    "7316-4258",      // telephone as written
    "73164258",       // telephone as normalised
    "羽繕い坂",       // address, place
    "止まり木長",     // title
    "囀り会議",       // subjects
    "ck-naki-5f1e9d", // cookie
    "lp-naki-77ab",   // URL
    "KanaPhone",      // device
    "203.0.113.177",  // IP address
    "adid-naki-1c2d", // advertising id
    "宿り木丘",       // location
];

/// What a client calls itself. The broker makes group members' names of it and logs them, nobody else may.
pub const CLIENT_ID: &str = "hibari-no-tsukue-9";

/// The same person known under different references: `tag` (ASCII, short) tells the ways of import apart.
pub fn email(tag: &str) -> String {
    format!("kanaria.naku.{tag}@naki-goe.example")
}

pub fn contact(tag: &str) -> Value {
    json!({
        "reference": format!("r-{tag}"),
        "name": {"full": "金糸雀 啼一郎", "family": "金糸雀", "given": "啼一郎", "family_kana": "カナリヤノ", "given_kana": "ナクイチロウ"},
        "organisation": "株式会社金糸雀商会", "department": "金糸雀課", "title": "止まり木長",
        "postal_code": "151-0053", "address": "東京都渋谷区羽繕い坂9丁目", "email": email(tag),
        "telephone": "03-7316-4258", "mobile": "090-7316-4258", "fax": "03-7316-4258",
        "acquisition": acquisition(),
    })
}

fn about(tag: &str, kind: &str, fields: &Value) -> Value {
    let mut record = json!({
        "reference": format!("{kind}-{tag}"), "contact": format!("r-{tag}"),
        "occurred_at": "2026-01-05T10:00:00+09:00", "acquisition": acquisition(),
    });
    for (name, value) in fields.as_object().unwrap() {
        record[name] = value.clone();
    }
    record
}

/// Interactions of every kind with the person.
pub fn interactions(tag: &str) -> [(&'static str, Value); 4] {
    let of = |kind, fields: Value| (kind, about(tag, kind, &fields));
    [
        of(
            "transaction",
            json!({"service": "金糸雀紹介", "subject": "囀り会議の件", "stage": "金糸雀契約", "amount_jpy": 73_164_258}),
        ),
        of("meeting", json!({"subject": "囀り会議", "place": "羽繕い坂"})),
        of(
            "contact-event",
            json!({"channel": "CALL", "direction": "OUTBOUND", "summary": "囀り会議、金糸雀啼一郎様へ"}),
        ),
        of(
            "behaviour",
            json!({
                "basis": "HELD_AS_PERSONAL_DATA", "cookie": "ck-naki-5f1e9d", "device": "KanaPhone 9", "ip_address": "203.0.113.177",
                "location": "宿り木丘", "advertising_id": "adid-naki-1c2d", "attributes": {"industry": "金糸雀商"},
                "link_click": {"campaign": "金糸雀祭", "url": "https://lp-naki-77ab.example/?m=kanaria.naku"},
            }),
        ),
    ]
}

/// An export of Eight, in CP932, with two bad rows among four.
pub fn eight() -> Vec<u8> {
    let text = format!(
        "合計 4 件\r\n\r\n会社名,部署名,役職,姓,名,e-mail,郵便番号,住所,TEL会社,TEL部門,TEL直通,Fax,携帯電話,URL,名刺交換日,Eightでつながっている人,再データ化中の名刺,'?'を含んだデータ\r\n\
         株式会社金糸雀商会,金糸雀課,止まり木長,金糸雀,啼一郎,{},151-0053,東京都渋谷区羽繕い坂9丁目,03-7316-4258,,,,090-7316-4258,https://lp-naki-77ab.example/,2024/02/29,,,\r\n\
         金糸雀商会,,,金糸雀,啼一郎,kanaria.naku at naki-goe,,,+7316-4258-7316-4258,,,,73164258,,金糸雀年,,,\r\n\
         =金糸雀(),,,金?雀,啼一郎,kanaria.naku.q@naki-goe.example,,,,,,,,,2024/02/29,,,1\r\n\
         金糸雀商会,,\"止まり木長,金糸雀,啼一郎,kanaria.naku",
        email("csv"),
    );
    let (bytes, _, lossy) = encoding_rs::SHIFT_JIS.encode(&text);
    assert!(!lossy);
    bytes.into_owned()
}

/// Two cards, the second with what is wrong.
pub fn vcards() -> Vec<u8> {
    format!(
        "BEGIN:VCARD\r\nVERSION:3.0\r\nN:金糸雀;啼一郎;;;\r\nFN:金糸雀 啼一郎\r\nX-PHONETIC-LAST-NAME:カナリヤノ\r\nORG:株式会社金糸雀商会;金糸雀課\r\n\
         TITLE:止まり木長\r\nEMAIL;TYPE=WORK:{}\r\nTEL;TYPE=CELL:090-7316-4258\r\nADR;TYPE=WORK:;;羽繕い坂9丁目;渋谷区;東京都;151-0053;\r\nEND:VCARD\r\n\
         BEGIN:VCARD\r\nVERSION:3.0\r\nN:金糸雀;啼一郎;;;\r\nEMAIL:kanaria.naku at naki-goe\r\nTEL:羽繕い坂\r\nBDAY:金糸雀\r\nEND:VCARD\r\n\
         BEGIN:VCARD\r\nVERSION:3.0\r\nFN:金糸雀",
        email("vcard")
    )
    .into_bytes()
}

/// A meeting that is taken, a private one and one without sense.
pub fn calendar() -> Vec<u8> {
    let event = |uid: &str, extra: &str| {
        format!(
            "BEGIN:VEVENT\r\nUID:{uid}@naki-goe.example\r\nDTSTART;TZID=Asia/Tokyo:20261001T100000\r\nDTEND;TZID=Asia/Tokyo:20261001T110000\r\n\
             SUMMARY:囀り会議\r\nLOCATION:羽繕い坂\r\nORGANIZER;CN=金糸雀:mailto:sales@persol-alpha.example\r\nATTENDEE;CN=金糸雀 啼一郎:mailto:{}\r\n{extra}END:VEVENT\r\n",
            email("json")
        )
    };
    let bad = "BEGIN:VEVENT\r\nUID:囀り会議\r\nDTSTART:羽繕い坂\r\nSUMMARY:囀り会議\r\nATTENDEE:mailto:kanaria.naku at naki-goe\r\nEND:VEVENT\r\n";
    let events = [event("囀り会議-1", ""), event("囀り会議-2", "CLASS:PRIVATE\r\n"), bad.to_owned()].concat();
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{events}END:VCALENDAR\r\n").into_bytes()
}
