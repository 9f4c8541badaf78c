//! Batches written anew: what changes, and all that must not.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use bytes::Bytes;
use kafka_protocol::records::RecordBatchDecoder;
use proptest::prelude::*;
use support::{Head, PACKINGS, Packing, Rec, batch, batch_of};
use wire::{
    batch::{Batch, HEADER, batches},
    records::{Decompressor, FILLER, RecordsError, Rewritten, check_crc, open, skip},
};

const LIMIT: usize = 8 << 20;
const CONTROL: i16 = 0x20;
const TRANSACTIONAL: i16 = 0x10;
const LOG_APPEND_TIME: i16 = 0x08;
const DELETE_HORIZON: i16 = 0x40;

#[derive(Debug, Clone, PartialEq)]
enum Choice {
    Keep,
    Withhold,
    /// The value is given.
    Replace(Vec<u8>),
    /// The value is written where it will stand.
    Write(Vec<u8>),
    /// The writer fails, after it wrote something, and that is all.
    Fail,
    /// Nothing is said.
    Nothing,
}

impl Choice {
    /// The value that goes out, if the record does.
    fn of<'a>(&'a self, record: &'a Rec) -> Option<Option<&'a [u8]>> {
        match self {
            Self::Keep => Some(record.value.as_deref()),
            Self::Replace(value) | Self::Write(value) => Some(Some(value)),
            Self::Withhold | Self::Fail | Self::Nothing => None,
        }
    }
}

/// Rewrites into `out`, in which something stands already.
fn rewrite(bytes: &[u8], choices: &[Choice], out: &mut Vec<u8>) -> Result<Rewritten, RecordsError> {
    let mut buffer = Vec::new();
    let body = open(bytes, &mut Decompressor::new(LIMIT), &mut buffer)?;
    let mut rewrite = body.rewrite(out);
    let mut choices = choices.iter();
    while let Some(record) = rewrite.advance()? {
        match choices.next().unwrap_or(&Choice::Nothing) {
            Choice::Keep => rewrite.keep(),
            Choice::Withhold => rewrite.withhold(),
            Choice::Replace(value) => rewrite.replace(value),
            Choice::Write(value) => rewrite
                .replace_with(|out| {
                    // As a sealed value is opened in place: copied, changed, shortened.
                    let start = out.len();
                    out.extend_from_slice(value);
                    out.extend_from_slice(b"a tag");
                    out[start..].reverse();
                    out[start..].reverse();
                    out.truncate(start + value.len());
                    Ok::<(), ()>(())
                })
                .unwrap(),
            Choice::Fail => {
                let failed = rewrite.replace_with(|out| {
                    out.extend_from_slice(record.key.unwrap_or(b"half"));
                    Err("broken")
                });
                assert_eq!(failed, Err("broken"));
            }
            Choice::Nothing => {}
        }
    }
    rewrite.finish()
}

/// The new bytes; what stood in the output must still stand there.
fn rewritten(bytes: &[u8], choices: &[Choice]) -> (Rewritten, Vec<u8>) {
    let mut out = b"before".to_vec();
    let done = rewrite(bytes, choices, &mut out).unwrap();
    assert!(out.starts_with(b"before"));
    let new = match &done.output {
        Some(range) => {
            assert_eq!(*range, 6..out.len());
            out.split_off(6)
        }
        None => {
            assert_eq!(out.len(), 6);
            bytes.to_vec()
        }
    };
    (done, new)
}

fn read(bytes: &[u8]) -> Vec<Rec> {
    let mut buffer = Vec::new();
    let body = open(bytes, &mut Decompressor::new(LIMIT), &mut buffer).unwrap();
    body.records()
        .map(|record| {
            let record = record.unwrap();
            Rec {
                offset_delta: record.offset_delta,
                timestamp_delta: record.timestamp_delta,
                key: record.key.map(<[u8]>::to_vec),
                value: record.value.map(<[u8]>::to_vec),
                headers: record
                    .headers()
                    .map(|h| h.map(|(name, value)| (name.to_vec(), value.map(<[u8]>::to_vec))).unwrap())
                    .collect(),
            }
        })
        .collect()
}

fn split(set: &[u8]) -> Vec<(Batch, &[u8])> {
    let mut iter = batches(set);
    let all: Vec<_> =
        iter.by_ref().map(|batch| batch.unwrap()).map(|batch| (batch.clone(), &set[batch.range])).collect();
    assert!(iter.tail().is_empty(), "whole batches only");
    all
}

