//! Batches written anew: whatever the records and the decisions, whole batches that reach as far as before, or nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::{
    batch::{HEADER, batches},
    records::{Decompressor, FILLER, check_crc, open},
};

const LIMIT: usize = 1 << 20;

/// A batch of base offset 1000 around arbitrary records.
fn batch(attributes: u8, last_delta: u8, count: u8, records: &[u8]) -> Vec<u8> {
    let mut out = vec![0; HEADER];
    out[..8].copy_from_slice(&1_000i64.to_be_bytes());
    out[8..12].copy_from_slice(&(HEADER - 12 + records.len()).to_be_bytes()[4..]);
    out[16] = 2;
    out[22] = attributes;
    out[23..27].copy_from_slice(&i32::from(last_delta).to_be_bytes());
    out[57..61].copy_from_slice(&i32::from(count).to_be_bytes());
    out.extend_from_slice(records);
    out
}

fuzz_target!(|input: &[u8]| {
    let Some((&[attributes, last_delta, count, choices, more], records)) = input.split_first_chunk() else { return };
    let original = batch(attributes, last_delta, count, records);
    let mut buffer = Vec::new();
    let mut decompressor = Decompressor::new(LIMIT);
    let Ok(body) = open(&original, &mut decompressor, &mut buffer) else { return };
    let mut out = b"before".to_vec();
    let mut rewrite = body.rewrite(&mut out);
    let mut choices = u32::from(choices) << 8 | u32::from(more) | 1 << 30;
    let mut added = 0;
    while let Ok(Some(record)) = rewrite.advance() {
        match choices % 5 {
            0 | 1 => rewrite.keep(),
            2 => rewrite.withhold(),
            3 => {
                added += 3 * record.size();
                rewrite.replace(&record.key.unwrap_or_default().repeat(3));
            }
            _ => {
                let size = record.size();
                added += size + 300;
                let written = rewrite.replace_with(|out| {
                    out.extend(std::iter::repeat_n(7, size % 300));
                    if size % 7 == 0 { Err(()) } else { Ok(()) }
                });
                assert_eq!(written.is_err(), size % 7 == 0);
            }
        }
        choices = choices.rotate_right(3);
    }
    let done = rewrite.finish();
    let Ok(done) = done else {
        assert_eq!(out, b"before");
        return;
    };
    let Some(range) = done.output else {
        assert_eq!((out.as_slice(), done.withheld, done.replaced), (&b"before"[..], 0, 0));
        return;
    };
    assert_eq!(range, 6..out.len());
    assert!(range.len() <= HEADER + body.size() + added + FILLER);
    let set = &out[range];
    let mut iter = batches(set);
    let (mut found, mut last) = (0, 0);
    for one in iter.by_ref() {
        let one = one.expect("whole batches");
        let bytes = &set[one.range.clone()];
        check_crc(bytes).expect("a checksum that holds");
        let mut none = Vec::new();
        let new = open(bytes, &mut Decompressor::new(0), &mut none).expect("an uncompressed batch");
        let walked = new.records().map(|record| record.expect("a record")).count();
        assert!(walked > 0);
        found += if one.is_control() { 0 } else { walked };
        last = one.last_offset;
    }
    assert!(iter.tail().is_empty());
    assert_eq!(found, usize::try_from(done.kept + done.replaced).expect("few"));
    assert_eq!(last, 1_000 + i64::from(last_delta));
});
