//! Record sets: batches, their records and headers, as they come.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::{
    batch::{batches, extent},
    records::{Decompressor, check_crc, open},
};

const LIMIT: usize = 1 << 20;

fuzz_target!(|set: &[u8]| {
    let _ = extent(set);
    let mut decompressor = Decompressor::new(LIMIT);
    let mut buffer = Vec::new();
    for batch in batches(set) {
        let Ok(batch) = batch else { return };
        let bytes = &set[batch.range.clone()];
        let _ = check_crc(bytes);
        let Ok(body) = open(bytes, &mut decompressor, &mut buffer) else { continue };
        let mut walked = 0;
        let mut size = 0;
        for record in body.records() {
            let Ok(record) = record else { break };
            walked += 1;
            size += record.size();
            assert!(record.headers().count() <= record.size());
        }
        assert!(walked <= batch.count && size <= body.size());
        assert!(buffer.capacity() <= LIMIT);
    }
});