fn recs(deltas: &[i32]) -> Vec<Rec> {
    deltas
        .iter()
        .map(|&offset_delta| Rec {
            offset_delta,
            timestamp_delta: i64::from(offset_delta) * 10,
            key: Some(format!("k{offset_delta}").into_bytes()),
            value: Some(format!("value {offset_delta}").into_bytes()),
            headers: vec![(b"a".to_vec(), Some(b"1".to_vec())), (b"a".to_vec(), None), (vec![0xff], Some(vec![]))],
        })
        .collect()
}

use Choice::{Keep as K, Withhold as W};

#[test]
fn nothing_changed_is_nothing_written() {
    let records = recs(&[0, 1, 2]);
    for packing in PACKINGS {
        let bytes = batch(&Head { last_delta: 2, ..Head::default() }, &records, packing);
        let (done, new) = rewritten(&bytes, &[K, K, K]);
        assert_eq!(done, Rewritten { output: None, kept: 3, replaced: 0, withheld: 0 });
        assert_eq!(new, bytes);
    }
}

#[test]
fn a_record_fewer_in_front_or_in_the_middle_keeps_every_offset() {
    let head = Head { last_delta: 9, attributes: LOG_APPEND_TIME, ..Head::default() };
    let records = recs(&[0, 1, 5, 9]);
    for (choices, left) in [([W, K, K, K], vec![1, 5, 9]), ([K, W, W, K], vec![0, 9]), ([W, W, W, K], vec![9])] {
        let bytes = batch(&head, &records, Packing::None);
        let (done, new) = rewritten(&bytes, &choices);
        assert_eq!(done.withheld as usize, 4 - left.len());
        let kept: Vec<Rec> = records.iter().filter(|r| left.contains(&r.offset_delta)).cloned().collect();
        assert_eq!(new, batch(&head, &kept, Packing::None), "header verbatim, records byte for byte");
    }
}

#[test]
fn the_last_withheld_ends_the_batch_earlier_and_a_filler_stands_there() {
    let head = Head { last_delta: 9, producer_id: 4, producer_epoch: 2, base_sequence: 50, ..Head::default() };
    let records = recs(&[0, 1, 5, 9]);
    for (choices, last, left) in [([K, K, K, W], 5, 3), ([W, K, W, W], 1, 1), ([K, W, W, W], 0, 1)] {
        let (done, new) = rewritten(&batch(&head, &records, Packing::Lz4Linked), &choices);
        assert_eq!(done.kept, left);
        let kept: Vec<Rec> = records.iter().zip(&choices).filter(|(_, c)| **c == K).map(|(r, _)| r.clone()).collect();
        let shrunk = batch(&Head { last_delta: last, ..head.clone() }, &kept, Packing::None);
        assert_eq!(new, [shrunk, filler(&head, 109)].concat());
    }
}

#[test]
fn all_withheld_is_a_filler_only() {
    let head = Head { last_delta: 9, ..Head::default() };
    for packing in PACKINGS {
        let (done, new) = rewritten(&batch(&head, &recs(&[0, 1, 5, 9]), packing), &[W, W, W, W]);
        assert_eq!((done.kept, done.withheld), (0, 4));
        assert_eq!(new, filler(&head, 109));
    }
}

#[test]
fn a_batch_that_cannot_be_read_is_stepped_over() {
    let head = Head { last_delta: 9, ..Head::default() };
    let unreadable = batch_of(&head, 4, 0, b"these are no records");
    let mut out = b"before".to_vec();
    let place = skip(&unreadable, &mut out).unwrap();
    assert_eq!(&out[place], filler(&head, 109));
    assert!(out.starts_with(b"before"));
    for not_one in [&[][..], &unreadable[..HEADER], &[unreadable.as_slice(), b"more"].concat()] {
        assert!(skip(not_one, &mut out).is_err());
    }
}

/// What a filler must be, put together without the code under test.
fn filler(head: &Head, offset: i64) -> Vec<u8> {
    let mut record = Vec::new();
    Rec { key: Some(vec![0, 0, 0x7f, 0xff]), value: Some(vec![]), ..Rec::default() }.encode(&mut record);
    let head = Head {
        base_offset: offset,
        leader_epoch: head.leader_epoch,
        attributes: CONTROL,
        last_delta: 0,
        base_timestamp: head.max_timestamp,
        max_timestamp: head.max_timestamp,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
    };
    let filler = batch_of(&head, 1, 0, &record);
    assert_eq!(filler.len(), FILLER);
    filler
}

