use jointuse::Kind;

use super::*;
use crate::schema_text;

fn faults(text: &str) -> Vec<String> {
    Schema::parse(text).unwrap_err().0.iter().map(ToString::to_string).collect()
}

#[test]
fn the_schemas_parse_and_keep_their_annotations() {
    for kind in Kind::ALL {
        let schema = Schema::parse(schema_text(kind)).unwrap();
        let Shape::Named(name) = &schema.root.shape else { panic!("{kind:?} is no record") };
        assert!(name.starts_with("jp.persol.jointuse."), "{name}");
        let Body::Record(fields) = &schema.definitions[name].body else { panic!("{kind:?} is no record") };
        for field in fields {
            let annotations =
                field.attributes.keys().filter(|name| matches!(name.as_str(), "item" | "structural")).count();
            assert_eq!(annotations, 1, "{name}.{}", field.name);
        }
        assert_eq!(schema.definitions["jp.persol.jointuse.AcquisitionMethod"].short_name(), "AcquisitionMethod");
    }
}

#[test]
fn every_fault_is_told_with_its_place() {
    let text = r#"{"type": "record", "name": "R", "fields": [
        {"name": "a", "type": "strnig"},
        {"name": "b", "type": ["null", "null"]},
        {"name": "c", "type": {"type": "array", "items": {"type": "record", "name": "S", "fields": [
            {"name": "2x", "type": "int"}, {"name": "y"}]}}},
        {"name": "d", "type": {"type": "map", "values": {"type": "enum", "name": "E", "symbols": ["A", "A", "b-c"], "default": "Z"}}},
        {"name": "d", "type": "int", "order": "sideways"},
        {"name": "f", "type": {"type": "fixed", "name": "R", "size": 3}},
        {"name": "g", "type": {"type": "fixed", "name": "F"}},
        {"name": "h", "type": ["int", ["string"]]},
        {"name": "i", "type": "int", "aliases": ["a"]},
        {"name": "j", "type": {"type": {"type": "string"}}},
        "k", {"type": "int"}
    ]}"#;
    assert_eq!(
        faults(text),
        [
            "R.a: \"strnig\" is no type that was defined before this place",
            "R.b: the union holds null twice",
            "R.c[].2x: this is no name: letters, digits and _, not beginning with a digit",
            "R.c[].y: \"type\" is missing",
            "R.d{}: the symbol \"A\" stands twice",
            "R.d{}: the symbol \"b-c\" is no name",
            "R.d{}: the enum's default \"Z\" is none of its symbols",
            "R.d: the record has two fields of this name",
            "R.d: \"order\" must be ascending, descending or ignore",
            "R.f: \"R\" is defined a second time: refer to it by its name",
            "R.g: the fixed needs a \"size\": a number of bytes",
            "R.h: a union cannot directly hold a union",
            "R.j: \"type\" must be the name of a type here",
            "R: field 11 is no object",
            "R: field 12 has no \"name\"",
            "R.i: the alias \"a\" is the name or alias of another field",
        ]
    );
}

