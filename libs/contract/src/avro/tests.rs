use std::fmt::Debug;

use jointuse::records::{Behaviour, Contact, ContactEvent, Meeting, Transaction};

use super::*;

fn example(kind: Kind) -> serde_json::Value {
    serde_json::from_str(match kind {
        Kind::Contact => include_str!("../../../../schemas/avro/contact.example.json"),
        Kind::Transaction => include_str!("../../../../schemas/avro/transaction.example.json"),
        Kind::Meeting => include_str!("../../../../schemas/avro/meeting.example.json"),
        Kind::ContactEvent => include_str!("../../../../schemas/avro/contact-event.example.json"),
        Kind::Behaviour => include_str!("../../../../schemas/avro/behaviour.example.json"),
    })
    .unwrap()
}

/// Avro's JSON encoding wraps union members in `{"type": value}`; the serde types have the plain value.
fn plain(value: &serde_json::Value, schema: &Schema) -> serde_json::Value {
    use serde_json::Value as Json;
    match schema {
        Schema::Record(record) => {
            let object = value.as_object().unwrap();
            assert_eq!(object.len(), record.fields.len(), "{} has other fields than its schema", record.name);
            let fields =
                record.fields.iter().map(|field| (field.name.clone(), plain(&object[&field.name], &field.schema)));
            Json::Object(fields.collect())
        }
        Schema::Union(union) => match value {
            Json::Null => Json::Null,
            Json::Object(wrapped) => {
                let (name, inner) = wrapped.iter().next().unwrap();
                let variant = union.variants().iter().find(|variant| match variant.name() {
                    Some(full) => full.fullname(None) == *name,
                    None => format!("{:?}", apache_avro::schema::SchemaKind::from(*variant)).to_lowercase() == *name,
                });
                plain(inner, variant.unwrap_or_else(|| panic!("no member {name}")))
            }
            other => panic!("{other} is not wrapped"),
        },
        _ => value.clone(),
    }
}

fn round_trip<T: Serialize + DeserializeOwned + PartialEq + Debug>(kind: Kind) {
    let schema = Schema::parse_str(schema_text(kind)).unwrap();
    let record: T = serde_json::from_value(plain(&example(kind), &schema)).unwrap();
    let value = encode(77, kind, &record).unwrap();
    assert_eq!(value[..5], [0, 0, 0, 0, 77]);
    let (id, datum) = unframe(&value).unwrap();
    assert_eq!(id, 77);
    let writer = WriterSchema::parse(schema_text(kind)).unwrap();
    assert_eq!(writer.read::<T>(datum).unwrap(), record);
    assert_eq!(decode::<T>(&value, &writer).unwrap(), record);
    // Nothing shorter and nothing longer is a record.
    for cut in 0..value.len() {
        assert!(decode::<T>(&value[..cut], &writer).is_err(), "{cut} bytes of {} are a {kind:?}", value.len());
    }
    let mut longer = value.clone();
    longer.push(0);
    assert_eq!(decode::<T>(&longer, &writer), Err(DecodeError::Datum { at: datum.len(), len: datum.len() + 1 }));
}

#[test]
fn the_examples_are_records_of_their_schemas() {
    round_trip::<Contact>(Kind::Contact);
    round_trip::<Transaction>(Kind::Transaction);
    round_trip::<Meeting>(Kind::Meeting);
    round_trip::<ContactEvent>(Kind::ContactEvent);
    round_trip::<Behaviour>(Kind::Behaviour);
}

#[test]
fn another_kind_of_record_is_refused_and_leaves_nothing_behind() {
    let schema = Schema::parse_str(schema_text(Kind::Transaction)).unwrap();
    let record: Transaction = serde_json::from_value(plain(&example(Kind::Transaction), &schema)).unwrap();
    let mut bytes = vec![1];
    assert_eq!(encode_into(&mut bytes, 1, Kind::Meeting, &record), Err(EncodeError { kind: Kind::Meeting }));
    assert_eq!(bytes, [1]);
}

#[test]
fn what_is_not_framed_is_refused() {
    for bytes in [&[][..], &[0, 0, 0, 1], &[1, 0, 0, 0, 1, 2]] {
        assert_eq!(unframe(bytes), Err(DecodeError::Frame));
    }
}