/// Compaction removed 6 and 7; the batch still claims them.
#[test]
fn a_compacted_tail_is_covered_either_way() {
    let head = Head { last_delta: 7, ..Head::default() };
    let records = recs(&[1, 5]);
    let (_, new) = rewritten(&batch(&head, &records, Packing::Gzip), &[W, K]);
    assert_eq!(new, batch(&head, &records[1..], Packing::None), "nothing of the tail was withheld");
    let (_, new) = rewritten(&batch(&head, &records, Packing::Gzip), &[K, W]);
    let shrunk = batch(&Head { last_delta: 1, ..head.clone() }, &records[..1], Packing::None);
    assert_eq!(new, [shrunk, filler(&head, 107)].concat());
}

#[test]
fn control_and_empty_batches_are_not_touched() {
    let mut marker = Vec::new();
    Rec { key: Some(vec![0, 0, 0, 1]), value: Some(vec![0; 6]), ..Rec::default() }.encode(&mut marker);
    let head = Head { attributes: CONTROL | TRANSACTIONAL, producer_id: 9, producer_epoch: 0, ..Head::default() };
    let empty = Head { last_delta: 4, ..Head::default() };
    for bytes in [batch_of(&head, 1, 0, &marker), batch_of(&empty, 0, 0, &[]), batch_of(&empty, 0, 4, &[])] {
        let (done, new) = rewritten(&bytes, &[W]);
        assert_eq!(done, Rewritten { output: None, kept: 0, replaced: 0, withheld: 0 });
        assert_eq!(new, bytes);
    }
}

#[test]
fn what_is_not_decided_is_withheld() {
    let bytes = batch(&Head { last_delta: 2, ..Head::default() }, &recs(&[0, 1, 2]), Packing::None);
    let (done, new) = rewritten(&bytes, &[K, Choice::Nothing, K]);
    assert_eq!((done.kept, done.withheld, read(&new).len()), (2, 1, 2));
    let (done, new) = rewritten(&bytes, &[Choice::Fail, Choice::Fail, Choice::Fail]);
    assert_eq!((done.kept, done.withheld, new.len()), (0, 3, FILLER));
    let mut out = Vec::new();
    let mut buffer = Vec::new();
    let body = open(&bytes, &mut Decompressor::new(LIMIT), &mut buffer).unwrap();
    // Finished before the first record: all of it is withheld.
    let done = body.rewrite(&mut out).finish().unwrap();
    assert_eq!((done.withheld, out.len()), (3, FILLER));
    // Decisions without a record are none.
    let mut rewrite = body.rewrite(&mut out);
    rewrite.keep();
    rewrite.replace(b"x");
    rewrite.withhold();
    assert_eq!(rewrite.replace_with(|_| Err(())), Ok(()));
    assert_eq!(rewrite.finish().unwrap().withheld, 3);
}

#[test]
fn after_a_failed_writer_the_record_may_still_be_kept() {
    let bytes = batch(&Head { last_delta: 1, ..Head::default() }, &recs(&[0, 1]), Packing::None);
    let mut buffer = Vec::new();
    let mut out = Vec::new();
    let body = open(&bytes, &mut Decompressor::new(LIMIT), &mut buffer).unwrap();
    let mut rewrite = body.rewrite(&mut out);
    while rewrite.advance().unwrap().is_some() {
        rewrite.replace_with(|_| Err(())).unwrap_err();
        rewrite.keep();
    }
    assert_eq!(rewrite.finish().unwrap().output, None);
    assert!(out.is_empty());
}

#[test]
fn a_rewrite_that_fails_or_is_dropped_leaves_nothing() {
    let mut records = Vec::new();
    recs(&[0])[0].encode(&mut records);
    let good = records.len();
    records.extend([6, 0, 0]);
    let bytes = batch_of(&Head { last_delta: 1, ..Head::default() }, 2, 0, &records);
    let mut out = b"before".to_vec();
    let error = rewrite(&bytes, &[Choice::Replace(b"new".to_vec())], &mut out).unwrap_err();
    assert_eq!(error, RecordsError::Record { at: good, what: "longer than the batch" });
    assert_eq!(out, b"before");

    let mut buffer = Vec::new();
    let body = open(&bytes, &mut Decompressor::new(LIMIT), &mut buffer).unwrap();
    let mut dropped = body.rewrite(&mut out);
    dropped.advance().unwrap();
    dropped.replace(b"new");
    drop(dropped);
    assert_eq!(out, b"before");

    let mut failed = body.rewrite(&mut out);
    failed.advance().unwrap();
    failed.replace(b"new");
    assert!(failed.advance().is_err() && failed.advance().is_err(), "an error stays");
    assert!(failed.finish().is_err());
    assert_eq!(out, b"before");
}

