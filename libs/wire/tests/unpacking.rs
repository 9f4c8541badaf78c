//! Records out of batches: every compression, by several writers, and what is malformed, hostile or too large.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    indexmap::IndexMap,
    protocol::StrBytes,
    records::{Compression as Theirs, Record as TheirRecord, RecordBatchEncoder, RecordEncodeOptions, TimestampType},
};
use proptest::prelude::*;
use support::{Head, PACKINGS, Packing, Rec, batch, batch_of};
use wire::{
    batch::batches,
    records::{Compression, Decompressor, RecordsError, check_crc, open},
};

const LIMIT: usize = 1 << 20;

/// Everything in a batch, as the builder takes it.
fn read(bytes: &[u8]) -> Result<Vec<Rec>, RecordsError> {
    let mut buffer = Vec::new();
    let body = open(bytes, &mut Decompressor::new(LIMIT), &mut buffer)?;
    body.records()
        .map(|record| {
            let record = record?;
            let headers = record.headers().map(|h| h.map(|(name, value)| (name.to_vec(), value.map(<[u8]>::to_vec))));
            Ok(Rec {
                offset_delta: record.offset_delta,
                timestamp_delta: record.timestamp_delta,
                key: record.key.map(<[u8]>::to_vec),
                value: record.value.map(<[u8]>::to_vec),
                headers: headers.collect::<Result<_, RecordsError>>()?,
            })
        })
        .collect()
}

fn records(n: i32, size: usize) -> Vec<Rec> {
    (0..n)
        .map(|i| Rec {
            offset_delta: i,
            timestamp_delta: i64::from(i) * 3,
            key: (i % 7 != 3).then(|| format!("key-{i}").into_bytes()),
            value: (i % 5 != 4).then(|| format!("value-{i}-{}", "abcdefghij".repeat(size / 10)).into_bytes()),
            headers: if i % 3 == 0 {
                vec![(b"h".to_vec(), Some(vec![1, 2, i.to_le_bytes()[0]])), (b"h".to_vec(), None)]
            } else {
                Vec::new()
            },
        })
        .collect()
}

#[test]
fn what_java_writes() {
    for (name, bytes) in [
        ("none", &include_bytes!("fixtures/java-none.batch")[..]),
        ("gzip", include_bytes!("fixtures/java-gzip.batch")),
        ("snappy", include_bytes!("fixtures/java-snappy.batch")),
        ("lz4", include_bytes!("fixtures/java-lz4.batch")),
        ("zstd", include_bytes!("fixtures/java-zstd.batch")),
        ("zstd", include_bytes!("fixtures/java-zstd22.batch")),
    ] {
        assert_eq!(check_crc(bytes), Ok(()), "{name}");
        let expected = if name == "none" { records(12, 20) } else { records(300, 300) };
        assert_eq!(read(bytes).unwrap(), expected, "{name}");
        let head = batches(bytes).next().unwrap().unwrap();
        assert_eq!((head.base_offset, head.producer_id), (40, 77));
        let compression = Compression::of(&head).unwrap();
        assert_eq!(compression.to_string(), if name == "none" { "uncompressed" } else { name });
    }
}

#[test]
fn every_packing_with_decoders_and_buffer_used_again() {
    let mut decompressor = Decompressor::new(LIMIT);
    let mut buffer = Vec::new();
    // Large, small, empty values, large again: what one batch left in the buffer must not show in the next.
    for (n, size) in [(300, 900), (3, 10), (1, 0), (500, 400)] {
        let records = records(n, size);
        let mut plain = Vec::new();
        for record in &records {
            record.encode(&mut plain);
        }
        let head = Head { last_delta: n - 1, ..Head::default() };
        for packing in PACKINGS {
            let bytes = batch(&head, &records, packing);
            assert_eq!(read(&bytes).unwrap(), records, "{packing:?}");
            let body = open(&bytes, &mut decompressor, &mut buffer).unwrap();
            assert_eq!(body.size(), plain.len(), "{packing:?}");
            assert_eq!(body.records().map(|r| r.unwrap().size()).sum::<usize>(), plain.len(), "{packing:?}");
        }
    }
}

