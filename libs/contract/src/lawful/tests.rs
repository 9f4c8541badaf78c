use super::*;
use crate::{catalogue, item_fields, schema_text};

fn judge(text: &str, kind: Kind) -> Vec<String> {
    let schema = Schema::parse(text).unwrap_or_else(|faults| panic!("{faults}"));
    unlawful(&schema, kind, catalogue()).iter().map(ToString::to_string).collect()
}

/// The contact schema with one thing changed.
fn changed(change: impl Fn(&mut Json)) -> Vec<String> {
    let mut json: Json = serde_json::from_str(schema_text(Kind::Contact)).unwrap();
    change(&mut json);
    judge(&json.to_string(), Kind::Contact)
}

fn field<'a>(json: &'a mut Json, name: &str) -> &'a mut Json {
    let fields = json["fields"].as_array_mut().unwrap();
    fields.iter_mut().find(|field| field["name"] == name).unwrap()
}

fn add(json: &mut Json, field: Json) {
    json["fields"].as_array_mut().unwrap().push(field);
}

#[test]
fn the_schemas_are_lawful() {
    for kind in Kind::ALL {
        assert_eq!(judge(schema_text(kind), kind), Vec::<String>::new(), "{kind:?}");
    }
}

#[test]
fn the_schemas_carry_exactly_the_catalogue() {
    let carried: BTreeSet<_> = Kind::ALL.into_iter().flat_map(|kind| item_fields(kind).values().cloned()).collect();
    let listed: BTreeSet<_> = catalogue().items.iter().map(|item| item.id.clone()).collect();
    assert_eq!(carried, listed);
    let contact = item_fields(Kind::Contact);
    assert_eq!(contact["name.family_kana"].as_str(), "person.name");
    assert_eq!(contact["email"].as_str(), "organisation.email");
    assert!(!contact.contains_key("contact_id"));
    assert_eq!(item_fields(Kind::Behaviour)["link_click.url"].as_str(), "action.link-click");
}

#[test]
fn what_is_in_no_notice_is_refused_with_its_path() {
    let religion =
        serde_json::json!({"name": "religion", "type": ["null", "string"], "default": null, "item": "person.religion"});
    assert_eq!(
        changed(|json| add(json, religion.clone())),
        ["Contact.religion: the item \"person.religion\" is not in the catalogue"]
    );
    let nested = |json: &mut Json| add(&mut field(json, "name")["type"][1], religion.clone());
    assert_eq!(
        changed(nested),
        [
            "Contact.name.religion: carries \"person.religion\" inside a field of \"person.name\": give it a field of its own",
            "Contact.name.religion: the item \"person.religion\" is not in the catalogue",
        ]
    );
    let bare = serde_json::json!({"name": "note", "type": ["null", "string"], "default": null});
    assert_eq!(
        changed(|json| add(json, bare.clone())),
        ["Contact.note: names no \"item\" of the catalogue and no reason for being \"structural\""]
    );
}

#[test]
fn all_faults_are_told_at_once() {
    let found = changed(|json| {
        field(json, "email")["structural"] = "both at once, says the author".into();
        field(json, "fax")["pii"] = true.into();
        field(json, "title")["type"] = "string".into();
        field(json, "title").as_object_mut().unwrap().remove("default");
        field(json, "department")["type"] = serde_json::json!(["string", "null"]);
        field(json, "department")["default"] = "".into();
        field(json, "company")["structural"] = "why not".into();
        field(json, "mobile")["type"] =
            serde_json::json!(["null", {"type": "string", "item": "organisation.telephone"}]);
        field(json, "address")["item"] = 7.into();
        field(json, "recorded_at")["type"] = "long".into();
        field(json, "postal_code")["aliases"] = serde_json::json!(["zip"]);
        json["owner"] = "me".into();
    });
    assert_eq!(
        found,
        [
            "Contact: the attribute \"owner\" is not known on a type",
            "Contact.address: \"item\" must be the id of an item",
            "Contact.company: \"structural\" must be the reason, in words, why the field carries no item",
            "Contact.department: a field that bears an item must be able to be blank: its type a union that begins with null, its default null",
            "Contact.email: is both \"item\" and \"structural\"",
            "Contact.fax: the attribute \"pii\" is not known: a field has \"item\" or \"structural\"",
            "Contact.mobile: \"item\" stands inside the type: it belongs to the field",
            "Contact.postal_code: has an alias: many readers match fields by name alone and would lose the value: add a new field",
            "Contact.recorded_at: must be of type long (timestamp-millis)",
            "Contact.title: a field that bears an item must be able to be blank: its type a union that begins with null, its default null",
        ]
    );
}

