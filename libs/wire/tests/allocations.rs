//! What is allocated for a batch, once buffers have grown: nothing for each of its records.
#![allow(clippy::unwrap_used)]

mod support;

use allocation_counter::measure;
use support::{Head, PACKINGS, Packing, Rec, batch};
use wire::records::{Decompressor, open};

/// Buffers that are used again, as for one answer after another.
struct Bench {
    decompressor: Decompressor,
    unpacked: Vec<u8>,
    out: Vec<u8>,
}

/// Writes a batch anew, with each decision in turn; gives how many records went out.
fn rewrite(bytes: &[u8], bench: &mut Bench) -> u32 {
    bench.out.clear();
    let body = open(bytes, &mut bench.decompressor, &mut bench.unpacked).unwrap();
    let mut rewrite = body.rewrite(&mut bench.out);
    for nth in 0u32.. {
        let Some(record) = rewrite.advance().unwrap() else { break };
        assert_eq!(record.headers().map_while(Result::ok).count(), 2);
        match nth % 4 {
            0 => rewrite.keep(),
            1 => rewrite.withhold(),
            2 => rewrite.replace(b"another value"),
            _ => {
                let written = rewrite.replace_with(|out| {
                    out.extend_from_slice(record.value.unwrap_or_default());
                    out.truncate(out.len() - 7);
                    Ok::<(), ()>(())
                });
                written.unwrap();
            }
        }
    }
    let done = rewrite.finish().unwrap();
    done.kept + done.replaced
}

fn packed(count: u16, packing: Packing) -> Vec<u8> {
    let record = |nth: u16| Rec {
        offset_delta: nth.into(),
        timestamp_delta: nth.into(),
        key: Some(nth.to_be_bytes().repeat(16)),
        value: Some(nth.to_le_bytes().repeat(180)),
        headers: vec![(b"publisher".to_vec(), Some(b"staff".to_vec())), (b"kind".to_vec(), Some(b"contact".to_vec()))],
    };
    let records: Vec<Rec> = (0..count).map(record).collect();
    batch(&Head { last_delta: i32::from(count) - 1, ..Head::default() }, &records, packing)
}

#[test]
fn no_record_of_a_batch_allocates() {
    for packing in PACKINGS {
        let mut bench = Bench { decompressor: Decompressor::new(8 << 20), unpacked: Vec::new(), out: Vec::new() };
        let (few, many) = (packed(8, packing), packed(4_000, packing));
        let mut allocated = |bytes: &[u8], leave: u32| {
            let mut left = 0;
            let counted = measure(|| left = rewrite(bytes, &mut bench));
            assert_eq!(left, leave, "{packing:?}");
            counted.count_total
        };
        let first = allocated(&many, 3_000);
        assert!(first > 0, "{packing:?}: buffers that grow are counted");
        let (few, many) = (allocated(&few, 6), allocated(&many, 3_000));
        assert_eq!(few, many, "{packing:?}: allocations for 8 records and for 4,000");
        println!("{packing:?}: {many} allocations for 4,000 records");
    }
}
