//! Bytes that are no datum: refused, with the place and without content.

use proptest::prelude::*;

use super::*;

const SCHEMA: &str = r#"{"type": "record", "name": "R", "fields": [
    {"name": "flag", "type": "boolean", "structural": "s"},
    {"name": "int", "type": "int", "structural": "s"},
    {"name": "long", "type": "long", "structural": "s"},
    {"name": "float", "type": "float", "structural": "s"},
    {"name": "double", "type": "double", "structural": "s"},
    {"name": "pick", "type": {"type": "enum", "name": "E", "symbols": ["A", "B"]}, "structural": "s"},
    {"name": "text", "type": ["null", "string"], "item": "a.a"},
    {"name": "more", "type": ["null", "string"], "item": "a.a"},
    {"name": "either", "type": ["null", "int", "bytes"], "item": "b.b"},
    {"name": "list", "type": {"type": "array", "items": "string"}, "structural": "s"},
    {"name": "map", "type": {"type": "map", "values": ["null", "string"]}, "structural": "s"},
    {"name": "fixes", "type": {"type": "array", "items": {"type": "fixed", "name": "F", "size": 3}}, "structural": "s"}
]}"#;

/// A good datum in parts, of which one can be replaced.
fn datum(part: usize, bytes: &[u8]) -> Vec<u8> {
    let good: [&[u8]; 12] = [
        &[1],
        &[2],
        &[2],
        &[0; 4],
        &[0; 8],
        &[2],
        &[2, 2, b'x'],
        &[0],
        &[2, 2],
        &[2, 2, b'x', 0],
        &[2, 2, b'k', 0, 0],
        &[2, 1, 2, 3, 0],
    ];
    let mut parts = good.map(<[u8]>::to_vec);
    parts[part] = bytes.to_vec();
    parts.concat()
}

/// Where the parts begin.
const BEGIN: [usize; 12] = [0, 1, 2, 3, 7, 15, 16, 19, 20, 22, 26, 31];

#[test]
fn each_reason_with_its_place() {
    let most = [0xff; 9];
    let eleven = [0xff; 10];
    let cases: [(usize, &[u8], Reason, usize, &str); 27] = [
        (0, &[2], Reason::Boolean, 0, "flag"),
        (1, &[0x80, 0x80, 0x80, 0x80, 0x10], Reason::Number, 0, "int"),
        (2, &[&most[..], &[2]].concat(), Reason::Number, 0, "long"),
        (2, &eleven, Reason::Number, 0, "long"),
        (5, &[4], Reason::Symbol, 0, "pick"),
        (5, &[1], Reason::Symbol, 0, "pick"),
        (6, &[4], Reason::Branch, 0, "text"),
        (6, &[1], Reason::Branch, 0, "text"),
        (6, &[0x84, 0], Reason::Branch, 0, "text"),
        (6, &[2, 1], Reason::Length, 0, "text"),
        (7, &[6], Reason::Branch, 0, "more"),
        (7, &[2, 0xfe, 0xff, 0xff, 0xff, 0x0f], Reason::Truncated, 0, "more"),
        (7, &[&[2][..], &most, &[1]].concat(), Reason::Length, 0, "more"),
        (7, &[&[2, 0xfe][..], &most[..8], &[1]].concat(), Reason::Truncated, 0, "more"),
        (8, &[6], Reason::Branch, 0, "either"),
        (8, &[2, 0x80, 0x80, 0x80, 0x80, 0x10], Reason::Number, 1, "either"),
        (8, &[4, 1], Reason::Length, 1, "either"),
        (9, &[&[0xfe][..], &most[..8], &[1]].concat(), Reason::Truncated, 0, "list"),
        (9, &[&most[..], &[1]].concat(), Reason::Truncated, 0, "list"),
        (9, &[1, 6, 2, b'x', 0], Reason::BlockSize, 0, "list"),
        (9, &[1, 2, 2, b'x', 0], Reason::BlockSize, 0, "list"),
        (9, &[1, 1], Reason::Length, 0, "list"),
        (9, &[2, 1], Reason::Length, 1, "list[]"),
        (10, &[2, 2, b'k', 4], Reason::Branch, 3, "map{}"),
        (10, &[2, 1], Reason::Length, 1, "map{}"),
        (11, &[8, 1, 2, 3, 0], Reason::Truncated, 0, "fixes"),
        (11, &[1, 4, 1, 2, 3, 0], Reason::BlockSize, 0, "fixes"),
    ];
    assert!(blank(&program(SCHEMA, ["a.a"]), &datum(0, &[1])).is_ok());
    for (part, bytes, reason, at, field) in cases {
        for program in [program(SCHEMA, []), program(SCHEMA, ["a.a", "b.b"])] {
            let error = blank(&program, &datum(part, bytes)).unwrap_err();
            let expected = BlankError { reason, at: BEGIN[part] + at, field: format!("R.{field}").into() };
            assert_eq!(error, expected, "{bytes:?} in {field}");
        }
    }
    assert_eq!(
        blank(&program(SCHEMA, []), &datum(6, &[4])).unwrap_err().to_string(),
        "the value does not fit its schema: the union has no such branch at byte 16, in R.text"
    );
    assert_eq!(blank(&program(SCHEMA, []), &[datum(0, &[0]), vec![0]].concat()).unwrap_err().reason, Reason::Trailing);
}

const CHAIN: &str = r#"{"type": "record", "name": "Chain", "fields": [
    {"name": "value", "type": ["null", "int"], "item": "a.a"},
    {"name": "next", "type": ["null", "Chain"], "structural": "s"}]}"#;

#[test]
fn a_chain_has_an_end() {
    let chain = |links: usize| [[2, 8, 2].repeat(links), vec![2, 8, 0]].concat();
    let program = program(CHAIN, []);
    assert_eq!(blank(&program, &chain(50)).unwrap(), [[0, 2].repeat(50), vec![0, 0]].concat());
    let error = blank(&program, &chain(1_000_000)).unwrap_err();
    assert_eq!((error.reason, &*error.field), (Reason::Depth, "Chain.next"));
}

#[test]
fn a_record_that_holds_itself_without_an_end_is_refused() {
    let text = r#"{"type": "record", "name": "R", "fields": [{"name": "a", "type": "R", "structural": "s"}, {"name": "b", "type": "R", "structural": "s"}]}"#;
    assert_eq!(blank(&program(text, []), &[0; 100]).unwrap_err().reason, Reason::Depth);
}

#[test]
fn counts_cost_no_more_than_the_bytes_that_are_there() {
    // Each array claims all that is left as its count, over and over.
    let text = r#"{"type": "record", "name": "R", "fields": [{"name": "a", "structural": "s", "type":
        {"type": "array", "items": {"type": "array", "items": {"type": "array", "items": "boolean"}}}}]}"#;
    let program = program(text, []);
    for byte in 0..=u8::MAX {
        let mut bytes = vec![byte; 100_000];
        let begin = std::time::Instant::now();
        let _ = program.run_in_place(&mut bytes);
        assert!(begin.elapsed().as_secs() < 5, "{byte}");
    }
}

proptest! {
    #[test]
    fn bytes_from_anywhere_are_blanked_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for kind in jointuse::Kind::ALL {
            let _ = blank(&program(crate::schema_text(kind), ["history.meetings"]), &bytes);
        }
        let _ = blank(&program(SCHEMA, []), &bytes);
        let _ = blank(&program(CHAIN, []), &bytes);
    }
}
