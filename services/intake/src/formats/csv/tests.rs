//! Files as they are, and as they are broken.

use bytes::Bytes;
use encoding_rs::SHIFT_JIS;
use jointuse::Kind;

use super::{CsvFile, HeaderError, Preset};
use crate::{
    formats::Chunk,
    judge::{
        Candidate, Row,
        tests::{contact, defaults, judge},
    },
    rule::Rule,
};

const NEWER: &str = "会社名,部署名,役職,姓,名,e-mail,郵便番号,住所,TEL会社,TEL部門,TEL直通,Fax,携帯電話,URL,名刺交換日,Eightでつながっている人,再データ化中の名刺,'?'を含んだデータ";
const OLDER: &str = "会社名,部署名,役職,氏名,e-mail,郵便番号,住所,TEL会社,TEL部門,TEL直通,FAX,携帯電話,URL,名刺交換日,Eightでつながっている人,再データ化中の名刺,'?'を含んだデータ";
const PREAMBLE: &str = "このファイルは2026年07月01日 09:00に作成されました。\r\n合計 3 件\r\n* 名刺交換日は名刺が登録された日です。\r\n\r\n";

/// Reads `bytes` in pieces of `piece`; the rows with their lines, and whether it was read to the end.
fn rows(format: &str, bytes: &[u8], piece: usize) -> Result<(Vec<(u64, Row)>, bool), HeaderError> {
    let preset = Preset::named(format).unwrap();
    rows_of(preset, bytes, piece, false)
}

fn rows_of(preset: &Preset, bytes: &[u8], piece: usize, broken: bool) -> Result<(Vec<(u64, Row)>, bool), HeaderError> {
    let judge = judge(Kind::Contact);
    let mut pieces = bytes.chunks(piece).map(Bytes::copy_from_slice);
    let mut input = || pieces.next().map_or(if broken { Chunk::Broken } else { Chunk::End }, Chunk::Data);
    let mut all = Vec::new();
    let file = CsvFile::open(&mut input, preset, &judge)?;
    let complete = file.read(&judge, &defaults(), &mut |rows| {
        all.extend(rows);
        true
    });
    let line = |row: &Row| match row {
        Row::Good(candidate) => candidate.place.line.unwrap(),
        Row::Bad { place, .. } => place.line.unwrap(),
    };
    Ok((all.into_iter().map(|row| (line(&row), row)).collect(), complete))
}

fn candidates(rows: &[(u64, Row)]) -> Vec<&Candidate> {
    rows.iter()
        .map(|(line, row)| match row {
            Row::Good(candidate) => &**candidate,
            Row::Bad { findings, .. } => panic!("line {line}: {findings:?}"),
        })
        .collect()
}

fn said(rows: &[(u64, Row)]) -> Vec<(u64, String)> {
    rows.iter()
        .map(|(line, row)| match row {
            Row::Good(_) => (*line, "good".to_owned()),
            Row::Bad { findings, .. } => {
                (*line, findings.iter().map(|f| format!("{} {}", f.field, f.rule.id())).collect::<Vec<_>>().join(", "))
            }
        })
        .collect()
}

fn newer(rows: &[&str]) -> String {
    format!("{PREAMBLE}{NEWER}\r\n{}\r\n", rows.join("\r\n"))
}

const TARO: &str = "株式会社見本,人事部,部長,見本,太郎,taro@mihon.example,151-0053,東京都渋谷区,03-0000-0000,,,03-0000-0001,090-0000-0000,https://mihon.example,2024/02/29,1,,";
const HANAKO: &str = "表示ソ十能,,,手本,花子,hanako@tehon.example,,,,0466-00-0000,,,,,2025/01/05,,,1";