#[test]
fn every_record_says_whose_by_whom_when_and_how() {
    for name in ["contact_id", "company", "recorded_at", "acquisition"] {
        let found = changed(|json| json["fields"].as_array_mut().unwrap().retain(|field| field["name"] != name));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(&format!("Contact.{name}: is missing")), "{found:?}");
    }
    assert_eq!(judge(schema_text(Kind::Contact), Kind::Meeting).len(), 2, "record_id and occurred_at");
}

#[test]
fn the_acquisition_block_is_closed() {
    let acquisition = |change: fn(&mut Json)| changed(|json| change(&mut field(json, "acquisition")["type"]));
    assert_eq!(
        acquisition(
            |json| field(json, "method")["type"]["symbols"] = serde_json::json!(["BUSINESS_CARD", "PURCHASED_LIST"])
        ),
        [
            "Contact.acquisition.method: must have the notice's four ways as symbols: BUSINESS_CARD, PUBLIC_INFORMATION, BUSINESS_MEETING, APPLICATION_FOR_TRANSACTION"
        ]
    );
    assert_eq!(
        acquisition(|json| field(json, "method")["type"]["default"] = "BUSINESS_CARD".into()),
        ["Contact.acquisition.method: must have no default: an unknown way is not one of the four"]
    );
    assert_eq!(
        acquisition(|json| field(json, "method")["type"] = "string".into()),
        ["Contact.acquisition.method: must be an enum of the notice's four ways"]
    );
    assert_eq!(
        acquisition(|json| add(
            json,
            serde_json::json!({"name": "by", "type": "string", "structural": "who took the card in"})
        )),
        ["Contact.acquisition.by: the acquisition block is closed: method, acquired_on, purpose, source"]
    );
    assert_eq!(
        acquisition(|json| field(json, "purpose")["type"] = serde_json::json!(["null", "string"])),
        ["Contact.acquisition.purpose: must be of type string"]
    );
    assert_eq!(
        changed(|json| field(json, "acquisition")["type"] =
            serde_json::json!(["null", field(json, "acquisition")["type"].take()])),
        ["Contact.acquisition: must be a record, and not optional"]
    );
}

#[test]
fn a_named_type_is_judged_in_every_field_that_uses_it() {
    let again = serde_json::json!({"name": "alias", "type": ["null", "PersonName"], "default": null, "item": "organisation.title"});
    let found = changed(|json| add(json, again.clone()));
    assert_eq!(found.len(), 5, "{found:?}");
    assert!(
        found.iter().all(|fault| fault.starts_with("Contact.alias.") && fault.contains("inside a field of")),
        "{found:?}"
    );
}

#[test]
fn recursion_ends() {
    let found = changed(|json| {
        add(
            json,
            serde_json::json!({"name": "chain", "type": ["null", {"type": "record", "name": "Chain", "fields": [
            {"name": "next", "type": ["null", "Chain"], "default": null, "item": "person.name"}]}], "default": null, "item": "person.name"}),
        );
    });
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn what_cannot_be_blanked_is_unlawful() {
    // The hub walks over every field, those that stay included.
    let marks = serde_json::json!({"name": "marks", "type": {"type": "array", "items": "null"}, "structural": "counts something by nulls"});
    assert_eq!(
        changed(|json| add(json, marks.clone())),
        ["Contact.marks[]: the elements of an array must have bytes: a count alone could stand for any number"]
    );
}
