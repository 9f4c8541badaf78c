//! Builds record batches field by field, so that tests say what no encoder would write too.
#![allow(dead_code, clippy::unwrap_used, reason = "shared by several programs, each of which uses a part")]

use std::io::Write;

use lz4::{BlockMode, BlockSize, ContentChecksum, EncoderBuilder, liblz4::BlockChecksum};

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Rec {
    pub(crate) offset_delta: i32,
    pub(crate) timestamp_delta: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Rec {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let mut body = vec![0];
        varint(&mut body, self.timestamp_delta);
        varint(&mut body, self.offset_delta.into());
        bytes(&mut body, self.key.as_deref());
        bytes(&mut body, self.value.as_deref());
        varint(&mut body, self.headers.len().try_into().unwrap());
        for (name, value) in &self.headers {
            bytes(&mut body, Some(name));
            bytes(&mut body, value.as_deref());
        }
        varint(out, body.len().try_into().unwrap());
        out.extend(body);
    }
}

/// A batch's header.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) base_offset: i64,
    pub(crate) leader_epoch: i32,
    /// Without the bits for compression.
    pub(crate) attributes: i16,
    pub(crate) last_delta: i32,
    pub(crate) base_timestamp: i64,
    pub(crate) max_timestamp: i64,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) base_sequence: i32,
}

impl Default for Head {
    fn default() -> Self {
        Self {
            base_offset: 100,
            leader_epoch: 7,
            attributes: 0,
            last_delta: 0,
            base_timestamp: 1_700_000_000_000,
            max_timestamp: 1_700_000_000_999,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
        }
    }
}

/// How records are packed; the number is Kafka's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    None,
    Gzip,
    GzipNamedMembers,
    SnappyRaw,
    SnappyJava,
    SnappyJavaTwice,
    Lz4Independent,
    Lz4Linked,
    Lz4EverythingInFrames,
    ZstdSized,
    ZstdUnsized,
    ZstdFrames,
}

pub(crate) const PACKINGS: [Packing; 12] = [
    Packing::None,
    Packing::Gzip,
    Packing::GzipNamedMembers,
    Packing::SnappyRaw,
    Packing::SnappyJava,
    Packing::SnappyJavaTwice,
    Packing::Lz4Independent,
    Packing::Lz4Linked,
    Packing::Lz4EverythingInFrames,
    Packing::ZstdSized,
    Packing::ZstdUnsized,
    Packing::ZstdFrames,
];

impl Packing {
    pub(crate) fn number(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip | Self::GzipNamedMembers => 1,
            Self::SnappyRaw | Self::SnappyJava | Self::SnappyJavaTwice => 2,
            Self::Lz4Independent | Self::Lz4Linked | Self::Lz4EverythingInFrames => 3,
            Self::ZstdSized | Self::ZstdUnsized | Self::ZstdFrames => 4,
        }
    }

    pub(crate) fn pack(self, plain: &[u8]) -> Vec<u8> {
        let (one, two) = plain.split_at(plain.len() / 2);
        match self {
            Self::None => plain.to_vec(),
            Self::Gzip => gzip(plain, None),
            Self::GzipNamedMembers => [gzip(one, Some("a name")), gzip(two, Some(""))].concat(),
            Self::SnappyRaw => snap::raw::Encoder::new().compress_vec(plain).unwrap(),
            Self::SnappyJava => snappy_java(plain),
            Self::SnappyJavaTwice => [snappy_java(one), snappy_java(two)].concat(),
            Self::Lz4Independent => lz4(plain, BlockMode::Independent, BlockSize::Max64KB, false),
            Self::Lz4Linked => lz4(plain, BlockMode::Linked, BlockSize::Max64KB, false),
            Self::Lz4EverythingInFrames => [
                lz4(one, BlockMode::Linked, BlockSize::Max256KB, true),
                b"\x5a\x2a\x4d\x18\x03\0\0\0any".to_vec(),
                lz4(two, BlockMode::Independent, BlockSize::Max4MB, true),
            ]
            .concat(),
            Self::ZstdSized => zstd(plain, true),
            Self::ZstdUnsized => zstd(plain, false),
            Self::ZstdFrames => [b"\x50\x2a\x4d\x18\x03\0\0\0any".to_vec(), zstd(one, true), zstd(two, false)].concat(),
        }
    }
}