#[test]
fn what_the_codec_writes() {
    let records: Vec<TheirRecord> = (0..200)
        .map(|i| TheirRecord {
            transactional: true,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: 3,
            producer_id: 5,
            producer_epoch: 1,
            timestamp_type: TimestampType::Creation,
            offset: 1_000 + i,
            sequence: i32::try_from(i).unwrap(),
            timestamp: 1_700_000_000_000 + i * 3_000_000_000,
            key: Some(Bytes::from(vec![7; 16])),
            value: (i % 9 != 0).then(|| Bytes::from(format!("a value {i} ").repeat(40))),
            headers: IndexMap::from([(StrBytes::from_static_str("name"), Some(Bytes::from_static(b"value")))]),
        })
        .collect();
    for compression in [Theirs::None, Theirs::Gzip, Theirs::Snappy, Theirs::Lz4, Theirs::Zstd] {
        let mut out = BytesMut::new();
        let options = RecordEncodeOptions { version: 2, compression };
        RecordBatchEncoder::encode(&mut out, &records, &options).unwrap();
        assert_eq!(check_crc(&out), Ok(()));
        let found = read(&out).unwrap();
        assert_eq!(found.len(), records.len(), "{compression:?}");
        for (found, record) in found.iter().zip(&records) {
            assert_eq!(i64::from(found.offset_delta), record.offset - 1_000);
            assert_eq!(found.timestamp_delta, record.timestamp - 1_700_000_000_000);
            assert_eq!(found.key.as_deref(), record.key.as_deref());
            assert_eq!(found.value.as_deref(), record.value.as_deref());
            assert_eq!(found.headers, [(b"name".to_vec(), Some(b"value".to_vec()))]);
        }
    }
}

#[test]
fn a_bomb_meets_the_limit_and_takes_no_more_memory() {
    let plain = vec![b'a'; 8 << 20];
    for packing in PACKINGS {
        let packed = packing.pack(&plain);
        let how = Compression::of(
            &batches(&batch_of(&Head::default(), 1, packing.number(), &[0; 8])).next().unwrap().unwrap(),
        );
        let mut decompressor = Decompressor::new(LIMIT);
        let mut buffer = Vec::new();
        let result = decompressor.decompress(how.unwrap(), &packed, &mut buffer);
        assert_eq!(result, Err(RecordsError::TooLarge { limit: LIMIT }), "{packing:?}");
        assert!(buffer.capacity() <= LIMIT, "{packing:?} took {}", buffer.capacity());
    }
}

#[test]
fn exactly_the_limit_is_allowed_and_a_byte_more_is_not() {
    let plain: Vec<u8> = (0..200_000u32).flat_map(|i| (i / 7).to_le_bytes()).collect();
    for packing in PACKINGS {
        let packed = packing.pack(&plain);
        let head = batch_of(&Head::default(), 1, packing.number(), &packed);
        let how = Compression::of(&batches(&head).next().unwrap().unwrap()).unwrap();
        let mut buffer = Vec::new();
        assert_eq!(Decompressor::new(plain.len()).decompress(how, &packed, &mut buffer), Ok(()), "{packing:?}");
        assert_eq!(buffer, plain, "{packing:?}");
        let limit = plain.len() - 1;
        let mut buffer = Vec::new();
        let result = Decompressor::new(limit).decompress(how, &packed, &mut buffer);
        assert_eq!(result, Err(RecordsError::TooLarge { limit }), "{packing:?}");
        assert!(buffer.capacity() <= limit, "{packing:?} took {}", buffer.capacity());
    }
}

