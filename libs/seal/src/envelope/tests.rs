use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::DataKey;

const CONTACT_A: Contact = Contact::new([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
const PLACE: Place<'static> = Place {
    topic: "jointuse.contact",
    partition: Some(2),
    key: b"000102030405060708090a0b0c0d0e0f",
    publisher: b"persol-career",
    kind: b"contact",
};

/// The same bytes under any name: what an attacker who renames things would hope for.
fn key(contact: Contact, version: u32) -> ContactKey {
    let bytes = DataKey::unwrapped::<()>(|bytes| {
        bytes.iter_mut().zip(0..).for_each(|(byte, n)| *byte = n);
        Ok(())
    });
    ContactKey::new(KeyName { contact, version }, bytes.unwrap())
}

fn seal(place: &Place<'_>, datum: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    key(CONTACT_A, 3).seal(1_000_042, place, datum, &mut Scratch::new(), &mut out).unwrap();
    out
}

fn open(value: &[u8], key: &ContactKey, place: &Place<'_>) -> Result<Vec<u8>, OpenError> {
    let envelope = Envelope::parse(value).map_err(|_| OpenError::NotAuthentic)?;
    let mut out = vec![0xee; envelope.plaintext_len()];
    envelope.open_into(key, place, &mut Scratch::new(), &mut out).inspect_err(|_| {
        let untouched = out.iter().all(|&byte| byte == 0xee);
        assert!(untouched || out.iter().all(|&byte| byte == 0), "unauthenticated plaintext was left behind");
    })?;
    Ok(out)
}

/// Written by Node's `crypto`, from the tables of this module's and `place`'s documentation alone.
#[test]
fn the_layout_is_the_documented_one() {
    const GOLDEN: &str = "4a55530101000f426a000102030405060708090a0b0c0d0e0f00000003a0a1a2a3a4a5a6a7a8a9aaab\
        8738184c31be6f8519eeea11b05c0191de75ed6af3e6ba";
    let golden = hex::decode(GOLDEN).unwrap();
    let envelope = Envelope::parse(&golden).unwrap();
    assert_eq!((envelope.schema_id(), envelope.plaintext_len(), envelope.binds_partition()), (1_000_042, 7, true));
    assert_eq!(envelope.key(), KeyName { contact: CONTACT_A, version: 3 });
    assert_eq!(open(&golden, &key(CONTACT_A, 3), &PLACE).unwrap(), b"a datum");

    let nonce = std::array::from_fn(|n| 0xa0 + u8::try_from(n).unwrap());
    let header = Header { binds_partition: true, schema_id: 1_000_042, contact: CONTACT_A, key_version: 3 };
    let mut written = b"before".to_vec();
    write(&key(CONTACT_A, 3), header, nonce, &PLACE, b"a datum", &mut Scratch::new(), &mut written).unwrap();
    assert_eq!(hex::encode(written.strip_prefix(b"before").unwrap()), GOLDEN);
}

#[test]
fn every_bit_counts() {
    let (place, datum) = (PLACE, b"the name of somebody");
    let good = seal(&place, datum);
    assert_eq!(good.len(), datum.len() + OVERHEAD);
    assert_eq!(open(&good, &key(CONTACT_A, 3), &place).unwrap(), datum);
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        // With the key that the altered header asks for, as far as it asks for one, over the same key bytes.
        let name = Envelope::parse(&bad).map_or(KeyName { contact: CONTACT_A, version: 3 }, |bad| bad.key());
        let opened = open(&bad, &key(name.contact, name.version), &place);
        assert_eq!(opened, Err(OpenError::NotAuthentic), "bit {bit}");
    }
}

#[test]
fn what_is_cut_or_grown_does_not_open() {
    let good = seal(&PLACE, b"datum");
    for len in 0..good.len() {
        let cut = &good[..len];
        match Envelope::parse(cut) {
            Err(EnvelopeError::NotSealed) => assert!(len < MAGIC.len(), "of {len} bytes"),
            Err(error) => assert_eq!(error, EnvelopeError::Truncated { len }, "of {len} bytes"),
            Ok(_) => assert_eq!(open(cut, &key(CONTACT_A, 3), &PLACE), Err(OpenError::NotAuthentic)),
        }
        assert_eq!(Envelope::parse(cut).is_err(), len < OVERHEAD);
    }
    let grown = [&good[..], b"\0"].concat();
    assert_eq!(open(&grown, &key(CONTACT_A, 3), &PLACE), Err(OpenError::NotAuthentic));
}

