//! What blanking costs a record: `cargo bench -p contract`. Nanoseconds a record, over many records that differ in which
//! fields are there and how long they are: over one record again and again, a processor learns what comes next.
#![expect(clippy::print_stdout, reason = "printing figures is this program's purpose")]
#![expect(clippy::unwrap_used, reason = "a benchmark may fail")]

use std::{
    collections::BTreeSet,
    hint::black_box,
    time::{Duration, Instant},
};

use apache_avro::{reader::datum::GenericDatumReader, types::Value, writer::datum::GenericDatumWriter};
use contract::{Program, Schema, avro, schema_text};
use jointuse::{
    ItemId, Kind, Personal,
    records::{Contact, PersonName, Text},
};

/// Rounds over all records; the best and the median are told.
const ROUNDS: usize = 301;
/// 300 KB together, which is what a fetch answers.
const RECORDS: usize = 1_000;

fn main() {
    let mut random = Random(1);
    let contacts: Vec<_> = (0..RECORDS).map(|_| encoded(&contact(&mut random))).collect();
    let alike = vec![contacts.first().unwrap().clone(); RECORDS];
    println!("{:<44}{:>7}{:>7}{:>9}{:>9}", "contacts", "bytes", "left", "best ns", "med. ns");
    copy(&contacts);
    measure("all granted", &contacts, &[]);
    let three = ["organisation.address", "organisation.email", "organisation.telephone"];
    measure("3 items (6 fields) blanked", &contacts, &three);
    measure("the same record again and again", &alike, &three);
    measure("name blanked", &contacts, &["person.name"]);
    measure("every second item blanked", &contacts, &alternate());
    values(&contacts);
}

fn alternate() -> Vec<&'static str> {
    let items: BTreeSet<_> = contract::item_fields(Kind::Contact).values().map(AsRef::as_ref).collect();
    items.into_iter().step_by(2).collect()
}

fn copy(contacts: &[Vec<u8>]) {
    let mut buffer = Vec::with_capacity(1_000);
    report("copy (part of each line below)", contacts, |contact| {
        buffer.clear();
        buffer.extend_from_slice(contact);
        black_box(&mut buffer).len()
    });
}

fn measure(name: &str, contacts: &[Vec<u8>], withheld: &[&str]) {
    let schema = Schema::parse(schema_text(Kind::Contact)).unwrap();
    let items: BTreeSet<ItemId> = contract::item_fields(Kind::Contact).values().cloned().collect();
    let granted = items.into_iter().filter(|item| !withheld.contains(&item.as_ref())).collect();
    let program = Program::compile(&schema, &granted).unwrap();

    let mut buffer = Vec::with_capacity(1_000);
    report(name, contacts, |contact| {
        buffer.clear();
        buffer.extend_from_slice(contact);
        program.run_in_place(&mut buffer).unwrap()
    });
    let mut out = Vec::with_capacity(1_000);
    report("  appended", contacts, |contact| {
        out.clear();
        program.run(contact, &mut out).unwrap()
    });
}

/// The other way: decode, replace, encode.
fn values(contacts: &[Vec<u8>]) {
    let schema = apache_avro::Schema::parse_str(schema_text(Kind::Contact)).unwrap();
    let reader = GenericDatumReader::builder(&schema).build().unwrap();
    let writer = GenericDatumWriter::builder(&schema).build().unwrap();
    let mut out = Vec::with_capacity(1_000);
    report("3 items blanked through apache-avro's values", contacts, |mut contact| {
        let mut value = reader.read_value(&mut contact).unwrap();
        if let Value::Record(fields) = &mut value {
            for (name, field) in fields {
                if matches!(&**name, "postal_code" | "address" | "email" | "telephone" | "direct_telephone" | "mobile")
                {
                    *field = Value::Union(0, Box::new(Value::Null));
                }
            }
        }
        out.clear();
        writer.write_value_ref(&mut out, &value).unwrap();
        out.len()
    });
}

fn report(name: &str, contacts: &[Vec<u8>], mut work: impl FnMut(&[u8]) -> usize) {
    let mut rounds = [Duration::ZERO; ROUNDS];
    let mut left = 0;
    for round in &mut rounds {
        let begin = Instant::now();
        left = contacts.iter().map(|contact| black_box(work(black_box(contact)))).sum();
        *round = begin.elapsed();
    }
    rounds.sort();
    let nanoseconds = |round: Option<&Duration>| round.map_or(0, Duration::as_nanos) / contacts.len() as u128;
    let (best, median) = (nanoseconds(rounds.first()), nanoseconds(rounds.get(ROUNDS / 2)));
    let bytes = contacts.iter().map(Vec::len).sum::<usize>() / contacts.len();
    println!("{name:<44}{bytes:>7}{:>7}{best:>9}{median:>9}", left / contacts.len());
}

fn encoded(contact: &Contact) -> Vec<u8> {
    avro::encode(1, Kind::Contact, contact).unwrap().split_off(avro::FRAME_LEN)
}

/// A contact as business cards are: most fields there, the rarer ones in one of five.
fn contact(random: &mut Random) -> Contact {
    let acquisition = serde_json::json!(
        {"method": "BUSINESS_CARD", "acquired_on": 19782, "purpose": "group-services-guidance", "source": "eight-csv"});
    Contact {
        contact_id: "00112233445566778899aabbccddeeff".parse().unwrap(),
        company: "persol-career".parse().unwrap(),
        recorded_at: "2025-11-24T16:00:00Z".parse().unwrap(),
        acquisition: serde_json::from_value(acquisition).unwrap(),
        name: Some(PersonName {
            full: random.text(95, 3..8, "見"),
            family: random.text(90, 1..4, "見"),
            given: random.text(90, 1..4, "太"),
            family_kana: random.text(50, 2..6, "ミ"),
            given_kana: random.text(50, 2..6, "タ"),
        }),
        organisation: random.text(98, 5..15, "社"),
        department: random.text(80, 3..15, "部"),
        title: random.text(70, 2..6, "長"),
        postal_code: random.text(80, 8..9, "1"),
        address: random.text(80, 8..30, "都"),
        email: random.text(90, 12..35, "m"),
        telephone: random.text(80, 12..13, "3"),
        direct_telephone: random.text(20, 12..13, "3"),
        mobile: random.text(50, 13..14, "9"),
        fax: random.text(40, 12..13, "3"),
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    /// A text of so many letters, or none, so often in a hundred.
    fn text(&mut self, there: u64, letters: std::ops::Range<usize>, letter: &str) -> Text {
        let more = usize::try_from(self.below((letters.end - letters.start) as u64)).unwrap();
        (self.below(100) < there).then(|| Personal::new(letter.repeat(letters.start + more)))
    }
}
