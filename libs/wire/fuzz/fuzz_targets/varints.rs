//! Lengths, strings and tagged fields as the reader takes them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::read::{Reader, put_uvarint};

fuzz_target!(|bytes: &[u8]| {
    for flexible in [false, true] {
        let mut reader = Reader::new(bytes);
        while let Ok(Some(length)) = reader.bytes_len(flexible) {
            assert!(length <= reader.remaining());
            if reader.take(length).is_err() || reader.remaining() == 0 {
                break;
            }
        }
        let mut reader = Reader::new(bytes);
        while reader.text(flexible).is_ok() && reader.remaining() > 0 {}
    }
    let mut reader = Reader::new(bytes);
    let _ = reader.tags(|_, range| assert!(range.end <= bytes.len()));
    let mut reader = Reader::new(bytes);
    while let Ok(value) = reader.uvarint() {
        let mut out = Vec::new();
        put_uvarint(&mut out, value);
        assert!(out.len() <= 5);
        assert_eq!(Reader::new(&out).uvarint(), Ok(value));
    }
});
