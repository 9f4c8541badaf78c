//! What is compiled and what is refused, on small schemas.

use super::*;

const A: &str = r#""item": "a.a""#;
const B: &str = r#""item": "b.b""#;
const S: &str = r#""structural": "for the test's sake""#;

fn record(fields: &str) -> String {
    format!(r#"{{"type": "record", "name": "R", "fields": [{fields}]}}"#)
}

fn field(name: &str, of: &str, annotation: &str) -> String {
    format!(r#"{{"name": "{name}", "type": {of}, {annotation}}}"#)
}

fn refusals(schema: &str) -> Vec<String> {
    let schema = Schema::parse(schema).unwrap_or_else(|faults| panic!("{faults}"));
    let all: Vec<_> = [BTreeSet::new(), items(["a.a", "b.b"])]
        .iter()
        .map(|granted| Program::compile(&schema, granted).unwrap_err().0)
        .collect();
    assert_eq!(all[0], all[1], "refused or not, whoever asks");
    all[0].iter().map(ToString::to_string).collect()
}

#[test]
fn what_cannot_be_blanked_is_refused_with_its_path() {
    let cannot = "bears an item and cannot be blank: its type must be a union, null among its first 64";
    let many: Vec<_> = (0..64)
        .map(|i| format!(r#"{{"type": "fixed", "name": "F{i}", "size": 1}}"#))
        .chain([r#""null""#.into()])
        .collect();
    let inner = record(&field("x", r#""string""#, A)).replace(r#""R""#, r#""Inner""#);
    let schema = record(
        &[
            field("bare", r#""string""#, A),
            field("no_null", r#"["int", "string"]"#, A),
            field("late_null", &format!("[{}]", many.join(",")), A),
            field("silent", r#"["null", "string"]"#, r#""doc": "which item?""#),
            field("both", r#"["null", "string"]"#, &format!("{A}, {S}")),
            field("number", r#"["null", "string"]"#, r#""item": 7"#),
            field("no_id", r#"["null", "string"]"#, r#""item": "No Id""#),
            field("inside", r#"["null", {"type": "string", "item": "a.a"}]"#, S),
            field("list", &format!(r#"{{"type": "array", "items": {inner}}}"#), S),
            field("map", r#"["null", {"type": "map", "values": "Inner"}]"#, B),
            field("nulls", r#"{"type": "array", "items": "null"}"#, S),
        ]
        .join(","),
    );
    let silent = "does not say its \"item\", or that it is \"structural\": nobody could be granted it";
    assert_eq!(
        refusals(&schema),
        [
            format!("Inner.x: {cannot}"),
            format!("R.bare: {cannot}"),
            format!("R.both: {silent}"),
            "R.inside: \"item\" stands inside the type: it belongs to the field".into(),
            format!("R.late_null: {cannot}"),
            format!("R.no_id: {silent}"),
            format!("R.no_null: {cannot}"),
            "R.nulls[]: the elements of an array must have bytes: a count alone could stand for any number".into(),
            format!("R.number: {silent}"),
            format!("R.silent: {silent}"),
        ]
    );
    assert_eq!(refusals(r#"["null", "string"]"#), ["(schema): the outermost type must be a record"]);
    assert_eq!(
        refusals(&record(&field(
            "list",
            r#"{"type": "array", "items": {"type": "record", "name": "E", "fields": []}}"#,
            S
        ))),
        ["R.list[]: the elements of an array must have bytes: a count alone could stand for any number"]
    );
}

#[test]
fn types_too_deep_are_refused_and_end() {
    // Each record holds one of those defined before it, so that the text itself is not deep.
    let mut fields = vec![field("f0", r#"{"type": "record", "name": "R0", "fields": []}"#, S)];
    for i in 1..300 {
        let inner = record(&field("inner", &format!(r#""R{}""#, i - 1), S)).replace(r#""R","#, &format!(r#""R{i}","#));
        fields.push(field(&format!("f{i}"), &format!(r#"["null", {inner}]"#), S));
    }
    let flat = record(&fields.join(",")).replace(r#""name": "R","#, r#""name": "Root","#);
    // Every one of these is used twice, so none is written out inside another.
    assert!(Program::compile(&Schema::parse(&flat).unwrap(), &BTreeSet::new()).unwrap().is_noop());

    let mut deep = r#""int""#.to_owned();
    for _ in 0..120 {
        deep = format!(r#"{{"type": "array", "items": {deep}}}"#);
    }
    let schema = record(&field("deep", &deep, S));
    assert!(Schema::parse(&schema).is_ok() && Program::compile(&Schema::parse(&schema).unwrap(), &items([])).is_ok());
}

#[test]
fn a_program_is_not_longer_than_its_schema() {
    // 2^40 fields when written out.
    let mut of = r#"{"type": "record", "name": "L0", "fields": [{"name": "x", "type": ["null", "int"], "default": null, "item": "a.a"}]}"#.to_owned();
    for i in 1..30 {
        let again = format!(r#""L{}""#, i - 1);
        of = format!(
            r#"{{"type": "record", "name": "L{i}", "fields": [{}, {}]}}"#,
            field("l", &of, S),
            field("r", &again, S)
        );
    }
    let program = program(&of, []);
    assert!(program.fields.len() < 100, "{}", program.fields.len());
}

#[test]
fn null_may_be_any_branch() {
    let schema =
        record(&[field("x", r#"["string", "null"]"#, A), field("y", r#"["int", "string", "null"]"#, B)].join(","));
    let datum = [0, 2, b'x', 2, 2, b'y'];
    assert_eq!(blank(&program(&schema, []), &datum).unwrap(), [2, 4]);
    assert_eq!(blank(&program(&schema, ["a.a"]), &datum).unwrap(), [0, 2, b'x', 4]);
    assert_eq!(blank(&program(&schema, ["b.b"]), &datum).unwrap(), [2, 2, 2, b'y']);
    assert_eq!(blank(&program(&schema, ["a.a", "b.b"]), &datum).unwrap(), datum);
    assert_eq!(blank(&program(&schema, []), &[2, 4]).unwrap(), [2, 4]);
}

#[test]
fn an_outer_item_covers_what_is_inside_and_an_inner_one_counts_for_itself() {
    let inner =
        record(&[field("b", r#"["null", "int"]"#, B), field("s", r#""int""#, S)].join(",")).replace(r#""R""#, r#""I""#);
    let schema = record(&[field("a", &format!(r#"["null", {inner}]"#), A), field("z", r#""int""#, S)].join(","));
    let datum = [2, 2, 10, 12, 14];
    assert_eq!(blank(&program(&schema, ["a.a", "b.b"]), &datum).unwrap(), datum);
    assert_eq!(blank(&program(&schema, ["a.a"]), &datum).unwrap(), [2, 0, 12, 14]);
    assert_eq!(blank(&program(&schema, ["b.b"]), &datum).unwrap(), [0, 14], "granted inside what is not");
    assert_eq!(blank(&program(&schema, []), &datum).unwrap(), [0, 14]);
}

#[test]
fn a_type_without_bytes_is_blanked_too() {
    let schema = record(
        &[field("a", r#"["null", {"type": "record", "name": "E", "fields": []}]"#, A), field("e", r#""E""#, S)]
            .join(","),
    );
    assert_eq!(blank(&program(&schema, []), &[2]).unwrap(), [0]);
    assert_eq!(blank(&program(&schema, ["a.a"]), &[2]).unwrap(), [2]);
}

#[test]
fn sized_blocks_are_rewritten_where_something_inside_may_be_blanked() {
    let element = r#"{"type": "record", "name": "E", "fields": [{"name": "x", "type": ["null", "string"], "default": null, "item": "a.a"}]}"#;
    let schema = record(
        &[field("list", &format!(r#"{{"type": "array", "items": {element}}}"#), S), field("z", r#""int""#, S)]
            .join(","),
    );
    let element = [2, 2, b'x'];
    // One sized block of 64, whose count takes one byte with a sign and two without, and one of one.
    let datum = [long(-64), long(192), element.repeat(64), long(1), element.to_vec(), long(0), long(7)].concat();
    let blanked = [long(64), vec![0; 64], long(1), vec![0], long(0), long(7)].concat();
    assert_eq!(blank(&program(&schema, []), &datum).unwrap(), blanked);
    assert_eq!(blank(&program(&schema, ["a.a"]), &datum).unwrap(), datum);
}

#[test]
fn encodings_longer_than_necessary_are_read_and_do_not_stay_in_blanks() {
    let schema = record(
        &[field("a", r#"["null", "string"]"#, A), field("b", r#"["null", "int"]"#, A), field("z", r#""int""#, S)]
            .join(","),
    );
    let nulls = [0x80, 0x80, 0, 0x80, 0, 0x8e, 0];
    assert_eq!(blank(&program(&schema, []), &nulls).unwrap(), [0, 0, 0x8e, 0]);
    let values = [0x82, 0, 0x82, 0x80, 0, b'x', 0x82, 0, 6, 0x8e, 0];
    assert_eq!(blank(&program(&schema, []), &values).unwrap(), [0, 0, 0x8e, 0]);
    assert_eq!(blank(&program(&schema, ["a.a"]), &values).unwrap(), values);
}
