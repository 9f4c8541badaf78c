#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use apache_avro::{
    Schema as AvroSchema, reader::datum::GenericDatumReader, types::Value, writer::datum::GenericDatumWriter,
};
use jointuse::ItemId;

use super::*;

mod examples;
mod malformed;
mod random;
mod schemas;

fn items<const N: usize>(ids: [&str; N]) -> BTreeSet<ItemId> {
    ids.into_iter().map(|id| id.parse().unwrap()).collect()
}

fn program<const N: usize>(schema: &str, granted: [&str; N]) -> Program {
    let schema = Schema::parse(schema).unwrap_or_else(|faults| panic!("{faults}"));
    Program::compile(&schema, &items(granted)).unwrap_or_else(|faults| panic!("{faults}"))
}

/// Blanks by both roads, and twice.
fn blank(program: &Program, datum: &[u8]) -> Result<Vec<u8>, BlankError> {
    let mut appended = vec![7];
    let result = program.run(datum, &mut appended);
    assert_eq!(appended.len(), 1 + result.as_ref().map_or(0, |length| *length));
    assert_eq!(appended.remove(0), 7);

    let mut in_place = datum.to_vec();
    assert_eq!(program.run_in_place(&mut in_place), result);
    let length = result?;
    assert!(length <= datum.len(), "{length} bytes out of {}", datum.len());
    in_place.truncate(length);
    assert_eq!(in_place, appended);

    assert_eq!(program.run_in_place(&mut in_place), Ok(length), "a blanked datum is no datum");
    assert_eq!(in_place, appended, "twice is not as once");
    Ok(appended)
}

fn decode(schema: &AvroSchema, mut datum: &[u8]) -> Option<Value> {
    let reader = GenericDatumReader::builder(schema).build().unwrap();
    let value = reader.read_value(&mut datum).ok()?;
    datum.is_empty().then_some(value)
}

fn encode(schema: &AvroSchema, value: &Value) -> Vec<u8> {
    let writer = GenericDatumWriter::builder(schema).build().unwrap();
    let mut bytes = Vec::new();
    writer.write_value_ref(&mut bytes, value).unwrap();
    bytes
}

/// A generator of its own, so that a value is a function of a number that a failing test prints.
struct Random(u64);

impl Random {
    /// Below `end`. Splitmix64.
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % end as u64).unwrap()
    }

    /// One in so many times.
    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn subset<T: Clone + Ord>(&mut self, of: &BTreeSet<T>) -> BTreeSet<T> {
        of.iter().filter(|_| self.one_in(2)).cloned().collect()
    }
}

/// The zigzag encoding, by the book.
fn long(value: i64) -> Vec<u8> {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    let mut bytes = Vec::new();
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

#[test]
fn programs_are_shared_between_threads_and_tell_little() {
    fn shared<T: Send + Sync + fmt::Debug>(_: &T) {}
    let program = program(crate::schema_text(jointuse::Kind::Contact), ["person.name"]);
    shared(&program);
    assert_eq!(format!("{program:?}"), r#"Program { root: "Contact", blanks: 10, .. }"#);
}
