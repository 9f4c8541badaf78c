//! Every example record by every item and by subsets, compared with what apache-avro reads.

use jointuse::Kind;
use serde_json::Value as Json;

use super::*;
use crate::{item_fields, lawful::items_of, schema_text};

fn example(kind: Kind) -> Json {
    serde_json::from_str(match kind {
        Kind::Contact => include_str!("../../../../../schemas/avro/contact.example.json"),
        Kind::Transaction => include_str!("../../../../../schemas/avro/transaction.example.json"),
        Kind::Meeting => include_str!("../../../../../schemas/avro/meeting.example.json"),
        Kind::ContactEvent => include_str!("../../../../../schemas/avro/contact-event.example.json"),
        Kind::Behaviour => include_str!("../../../../../schemas/avro/behaviour.example.json"),
    })
    .unwrap()
}

/// Reads Avro's JSON encoding.
fn value(json: &Json, schema: &AvroSchema) -> Value {
    let text = || json.as_str().unwrap().to_owned();
    match schema {
        AvroSchema::Null => Value::Null,
        AvroSchema::String => Value::String(text()),
        AvroSchema::Int | AvroSchema::Date => Value::Int(json.as_i64().unwrap().try_into().unwrap()),
        AvroSchema::Long | AvroSchema::TimestampMillis => Value::Long(json.as_i64().unwrap()),
        AvroSchema::Enum(of) => {
            let index = of.symbols.iter().position(|symbol| *symbol == text()).unwrap();
            Value::Enum(index.try_into().unwrap(), text())
        }
        AvroSchema::Map(of) => {
            let entries = json.as_object().unwrap().iter();
            Value::Map(entries.map(|(key, json)| (key.clone(), value(json, &of.types))).collect())
        }
        AvroSchema::Record(of) => {
            let fields = of.fields.iter().map(|field| (field.name.clone(), value(&json[&field.name], &field.schema)));
            Value::Record(fields.collect())
        }
        AvroSchema::Union(of) => {
            let (name, inner) = json
                .as_object()
                .map_or(("null", json), |wrapped| wrapped.iter().map(|(n, j)| (n.as_str(), j)).next().unwrap());
            let kind = |of: &AvroSchema| match of.name() {
                Some(name) => name.fullname(None),
                None => format!("{:?}", apache_avro::schema::SchemaKind::from(of)).to_lowercase(),
            };
            let index = of.variants().iter().position(|variant| kind(variant) == name).unwrap();
            Value::Union(index.try_into().unwrap(), Box::new(value(inner, &of.variants()[index])))
        }
        other => panic!("no example has {other:?}"),
    }
}

/// The value with the fields null that bear an item which is not granted.
fn expected(value: &Value, path: &str, fields: &BTreeMap<String, ItemId>, granted: &BTreeSet<ItemId>) -> Value {
    match value {
        Value::Record(values) => {
            let value = |(name, value): &(String, Value)| {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let seen = fields.get(&path).is_none_or(|item| granted.contains(item));
                let null = || Value::Union(0, Box::new(Value::Null));
                (name.clone(), if seen { expected(value, &path, fields, granted) } else { null() })
            };
            Value::Record(values.iter().map(value).collect())
        }
        Value::Union(branch, inner) => Value::Union(*branch, Box::new(expected(inner, path, fields, granted))),
        other => other.clone(),
    }
}

#[test]
fn every_example_loses_what_is_not_granted_and_nothing_else() {
    let mut random = Random(1);
    for kind in Kind::ALL {
        let avro = AvroSchema::parse_str(schema_text(kind)).unwrap();
        let schema = Schema::parse(schema_text(kind)).unwrap();
        let datum = encode(&avro, &value(&example(kind), &avro));
        let read = decode(&avro, &datum).unwrap();
        let all = items_of(&schema);

        let mut subsets = vec![BTreeSet::new(), all.clone()];
        for item in &all {
            subsets.push([item.clone()].into());
            subsets.push(all.iter().filter(|other| *other != item).cloned().collect());
        }
        subsets.extend((0..50).map(|_| random.subset(&all)));
        for granted in subsets {
            let program = Program::compile(&schema, &granted).unwrap();
            assert_eq!(program.is_noop(), granted == all, "{kind:?} {granted:?}");
            let blanked = blank(&program, &datum).unwrap();
            let expected = expected(&read, "", item_fields(kind), &granted);
            assert_eq!(decode(&avro, &blanked), Some(expected.clone()), "{kind:?} {granted:?}");
            assert_eq!(blanked, encode(&avro, &expected), "{kind:?} {granted:?}");
            assert_eq!(blanked == datum, expected == read, "{kind:?} {granted:?}");
        }
    }
}