fn gzip(plain: &[u8], name: Option<&str>) -> Vec<u8> {
    let mut builder = flate2::GzBuilder::new();
    if let Some(name) = name {
        builder = builder.filename(name).comment("a comment").extra(vec![1, 2, 3]);
    }
    let mut encoder = builder.write(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn snappy_java(plain: &[u8]) -> Vec<u8> {
    let mut out = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
    for block in plain.chunks(32 << 10) {
        let packed = snap::raw::Encoder::new().compress_vec(block).unwrap();
        out.extend(u32::try_from(packed.len()).unwrap().to_be_bytes());
        out.extend(packed);
    }
    out
}

fn lz4(plain: &[u8], mode: BlockMode, size: BlockSize, everything: bool) -> Vec<u8> {
    let mut builder = EncoderBuilder::new();
    builder
        .block_mode(mode)
        .block_size(size)
        .checksum(ContentChecksum::NoChecksum)
        .block_checksum(BlockChecksum::NoBlockChecksum);
    if everything {
        builder
            .checksum(ContentChecksum::ChecksumEnabled)
            .block_checksum(BlockChecksum::BlockChecksumEnabled)
            .content_size(plain.len().try_into().unwrap());
    }
    let mut encoder = builder.build(Vec::new()).unwrap();
    encoder.write_all(plain).unwrap();
    let (out, result) = encoder.finish();
    result.unwrap();
    out
}

fn zstd(plain: &[u8], sized: bool) -> Vec<u8> {
    let mut context = zstd_safe::CCtx::create();
    context.set_parameter(zstd_safe::CParameter::ContentSizeFlag(sized)).unwrap();
    context.set_parameter(zstd_safe::CParameter::ChecksumFlag(sized)).unwrap();
    let mut out = Vec::with_capacity(zstd_safe::compress_bound(plain.len()));
    context.compress2(&mut out, plain).unwrap();
    out
}

/// A whole batch around records that are given as bytes.
pub(crate) fn batch_of(head: &Head, count: i32, packing: i16, packed: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(61 + packed.len());
    out.extend(head.base_offset.to_be_bytes());
    out.extend(i32::try_from(49 + packed.len()).unwrap().to_be_bytes());
    out.extend(head.leader_epoch.to_be_bytes());
    out.push(2);
    out.extend([0; 4]);
    out.extend((head.attributes | packing).to_be_bytes());
    out.extend(head.last_delta.to_be_bytes());
    out.extend(head.base_timestamp.to_be_bytes());
    out.extend(head.max_timestamp.to_be_bytes());
    out.extend(head.producer_id.to_be_bytes());
    out.extend(head.producer_epoch.to_be_bytes());
    out.extend(head.base_sequence.to_be_bytes());
    out.extend(count.to_be_bytes());
    out.extend(packed);
    let crc = crc32c::crc32c(out.get(21..).unwrap());
    out.get_mut(17..21).unwrap().copy_from_slice(&crc.to_be_bytes());
    out
}

/// A whole batch.
pub(crate) fn batch(head: &Head, records: &[Rec], packing: Packing) -> Vec<u8> {
    let mut plain = Vec::new();
    for record in records {
        record.encode(&mut plain);
    }
    batch_of(head, records.len().try_into().unwrap(), packing.number(), &packing.pack(&plain))
}

pub(crate) fn varint(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push((rest & 0x7f) as u8);
}

fn bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => varint(out, -1),
        Some(bytes) => {
            varint(out, bytes.len().try_into().unwrap());
            out.extend(bytes);
        }
    }
}
