//! Blanking against apache-avro's values: see README.md.
#![no_main]

use std::{collections::BTreeSet, sync::LazyLock};

use apache_avro::{
    Schema as AvroSchema, reader::datum::GenericDatumReader, types::Value, writer::datum::GenericDatumWriter,
};
use contract::{
    Program, Schema,
    lawful::items_of,
    schema::{Body, Field, Primitive, Shape, Type},
    schema_text,
};
use jointuse::{ItemId, Kind};
use libfuzzer_sys::fuzz_target;

/// What the records of today do not have: arrays, maps, several branches, null elsewhere, a type that holds itself.
const ALL: &str = r#"{"type": "record", "name": "All", "fields": [
    {"name": "id", "type": "int", "structural": "s"},
    {"name": "last", "type": ["string", "null"], "item": "a.a"},
    {"name": "many", "type": ["int", {"type": "enum", "name": "E", "symbols": ["A", "B"]}, "null", {"type": "map", "values": "bytes"}], "item": "b.b"},
    {"name": "list", "structural": "s", "type": {"type": "array", "items": {"type": "record", "name": "Link", "fields": [
        {"name": "flag", "type": "boolean", "structural": "s"},
        {"name": "text", "type": ["null", "bytes"], "item": "c.c"},
        {"name": "next", "type": ["null", "Link"], "structural": "s"}]}}},
    {"name": "map", "structural": "s", "type": {"type": "map", "values": ["long", "Link"]}},
    {"name": "hidden", "type": ["null", {"type": "array", "items": ["Link", "null"]}], "item": "d.d"},
    {"name": "fixes", "structural": "s", "type": {"type": "array", "items": {"type": "fixed", "name": "F", "size": 3}}}]}"#;

struct Subject {
    avro: AvroSchema,
    schema: Schema,
    items: BTreeSet<ItemId>,
}

static SUBJECTS: LazyLock<Vec<Subject>> = LazyLock::new(|| {
    apache_avro::util::max_allocation_bytes(1 << 20);
    let texts = Kind::ALL.into_iter().map(schema_text).chain([ALL]);
    let subject = |text| {
        let schema = Schema::parse(text).unwrap();
        Subject { avro: AvroSchema::parse_str(text).unwrap(), items: items_of(&schema), schema }
    };
    texts.map(subject).collect()
});

fuzz_target!(|input: &[u8]| {
    let [subject, a, b, c, d, datum @ ..] = input else { return };
    let Some(Subject { avro, schema, items }) = SUBJECTS.get(usize::from(*subject)) else { return };
    let mask = u32::from_le_bytes([*a, *b, *c, *d]);
    let granted = items.iter().enumerate().filter(|(index, _)| mask >> index & 1 == 1).map(|(_, item)| item.clone());
    let granted: BTreeSet<ItemId> = granted.collect();
    let program = Program::compile(schema, &granted).unwrap();

    let mut buffer = datum.to_vec();
    let result = program.run_in_place(&mut buffer);
    let mut appended = Vec::new();
    assert_eq!(program.run(datum, &mut appended), result);
    let value = decode(avro, datum);
    match result {
        Ok(length) => {
            buffer.truncate(length);
            assert_eq!(buffer.len(), length, "it grew");
            assert_eq!(buffer, appended);
            assert_eq!(program.run_in_place(&mut buffer), Ok(length));
            assert_eq!(buffer, appended, "twice is not as once");
            if let Some(value) = value {
                assert_eq!(decode(avro, &buffer), Some(seen(schema, &schema.root, &value, &granted)));
            }
        }
        Err(error) => {
            assert!(error.at <= datum.len() && appended.is_empty());
            // apache-avro reads more than it writes: data that end early, blocks that lie about their size.
            if let Some(value) = value {
                assert_ne!(encode(avro, &value), datum, "a good datum was refused: {error}");
            }
        }
    }
});

fn decode(schema: &AvroSchema, mut datum: &[u8]) -> Option<Value> {
    let value = GenericDatumReader::builder(schema).build().unwrap().read_value(&mut datum).ok()?;
    datum.is_empty().then_some(value)
}

fn encode(schema: &AvroSchema, value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What it read leniently it may refuse to write.
    let _ = GenericDatumWriter::builder(schema).build().unwrap().write_value_ref(&mut bytes, value);
    bytes
}

/// The value as one sees it who was granted these items.
fn seen(schema: &Schema, of: &Type, value: &Value, granted: &BTreeSet<ItemId>) -> Value {
    let inner = |of, value| seen(schema, of, value, granted);
    match (&of.shape, value) {
        (Shape::Array(of), Value::Array(values)) => Value::Array(values.iter().map(|value| inner(of, value)).collect()),
        (Shape::Map(of), Value::Map(values)) => {
            Value::Map(values.iter().map(|(key, value)| (key.clone(), inner(of, value))).collect())
        }
        (Shape::Union(members), Value::Union(branch, value)) => {
            Value::Union(*branch, Box::new(inner(&members[*branch as usize], value)))
        }
        (Shape::Named(name), Value::Record(values)) => {
            let Body::Record(fields) = &schema.definitions[name].body else { panic!("{name} is no record") };
            let fields = fields.iter().zip(values).map(|(field, (name, value))| {
                (name.clone(), hidden(field, granted).unwrap_or_else(|| inner(&field.schema, value)))
            });
            Value::Record(fields.collect())
        }
        _ => value.clone(),
    }
}

/// Null, if the field bears an item that is not granted.
fn hidden(field: &Field, granted: &BTreeSet<ItemId>) -> Option<Value> {
    let item: ItemId = field.attributes.get("item")?.as_str()?.parse().unwrap();
    let Shape::Union(members) = &field.schema.shape else { panic!("{} cannot be null", field.name) };
    let null = members.iter().position(|member| member.shape == Shape::Primitive(Primitive::Null)).unwrap();
    (!granted.contains(&item)).then(|| Value::Union(null as u32, Box::new(Value::Null)))
}