#[test]
fn eight_in_both_encodings_and_forms_gives_the_same_contacts() {
    let text = newer(&[TARO, HANAKO]);
    let sjis = SHIFT_JIS.encode(&text).0.into_owned();
    let marked = [b"\xEF\xBB\xBF", text.as_bytes()].concat();
    let older = format!("{OLDER}\r\n{}\r\n", TARO.replace("見本,太郎", "見本 太郎"));
    let mut ids = Vec::new();
    for (bytes, lines) in [(text.into_bytes(), [6, 7]), (sjis, [6, 7]), (marked, [6, 7])] {
        for piece in [1, 7, 1 << 20] {
            let (rows, complete) = rows("eight-csv", &bytes, piece).unwrap();
            assert!(complete);
            assert_eq!(said(&rows), lines.map(|line| (line, "good".to_owned())), "in pieces of {piece}");
            ids.push(candidates(&rows).iter().map(|candidate| candidate.id).collect::<Vec<_>>());
        }
    }
    assert!(ids.iter().all(|other| *other == ids[0]));
    let (rows, _) = rows("eight-csv", older.as_bytes(), 1 << 20).unwrap();
    assert_eq!(candidates(&rows)[0].id, ids[0][0], "氏名 in one column is the same person");
}

#[test]
fn columns_mean_what_the_preset_says() {
    let (rows, _) = rows("eight-csv", newer(&[TARO, HANAKO]).as_bytes(), 100).unwrap();
    let both = candidates(&rows);
    let taro = contact(both[0]);
    let text = |text: &jointuse::records::Text| text.as_ref().map(|text| text.expose().clone()).unwrap_or_default();
    assert_eq!(text(&taro.telephone), "+81300000000");
    assert_eq!((text(&taro.fax), text(&taro.mobile)), ("+81300000001".into(), "+819000000000".into()));
    assert_eq!(taro.acquisition.acquired_on.to_string(), "2024-02-29");
    let hanako = contact(both[1]);
    assert_eq!(text(&hanako.direct_telephone), "+81466000000", "TEL部門 where there is no TEL直通");
    assert_eq!(both[1].warnings[0].rule, Rule::FlaggedBySource);
}

#[test]
fn quoted_line_breaks_tags_and_short_rows() {
    let text = format!(
        "{NEWER},展示会,お気に入り\r\n\"株式会社\r\n見本\",,\"部長, 室長\",見本,太郎,taro@mihon.example,,,,,,,,,2024/02/29,,,,1,\r\n\r\n{HANAKO},,\r\n株式会社見本,短い\r\n{TARO},,\r\n"
    );
    let (rows, complete) = rows("eight-csv", text.as_bytes(), 11).unwrap();
    assert!(complete);
    let expected = [(2, "good"), (5, "good"), (6, "row columns"), (7, "good")];
    assert_eq!(said(&rows), expected.map(|(line, what)| (line, what.to_owned())));
    let Row::Good(first) = &rows[0].1 else { panic!() };
    let first = contact(first);
    assert_eq!(first.organisation.unwrap().expose(), "株式会社 見本");
    assert_eq!(first.title.unwrap().expose(), "部長, 室長");
    let judge = judge(Kind::Contact);
    let mut once = Some(Bytes::from(text));
    let mut input = || once.take().map_or(Chunk::End, Chunk::Data);
    let file = CsvFile::open(&mut input, Preset::named("eight-csv").unwrap(), &judge).unwrap();
    assert_eq!(file.layout().ignored(), [19, 20]);
}

#[test]
fn a_damaged_byte_costs_its_row_only() {
    let mut utf8 = newer(&[TARO, HANAKO, TARO]).into_bytes();
    let at = utf8.windows(6).position(|window| window == "手本".as_bytes()).unwrap();
    utf8[at + 1] = b'A';
    let (rows_, _) = rows("eight-csv", &utf8, 64).unwrap();
    assert_eq!(said(&rows_)[1], (7, "name.family encoding".to_owned()));
    assert_eq!(said(&rows_).iter().filter(|(_, what)| what == "good").count(), 2);
    let mut sjis = SHIFT_JIS.encode(&newer(&[TARO, HANAKO, TARO])).0.into_owned();
    let wanted = SHIFT_JIS.encode("花子").0.into_owned();
    let at = sjis.windows(wanted.len()).position(|window| window == wanted).unwrap();
    sjis[at + 2] = 0xFF;
    let (rows, _) = rows("eight-csv", &sjis, 64).unwrap();
    assert_eq!(said(&rows)[1], (7, "name.given encoding".to_owned()));
}