#[test]
fn nothing_shorter_and_nothing_longer_is_blanked() {
    for kind in Kind::ALL {
        let avro = AvroSchema::parse_str(schema_text(kind)).unwrap();
        let mut datum = encode(&avro, &value(&example(kind), &avro));
        let program = program(schema_text(kind), []);
        for end in 0..datum.len() {
            let error = blank(&program, &datum[..end]).unwrap_err();
            assert_eq!(error.reason, Reason::Truncated, "{end} bytes of {kind:?}");
            assert!(error.at <= end);
        }
        datum.push(0);
        let error = blank(&program, &datum).unwrap_err();
        assert_eq!((error.reason, error.at), (Reason::Trailing, datum.len() - 1));
    }
}

#[test]
fn a_writer_of_tomorrow_is_blanked_by_its_own_schema() {
    let mut json: Json = serde_json::from_str(schema_text(Kind::Contact)).unwrap();
    let mut record = example(Kind::Contact);
    let tomorrow = serde_json::json!([
        {"name": "nickname", "type": ["null", "string"], "default": null, "item": "person.nickname"},
        {"name": "cards", "default": [], "structural": "how the record came about, card by card", "type": {"type": "array", "items":
            {"type": "record", "name": "Card", "fields": [
                {"name": "seen", "type": "int", "structural": "when the card was seen"},
                {"name": "text", "type": ["null", "string"], "default": null, "item": "organisation.title"}]}}}]);
    let fields = json["fields"].as_array_mut().unwrap();
    fields.insert(3, tomorrow[0].clone());
    fields.push(tomorrow[1].clone());
    record["nickname"] = serde_json::json!({"string": "Taro-san"});
    record.as_object_mut().unwrap().remove("cards");

    let text = json.to_string();
    let avro = AvroSchema::parse_str(&text).unwrap();
    let AvroSchema::Record(of) = &avro else { panic!("no record") };
    let values = of.fields.iter().map(|field| match field.name.as_str() {
        "cards" => {
            let text = |text: &str| Value::Union(1, Box::new(Value::String(text.into())));
            let card =
                |seen, value| Value::Record(vec![("seen".into(), Value::Int(seen)), ("text".into(), text(value))]);
            (field.name.clone(), Value::Array(vec![card(1, "部長"), card(2, "課長")]))
        }
        name => (name.to_owned(), value(&record[name], &field.schema)),
    });
    let datum = encode(&avro, &Value::Record(values.collect()));

    let granted = ["person.name", "organisation.name", "organisation.email"];
    let blanked = blank(&program(&text, granted), &datum).unwrap();
    let Some(Value::Record(read)) = decode(&avro, &blanked) else { panic!("not readable") };
    let read: BTreeMap<_, _> = read.into_iter().collect();
    let null = Value::Union(0, Box::new(Value::Null));
    assert_eq!(read["nickname"], null, "an item that this build does not know is not granted");
    let card = |seen| Value::Record(vec![("seen".into(), Value::Int(seen)), ("text".into(), null.clone())]);
    assert_eq!(read["cards"], Value::Array(vec![card(1), card(2)]));

    // What a reader of today makes of it.
    let today = AvroSchema::parse_str(schema_text(Kind::Contact)).unwrap();
    let reader = GenericDatumReader::builder(&avro).reader_schema(&today).build().unwrap();
    let Value::Record(contact) = reader.read_value(&mut &blanked[..]).unwrap() else { panic!("not readable") };
    let contact: BTreeMap<_, _> = contact.into_iter().collect();
    for name in ["title", "department", "address", "telephone", "mobile", "direct_telephone", "fax"] {
        assert_eq!(contact[name], null, "{name}");
    }
    for name in ["name", "email", "organisation"] {
        assert_ne!(contact[name], null, "{name}");
    }
}
