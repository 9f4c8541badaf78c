//! Envelopes of strangers, and changed ones of our own: see README.md.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use seal::{Contact, ContactKey, DataKey, Envelope, KeyName, OVERHEAD, Place, Scratch};

static KEY: LazyLock<ContactKey> = LazyLock::new(|| {
    let name = KeyName { contact: Contact::new(*b"0123456789abcdef"), version: 1 };
    ContactKey::new(name, DataKey::random().unwrap())
});

const PLACE: Place<'static> =
    Place { topic: "jointuse.contact", partition: Some(3), key: b"k", publisher: b"p", kind: b"contact" };

fuzz_target!(|input: &[u8]| {
    let mut scratch = Scratch::new();
    stranger(input, &mut scratch);
    let [at_low, at_high, flip, rest @ ..] = input else { return };
    let at = usize::from(u16::from_le_bytes([*at_low, *at_high]));
    own(rest, at, *flip, &mut scratch);
});

/// Whatever it is, it is read within its bytes, and does not open by a key of ours.
fn stranger(input: &[u8], scratch: &mut Scratch) {
    let Ok(envelope) = Envelope::parse(input) else { return };
    assert_eq!(envelope.plaintext_len() + OVERHEAD, input.len());
    let mut out = b"before".to_vec();
    assert!(envelope.open_onto(&KEY, &PLACE, scratch, 5, &mut out).is_err(), "a forgery opened");
    assert_eq!(out, b"before", "something was left behind");
}

/// What we sealed opens; changed in any byte, cut, or read elsewhere it does not.
fn own(datum: &[u8], at: usize, flip: u8, scratch: &mut Scratch) {
    let mut value = Vec::new();
    KEY.seal(7, &PLACE, datum, scratch, &mut value).unwrap();
    let opened = |value: &[u8], place: &Place<'_>, scratch: &mut Scratch| {
        let mut out = Vec::new();
        let envelope = Envelope::parse(value).ok()?;
        envelope.open_onto(&KEY, place, scratch, 0, &mut out).ok()?;
        Some(out)
    };
    assert_eq!(opened(&value, &PLACE, scratch).as_deref(), Some(datum));
    for place in [
        Place { topic: "jointuse.meeting", ..PLACE },
        Place { partition: Some(4), ..PLACE },
        Place { partition: None, ..PLACE },
        Place { key: datum, ..PLACE },
        Place { publisher: b"pc", kind: b"ontact", ..PLACE },
    ] {
        if place != PLACE {
            assert_eq!(opened(&value, &place, scratch), None, "it opened elsewhere");
        }
    }
    let at = at % value.len();
    assert_eq!(opened(&value[..at], &PLACE, scratch), None, "a part of it opened");
    value[at] ^= flip;
    assert_eq!(opened(&value, &PLACE, scratch).is_some(), flip == 0, "byte {at}");
}
