use std::sync::Arc;

use bytes::Bytes;
use contract::avro::encode;
use jointuse::{CompanyId, ContactId};

use super::*;

const KEY: &str = "00112233445566778899aabbccddeeff";

fn record() -> Contact {
    Contact {
        contact_id: KEY.parse::<ContactId>().unwrap(),
        company: "persol-career".parse::<CompanyId>().unwrap(),
        recorded_at: DateTime::from_timestamp_millis(1_764_000_000_000).unwrap(),
        acquisition: Acquisition {
            method: AcquisitionMethod::BusinessCard,
            acquired_on: NaiveDate::from_ymd_opt(2026, 4, 1).unwrap(),
            purpose: "group-services-guidance".parse().unwrap(),
            source: "eight-csv".into(),
        },
        name: Some(PersonName { full: Some("見本 太郎".to_owned().into()), ..PersonName::default() }),
        organisation: Some("㈱見本商事".to_owned().into()),
        department: None,
        title: None,
        postal_code: None,
        address: None,
        email: Some("Taro@mihon.example".to_owned().into()),
        telephone: Some("+81300000000".to_owned().into()),
        direct_telephone: None,
        mobile: None,
        fax: None,
    }
}

fn message(key: &str, value: Option<Vec<u8>>) -> bus::Message {
    bus::Message {
        topic: Arc::from("jointuse.contact"),
        partition: 0,
        offset: 7,
        timestamp: Some(1_764_000_000_000),
        key: Some(Bytes::copy_from_slice(key.as_bytes())),
        headers: vec![(Arc::from("publisher"), Bytes::from_static(b"persol-career"))],
        payload: value.map(Bytes::from),
    }
}

fn decoded(message: &bus::Message) -> What {
    decode(message, Value::plain(message), Kind::Contact, Some(&WriterSchema::embedded(Kind::Contact).unwrap()))
}

fn reason(message: &bus::Message) -> Reason {
    match decoded(message) {
        What::Broken(broken) => broken.reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_contact_becomes_a_row_and_prints_nothing() {
    let value = encode(1, Kind::Contact, &record()).unwrap();
    let What::Contact(contact) = decoded(&message(KEY, Some(value))) else { panic!() };
    assert_eq!(contact.organisation.as_ref().unwrap().0.expose(), "見本商事");
    assert_eq!(contact.email.as_ref().unwrap().expose(), "taro@mihon.example");
    assert_eq!(contact.facts.links.len(), 1);
    assert!(contact.main_number.is_some());
    assert_eq!(contact.occurred_at().to_rfc3339(), "2026-03-31T15:00:00+00:00");
    let content: serde_json::Value = serde_json::from_str(contact.common.content.expose()).unwrap();
    assert_eq!(content["name"]["full"], "見本 太郎");
    assert!(content.get("contact_id").is_none());
    let printed = format!("{contact:?}");
    assert!(!printed.contains("見本") && !printed.contains("taro"), "{printed}");
}

#[test]
fn what_cannot_be_applied_says_why() {
    let value = encode(1, Kind::Contact, &record()).unwrap();
    assert_eq!(reason(&message("not a key", Some(value.clone()))), Reason::Key);
    assert_eq!(reason(&message(&KEY.replace('f', "0"), Some(value.clone()))), Reason::OtherContact);
    assert_eq!(reason(&message(KEY, Some(vec![1, 2, 3]))), Reason::Frame);
    assert_eq!(reason(&message(KEY, Some(value[..value.len() - 1].to_vec()))), Reason::Datum);
    let mut other = message(KEY, Some(value.clone()));
    other.headers[0].1 = Bytes::from_static(b"persol-tech");
    assert_eq!(reason(&other), Reason::OtherPublisher);
    let told = message(KEY, Some(value));
    let unknown = decode(&told, Value::plain(&told), Kind::Contact, None);
    assert!(matches!(unknown, What::Broken(Broken { reason: Reason::Schema, schema_id: Some(1) })));
    let nul = Contact { title: Some("a\0".to_owned().into()), ..record() };
    assert_eq!(reason(&message(KEY, Some(encode(1, Kind::Contact, &nul).unwrap()))), Reason::Character);
    let odd = Contact { recorded_at: DateTime::from_timestamp(-9_999_999_999, 0).unwrap(), ..record() };
    assert_eq!(reason(&message(KEY, Some(encode(1, Kind::Contact, &odd).unwrap()))), Reason::Date);
}

#[test]
fn no_value_takes_a_contact_back_and_means_nothing_elsewhere() {
    assert!(matches!(decoded(&message(KEY, None)), What::Removed { .. }));
    assert!(matches!(
        decode(&message(KEY, None), Value::Absent, Kind::Meeting, None),
        What::Broken(Broken { reason: Reason::Empty, .. })
    ));
}

#[test]
fn an_escaped_backslash_is_no_nul() {
    assert!(has_nul(r#"{"a":"\u0000"}"#));
    assert!(!has_nul(r#"{"a":"\\u0000"}"#));
    assert!(has_nul(r#"{"a":"\\\u0000"}"#));
}

/// A field that is added to a schema must not be lost on its way into the database.
#[test]
fn the_content_has_every_field_of_the_schema() {
    const COMMON: [&str; 6] = ["record_id", "contact_id", "company", "occurred_at", "recorded_at", "acquisition"];
    let day = serde_json::json!(20_000);
    let acquisition =
        serde_json::json!({ "method": "BUSINESS_CARD", "acquired_on": day, "purpose": "p", "source": "s" });
    let structural = serde_json::json!({ "record_id": KEY, "contact_id": KEY, "company": "persol-career",
        "occurred_at": 0, "recorded_at": 0, "acquisition": acquisition, "meeting_id": KEY, "sequence": 0,
        "status": "CONFIRMED", "basis": "CONSENT_CONFIRMED" });
    for kind in Kind::ALL {
        let schema: serde_json::Value = serde_json::from_str(contract::schema_text(kind)).unwrap();
        let fields: std::collections::BTreeSet<&str> =
            schema["fields"].as_array().unwrap().iter().map(|field| field["name"].as_str().unwrap()).collect();
        let value = fields.iter().map(|name| ((*name).to_owned(), structural[*name].clone())).collect();
        let value = serde_json::Value::Object(value);
        let value = match kind {
            Kind::Contact => encode(1, kind, &serde_json::from_value::<Contact>(value).unwrap()),
            Kind::Transaction => encode(1, kind, &serde_json::from_value::<Transaction>(value).unwrap()),
            Kind::Meeting => encode(1, kind, &serde_json::from_value::<Meeting>(value).unwrap()),
            Kind::ContactEvent => encode(1, kind, &serde_json::from_value::<ContactEvent>(value).unwrap()),
            Kind::Behaviour => encode(1, kind, &serde_json::from_value::<Behaviour>(value).unwrap()),
        };
        let writer = WriterSchema::embedded(kind).unwrap();
        let message = message(KEY, Some(value.unwrap()));
        let common = match decode(&message, Value::plain(&message), kind, Some(&writer)) {
            What::Contact(contact) => contact.common,
            What::Interaction(interaction) => interaction.common,
            other => panic!("{kind:?}: {other:?}"),
        };
        let content: serde_json::Value = serde_json::from_str(common.content.expose()).unwrap();
        let kept: std::collections::BTreeSet<&str> = content.as_object().unwrap().keys().map(String::as_str).collect();
        let wanted = fields.into_iter().filter(|field| !COMMON.contains(field)).collect();
        assert_eq!(kept, wanted, "{kind:?}");
    }
}
