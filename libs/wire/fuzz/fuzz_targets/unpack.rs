//! Compressed data: no more memory than the limit, and the same again from decoders and a buffer that were used.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::records::{Compression, Decompressor};

fuzz_target!(|input: &[u8]| {
    let Some((&[how, limit], packed)) = input.split_first_chunk() else { return };
    let how = match how % 4 {
        0 => Compression::Gzip,
        1 => Compression::Snappy,
        2 => Compression::Lz4,
        _ => Compression::Zstd,
    };
    let limit = usize::from(limit) << 10;
    let mut decompressor = Decompressor::new(limit);
    let mut first = Vec::new();
    let result = decompressor.decompress(how, packed, &mut first);
    assert!(first.capacity() <= limit);
    let mut again = vec![0xaa; 100];
    assert_eq!(decompressor.decompress(how, packed, &mut again), result);
    if result.is_ok() {
        assert_eq!(first, again);
    }
});