#[test]
fn cut_streams_are_refused() {
    let plain: Vec<u8> = (0..20_000u32).flat_map(|i| (i / 7).to_le_bytes()).collect();
    for packing in PACKINGS.into_iter().filter(|packing| packing.number() != 0) {
        let packed = packing.pack(&plain);
        let head = batch_of(&Head::default(), 1, packing.number(), &packed);
        let how = Compression::of(&batches(&head).next().unwrap().unwrap()).unwrap();
        let mut decompressor = Decompressor::new(LIMIT);
        for cut in [0, 1, 5, 9, packed.len() / 3, packed.len() - 9, packed.len() - 1] {
            let mut buffer = Vec::new();
            let result = decompressor.decompress(how, &packed[..cut], &mut buffer);
            // A frame or member less is whole in itself.
            let whole = result.is_ok() && buffer.len() < plain.len() && plain.starts_with(&buffer);
            assert!(whole || matches!(result, Err(RecordsError::Compressed { .. })), "{packing:?} cut at {cut}");
        }
        // And the decoders are good for the next batch.
        let mut buffer = Vec::new();
        assert_eq!(decompressor.decompress(how, &packed, &mut buffer), Ok(()));
        assert_eq!(buffer, plain);
    }
}

/// One record by hand.
fn one(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    support::varint(&mut out, i64::try_from(body.len()).unwrap());
    out.extend(body);
    out
}

#[test]
fn contradictions_in_records_are_told_apart() {
    // attributes, timestamp delta, offset delta, key, value, headers
    let good = one(&[0, 0, 0, 2, b'k', 2, b'v', 0]);
    let at = |what| RecordsError::Record { at: 0, what };
    let second = |what| RecordsError::Record { at: good.len(), what };
    for (count, records, expected) in [
        (1, vec![], at("no length")),
        (1, vec![0x80], at("no length")),
        (1, vec![1], at("a negative length")),
        (1, vec![16, 0, 0], at("longer than the batch")),
        (1, one(&[]), at("no attributes")),
        (1, one(&[0, 0x80]), at("no timestamp delta")),
        (1, one(&[0, 0]), at("no offset delta")),
        (1, one(&[0, 0, 0, 200, 1, 0]), at("a key that does not fit")),
        (1, one(&[0, 0, 0, 3, 0, 0]), at("a key that does not fit")),
        (1, one(&[0, 0, 0, 1]), at("a value that does not fit")),
        (1, one(&[0, 0, 0, 1, 4, b'v']), at("a value that does not fit")),
        (1, one(&[0, 0, 1, 1, 1, 0]), at("an offset out of order or beyond the batch's last")),
        (1, one(&[0, 0, 10, 1, 1, 0]), at("an offset out of order or beyond the batch's last")),
        (2, [good.clone(), good.clone()].concat(), second("an offset out of order or beyond the batch's last")),
        (1, [good.clone(), good.clone()].concat(), second("bytes behind the last record")),
        (2, good.clone(), second("no length")),
        (0, good.clone(), at("bytes behind the last record")),
        (1, one(&[0, 0, 0, 1, 1]), at("no header count")),
        (1, one(&[0, 0, 0, 1, 1, 1]), at("a negative header count")),
        (1, one(&[0, 0, 0, 1, 1, 0, 9]), at("bytes behind the last header")),
        (1, one(&[0, 0, 0, 1, 1, 2, 1, 0]), at("a header's name that does not fit")),
        (1, one(&[0, 0, 0, 1, 1, 2, 2, b'h', 8]), at("a header's value that does not fit")),
    ] {
        let bytes = batch_of(&Head { last_delta: 4, ..Head::default() }, count, 0, &records);
        assert_eq!(read(&bytes), Err(expected.clone()), "{records:?}");
        let mut buffer = Vec::new();
        let walked: Vec<_> = open(&bytes, &mut Decompressor::new(LIMIT), &mut buffer).unwrap().records().collect();
        assert!(walked.iter().filter(|record| record.is_err()).count() <= 1, "an error is told once");
    }
}