#[test]
fn a_truncated_file_loses_its_last_row_only() {
    let whole = newer(&[TARO, HANAKO]);
    let quoted = newer(&[TARO, &HANAKO.replace("表示ソ十能", "\"表示ソ十能\"")]);
    // Within a quoted cell, within a cell, within a character, in either encoding.
    let in_quotes = quoted.find("示ソ").unwrap();
    let in_cell = whole.find("hanako@te").unwrap() + 5;
    let in_character = whole.find("花子").unwrap() + 4;
    let sjis = SHIFT_JIS.encode(&whole).0.into_owned();
    let hana = SHIFT_JIS.encode("花子").0.into_owned();
    let in_sjis = sjis.windows(4).position(|window| window == hana).unwrap() + 3;
    for cut in [
        &quoted.as_bytes()[..in_quotes],
        &whole.as_bytes()[..in_cell],
        &whole.as_bytes()[..in_character],
        &sjis[..in_sjis],
    ] {
        for piece in [1, 50, 1 << 20] {
            let (rows, complete) = rows("eight-csv", cut, piece).unwrap();
            assert!(complete);
            assert_eq!(said(&rows), [(6, "good".to_owned()), (7, "row truncated".to_owned())]);
        }
    }
    // Only the line end is missing: nothing is lost.
    let (rows, _) = rows("eight-csv", whole.trim_end().as_bytes(), 50).unwrap();
    assert_eq!(said(&rows), [(6, "good".to_owned()), (7, "good".to_owned())]);
}

#[test]
fn a_broken_upload_keeps_no_half_row() {
    let whole = newer(&[TARO, HANAKO]);
    let (rows, complete) =
        rows_of(Preset::named("eight-csv").unwrap(), &whole.as_bytes()[..whole.len() - 10], 64, true).unwrap();
    assert!(!complete);
    assert_eq!(said(&rows), [(6, "good".to_owned())]);
}

#[test]
fn an_unclosed_quotation_mark_does_not_eat_the_memory() {
    let mut text = format!("{NEWER}\r\n{TARO}\r\n\"");
    text.push_str(&format!("{HANAKO}\r\n").repeat(20_000));
    let (rows, complete) = rows("eight-csv", text.as_bytes(), 1 << 16).unwrap();
    assert!(!complete);
    assert_eq!(said(&rows), [(2, "good".to_owned()), (3, "row row-too-long".to_owned())]);
}