#[test]
fn a_writer_with_other_fields_is_read_by_name() {
    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Card {
        id: String,
        title: Option<String>,
    }
    let writer = WriterSchema::parse(
        r#"{"type": "record", "name": "Card", "fields": [
            {"name": "added", "type": ["null", {"type": "map", "values": "long"}], "default": null},
            {"name": "id", "type": "string"}]}"#,
    )
    .unwrap();
    let datum = [&[2, 2, 2, b'k', 14, 0][..], &[4, b'a', b'b']].concat();
    assert_eq!(writer.read::<Card>(&datum).unwrap(), Card { id: "ab".into(), title: None });
}

#[test]
fn an_absurd_length_is_refused_without_allocating() {
    let writer = WriterSchema::parse(r#"{"type": "record", "name": "R", "fields": [{"name": "s", "type": "string"}]}"#);
    #[derive(Debug, serde::Deserialize)]
    struct R {
        #[expect(dead_code)]
        s: String,
    }
    let huge = [0xfe, 0xff, 0xff, 0xff, 0xff, 0x0f, b'x'];
    assert!(writer.unwrap().read::<R>(&huge).is_err());
}

mod properties {
    use chrono::{DateTime, NaiveDate};
    use jointuse::{
        Acquisition, AcquisitionMethod, Personal,
        records::{PersonName, Text},
    };
    use proptest::prelude::*;

    use super::*;

    fn text() -> impl Strategy<Value = Text> {
        proptest::option::of(any::<String>().prop_map(Personal::new))
    }

    prop_compose! {
        fn contact()(
            id in "[0-9a-f]{32}",
            at in -62_135_596_800_000_i64..253_402_300_799_000,
            day in -700_000_i32..2_900_000,
            texts in proptest::collection::vec(text(), 15),
            named in any::<bool>(),
            source in any::<String>(),
        ) -> Contact {
            let mut texts = texts.into_iter();
            let mut text = || texts.next().flatten();
            Contact {
                contact_id: id.parse().unwrap(),
                company: "persol-career".parse().unwrap(),
                recorded_at: DateTime::from_timestamp_millis(at).unwrap(),
                acquisition: Acquisition {
                    method: AcquisitionMethod::PublicInformation,
                    acquired_on: NaiveDate::from_ymd_opt(1970, 1, 1).unwrap() + chrono::TimeDelta::days(day.into()),
                    purpose: "group-services-guidance".parse().unwrap(),
                    source,
                },
                name: named.then(|| PersonName {
                    full: text(), family: text(), given: text(), family_kana: text(), given_kana: text(),
                }),
                organisation: text(), department: text(), title: text(), postal_code: text(), address: text(),
                email: text(), telephone: text(), direct_telephone: text(), mobile: text(), fax: text(),
            }
        }
    }

    proptest! {
        #[test]
        fn every_contact_comes_back(contact in contact(), id in any::<u32>()) {
            let value = encode(id, Kind::Contact, &contact).unwrap();
            let (found, _) = unframe(&value).unwrap();
            prop_assert_eq!(found, id);
            let writer = WriterSchema::embedded(Kind::Contact).unwrap();
            prop_assert_eq!(decode::<Contact>(&value, &writer).unwrap(), contact);
        }

        #[test]
        fn bytes_from_anywhere_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let writer = WriterSchema::embedded(Kind::Behaviour).unwrap();
            let _ = decode::<Behaviour>(&bytes, &writer);
            let _ = writer.read::<Behaviour>(&bytes);
        }

        #[test]
        fn a_broken_record_is_read_or_refused(at in 0_usize..200, byte in any::<u8>()) {
            let schema = Schema::parse_str(schema_text(Kind::Contact)).unwrap();
            let record: Contact = serde_json::from_value(plain(&example(Kind::Contact), &schema)).unwrap();
            let mut value = encode(1, Kind::Contact, &record).unwrap();
            let at = at % value.len();
            value[at] = byte;
            let writer = WriterSchema::embedded(Kind::Contact).unwrap();
            if let Ok(read) = decode::<Contact>(&value, &writer) {
                // Whatever it reads as is a record that can be written.
                prop_assert!(encode(1, Kind::Contact, &read).is_ok());
            }
        }
    }
}