#[test]
fn what_is_moved_does_not_open() {
    let good = seal(&PLACE, b"datum");
    let elsewhere = [
        Place { topic: "jointuse.interaction", ..PLACE },
        Place { partition: Some(3), ..PLACE },
        Place { key: b"f00102030405060708090a0b0c0d0e0f", ..PLACE },
        Place { publisher: b"persol-tech", ..PLACE },
        Place { publisher: b"", ..PLACE },
        Place { kind: b"meeting", ..PLACE },
        // The same bytes, cut elsewhere.
        Place { publisher: b"persol-careerc", kind: b"ontact", ..PLACE },
    ];
    for place in elsewhere {
        assert_eq!(open(&good, &key(CONTACT_A, 3), &place), Err(OpenError::NotAuthentic), "{place:?}");
    }
    assert_eq!(
        open(&good, &key(CONTACT_A, 3), &Place { partition: None, ..PLACE }),
        Err(OpenError::NoPartition),
        "a bound partition must be told"
    );
    assert_eq!(open(&good, &key(Contact::new([9; 16]), 3), &PLACE), Err(OpenError::WrongContact));
    assert_eq!(open(&good, &key(CONTACT_A, 4), &PLACE), Err(OpenError::WrongKeyVersion { sealed: 3, given: 4 }));
}

#[test]
fn a_partition_that_was_not_bound_may_be_any() {
    let free = seal(&Place { partition: None, ..PLACE }, b"datum");
    assert!(!Envelope::parse(&free).unwrap().binds_partition());
    for partition in [None, Some(0), Some(7)] {
        assert_eq!(open(&free, &key(CONTACT_A, 3), &Place { partition, ..PLACE }).unwrap(), b"datum");
    }
}

#[test]
fn other_values_are_told_apart() {
    let parse = |value: &[u8]| Envelope::parse(value).map(|_| ()).unwrap_err();
    assert_eq!(
        parse(b"\0\0\0\0\x01avro and so on, long enough to be an envelope, is it not"),
        EnvelopeError::NotSealed
    );
    for value in [&b"J!"[..], b"JU", b""] {
        assert_eq!(parse(value), EnvelopeError::NotSealed);
    }
    assert_eq!(parse(b"JUS"), EnvelopeError::Truncated { len: 3 });
    assert_eq!(parse(b"JUS\x02"), EnvelopeError::UnknownFormat { format: 2 });
    assert_eq!(parse(b"JUS\x01\x82"), EnvelopeError::UnknownFlags { flags: 0x82 });
}

#[test]
fn envelopes_are_found_wherever_they_stand() {
    let envelope = seal(&PLACE, b"datum");
    for before in 0..100 {
        let around = [&vec![b'J'; before][..], &envelope, &vec![b'U'; 100 - before]].concat();
        assert!(may_hold_envelope(&around), "after {before} bytes");
        assert!(!may_hold_envelope(&around[..before + 2]), "cut in the magic, after {before} bytes");
    }
}

#[test]
fn opening_onto_a_buffer_leaves_room_and_cleans_up() {
    let good = seal(&PLACE, b"datum");
    let mut out = b"before".to_vec();
    let (key, mut scratch) = (key(CONTACT_A, 3), Scratch::new());
    let envelope = Envelope::parse(&good).unwrap();
    let range = envelope.open_onto(&key, &PLACE, &mut scratch, 5, &mut out).unwrap();
    assert_eq!((range, out.as_slice()), (6..16, b"before\0\0\0\0\0datum".as_slice()));
    let moved = Place { topic: "x", ..PLACE };
    assert_eq!(envelope.open_onto(&key, &moved, &mut scratch, 5, &mut out), Err(OpenError::NotAuthentic));
    assert_eq!(out, b"before\0\0\0\0\0datum");
    let mut small = [0; 4];
    let error = envelope.open_into(&key, &PLACE, &mut scratch, &mut small).unwrap_err();
    assert_eq!(error, OpenError::Buffer { needed: 5, given: 4 });
}