#[test]
fn whole_files_are_refused_before_any_row() {
    let refused = |text: &str| rows("eight-csv", text.as_bytes(), 64).unwrap_err();
    for (column, rule) in
        [("宗教", Rule::Sensitive), ("Medical history", Rule::Sensitive), ("希望年収", Rule::IndividualClient)]
    {
        match refused(&format!("{PREAMBLE}{NEWER},{column}\r\n{TARO},\r\n")) {
            HeaderError::Refused { position, name, refused } => {
                assert_eq!((position, name.as_str(), refused.rule), (19, column, rule));
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(refused("a,b\r\n1,2\r\n"), HeaderError::NotFound { .. }));
    assert_eq!(refused(""), HeaderError::Empty);
    let utf16: Vec<u8> = [0xFF, 0xFE].into_iter().chain(NEWER.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    assert_eq!(rows("eight-csv", &utf16, 64).unwrap_err(), HeaderError::Wide);
    let latin = [b"\xFC\xFD\xFE\xFF,\xFE\xFF\r\n".as_slice(); 4].concat();
    assert_eq!(rows("eight-csv", &latin, 64).unwrap_err(), HeaderError::Encoding { line: 1 });
}

#[test]
fn sansan_prefers_the_persons_id() {
    let text = "名刺ID,人物ID,会社名,姓,名,姓カナ,e-mail,TEL,名刺交換日,所有者\r\n\
        k-1,p-1,株式会社見本,見本,太郎,みほん,taro@mihon.example,03-0000-0000,2024/02/29,営業\r\n\
        k-2,,株式会社見本,見本,花子,,hanako@mihon.example,,2024/02/29,営業\r\n";
    let (rows, _) = rows("sansan-csv", text.as_bytes(), 64).unwrap();
    let judge = judge(Kind::Contact);
    let ids: Vec<_> = candidates(&rows).iter().map(|candidate| candidate.contact.clone()).collect();
    assert_eq!(ids, [judge.contact_id("p-1"), judge.contact_id("k-2")]);
}

#[test]
fn a_mapping_says_what_columns_mean() {
    let generic = Preset::named("generic-csv").unwrap();
    let mapping = "delimiter = ';'\n[columns]\n'顧客番号' = 'reference'\n'お名前' = 'name.full'\n'メール' = 'email'\n'メモ' = 'none'\n";
    let preset = generic.with_mapping(mapping).unwrap();
    let text = "顧客番号;お名前;メール;メモ\n1;見本 太郎;taro@mihon.example;x\n";
    let (rows, _) = rows_of(&preset, text.as_bytes(), 64, false).unwrap();
    assert_eq!(candidates(&rows)[0].contact.as_str(), judge(Kind::Contact).contact_id("1").as_str());
    for (bad, said) in [
        ("[columns]\na = 'salary'\n", "the mapping's entry 1 names no field of a contact"),
        ("delimiter = 'ab'\n[columns]\n", "the mapping's delimiter must be one of , ; or tab"),
        ("[columns]\nx = \n", "the mapping is not TOML with a table [columns] (line 2)"),
    ] {
        assert_eq!(generic.with_mapping(bad).unwrap_err().to_string(), said);
    }
}

#[test]
fn a_mapping_renames_what_a_preset_knows_its_header_by() {
    let sansan = Preset::named("sansan-csv").unwrap();
    let text = "人物ID,企業名,名字,名,連絡先,名刺交換日\r\n\
        p-1,株式会社見本,見本,太郎,taro@mihon.example,2024/02/29\r\n";
    let over = |columns: &str| {
        let preset = sansan.with_mapping(&format!("[columns]\n{columns}")).unwrap();
        rows_of(&preset, text.as_bytes(), 64, false).map(|(rows, _)| rows)
    };
    let all = "'企業名' = 'organisation'\n'名字' = 'name.family'\n'連絡先' = 'email'\n";
    let rows = over(all).unwrap();
    let taro = contact(candidates(&rows)[0]);
    let said = |text: &jointuse::records::Text| text.as_ref().map(|text| text.expose().clone());
    assert_eq!(candidates(&rows)[0].contact, judge(Kind::Contact).contact_id("p-1"), "the preset's own columns stay");
    assert_eq!(
        (said(&taro.organisation), said(&taro.email)),
        (Some("株式会社見本".into()), Some("taro@mihon.example".into()))
    );
    // The field counts, not that a column is mapped; and each group is asked for.
    for (columns, expected) in [
        (
            all.replace("'name.family'", "'name.given'"),
            "会社名 or 企業名, 姓 or 氏名 or lastName, e-mail or メール or メールアドレス or email or 連絡先",
        ),
        (
            all.replace("'organisation'", "'none'"),
            "会社名, 姓 or 氏名 or lastName or 名字, e-mail or メール or メールアドレス or email or 連絡先",
        ),
    ] {
        let refused = over(&columns).unwrap_err();
        assert_eq!(refused, HeaderError::NotFound { encoding: "UTF-8", expected: expected.into() });
    }
    // What a mapping does not name is known as before.
    let preset = sansan.with_mapping("[columns]\n'企業名' = 'organisation'\n'会社名' = 'organisation'\n").unwrap();
    assert!(preset.is_header(&["会社名", "氏名", "email"].map(str::to_owned)));
    assert_eq!(preset.header[0], ["会社名", "企業名"]);
}