#[test]
fn contradictions_in_batches() {
    let good = batch(&Head::default(), &records(1, 0), Packing::None);
    let mut buffer = Vec::new();
    let mut decompressor = Decompressor::new(LIMIT);
    for bytes in [&good[..good.len() - 1], &[], &[good.clone(), good.clone()].concat()] {
        let found = open(bytes, &mut decompressor, &mut buffer).map(|_| ());
        assert_eq!(found, Err(RecordsError::NotOneBatch { given: bytes.len() }));
    }
    for number in [5, 6, 7] {
        let bytes = batch_of(&Head::default(), 1, number, &[0; 8]);
        let found = open(&bytes, &mut decompressor, &mut buffer).map(|_| ());
        assert_eq!(found, Err(RecordsError::UnknownCompression(number)));
    }
    let mut damaged = good.clone();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(check_crc(&good), Ok(()));
    assert!(matches!(check_crc(&damaged), Err(RecordsError::Crc { .. })));
    assert_eq!(check_crc(&good[..20]), Err(RecordsError::NotOneBatch { given: 20 }));
}

#[test]
fn debug_shows_no_content() {
    let record = Rec { key: Some(b"secret".to_vec()), value: Some(b"secret".to_vec()), ..Rec::default() };
    let bytes = batch(&Head::default(), &[record], Packing::None);
    let mut buffer = Vec::new();
    let body = open(&bytes, &mut Decompressor::new(LIMIT), &mut buffer).unwrap();
    let first = body.records().next().unwrap().unwrap();
    let mut out = b"secret".to_vec();
    let mut rewrite = body.rewrite(&mut out);
    rewrite.advance().unwrap();
    rewrite.replace(b"secret");
    let shown = format!("{body:?} {rewrite:?} {:?} {first:?} {:?}", body.records(), first.headers());
    assert!(shown.contains("value_len: Some(6)"), "{shown}");
    for hidden in ["secret", "115, 101, 99"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_records_come_back(
        values in proptest::collection::vec((any::<i64>(), proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300)), 0i32..4), 1..60),
        packing in proptest::sample::select(&PACKINGS[..]),
    ) {
        let mut offset_delta = -1;
        let records: Vec<Rec> = values
            .into_iter()
            .map(|(timestamp_delta, value, gap)| {
                offset_delta += 1 + gap;
                Rec { offset_delta, timestamp_delta, key: value.clone(), value, headers: Vec::new() }
            })
            .collect();
        let head = Head { last_delta: offset_delta, ..Head::default() };
        prop_assert_eq!(read(&batch(&head, &records, packing)).unwrap(), records);
    }

    #[test]
    fn arbitrary_bytes_never_panic_nor_take_more_than_the_limit(
        bytes in proptest::collection::vec(any::<u8>(), 0..300), number in 0i16..5, count in 0i32..4, limit in 0usize..5_000,
    ) {
        let batch = batch_of(&Head { last_delta: 3, ..Head::default() }, count, number, &bytes);
        let mut buffer = Vec::new();
        if let Ok(body) = open(&batch, &mut Decompressor::new(limit), &mut buffer) {
            for record in body.records().filter_map(Result::ok) {
                record.headers().for_each(drop);
            }
        }
        prop_assert!(buffer.capacity() <= limit);
    }

    #[test]
    fn damaged_batches_never_panic(
        packing in proptest::sample::select(&PACKINGS[..]), at in any::<proptest::sample::Index>(), byte in any::<u8>(), n in 1i32..40,
    ) {
        let mut bytes = batch(&Head { last_delta: n - 1, ..Head::default() }, &records(n, 100), packing);
        let at = at.index(bytes.len());
        let same = bytes[at] == byte;
        bytes[at] = byte;
        let mut buffer = Vec::new();
        let whole = open(&bytes, &mut Decompressor::new(LIMIT), &mut buffer)
            .and_then(|body| body.records().collect::<Result<Vec<_>, _>>().map(|all| all.len()));
        prop_assert!(!same || whole.is_ok());
        prop_assert!(buffer.capacity() <= LIMIT);
        // What the checksum covers it covers.
        prop_assert_eq!(check_crc(&bytes).is_err(), !same && at >= 17);
    }
}
