//! Fetch responses: whatever is scanned can be changed, and what comes out is a response again.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use wire::{api, batch, fetch::FetchView, patch::Patch};

fuzz_target!(|input: &[u8]| {
    let Some((&version, frame)) = input.split_first() else { return };
    let api = api::find(1).expect("Fetch is in the table");
    let version = 4 + i16::from(version) % 15;
    let Ok(view) = FetchView::scan(api, version, frame) else { return };
    let frame = Bytes::copy_from_slice(frame);
    let mut patch = Patch::new();
    for (n, partition) in view.partitions.iter().enumerate() {
        let records = &frame[partition.records.clone()];
        let _ = batch::extent(records);
        if n % 2 == 0 {
            view.deny(api, &mut patch, partition, 29).expect("a partition can be denied");
        } else {
            view.rewrite(&mut patch, partition, vec![(0..records.len(), Bytes::from_static(b"other"))]);
        }
    }
    view.replace_endpoints(&mut patch, None);
    let out = patch.pieces(&frame).concat();
    let again = FetchView::scan(api, version, &out[4..]).expect("a changed response is one");
    assert_eq!(again.partitions.len(), view.partitions.len());
});
