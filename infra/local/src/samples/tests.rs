use std::collections::{BTreeMap, BTreeSet};

use super::*;

fn samples() -> Samples {
    Samples::generate(SEED, CARDS)
}

fn cp932(bytes: &[u8]) -> String {
    let (text, _, wrong) = encoding_rs::SHIFT_JIS.decode(bytes);
    assert!(!wrong);
    text.into_owned()
}

/// Rows of `eight.csv` without the bad ones at the end.
fn eight_rows(samples: &Samples) -> Vec<Vec<String>> {
    let text = cp932(samples.file("persol-career/eight.csv"));
    let rows: Vec<Vec<String>> =
        text.split("\r\n").skip_while(|line| !line.starts_with("会社名")).skip(1).map(fields).collect();
    rows.into_iter().filter(|row| row.len() == 17 && !row[0].ends_with("見本")).collect()
}

fn fields(line: &str) -> Vec<String> {
    // The generator quotes whole rows and never writes a comma or a quote into this file.
    line.split(',').map(|field| field.trim_matches('"').to_owned()).collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_gives_others() {
    let (one, two) = (Samples::generate(7, 300), Samples::generate(7, 300));
    assert_eq!(one.files, two.files);
    assert_eq!(serde_json::to_string(&one.truth).unwrap(), serde_json::to_string(&two.truth).unwrap());
    let other = Samples::generate(8, 300);
    for name in one.files.keys() {
        assert_ne!(one.file(name), other.file(name), "{name}");
    }
}

#[test]
fn eight_is_cp932_with_a_preamble_and_crlf() {
    let samples = samples();
    let bytes = samples.file("persol-career/eight.csv");
    assert!(std::str::from_utf8(bytes).is_err());
    let text = cp932(bytes);
    assert!(text.contains("合計 1603 件"));
    assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
    assert!(!text.starts_with("会社名"));
    // 𠮷 is not in CP932.
    assert!(text.contains("＊田"));
    assert!(samples.file("persol-career/eight-18.csv").starts_with(b"\xEF\xBB\xBF"));
}

#[test]
fn fill_rates_are_those_of_a_real_export() {
    let rows = eight_rows(&samples());
    assert_eq!(rows.len(), 1600);
    let filled = |column: usize| 100 * rows.iter().filter(|row| !row[column].is_empty()).count() / rows.len();
    for (what, column, expected) in [
        ("company", 0, 95),
        ("department", 1, 31),
        ("title", 2, 82),
        ("name", 3, 99),
        ("e-mail", 4, 89),
        ("postal code", 5, 89),
        ("address", 6, 91),
        ("telephone", 7, 71),
        ("department's telephone", 8, 0),
        ("direct", 9, 0),
        ("fax", 10, 50),
        ("mobile", 11, 70),
        ("url", 12, 50),
        ("date", 13, 100),
        ("connected", 14, 25),
    ] {
        let found = filled(column);
        assert!(found.abs_diff(expected) <= 3, "{what}: {found} % instead of {expected} %");
    }
    let nameless = rows.iter().filter(|row| row[3].is_empty()).count();
    let neither = rows.iter().filter(|row| row[3].is_empty() && row[0].is_empty()).count();
    assert!((4..=28).contains(&nameless) && neither > 0 && neither < nameless, "{nameless}, {neither}");
    assert!(rows.iter().any(|row| row[3].contains('?') && row[16] == "1"));
}

#[test]
fn numbers_come_in_five_shapes() {
    let rows = eight_rows(&samples());
    let shape = |number: &str| number.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect::<String>();
    let mut shapes = BTreeMap::<String, usize>::new();
    for row in &rows {
        for number in [&row[7], &row[10], &row[11]] {
            *shapes.entry(shape(number)).or_default() += 1;
        }
    }
    for wanted in ["99-9999-9999", "999-999-9999", "9999-99-9999", "9999999999", "999-9999-9999"] {
        assert!(shapes.get(wanted).is_some_and(|n| *n > 5), "{wanted} of {shapes:?}");
    }
    assert!(shapes.keys().any(|shape| shape.starts_with("+99-")));
}

#[test]
fn people_repeat_move_and_are_spelled_differently() {
    let samples = samples();
    let rows = eight_rows(&samples);
    let mut people = BTreeMap::<&str, usize>::new();
    let mut companies = BTreeMap::<&str, BTreeSet<&str>>::new();
    for row in rows.iter().filter(|row| !row[4].is_empty()) {
        *people.entry(&row[4]).or_default() += 1;
        companies.entry(&row[4]).or_default().insert(&row[0]);
    }
    // Of 922 real rows 802 were people, 24 addresses stood with different companies, and one key stood on six rows.
    let repeated = people.values().filter(|n| **n > 1).count() * 1000 / people.len();
    assert!((70..=160).contains(&repeated), "{repeated} of a thousand");
    let several = companies.values().filter(|names| names.len() > 1).count() * 1000 / companies.len();
    assert!((12..=60).contains(&several), "{several} of a thousand");
    assert!(people.values().all(|n| *n <= 8));
    let mut cards_of = BTreeMap::<&str, usize>::new();
    for row in rows.iter().filter(|row| !row[0].is_empty()) {
        *cards_of.entry(&row[0]).or_default() += 1;
    }
    let with_several = cards_of.values().filter(|n| **n > 1).count() * 1000 / rows.len();
    assert!((90..=220).contains(&with_several), "{with_several} companies with several cards in a thousand cards");
}

#[test]
fn companies_know_the_same_people() {
    let truth = samples().truth;
    let known_to = |human: &HumanTruth| human.cards.iter().map(|card| card.company).collect::<BTreeSet<_>>().len();
    let shared = truth.humans.iter().filter(|human| known_to(human) > 1).count();
    assert!(shared * 100 / truth.humans.len() >= 8, "{shared} of {}", truth.humans.len());
    assert!(truth.humans.iter().any(|human| known_to(human) == 3));
    assert_eq!(truth.humans.iter().map(|human| human.cards.len()).sum::<usize>(), CARDS);
    assert!(truth.shared.len() > 80, "{}", truth.shared.len());
    assert!(truth.shared[0].events > 1 && truth.shared[0].companies.len() > 1);
}

#[test]
fn the_truth_names_the_lines() {
    let samples = samples();
    let text = cp932(samples.file("persol-career/eight.csv"));
    let lines: Vec<&str> = text.split("\r\n").collect();
    let bad: Vec<&BadRow> = samples.truth.bad_rows.iter().filter(|row| row.file == "persol-career/eight.csv").collect();
    assert_eq!(bad.len(), 3);
    assert!(lines[bad[0].at - 1].contains("＠＠") && lines[bad[2].at - 1].contains("内線のみ"));
    // A quoted line break shifts the lines after it.
    let sansan = String::from_utf8(samples.file("persol-staff/sansan.csv").to_vec()).unwrap();
    let lines: Vec<&str> = sansan.split('\n').collect();
    let cards = samples.truth.humans.iter().flat_map(|human| &human.cards);
    let (mut checked, mut broken) = (0, 0);
    for card in cards.filter(|card| card.file == "persol-staff/sansan.csv") {
        assert!(lines[card.at - 1].contains(card.reference.as_deref().unwrap()), "line {}", card.at);
        checked += 1;
        broken += usize::from(!lines[card.at - 1].ends_with('\r'));
    }
    assert!(checked == 1200 && broken > 0, "{checked}, {broken}");
    let contacts: Vec<serde_json::Value> = serde_json::from_slice(samples.file("persol-tech/contacts.json")).unwrap();
    for row in samples.truth.bad_rows.iter().filter(|row| row.file == "persol-tech/contacts.json") {
        assert!(contacts[row.at]["reference"].as_str().unwrap().contains("-bad"));
    }
}

#[test]
fn text_files_are_folded_at_75_octets() {
    let samples = samples();
    for name in ["persol-tech/cards.vcf", "persol-career/meetings.ics"] {
        let text = String::from_utf8(samples.file(name).to_vec()).unwrap();
        assert!(text.contains("\r\n "), "{name}");
        assert!(text.split("\r\n").all(|line| line.len() <= 75), "{name}");
    }
    let cards = String::from_utf8(samples.file("persol-tech/cards.vcf").to_vec()).unwrap();
    assert_eq!(cards.matches("BEGIN:VCARD").count(), 400);
    assert!(cards.contains("VERSION:3.0") && cards.contains("VERSION:4.0") && cards.contains("ITEM1."));
}

#[test]
fn meetings_have_every_kind() {
    let samples = samples();
    let text = String::from_utf8(samples.file("persol-career/meetings.ics").to_vec()).unwrap();
    for wanted in ["CLASS:PRIVATE", "RRULE:", "TZID=Asia/Tokyo", "EXDATE"] {
        assert!(text.contains(wanted), "{wanted}");
    }
    let cancelled = String::from_utf8(samples.file("persol-career/meetings-cancelled.ics").to_vec()).unwrap();
    assert!(cancelled.contains("METHOD:CANCEL") && cancelled.contains("SEQUENCE:1"));
    assert!(samples.truth.meetings.iter().any(|meeting| meeting.humans.len() > 1));
}

#[test]
fn nobody_real_can_be_reached() {
    let samples = samples();
    for (name, bytes) in &samples.files {
        let text = if name.ends_with("eight.csv") { cp932(bytes) } else { String::from_utf8(bytes.clone()).unwrap() };
        let text = text.replace("\r\n ", "");
        for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || "@.-_".contains(c))).filter(|w| w.contains('@'))
        {
            let domain = word.split('@').next_back().unwrap().to_lowercase();
            assert!(domain.ends_with(".example") || domain.is_empty(), "{name}: {domain}");
        }
    }
}
