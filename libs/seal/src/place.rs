//! What a sealed value is bound to: where it lies and under which headers it is handled.
//!
//! A record can be read at its own place only. Bound, beside the envelope's own header, are
//!
//! - **topic** and **record key**: a record copied to another topic or under another key does not open. Readers decide
//!   by the topic what they may see, and compaction replaces by the key;
//! - **partition**, where the writer chose it itself: the envelope's flag says so. It closes the copy into another
//!   partition, which would escape the order of its key;
//! - the headers **publisher** and **kind**: readers act on both *before* they open (the publisher's membership, the
//!   topic's items), so whoever may write to a broker's disk must not be able to change them.
//!
//! Not bound are `schema-id`, which the envelope has itself and no reader should take from the header, and the trace
//! context, which decides nothing and which tools in between may rewrite. Offset and timestamp cannot be: the broker
//! gives them. So a *replay at its own place* is not found here; records carry when they were recorded.

use crate::{
    envelope::{BOUND, Header},
    error::SealError,
    nonces::Nonces,
};

/// Where a record lies, borrowed from the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The topic's name.
    pub topic: &'a str,
    /// The partition. Sealing: `Some` binds it, and the record must then be produced to it explicitly. Opening: the
    /// partition that the record was read from; it is compared if it was bound.
    pub partition: Option<i32>,
    /// The record's key as it is in Kafka.
    pub key: &'a [u8],
    /// The header `publisher`.
    pub publisher: &'a [u8],
    /// The header `kind`.
    pub kind: &'a [u8],
}

/// What sealing and opening need beside the record: a buffer for associated data, so that nothing is allocated, and a few
/// nonces ahead. Take one for a request or an answer, and use it for all records of it.
#[derive(Debug, Default)]
pub struct Scratch {
    aad: Vec<u8>,
    nonces: Nonces,
}

impl Scratch {
    /// An empty one.
    pub const fn new() -> Self {
        Self { aad: Vec::new(), nonces: Nonces::new() }
    }

    /// A nonce that was never given out.
    pub(crate) fn nonce(&mut self) -> Result<[u8; 12], SealError> {
        self.nonces.next()
    }

    /// The associated data: the header's bytes, whose number is fixed, then each text after its length (4 bytes, big
    /// endian), then the partition (4 bytes) if the header's flag says that it is bound. So every input has its own
    /// encoding: two that differ anywhere differ here.
    ///
    /// `None` when the partition is bound and not known, or a part is longer than 4 GB.
    pub(crate) fn bind(&mut self, header: &Header, place: &Place<'_>) -> Option<&[u8]> {
        let aad = &mut self.aad;
        aad.clear();
        aad.reserve(BOUND + 20 + place.topic.len() + place.key.len() + place.publisher.len() + place.kind.len());
        aad.extend_from_slice(&header.bound());
        for part in [place.topic.as_bytes(), place.key, place.publisher, place.kind] {
            aad.extend_from_slice(&u32::try_from(part.len()).ok()?.to_be_bytes());
            aad.extend_from_slice(part);
        }
        if header.binds_partition {
            aad.extend_from_slice(&place.partition?.to_be_bytes());
        }
        Some(aad)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::Contact;

    fn header(binds_partition: bool) -> Header {
        Header { binds_partition, schema_id: 1, contact: Contact::new([7; 16]), key_version: 1 }
    }

    #[test]
    fn shifting_bytes_between_parts_changes_the_encoding() {
        let parts = ["a", "ab", "b", ""];
        let mut seen = HashMap::new();
        for topic in parts {
            for key in parts {
                for publisher in parts {
                    for kind in parts {
                        for partition in [None, Some(0), Some(1)] {
                            let place = Place {
                                topic,
                                partition,
                                key: key.as_bytes(),
                                publisher: publisher.as_bytes(),
                                kind: kind.as_bytes(),
                            };
                            let mut scratch = Scratch::new();
                            let aad = scratch.bind(&header(partition.is_some()), &place).unwrap().to_vec();
                            let input = (topic, key, publisher, kind, partition);
                            assert_eq!(seen.insert(aad, input), None, "{input:?} collides");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_bound_partition_must_be_known() {
        let place = Place { topic: "t", partition: None, key: b"k", publisher: b"p", kind: b"c" };
        assert!(Scratch::new().bind(&header(true), &place).is_none());
        assert!(Scratch::new().bind(&header(false), &place).is_some());
    }

    proptest! {
        /// The encoding can be read back, so no two inputs share one.
        #[test]
        fn the_encoding_is_uniquely_decodable(
            topic in "[a-z.]{0,20}", key in any::<Vec<u8>>(), publisher in any::<Vec<u8>>(), kind in any::<Vec<u8>>(),
        ) {
            let place = Place { topic: &topic, partition: Some(-1), key: &key, publisher: &publisher, kind: &kind };
            let mut scratch = Scratch::new();
            let mut rest = &scratch.bind(&header(true), &place).unwrap()[BOUND..];
            for part in [topic.as_bytes(), &key, &publisher, &kind] {
                let (len, tail) = rest.split_at(4);
                let (read, tail) = tail.split_at(u32::from_be_bytes(len.try_into().unwrap()) as usize);
                prop_assert_eq!(read, part);
                rest = tail;
            }
            prop_assert_eq!(rest, (-1i32).to_be_bytes());
        }
    }
}
