use serde::Deserialize;

use super::*;

/// Pairs of schemas with the verdict. The black-box tests put the same file to fastavro and to Avro's own checker.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    name: String,
    reader: serde_json::Value,
    writer: serde_json::Value,
    /// Paths of the faults; empty when it can read.
    faults: Vec<String>,
    /// Set where we refuse what others let pass; they are not asked.
    #[serde(default)]
    stricter: bool,
    /// A record of the writer, for the others to write and read.
    #[serde(default)]
    #[expect(dead_code, reason = "for the black-box tests")]
    datum: serde_json::Value,
}

fn schema(json: &serde_json::Value) -> Schema {
    Schema::parse(&json.to_string()).unwrap_or_else(|faults| panic!("{json}: {faults}"))
}

#[test]
fn the_corpus() {
    let corpus: Vec<Pair> = serde_json::from_str(include_str!("../../tests/data/resolution.json")).unwrap();
    assert!(corpus.len() > 50);
    for pair in corpus {
        let faults = can_read(&schema(&pair.reader), &schema(&pair.writer));
        let paths: Vec<_> = faults.iter().map(|fault| fault.path.as_str()).collect();
        assert_eq!(paths, pair.faults, "{}: {faults:?}", pair.name);
        for own in [&pair.reader, &pair.writer] {
            assert_eq!(can_read(&schema(own), &schema(own)), [], "{}: a schema reads itself", pair.name);
        }
        assert!(!pair.stricter || !faults.is_empty(), "{} is marked as stricter and is allowed", pair.name);
    }
}

fn record(fields: &str) -> Schema {
    Schema::parse(&format!(r#"{{"type": "record", "name": "R", "fields": [{fields}]}}"#)).unwrap()
}

#[test]
fn reasons_name_what_is_wrong() {
    let old = record(r#"{"name": "a", "type": "int"}"#);
    let new = record(r#"{"name": "a", "type": "string"}, {"name": "b", "type": ["null", "int"]}"#);
    let reasons: Vec<_> = can_read(&new, &old).iter().map(ToString::to_string).collect();
    assert_eq!(
        reasons,
        ["R.a: int cannot be read as string", "R.b: the writer does not have the field, and it has no default"]
    );
    let nested = |symbols: &str| {
        record(&format!(r#"{{"name": "a", "type": ["null", {{"type": "enum", "name": "E", "symbols": {symbols}}}]}}"#))
    };
    let reasons = can_read(&nested(r#"["A"]"#), &nested(r#"["A", "B", "C"]"#));
    assert_eq!(reasons, [Fault::new("R.a", "the enum does not know B, C and has no default")]);
}

#[test]
fn the_seven_levels() {
    let v1 = record(r#"{"name": "a", "type": "int"}, {"name": "b", "type": "int"}"#);
    let v2 = record(r#"{"name": "a", "type": "int"}, {"name": "b", "type": "int", "default": 0}"#);
    let v3 = record(r#"{"name": "a", "type": "int"}"#);
    // v3 drops b: v2 can read it (b has a default), v1 cannot; v3 reads both.
    let holds = |level| check(level, &v3, &[(1, &v1), (2, &v2)]).is_empty();
    let verdicts = Level::ALL.map(|level| (level.as_str(), holds(level)));
    assert_eq!(
        verdicts,
        [
            ("NONE", true),
            ("BACKWARD", true),
            ("BACKWARD_TRANSITIVE", true),
            ("FORWARD", true),
            ("FORWARD_TRANSITIVE", false),
            ("FULL", true),
            ("FULL_TRANSITIVE", false),
        ]
    );
    assert_eq!(
        check(Level::FullTransitive, &v3, &[(1, &v1), (2, &v2)]),
        ["version 1 cannot read the new schema: R.b: the writer does not have the field, and it has no default"]
    );
    // v4 adds a field without default: it reads nothing of before, and all of them read it.
    let v4 = record(r#"{"name": "a", "type": "int"}, {"name": "b", "type": "int"}, {"name": "c", "type": "int"}"#);
    let verdicts = Level::ALL.map(|level| check(level, &v4, &[(1, &v1), (2, &v2), (3, &v3)]).len());
    //             NONE BACK BACK_T FORW FORW_T FULL FULL_T
    assert_eq!(verdicts, [0, 2, 4, 0, 0, 2, 4]);
    assert!(Level::ALL.iter().all(|level| check(*level, &v4, &[]).is_empty()));
    for level in Level::ALL {
        assert_eq!(level.as_str().parse(), Ok(level));
    }
    assert_eq!("backward".parse::<Level>(), Err(UnknownLevel));
}

#[test]
fn a_field_keeps_its_item() {
    let item = |name: &str, item: &str, more: &str| {
        record(&format!(r#"{{"name": "{name}", "type": ["null", "string"], "default": null, {item} {more}"doc": ""}}"#))
    };
    let email = item("a", r#""item": "organisation.email","#, "");
    assert!(relabelled(&email, &email).is_empty());
    for changed in [
        item("a", r#""item": "organisation.fax","#, ""),
        item("a", r#""structural": "says nothing","#, ""),
        item("b", r#""item": "organisation.fax","#, r#""aliases": ["a"],"#),
    ] {
        assert!(can_read(&changed, &email).is_empty(), "Avro itself has nothing against it");
        assert_eq!(relabelled(&changed, &email).len(), 1);
        assert_eq!(relabelled(&email, &changed).len(), 1);
    }
    assert!(relabelled(&item("b", r#""item": "organisation.fax","#, ""), &email).is_empty());
}

#[test]
fn entangled_schemas_are_given_up() {
    // Each level is a union of several records of one short name, so that every one of them is tried.
    let mut text = r#""int""#.to_owned();
    for level in 0..14 {
        let members: Vec<_> = (0..2)
            .map(|n| format!(r#"{{"type": "record", "name": "n{level}x{n}.R{level}", "fields": [{{"name": "f", "type": TYPE{n}}}]}}"#))
            .collect();
        let first = members[0].replace("TYPE0", &text);
        let inner = if level == 0 { text.clone() } else { format!(r#"["n{0}x0.R{0}", "n{0}x1.R{0}"]"#, level - 1) };
        let second = members[1].replace("TYPE1", &inner);
        text = format!("[{first}, {second}]");
    }
    let writer = Schema::parse(&text).unwrap();
    let reader = Schema::parse(&text.replace(r#""int""#, r#""string""#)).unwrap();
    let begun = std::time::Instant::now();
    assert!(!can_read(&reader, &writer).is_empty());
    assert!(begun.elapsed() < std::time::Duration::from_secs(5));
}
