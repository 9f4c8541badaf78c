//! Nanoseconds per record of reading batches and of writing them anew: 500 records, values of 400 bytes.
//!
//! `cargo bench -p wire`. Medians of eleven rounds, with the fastest and the slowest. Buffers and decoders are used again, as the
//! hub does. Values are half text, half noise, so that compression has something to do; what is replaced gets 340 bytes,
//! about what a sealed value of 400 opens to.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    reason = "a program for people"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::{hint::black_box, time::Instant};

use support::{Head, Packing, Rec, batch};
use wire::records::{Body, Decompressor, Rewrite, check_crc, open};

const RECORDS: i32 = 500;
const VALUE: usize = 400;
const OPENED: usize = 340;
const ROUNDS: usize = 11;
/// Batches a round: about 50 ms.
const BATCHES: u32 = 1_000;

fn main() {
    let records = records();
    let head = Head { last_delta: RECORDS - 1, ..Head::default() };
    let packings = [
        ("uncompressed", Packing::None),
        ("lz4", Packing::Lz4Independent),
        ("zstd", Packing::ZstdUnsized),
        ("snappy", Packing::SnappyJava),
        ("gzip", Packing::Gzip),
    ];
    for (name, packing) in packings {
        let bytes = batch(&head, &records, packing);
        println!("{name}: {} bytes a record", bytes.len() / records.len());
        cases(&bytes);
    }
    let bytes = batch(&head, &records, Packing::None);
    measure("CRC-32C", |_| check_crc(&bytes).unwrap());
}

fn cases(bytes: &[u8]) {
    let mut decompressor = Decompressor::new(16 << 20);
    let mut buffer = Vec::new();
    let mut out = Vec::new();
    measure("unpack only", |_| {
        black_box(open(bytes, &mut decompressor, &mut buffer).unwrap().size());
    });
    measure("walk", |_| {
        let body = open(bytes, &mut decompressor, &mut buffer).unwrap();
        black_box(body.records().map(|record| record.unwrap().value.map_or(0, <[u8]>::len)).sum::<usize>());
    });
    let mut rewrite = |name: &str, decide: &dyn Fn(&mut Rewrite<'_, '_>, u32, &[u8])| {
        measure(name, |_| {
            out.clear();
            let body = open(bytes, &mut decompressor, &mut buffer).unwrap();
            run(&body, &mut out, decide);
        });
    };
    rewrite("keep all", &|rewrite, _, _| rewrite.keep());
    rewrite("1 % withheld", &|rewrite, n, _| if n % 100 == 50 { rewrite.withhold() } else { rewrite.keep() });
    rewrite("all replaced, length known first", &|rewrite, _, value| rewrite.replace(&value[..OPENED]));
    rewrite("all replaced, written in place", &|rewrite, _, value| {
        rewrite.replace_with(|out| append(out, &value[..OPENED])).unwrap();
    });
    rewrite("all replaced, copied whole and shortened", &|rewrite, _, value| {
        let written = rewrite.replace_with(|out| {
            let end = out.len() + OPENED;
            append(out, value)?;
            out.truncate(end);
            Ok::<(), ()>(())
        });
        written.unwrap();
    });
    rewrite("all replaced by 20 bytes: lengths narrow", &|rewrite, _, value| {
        rewrite.replace_with(|out| append(out, &value[..20])).unwrap();
    });
}

fn append(out: &mut Vec<u8>, value: &[u8]) -> Result<(), ()> {
    out.extend_from_slice(value);
    Ok(())
}

fn run(body: &Body<'_>, out: &mut Vec<u8>, decide: &dyn Fn(&mut Rewrite<'_, '_>, u32, &[u8])) {
    let mut rewrite = body.rewrite(out);
    let mut n = 0;
    while let Some(record) = rewrite.advance().unwrap() {
        decide(&mut rewrite, n, record.value.unwrap_or_default());
        n += 1;
    }
    black_box(rewrite.finish().unwrap());
}

fn measure(name: &str, mut one: impl FnMut(u32)) {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            for n in 0..BATCHES {
                one(n);
            }
            start.elapsed().as_nanos() as f64 / f64::from(BATCHES) / f64::from(RECORDS)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    println!("  {name:<44} {:>7.1} ns ({:.1} to {:.1})", rounds[ROUNDS / 2], rounds[0], rounds[ROUNDS - 1]);
}

fn records() -> Vec<Rec> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut noise = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..RECORDS)
        .map(|i| {
            let mut value = "a contact of an organisation, its department and title, ".repeat(4).into_bytes();
            value.truncate(VALUE / 2);
            value.extend(std::iter::repeat_with(&mut noise).take(VALUE / 2));
            Rec {
                offset_delta: i,
                timestamp_delta: i64::from(i) * 2,
                key: Some(std::iter::repeat_with(&mut noise).take(32).collect()),
                value: Some(value),
                headers: vec![
                    (b"schema".to_vec(), Some(vec![0, 0, 0, 7])),
                    (b"publisher".to_vec(), Some(b"a-company".to_vec())),
                ],
            }
        })
        .collect()
}
