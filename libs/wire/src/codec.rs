//! Whole small messages through the `kafka-protocol` codec, with frames and headers around them.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::{Decodable, Encodable, Request};

use crate::{
    WireError,
    api::Api,
    frame::{PREFIX, RequestHead},
    read::Reader,
    shape,
};

/// Reads a request frame (without prefix) whose API and version the table serves. Lengths are bounded first.
pub fn request<R: Request>(api: &Api, head: &RequestHead, frame: &Bytes) -> Result<R, WireError> {
    let wrong = || WireError::Codec { key: head.key, version: head.version };
    if R::KEY != head.key {
        return Err(wrong());
    }
    let at = RequestHead::body_at(frame, api.flexible(head.version))?;
    let mut body = frame.slice(at..);
    shape::check(api, head.version, &body)?;
    R::decode(&mut body, head.version).map_err(|_| wrong())
}

/// A request frame with its prefix: the header of `original` byte for byte, then the body given.
pub fn request_frame<R: Request>(
    api: &Api,
    head: &RequestHead,
    original: &Bytes,
    body: &R,
) -> Result<Bytes, WireError> {
    let at = RequestHead::body_at(original, api.flexible(head.version))?;
    let header = original.get(..at).unwrap_or_default();
    finish(head.key, head.version, header, body)
}

/// Reads a response frame (without prefix); also says where its body begins.
pub fn response<R: Decodable>(api: &Api, version: i16, frame: &Bytes) -> Result<R, WireError> {
    let mut body = frame.slice(response_body_at(api, version, frame)?..);
    R::decode(&mut body, version).map_err(|_| WireError::Codec { key: api.key, version })
}

/// Where the body of a response begins.
pub fn response_body_at(api: &Api, version: i16, frame: &[u8]) -> Result<usize, WireError> {
    let mut reader = Reader::new(frame);
    reader.i32()?;
    if api.flexible_response_header(version) {
        reader.tags(|_, _| ())?;
    }
    Ok(reader.position())
}

/// A response frame with its prefix.
pub fn response_frame<R: Encodable>(api: &Api, version: i16, correlation: i32, body: &R) -> Result<Bytes, WireError> {
    let mut header = correlation.to_be_bytes().to_vec();
    if api.flexible_response_header(version) {
        header.push(0);
    }
    finish(api.key, version, &header, body)
}

/// One message (or a part of one) without any header.
pub fn bare<R: Encodable>(api: &Api, version: i16, body: &R) -> Result<Bytes, WireError> {
    let mut out = BytesMut::new();
    body.encode(&mut out, version).map_err(|_| WireError::Codec { key: api.key, version })?;
    Ok(out.freeze())
}

fn finish<R: Encodable>(key: i16, version: i16, header: &[u8], body: &R) -> Result<Bytes, WireError> {
    let wrong = || WireError::Codec { key, version };
    let size = body.compute_size(version).map_err(|_| wrong())?;
    let mut out = BytesMut::with_capacity(PREFIX + header.len() + size);
    out.put_u32(0);
    out.extend_from_slice(header);
    body.encode(&mut out, version).map_err(|_| wrong())?;
    let length = u32::try_from(out.len() - PREFIX).map_err(|_| wrong())?;
    if let Some(prefix) = out.get_mut(..PREFIX) {
        prefix.copy_from_slice(&length.to_be_bytes());
    }
    Ok(out.freeze())
}