#[test]
fn a_writer_that_takes_more_than_its_own_is_found_out() {
    let bytes = batch(&Head { last_delta: 1, ..Head::default() }, &recs(&[0, 1]), Packing::None);
    let mut buffer = Vec::new();
    let mut out = b"before".to_vec();
    let body = open(&bytes, &mut Decompressor::new(LIMIT), &mut buffer).unwrap();
    let mut rewrite = body.rewrite(&mut out);
    rewrite.advance().unwrap();
    let written = rewrite.replace_with(|out| {
        out.pop();
        Ok::<(), ()>(())
    });
    assert_eq!(written, Ok(()));
    assert_eq!(rewrite.finish(), Err(RecordsError::Output));
    assert_eq!(out, b"before");
}

/// Lengths whose fields take one, two and three bytes, old and new.
#[test]
fn length_fields_widen_and_narrow() {
    let sizes = [0, 1, 40, 63, 64, 100, 8_100, 8_191, 8_192, 9_000];
    for old in sizes {
        for new in sizes {
            let mut records = recs(&[0, 1, 2]);
            records[1].value = Some(vec![1; old]);
            let head = Head { last_delta: 2, ..Head::default() };
            let bytes = batch(&head, &records, Packing::None);
            records[1].value = Some(vec![2; new]);
            let expected = batch(&head, &records, Packing::None);
            for choice in [Choice::Replace(vec![2; new]), Choice::Write(vec![2; new])] {
                let (done, found) = rewritten(&bytes, &[K, choice, K]);
                assert_eq!((done.kept, done.replaced), (2, 1));
                assert_eq!(found, expected, "{old} -> {new}");
            }
        }
    }
}

/// Nothing forbids a length field wider than it needs to be; what is written anew has the shortest.
#[test]
fn padded_lengths_are_read_and_written_short() {
    let padded = [0x96, 0x80, 0, 0, 0, 0, 2, b'k', 0x82, 0x80, 0x80, 0, b'v'];
    let records = [&padded[..], &[0]].concat();
    let bytes = batch_of(&Head::default(), 1, 0, &records);
    let new = Rec { key: Some(b"k".to_vec()), value: Some(b"new".to_vec()), ..Rec::default() };
    let expected = batch(&Head::default(), &[new], Packing::None);
    for choice in [Choice::Replace(b"new".to_vec()), Choice::Write(b"new".to_vec())] {
        assert_eq!(rewritten(&bytes, &[choice]).1, expected);
    }
    assert_eq!(rewritten(&bytes, &[K]).1, bytes);
}

fn choice() -> impl Strategy<Value = Choice> {
    let value = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..80),
        proptest::sample::select(vec![0usize, 63, 64, 8_191, 8_192]).prop_map(|n| vec![3; n]),
    ];
    prop_oneof![
        6 => Just(Choice::Keep),
        2 => Just(Choice::Withhold),
        2 => value.clone().prop_map(Choice::Replace),
        2 => value.prop_map(Choice::Write),
        1 => Just(Choice::Fail),
        1 => Just(Choice::Nothing),
    ]
}

prop_compose! {
    fn rec()(
        timestamp_delta in -(1i64 << 40)..(1 << 40),
        key in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20)),
        value in proptest::option::of(prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..80),
            proptest::sample::select(vec![63usize, 64, 8_191, 8_192]).prop_map(|n| vec![4; n]),
        ]),
        headers in proptest::collection::vec(("[ab]", proptest::option::of(proptest::collection::vec(any::<u8>(), 0..5))), 0..3),
    ) -> Rec {
        let headers = headers.into_iter().map(|(name, value)| (name.into_bytes(), value)).collect();
        Rec { offset_delta: 0, timestamp_delta, key, value, headers }
    }
}

