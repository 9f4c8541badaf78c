//! Request frames: the head, the walk by the table's schemas, and the codec behind it.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use wire::{
    api, codec,
    frame::{self, RequestHead},
    messages::{FetchRequest, FindCoordinatorRequest, JoinGroupRequest, MetadataRequest, OffsetFetchRequest},
    shape,
};

fuzz_target!(|frame: &[u8]| {
    if let Some(prefix) = frame.first_chunk() {
        let _ = frame::length(*prefix, 1 << 20);
    }
    let Ok(head) = RequestHead::peek(frame) else { return };
    let Some(api) = api::find(head.key).filter(|api| api.serves(head.version)) else { return };
    let Ok(at) = RequestHead::body_at(frame, api.flexible(head.version)) else { return };
    let _ = shape::check(api, head.version, &frame[at..]);
    // What passes the walk must not make the codec reserve more than the frame can hold (libFuzzer's malloc limit).
    let frame = Bytes::copy_from_slice(frame);
    let _ = codec::request::<FetchRequest>(api, &head, &frame);
    let _ = codec::request::<MetadataRequest>(api, &head, &frame);
    let _ = codec::request::<FindCoordinatorRequest>(api, &head, &frame);
    let _ = codec::request::<JoinGroupRequest>(api, &head, &frame);
    let _ = codec::request::<OffsetFetchRequest>(api, &head, &frame);
});
