//! The schemas of the requests that the table serves, as data for [`crate::shape`].
//!
//! Source: the message JSON files of Apache Kafka 4.x (clients/src/main/resources/common/message). A test encodes every
//! request in every served version with the codec and walks it.

use crate::shape::{
    Field,
    Kind::{self, Bytes, Fixed, Many, Structs, Text},
};

const fn since(from: i16, kind: Kind) -> Field {
    Field { from, to: i16::MAX, kind }
}
const fn within(from: i16, to: i16, kind: Kind) -> Field {
    Field { from, to, kind }
}
const fn all(kind: Kind) -> Field {
    since(0, kind)
}

const I8: Kind = Fixed(1);
const BOOL: Kind = Fixed(1);
const I16: Kind = Fixed(2);
const I32: Kind = Fixed(4);
const I64: Kind = Fixed(8);
const UUID: Kind = Fixed(16);
const PARTITIONS: Kind = Many(&I32);
const TEXTS: Kind = Many(&Text);

pub(crate) const PRODUCE: &[Field] = &[
    since(3, Text),
    all(I16),
    all(I32),
    all(Structs(&[within(0, 12, Text), since(13, UUID), all(Structs(&[all(I32), all(Bytes)]))])),
];

pub(crate) const FETCH: &[Field] = &[
    within(0, 14, I32),
    all(I32),
    all(I32),
    since(3, I32),
    since(4, I8),
    since(7, I32),
    since(7, I32),
    all(Structs(&[
        within(0, 12, Text),
        since(13, UUID),
        all(Structs(&[all(I32), since(9, I32), all(I64), since(12, I32), since(5, I64), all(I32)])),
    ])),
    since(7, Structs(&[within(7, 12, Text), since(13, UUID), all(PARTITIONS)])),
    since(11, Text),
];

pub(crate) const LIST_OFFSETS: &[Field] = &[
    all(I32),
    since(2, I8),
    all(Structs(&[all(Text), all(Structs(&[all(I32), since(4, I32), all(I64)]))])),
    since(10, I32),
];

pub(crate) const METADATA: &[Field] =
    &[all(Structs(&[since(10, UUID), all(Text)])), since(4, BOOL), within(8, 10, BOOL), since(8, BOOL)];

pub(crate) const OFFSET_COMMIT: &[Field] = &[
    all(Text),
    since(1, I32),
    since(1, Text),
    since(7, Text),
    within(2, 4, I64),
    all(Structs(&[all(Text), all(Structs(&[all(I32), all(I64), since(6, I32), all(Text)]))])),
];

pub(crate) const OFFSET_FETCH: &[Field] = &[
    within(0, 7, Text),
    within(0, 7, Structs(&[all(Text), all(PARTITIONS)])),
    since(8, Structs(&[all(Text), since(9, Text), since(9, I32), all(Structs(&[all(Text), all(PARTITIONS)]))])),
    since(7, BOOL),
];

pub(crate) const FIND_COORDINATOR: &[Field] = &[within(0, 3, Text), since(1, I8), since(4, TEXTS)];

pub(crate) const JOIN_GROUP: &[Field] = &[
    all(Text),
    all(I32),
    since(1, I32),
    all(Text),
    since(5, Text),
    all(Text),
    all(Structs(&[all(Text), all(Bytes)])),
    since(8, Text),
];

pub(crate) const HEARTBEAT: &[Field] = &[all(Text), all(I32), all(Text), since(3, Text)];

pub(crate) const LEAVE_GROUP: &[Field] =
    &[all(Text), within(0, 2, Text), since(3, Structs(&[all(Text), all(Text), since(5, Text)]))];

pub(crate) const SYNC_GROUP: &[Field] = &[
    all(Text),
    all(I32),
    all(Text),
    since(3, Text),
    since(5, Text),
    since(5, Text),
    all(Structs(&[all(Text), all(Bytes)])),
];

pub(crate) const DESCRIBE_GROUPS: &[Field] = &[all(TEXTS), since(3, BOOL)];
pub(crate) const SASL_HANDSHAKE: &[Field] = &[all(Text)];
pub(crate) const API_VERSIONS: &[Field] = &[since(3, Text), since(3, Text)];

pub(crate) const OFFSET_FOR_LEADER_EPOCH: &[Field] =
    &[since(3, I32), all(Structs(&[all(Text), all(Structs(&[all(I32), since(2, I32), all(I32)]))]))];

pub(crate) const SASL_AUTHENTICATE: &[Field] = &[all(Bytes)];
pub(crate) const DESCRIBE_CLUSTER: &[Field] = &[all(BOOL), since(1, I8), since(2, BOOL)];

pub(crate) const CONSUMER_GROUP_HEARTBEAT: &[Field] = &[
    all(Text),
    all(Text),
    all(I32),
    all(Text),
    all(Text),
    all(I32),
    all(TEXTS),
    since(1, Text),
    all(Text),
    all(Structs(&[all(UUID), all(PARTITIONS)])),
];

pub(crate) const CONSUMER_GROUP_DESCRIBE: &[Field] = &[all(TEXTS), all(BOOL)];