#[test]
fn defaults_must_be_values_of_their_types() {
    let field = |of: &str, default: &str| {
        format!(
            r#"{{"type": "record", "name": "R", "fields": [
            {{"name": "s", "type": ["null", {{"type": "record", "name": "S", "fields": [{{"name": "n", "type": "int"}}, {{"name": "m", "type": "int", "default": 1}}]}}, {{"type": "enum", "name": "E", "symbols": ["A"]}}, {{"type": "fixed", "name": "F", "size": 2}}]}},
            {{"name": "f", "type": {of}, "default": {default}}}]}}"#
        )
    };
    for (of, default) in [
        (r#""int""#, "2147483647"),
        (r#""long""#, "-9223372036854775808"),
        (r#""double""#, "1"),
        (r#""bytes""#, r#""ÿ""#),
        (r#"["null", "string"]"#, "null"),
        (r#"["string", "null"]"#, r#""x""#),
        (r#""S""#, r#"{"n": 1}"#),
        (r#""E""#, r#""A""#),
        (r#""F""#, r#""ab""#),
        (r#"{"type": "array", "items": "S"}"#, r#"[{"n": 1, "m": 2}]"#),
        (r#"{"type": "map", "values": "boolean"}"#, r#"{"x": true}"#),
    ] {
        assert!(Schema::parse(&field(of, default)).is_ok(), "{default} for {of}");
    }
    for (of, default) in [
        (r#""int""#, "2147483648"),
        (r#""int""#, r#""1""#),
        (r#""long""#, "1.5"),
        (r#""bytes""#, r#""Ā""#),
        (r#"["null", "string"]"#, r#""x""#),
        (r#"["string", "null"]"#, "null"),
        (r#""S""#, r#"{"m": 1}"#),
        (r#""E""#, r#""B""#),
        (r#""F""#, r#""abc""#),
        (r#"{"type": "array", "items": "S"}"#, r#"[{"n": "1"}]"#),
        (r#"{"type": "map", "values": "boolean"}"#, "[]"),
    ] {
        let found = faults(&field(of, default));
        assert!(
            found.len() == 1 && found[0].starts_with("R.f: the default is no value of "),
            "{default} for {of}: {found:?}"
        );
    }
}

#[test]
fn a_name_written_twice_is_refused() {
    let text = r#"{"type": "record", "name": "R", "fields": [{"name": "a", "type": "int", "item": "x", "item": "y"}]}"#;
    let found = faults(text);
    assert!(found.len() == 1 && found[0].contains("\"item\" stands twice in one object"), "{found:?}");
}

#[test]
fn names_are_resolved_in_their_namespaces() {
    let schema = Schema::parse(
        r#"{"type": "record", "name": "a.R", "namespace": "ignored", "fields": [
            {"name": "x", "type": {"type": "record", "name": "S", "namespace": "b", "fields": [
                {"name": "y", "type": {"type": "fixed", "name": "F", "size": 1, "aliases": ["G", "c.H"]}}, {"name": "z", "type": ["null", "S", "a.R"]}]}},
            {"name": "w", "type": ["b.F", "R"]}]}"#,
    )
    .unwrap();
    assert_eq!(schema.definitions.keys().collect::<Vec<_>>(), ["a.R", "b.F", "b.S"]);
    assert_eq!(schema.definitions["b.F"].aliases, ["b.G", "c.H"]);
    assert!(Schema::parse(r#"{"type": "record", "name": "a.R", "fields": [{"name": "x", "type": "b.R"}]}"#).is_err());
}

#[test]
fn nonsense_is_refused_and_does_not_overflow() {
    for text in [
        "",
        "{",
        "1",
        "null",
        "[]",
        "{}",
        r#"{"type": "record"}"#,
        r#"{"type": "record", "name": "int", "fields": []}"#,
    ] {
        assert!(Schema::parse(text).is_err(), "{text}");
    }
    let deep = format!("{}\"int\"{}", r#"{"type": "array", "items": "#.repeat(5_000), "}".repeat(5_000));
    assert!(Schema::parse(&deep).is_err());
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    /// Schemas of any shape, by their JSON text.
    fn types() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::json!("string")),
            Just(serde_json::json!({"type": "long", "logicalType": "timestamp-millis"})),
            Just(serde_json::json!(["null", "int"])),
            "[A-Z][a-z]{3,6}".prop_map(|name| serde_json::json!({"type": "enum", "name": name, "symbols": ["A", "B"]})),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                inner.clone().prop_map(|items| serde_json::json!({"type": "array", "items": items})),
                inner.clone().prop_map(|values| serde_json::json!({"values": values, "type": "map", "note": 1})),
                ("[A-Z][a-z]{3,6}", proptest::collection::vec(inner, 0..4)).prop_map(|(name, types)| {
                    let fields: Vec<_> = types
                        .into_iter()
                        .enumerate()
                        .map(|(at, of)| serde_json::json!({"name": format!("f{at}"), "type": of, "item": "x.y"}))
                        .collect();
                    serde_json::json!({"type": "record", "namespace": "a.b", "name": name, "fields": fields})
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn forms_are_fixed_points_and_schemas_read_themselves(json in types()) {
            // Two types may have got the same name.
            let Ok(schema) = Schema::parse(&json.to_string()) else { return Ok(()) };
            let normal = Schema::parse(&schema.normal_form()).unwrap();
            prop_assert_eq!(normal.normal_form(), schema.normal_form());
            let canonical = Schema::parse(&schema.canonical_form()).unwrap();
            prop_assert_eq!(canonical.canonical_form(), schema.canonical_form());
            prop_assert_eq!(normal.canonical_form(), schema.canonical_form());
            prop_assert_eq!(crate::compat::can_read(&schema, &schema), []);
            prop_assert_eq!(crate::compat::can_read(&canonical, &schema), []);
            prop_assert_eq!(crate::compat::relabelled(&normal, &schema), []);
        }

        #[test]
        fn any_text_is_a_schema_or_has_faults(text in any::<String>()) {
            if let Err(faults) = Schema::parse(&text) {
                prop_assert!(!faults.0.is_empty());
            }
        }
    }
}
