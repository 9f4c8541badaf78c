//! Confluent's Python serialiser and deserialiser against the registry, and against our own codec.

use authority_api::types::Role;
use contract::avro::{WriterSchema, decode, encode, unframe};
use jointuse::{Kind, records::Contact};
use serde_json::{Value, json};
use testkit::{
    paths,
    process::{Launch, run},
    stack::{Name, Operator, Stack},
};

const SUBJECT: &str = "jointuse.contact-value";
const TOPIC: &str = "jointuse.contact";

async fn python(op: &str, stack: &Stack, by: Option<&Operator>, mut request: Value) -> Value {
    request["op"] = op.into();
    request["registry"] = stack.registry_url().into();
    if let Some(by) = by {
        request["user"] = by.name.as_str().into();
        request["password"] = by.password.as_str().into();
    }
    let script = paths::root().join("tests/clients/python/registry.py").display().to_string();
    let launch = Launch::new(paths::python().unwrap()).arg(script).arg(request.to_string());
    let output = run(&launch, "").await.unwrap_or_else(|error| panic!("{error}"));
    serde_json::from_str(&output).unwrap_or_else(|_| panic!("{output}"))
}

/// As the stock serialiser wants it: a dictionary, unions unwrapped.
fn record() -> Value {
    json!({
        "contact_id": "00112233445566778899aabbccddeeff",
        "company": "persol-career",
        "recorded_at": 1_764_000_000_000_i64,
        "acquisition": {
            "method": "BUSINESS_CARD", "acquired_on": 19_782, "purpose": "group-services-guidance", "source": "eight-csv"
        },
        "name": {"full": "見本 太郎", "family": null, "given": null, "family_kana": null, "given_kana": null},
        "organisation": "株式会社見本商事", "department": null, "title": "部長", "postal_code": null, "address": null,
        "email": "taro.mihon@mihon.example", "telephone": null, "direct_telephone": null, "mobile": null, "fax": null
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_clients() {
    let mut stack = Stack::builder().services(&[Name::Authority]).start().await.unwrap();
    let steward = stack.operator("steward", &[Role::Steward]).await.unwrap();

    let read = python("read", &stack, None, json!({ "subject": SUBJECT })).await;
    assert_eq!(read["versions"], json!([1]));
    assert_eq!(read["found"], json!([read["id"], 1]));
    assert_eq!(
        (&read["compatible"], &read["level"], &read["type"]),
        (&json!(true), &json!("FULL_TRANSITIVE"), &json!("AVRO"))
    );
    assert_eq!(read["subjects_of_id"], json!([SUBJECT]));
    assert_eq!(read["versions_of_id"], json!([[SUBJECT, 1]]));
    assert_eq!(read["subjects"].as_array().unwrap().len(), 5);
    let id = u32::try_from(read["id"].as_u64().unwrap()).unwrap();
    let text = read["schema"].as_str().unwrap();

    // A producer that does not register: its schema is looked up, whatever way it is written.
    let shipped = contract::schema_text(Kind::Contact);
    for normalize in [false, true] {
        let request =
            json!({ "auto": false, "normalize": normalize, "topic": TOPIC, "schema": shipped, "record": record() });
        let value = hexed(&python("serialise", &stack, None, request).await);
        assert_eq!(unframe(&value).unwrap().0, id);
        // We read what it wrote, and write the same bytes.
        let contact: Contact = decode(&value, &WriterSchema::parse(text).unwrap()).unwrap();
        assert_eq!(contact.title.as_ref().unwrap().expose(), "部長");
        assert_eq!(encode(id, Kind::Contact, &contact).unwrap(), value);
        // It reads what we wrote.
        let read = python("deserialise", &stack, None, json!({ "topic": TOPIC, "value": hex(&value) })).await;
        assert_eq!(read["record"]["name"]["full"], "見本 太郎");
        assert_eq!(read["record"]["acquisition"]["method"], "BUSINESS_CARD");
        assert_eq!(read["record"]["acquisition"]["acquired_on"], "2024-02-29");
    }

    // A steward's producer that registers: the next version; a reader with the first version's schema goes on reading.
    let mut next: Value = serde_json::from_str(shipped).unwrap();
    let branch =
        json!({"name": "branch", "type": ["null", "string"], "default": null, "item": "organisation.department"});
    next["fields"].as_array_mut().unwrap().push(branch);
    let mut with_branch = record();
    with_branch["branch"] = "渋谷支店".into();
    let request = json!({ "auto": true, "topic": TOPIC, "schema": next.to_string(), "record": with_branch });
    let anonymous = python("serialise", &stack, None, request.clone()).await;
    assert_eq!(anonymous["refused"]["status"], 401, "{anonymous}");
    let value = hexed(&python("serialise", &stack, Some(&steward), request).await);
    assert!(unframe(&value).unwrap().0 > id);
    let read = python("deserialise", &stack, None, json!({ "topic": TOPIC, "value": hex(&value) })).await;
    assert_eq!(read["record"]["branch"], "渋谷支店");
    let old = json!({ "topic": TOPIC, "value": hex(&value), "schema": shipped });
    let read = python("deserialise", &stack, None, old).await;
    assert_eq!((&read["record"]["title"], read["record"].get("branch")), (&json!("部長"), None));

    // Refusals reach the user with the reason.
    let mut unlawful = next.clone();
    let religion = json!({"name": "religion", "type": ["null", "string"], "default": null, "item": "person.religion"});
    unlawful["fields"].as_array_mut().unwrap().push(religion);
    let request = json!({ "subject": SUBJECT, "schema": unlawful.to_string() });
    let refused = python("register", &stack, Some(&steward), request).await;
    assert_eq!((&refused["refused"]["status"], &refused["refused"]["code"]), (&json!(422), &json!(42201)));
    let message = refused["refused"]["message"].as_str().unwrap();
    assert!(message.contains("Contact.religion: the item \"person.religion\" is not in the catalogue"), "{message}");
    let mut incompatible = next;
    incompatible["fields"].as_array_mut().unwrap().retain(|field| field["name"] != "fax");
    let fax = json!({"name": "fax", "type": ["null", "long"], "default": null, "item": "organisation.fax"});
    incompatible["fields"].as_array_mut().unwrap().push(fax);
    let request = json!({ "subject": SUBJECT, "schema": incompatible.to_string() });
    let refused = python("register", &stack, Some(&steward), request).await;
    assert_eq!((&refused["refused"]["status"], &refused["refused"]["code"]), (&json!(409), &json!(409)));
    let message = refused["refused"]["message"].as_str().unwrap();
    assert!(message.contains("Contact.fax"), "{message}");
    stack.stop().await.unwrap();
}

fn hexed(answer: &Value) -> Vec<u8> {
    let text = answer["value"].as_str().unwrap_or_else(|| panic!("{answer}"));
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