prop_compose! {
    fn any_batch()(
        base_offset in 0i64..1 << 50,
        leader_epoch in any::<i32>(),
        bits in proptest::sample::subsequence(vec![TRANSACTIONAL, LOG_APPEND_TIME, DELETE_HORIZON], 0..=3),
        max_timestamp in -1i64..1 << 50,
        producer in prop_oneof![Just((-1i64, -1i16, -1i32)), (0i64..1000, 0i16..9, 0i32..1000)],
        holes in 0i32..4,
        steps in proptest::collection::vec((rec(), 0i32..3, choice()), 0..40),
    ) -> (Head, Vec<Rec>, Vec<Choice>) {
        let mut next = 0;
        let mut records = Vec::new();
        let mut choices = Vec::new();
        for (mut record, gap, choice) in steps {
            record.offset_delta = next + gap;
            next = record.offset_delta + 1;
            records.push(record);
            choices.push(choice);
        }
        let (producer_id, producer_epoch, base_sequence) = producer;
        let head = Head {
            base_offset,
            leader_epoch,
            attributes: bits.iter().sum(),
            last_delta: (next - 1).max(0) + holes,
            base_timestamp: 1 << 41,
            max_timestamp,
            producer_id,
            producer_epoch,
            base_sequence,
        };
        (head, records, choices)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_batch_and_any_choice(
        (head, records, choices) in any_batch(), packing in proptest::sample::select(&PACKINGS[..]),
    ) {
        let bytes = batch(&head, &records, packing);
        let (done, new) = rewritten(&bytes, &choices);
        let expected: Vec<Rec> = records
            .iter()
            .zip(&choices)
            .filter_map(|(record, choice)| {
                choice.of(record).map(|value| Rec { value: value.map(<[u8]>::to_vec), ..record.clone() })
            })
            .collect();
        prop_assert_eq!((done.kept + done.replaced) as usize, expected.len());
        prop_assert_eq!(done.withheld as usize, records.len() - expected.len());
        if choices.iter().all(|choice| *choice == K) {
            prop_assert_eq!(new, bytes);
            return Ok(());
        }
        // Never larger than the original uncompressed, what the new values add, and a filler.
        let plain = batch(&head, &records, Packing::None).len();
        let added: usize = choices.iter().map(|c| if let Choice::Replace(v) | Choice::Write(v) = c { v.len() + 4 } else { 0 }).sum();
        prop_assert!(new.len() <= plain + added + FILLER);
        let found = split(&new);
        let first = found.first().unwrap();
        let last = found.last().unwrap();
        prop_assert_eq!(last.0.last_offset, head.base_offset + i64::from(head.last_delta), "reaches as far as before");
        for (one, bytes) in &found {
            prop_assert_eq!(check_crc(bytes), Ok(()));
            prop_assert_eq!(one.attributes & 7, 0);
            prop_assert_eq!(&bytes[12..16], head.leader_epoch.to_be_bytes());
        }
        if expected.is_empty() {
            prop_assert_eq!(&new, &filler(&head, last.0.last_offset));
            return Ok(());
        }
        // The header is the original's but for length, CRC, compression, last offset delta and count.
        for verbatim in [0..8, 12..17, 27..57] {
            prop_assert_eq!(&first.1[verbatim.clone()], &bytes[verbatim]);
        }
        prop_assert_eq!(first.0.attributes, head.attributes);
        prop_assert_eq!(read(first.1), expected.clone());
        let kept = expected.last().unwrap().offset_delta;
        if kept == records.last().unwrap().offset_delta {
            prop_assert_eq!(found.len(), 1);
        } else {
            prop_assert_eq!(first.0.last_offset, head.base_offset + i64::from(kept));
            prop_assert_eq!(found.len(), 2);
            prop_assert_eq!(last.1, filler(&head, head.base_offset + i64::from(head.last_delta)));
        }
        // And a reader that we did not write sees the same.
        let theirs = RecordBatchDecoder::decode_all(&mut Bytes::copy_from_slice(first.1)).unwrap();
        let theirs: Vec<_> = theirs.into_iter().flat_map(|set| set.records).collect();
        prop_assert_eq!(theirs.len(), expected.len());
        for (their, our) in theirs.iter().zip(&expected) {
            prop_assert_eq!(their.offset, head.base_offset + i64::from(our.offset_delta));
            if head.attributes & LOG_APPEND_TIME == 0 {
                prop_assert_eq!(their.timestamp, head.base_timestamp + our.timestamp_delta);
            }
            prop_assert_eq!(their.key.as_deref(), our.key.as_deref());
            prop_assert_eq!(their.value.as_deref(), our.value.as_deref());
            prop_assert_eq!((their.transactional, their.control), (head.attributes & TRANSACTIONAL != 0, false));
        }
    }

    #[test]
    fn arbitrary_records_are_rewritten_whole_or_not_at_all(
        body in proptest::collection::vec(any::<u8>(), 0..60), count in 0i32..4, choices in proptest::collection::vec(choice(), 4),
    ) {
        let bytes = batch_of(&Head { last_delta: 3, ..Head::default() }, count, 0, &body);
        let mut out = b"before".to_vec();
        match rewrite(&bytes, &choices, &mut out) {
            Err(_) => prop_assert_eq!(out, b"before"),
            Ok(Rewritten { output: None, .. }) => prop_assert_eq!(out, b"before"),
            Ok(Rewritten { output: Some(range), .. }) => {
                for (_, one) in split(&out[range]) {
                    prop_assert_eq!(check_crc(one), Ok(()));
                    prop_assert!(one.len() > HEADER);
                }
            }
        }
    }
}