/// 10⁵ seals under one key: a counter or a seed that begins again would show; chance shows with 2⁻⁶⁴.
#[test]
fn nonces_never_repeat() {
    let (key, mut scratch, mut out) = (key(CONTACT_A, 3), Scratch::new(), Vec::new());
    let mut seen = HashSet::new();
    for n in 0..100_000 {
        if n % 1_009 == 0 {
            scratch = Scratch::new();
        }
        out.clear();
        key.seal(1, &PLACE, b"", &mut scratch, &mut out).unwrap();
        assert!(seen.insert(*Envelope::parse(&out).unwrap().nonce), "a nonce was used twice");
    }
    let ends: HashSet<_> = std::thread::scope(|scope| {
        let seal = || seal(&PLACE, b"datum");
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(seal)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(ends.len(), 8, "the same datum never looks the same");
}

#[test]
fn messages_hold_no_content() {
    let good = seal(&PLACE, b"Taro Yamada");
    let envelope = Envelope::parse(&good).unwrap();
    let error = open(&good, &key(CONTACT_A, 3), &Place { topic: "x", ..PLACE }).unwrap_err();
    let text = format!("{error} {error:?} {:?} {:?}", Scratch::new(), key(CONTACT_A, 3));
    assert!(!text.contains("Taro") && !text.contains("000102, "), "{text}");
    assert!(!format!("{envelope:?}").contains("84, 97, 114, 111"), "the ciphertext may be printed, the datum not");
}

fn place_parts() -> impl Strategy<Value = (String, Option<i32>, Vec<u8>, Vec<u8>, Vec<u8>)> {
    let bytes = || proptest::collection::vec(0u8..3, 0..3);
    ("[ab]{0,2}", proptest::option::of(0i32..3), bytes(), bytes(), bytes())
}

proptest! {
    #[test]
    fn anything_comes_back_as_it_was(
        datum in proptest::collection::vec(any::<u8>(), 0..2_000), schema in any::<u32>(), contact in any::<[u8; 16]>(),
        version in any::<u32>(), partition in any::<Option<i32>>(), room in 0usize..9, key_bytes in any::<Vec<u8>>(),
    ) {
        let key = key(Contact::new(contact), version);
        let place = Place { partition, key: &key_bytes, ..PLACE };
        let (mut scratch, mut value, mut out) = (Scratch::new(), vec![1], Vec::new());
        key.seal(schema, &place, &datum, &mut scratch, &mut value).unwrap();
        let envelope = Envelope::parse(&value[1..]).unwrap();
        prop_assert_eq!(envelope.schema_id(), schema);
        prop_assert_eq!(envelope.plaintext_len(), datum.len());
        let range = envelope.open_onto(&key, &place, &mut scratch, room, &mut out).unwrap();
        prop_assert_eq!(&out[range.start + room..range.end], &datum[..]);
    }

    /// Two places of the same few letters: it opens if and only if they are the same (or the partition is not bound).
    #[test]
    fn it_opens_at_its_own_place_only(sealed in place_parts(), read in place_parts()) {
        let place = |parts: &'_ (String, Option<i32>, Vec<u8>, Vec<u8>, Vec<u8>)| Place {
            topic: Box::leak(parts.0.clone().into_boxed_str()), partition: parts.1,
            key: Box::leak(parts.2.clone().into_boxed_slice()), publisher: Box::leak(parts.3.clone().into_boxed_slice()),
            kind: Box::leak(parts.4.clone().into_boxed_slice()),
        };
        let (there, here) = (place(&sealed), place(&read));
        let same = there == Place { partition: there.partition.and(here.partition), ..here };
        prop_assert_eq!(open(&seal(&there, b"x"), &key(CONTACT_A, 3), &here).is_ok(), same);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), magic in any::<bool>()) {
        let value = if magic { [b"JUS\x01\x00".as_slice(), &bytes].concat() } else { bytes };
        if let Ok(envelope) = Envelope::parse(&value) {
            let key = key(envelope.key().contact, envelope.key().version);
            prop_assert!(open(&value, &key, &PLACE).is_err());
        }
    }

    /// Any number of bytes altered anywhere.
    #[test]
    fn altered_values_do_not_open(at in any::<prop::sample::Index>(), with in 1u8.., datum in any::<Vec<u8>>()) {
        let mut value = seal(&PLACE, &datum);
        let at = at.index(value.len());
        value[at] ^= with;
        let name = Envelope::parse(&value).map_or(KeyName { contact: CONTACT_A, version: 3 }, |bad| bad.key());
        prop_assert!(open(&value, &key(name.contact, name.version), &PLACE).is_err());
    }
}
