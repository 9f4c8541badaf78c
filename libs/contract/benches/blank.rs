//! What blanking costs a record: `cargo bench -p contract`. Nanoseconds, the best and the median of many rounds.
#![expect(clippy::print_stdout, reason = "printing figures is this program's purpose")]
#![expect(clippy::unwrap_used, reason = "a benchmark may fail")]

use std::{
    collections::BTreeSet,
    hint::black_box,
    time::{Duration, Instant},
};

use contract::{Program, Schema, avro, schema_text};
use jointuse::{
    ItemId, Kind,
    records::{Behaviour, Contact},
};

const ROUNDS: usize = 301;
const TIMES: u32 = 2_000;

/// The example of `schemas/avro`, in the form that the record types read.
const CONTACT: &str = r#"{
    "contact_id": "00112233445566778899aabbccddeeff", "company": "persol-career", "recorded_at": 1764000000000,
    "acquisition": {"method": "BUSINESS_CARD", "acquired_on": 19782, "purpose": "group-services-guidance", "source": "eight-csv"},
    "name": {"full": "見本 太郎", "family": "見本", "given": "太郎", "family_kana": "ミホン", "given_kana": "タロウ"},
    "organisation": "株式会社見本商事", "department": "人事部", "title": "部長", "postal_code": "151-0053",
    "address": "東京都渋谷区見本町1-1", "email": "taro.mihon@mihon.example", "telephone": "+81300000000",
    "direct_telephone": null, "mobile": "+819000000000", "fax": null}"#;

const BEHAVIOUR: &str = r#"{
    "record_id": "ffeeddccbbaa99887766554433221100", "contact_id": "00112233445566778899aabbccddeeff",
    "company": "persol-career", "occurred_at": 1764000000000, "recorded_at": 1764000000500,
    "acquisition": {"method": "BUSINESS_CARD", "acquired_on": 19782, "purpose": "group-services-guidance", "source": "eight-csv"},
    "basis": "HELD_AS_PERSONAL_DATA", "mail_open": null,
    "link_click": {"campaign": "2026-autumn", "url": "https://service.example/guide"}, "page_view": null,
    "cookie": "c-0001", "device": "Windows", "ip_address": "192.0.2.10", "location": null, "advertising_id": null,
    "attributes": {"industry": "manufacturing"}}"#;

fn main() {
    println!("{:<44}{:>7}{:>7}{:>9}{:>9}", "", "bytes", "left", "best ns", "med. ns");
    let contact: Contact = serde_json::from_str(CONTACT).unwrap();
    let behaviour: Behaviour = serde_json::from_str(BEHAVIOUR).unwrap();
    let contact = avro::encode(1, Kind::Contact, &contact).unwrap().split_off(avro::FRAME_LEN);
    let behaviour = avro::encode(1, Kind::Behaviour, &behaviour).unwrap().split_off(avro::FRAME_LEN);

    let mut buffer = contact.clone();
    report("copy of the contact (in each line below)", contact.len(), contact.len(), || {
        buffer.copy_from_slice(black_box(&contact));
        black_box(&mut buffer);
    });
    let three = ["organisation.address", "organisation.email", "organisation.telephone"];
    measure("contact, all granted", Kind::Contact, &contact, &[]);
    measure("contact, 3 items (6 fields) blanked", Kind::Contact, &contact, &three);
    measure("contact, name blanked", Kind::Contact, &contact, &["person.name"]);
    measure("contact, every second item blanked", Kind::Contact, &contact, &alternate(Kind::Contact));
    measure(
        "behaviour, 3 items blanked",
        Kind::Behaviour,
        &behaviour,
        &["online.cookie", "online.ip-address", "online.attributes"],
    );
}

fn alternate(kind: Kind) -> Vec<&'static str> {
    let items: BTreeSet<_> = contract::item_fields(kind).values().map(AsRef::as_ref).collect();
    items.into_iter().step_by(2).collect()
}

fn measure(name: &str, kind: Kind, datum: &[u8], withheld: &[&str]) {
    let schema = Schema::parse(schema_text(kind)).unwrap();
    let items: BTreeSet<ItemId> = contract::item_fields(kind).values().cloned().collect();
    let granted = items.into_iter().filter(|item| !withheld.contains(&item.as_ref())).collect();
    let program = Program::compile(&schema, &granted).unwrap();

    let mut buffer = datum.to_vec();
    let left = program.run_in_place(&mut buffer).unwrap();
    report(name, datum.len(), left, || {
        buffer.copy_from_slice(black_box(datum));
        black_box(program.run_in_place(&mut buffer)).unwrap();
    });
    let mut out = Vec::with_capacity(datum.len());
    report("  appended", datum.len(), left, || {
        out.clear();
        black_box(program.run(black_box(datum), &mut out)).unwrap();
    });
}

fn report(name: &str, length: usize, left: usize, mut work: impl FnMut()) {
    let mut rounds = [Duration::ZERO; ROUNDS];
    for round in &mut rounds {
        let begin = Instant::now();
        for _ in 0..TIMES {
            work();
        }
        *round = begin.elapsed();
    }
    rounds.sort();
    let nanoseconds =
        |round: Option<&Duration>| round.map_or(0.0, |round| round.as_secs_f64() * 1e9 / f64::from(TIMES));
    let (best, median) = (nanoseconds(rounds.first()), nanoseconds(rounds.get(ROUNDS / 2)));
    println!("{name:<44}{length:>7}{left:>7}{best:>9.1}{median:>9.1}");
}
