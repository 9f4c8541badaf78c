//! Our reading of Avro against implementations that we did not write: fastavro and Avro's own Python library.

use contract::{Schema, avro, schema_text};
use jointuse::Kind;
use serde_json::{Value, json};
use testkit::{
    paths,
    process::{Launch, run},
};

fn example(kind: Kind) -> String {
    let path = paths::root().join(format!("schemas/avro/{}.example.json", kind.as_str()));
    std::fs::read_to_string(path).unwrap()
}

/// Avro's JSON encoding without the wrapping of union members: what the serde types read.
fn plain(value: &Value) -> Value {
    const WRAPS: [&str; 6] = ["string", "long", "int", "double", "map", "boolean"];
    match value {
        Value::Object(object) => {
            let only = object.iter().next().filter(|_| object.len() == 1);
            match only {
                Some((name, inner)) if WRAPS.contains(&name.as_str()) || name.contains('.') => plain(inner),
                _ => Value::Object(object.iter().map(|(name, value)| (name.clone(), plain(value))).collect()),
            }
        }
        other => other.clone(),
    }
}

/// Our encoding of the example, without frame.
fn binary(kind: Kind) -> Vec<u8> {
    use jointuse::records::{Behaviour, Contact, ContactEvent, Meeting, Transaction};
    let value = plain(&serde_json::from_str(&example(kind)).unwrap());
    let framed = match kind {
        Kind::Contact => avro::encode(1, kind, &serde_json::from_value::<Contact>(value).unwrap()),
        Kind::Transaction => avro::encode(1, kind, &serde_json::from_value::<Transaction>(value).unwrap()),
        Kind::Meeting => avro::encode(1, kind, &serde_json::from_value::<Meeting>(value).unwrap()),
        Kind::ContactEvent => avro::encode(1, kind, &serde_json::from_value::<ContactEvent>(value).unwrap()),
        Kind::Behaviour => avro::encode(1, kind, &serde_json::from_value::<Behaviour>(value).unwrap()),
    };
    avro::unframe(&framed.unwrap()).unwrap().1.to_vec()
}

#[tokio::test]
async fn others_agree() {
    let corpus = paths::root().join("libs/contract/tests/data/resolution.json");
    let corpus: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(corpus).unwrap()).unwrap();
    let asked: Vec<&Value> = corpus.iter().filter(|pair| pair["stricter"] != true).collect();
    let mut forms: Vec<String> = Kind::ALL.into_iter().map(|kind| schema_text(kind).to_owned()).collect();
    forms.extend(corpus.iter().map(|pair| pair["writer"].to_string()));
    let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let records = Kind::ALL
        .map(|kind| json!({ "schema": schema_text(kind), "json": example(kind), "binary": hex(binary(kind)) }));
    let request = json!({ "pairs": asked, "records": records, "forms": forms });

    let script = paths::root().join("tests/clients/python/schemas.py").display().to_string();
    let launch = Launch::new(paths::python().unwrap()).arg(script);
    let output = run(&launch, &request.to_string()).await.unwrap_or_else(|error| panic!("{error}"));
    let answer: Value = serde_json::from_str(&output).unwrap();

    assert!(asked.len() > 50);
    let mut wrong = Vec::new();
    for (pair, found) in asked.iter().zip(answer["pairs"].as_array().unwrap()) {
        let ours = contract::compat::can_read(
            &Schema::parse(&pair["reader"].to_string()).unwrap(),
            &Schema::parse(&pair["writer"].to_string()).unwrap(),
        );
        let ours = ours.is_empty();
        for other in ["avro", "fastavro"] {
            if found[other].as_bool().is_some_and(|theirs| theirs != ours) {
                wrong.push(format!("{}: we say {ours}, {other} does not", pair["name"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");

    for (kind, found) in Kind::ALL.iter().zip(answer["records"].as_array().unwrap()) {
        assert_eq!(found, &json!({ "same_bytes": true, "same_record": true, "valid": true }), "{kind:?}");
    }

    for (text, found) in forms.iter().zip(answer["forms"].as_array().unwrap()) {
        let schema = Schema::parse(text).unwrap();
        assert_eq!(found["canonical"], schema.canonical_form());
        // fastavro writes the fingerprint's bytes in little-endian order, as in a single-object encoding's header.
        assert_eq!(found["rabin"], hex(schema.rabin().to_le_bytes().to_vec()), "{text}");
        assert_eq!(found["sha256"], hex(schema.sha256().to_vec()), "{text}");
    }
}
