//! Cards as telephones write them.

use bytes::Bytes;
use encoding_rs::SHIFT_JIS;
use jointuse::{Kind, records::Text};

use super::read;
use crate::{
    formats::Chunk,
    judge::{
        Row,
        tests::{bad, contact, defaults, good, judge},
    },
    rule::Rule,
};

fn rows(bytes: &[u8], piece: usize) -> Vec<Row> {
    let mut pieces = bytes.chunks(piece).map(Bytes::copy_from_slice);
    let mut input = || pieces.next().map_or(Chunk::End, Chunk::Data);
    let mut all = Vec::new();
    assert!(read(&mut input, &judge(Kind::Contact), &defaults(), &mut |rows| {
        all.extend(rows);
        true
    }));
    all
}

fn text(text: &Text) -> String {
    text.as_ref().map(|text| text.expose().clone()).unwrap_or_default()
}

const IPHONE: &str = "BEGIN:VCARD\r\nVERSION:3.0\r\nN:見本;太郎;;;\r\nFN:見本 太郎\r\nX-PHONETIC-FIRST-NAME:たろう\r\nX-PHONETIC-LAST-NAME:みほん\r\n\
ORG:株式会社見本\\, 本社;人事部\r\nTITLE:部\r\n 長\r\nTEL;TYPE=CELL;TYPE=VOICE:090-0000-0000\r\nTEL;TYPE=WORK;TYPE=FAX:03-0000-0001\r\n\
TEL;TYPE=WORK:03-0000-0000\r\nTEL;TYPE=HOME:045-000-0000\r\nITEM1.TEL:03-0000-0002\r\nITEM1.X-ABLabel:直通\r\n\
EMAIL;TYPE=HOME:private@home.example\r\nEMAIL;TYPE=INTERNET;TYPE=WORK;TYPE=pref:taro@mihon.example\r\n\
ADR;TYPE=WORK:;;見本町1-1;渋谷区;東京都;151-0053;日本\r\nBDAY:1980-01-01\r\nNOTE:メモ\r\nPHOTO;ENCODING=b;TYPE=JPEG:AAAA\r\n BBBB\r\nUID:card-1\r\nEND:VCARD\r\n";

#[test]
fn a_card_of_version_3_with_all_its_habits() {
    for piece in [1, 10, 10_000] {
        let mut rows = rows(IPHONE.as_bytes(), piece);
        assert_eq!(rows.len(), 1);
        let candidate = good(rows.remove(0));
        assert_eq!(candidate.contact.as_str(), judge(Kind::Contact).contact_id("card-1").as_str());
        assert_eq!(candidate.place.line, Some(1));
        let ignored: Vec<_> = candidate.warnings.iter().map(|w| (w.field.as_ref(), w.rule)).collect();
        assert_eq!(ignored, [("BDAY, EMAIL (home), NOTE, TEL (home)", Rule::Ignored)]);
        let card = contact(&candidate);
        let name = card.name.as_ref().unwrap();
        assert_eq!((text(&name.family), text(&name.given_kana)), ("見本".into(), "タロウ".into()));
        assert_eq!((text(&card.organisation), text(&card.department)), ("株式会社見本, 本社".into(), "人事部".into()));
        assert_eq!((text(&card.title), text(&card.email)), ("部長".into(), "taro@mihon.example".into()));
        assert_eq!(
            (text(&card.telephone), text(&card.direct_telephone)),
            ("+81300000000".into(), "+81300000002".into())
        );
        assert_eq!((text(&card.mobile), text(&card.fax)), ("+819000000000".into(), "+81300000001".into()));
        assert_eq!((text(&card.postal_code), text(&card.address)), ("151-0053".into(), "東京都渋谷区見本町1-1".into()));
    }
}

#[test]
fn version_4_with_uris_and_quoted_types() {
    let card = "BEGIN:VCARD\nVERSION:4.0\nFN:見本 花子\nN:見本;花子;;;\nKIND:individual\nTEL;VALUE=uri;TYPE=\"work,voice\":tel:+81-3-0000-0000;ext=12\n\
TEL;VALUE=uri;TYPE=\"work,fax\":tel:03-0000-0001\nEMAIL;TYPE=work:hanako@mihon.example\nEND:VCARD\n";
    let card = contact(&good(rows(card.as_bytes(), 64).remove(0)));
    assert_eq!((text(&card.telephone), text(&card.fax)), ("+81300000000".into(), "+81300000001".into()));
}

#[test]
fn version_2_1_of_an_old_telephone_in_shift_jis() {
    let head =
        b"BEGIN:VCARD\r\nVERSION:2.1\r\nN;CHARSET=SHIFT_JIS;ENCODING=QUOTED-PRINTABLE:=8C=A9=96{;=91=BE=98=59;;;\r\n"
            .to_vec();
    let kana = SHIFT_JIS
        .encode("SOUND;X-IRMC-N;CHARSET=SHIFT_JIS:ﾐﾎﾝ;ﾀﾛｳ;;;\r\nORG;CHARSET=SHIFT_JIS:表示ソ;能\r\n")
        .0
        .into_owned();
    let tail = b"TEL;CELL;VOICE:09000000000\r\nEMAIL;INTERNET:taro@mihon.example\r\nEND:VCARD\r\n".to_vec();
    let bytes = [head, kana, tail].concat();
    let card = contact(&good(rows(&bytes, 33).remove(0)));
    let name = card.name.as_ref().unwrap();
    assert_eq!((text(&name.family), text(&name.given)), ("見本".into(), "太郎".into()));
    assert_eq!((text(&name.family_kana), text(&name.given_kana)), ("ミホン".into(), "タロウ".into()));
    assert_eq!((text(&card.organisation), text(&card.department)), ("表示ソ".into(), "能".into()));
    assert_eq!(text(&card.mobile), "+819000000000");
}

#[test]
fn one_bad_card_costs_no_other_and_the_end_may_be_missing() {
    let broken = IPHONE.replace("taro@mihon.example", "taro at mihon").replace("card-1", "card-2");
    let group = "BEGIN:VCARD\nVERSION:4.0\nKIND:group\nFN:営業部\nEND:VCARD\n";
    let creed = "BEGIN:VCARD\nVERSION:3.0\nFN:見本\nX-RELIGION:x\nEND:VCARD\n";
    let cut = &IPHONE[..IPHONE.len() - 30];
    let all = format!("{IPHONE}noise between\r\n{broken}{group}{creed}{cut}");
    let mut rows = rows(all.as_bytes(), 100);
    assert_eq!(rows.len(), 5);
    assert_eq!(bad(rows.pop().unwrap()), [("card".to_owned(), Rule::Truncated)]);
    assert_eq!(bad(rows.pop().unwrap()), [("X-RELIGION".to_owned(), Rule::Sensitive)]);
    assert_eq!(bad(rows.pop().unwrap()), [("KIND".to_owned(), Rule::NotACard)]);
    assert_eq!(bad(rows.pop().unwrap()), [("email".to_owned(), Rule::Email)]);
    good(rows.pop().unwrap());
}

#[test]
fn a_whole_file_in_shift_jis_and_a_damaged_one() {
    let sjis = SHIFT_JIS.encode(IPHONE).0.into_owned();
    let card = contact(&good(rows(&sjis, 50).remove(0)));
    assert_eq!(text(&card.title), "部長", "a fold within the title");
    let mut damaged = IPHONE.as_bytes().to_vec();
    let at = IPHONE.find("人事部").unwrap();
    damaged[at] = 0xFF;
    assert_eq!(bad(rows(&damaged, 50).remove(0)), [("card".to_owned(), Rule::Encoding)]);
}
