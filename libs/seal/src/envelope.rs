//! The envelope: what a record's value is on the bus.
//!
//! | offset | bytes | field | |
//! |---|---|---|---|
//! | 0 | 3 | magic | `JUS`. A Confluent-framed value begins with `0x00`, so the two are never taken for each other |
//! | 3 | 1 | format version | 1 |
//! | 4 | 1 | flags | bit 0: the partition is bound; the others must be 0 |
//! | 5 | 4 | schema id | of the writer's Avro schema in the registry, big endian |
//! | 9 | 16 | contact id | whose key it is |
//! | 25 | 4 | key version | of the contact's key, big endian, from 1 |
//! | 29 | 12 | nonce | random, fresh for every record |
//! | 41 | n | ciphertext | AES-256-GCM of the Avro datum (without Confluent's frame) |
//! | 41 + n | 16 | tag | |
//!
//! The first 29 bytes and the record's [`Place`] are the associated data; the nonce is authenticated by GCM itself.
//! [`Envelope::parse`] reads the header without a key, so that a whole answer's keys can be fetched at once;
//! [`Envelope::open_into`] decrypts from the borrowed bytes straight into the reader's buffer.

use std::{ops::Range, sync::LazyLock};

use aws_lc_rs::aead::{Aad, Nonce};
use memchr::memmem::Finder;

use crate::{
    Contact, ContactKey, KeyName, Place, Scratch,
    contact::CONTACT,
    error::{EnvelopeError, OpenError},
};

pub(crate) const MAGIC: [u8; 3] = *b"JUS";
const FORMAT: u8 = 1;
const PARTITION_BOUND: u8 = 1;
const NONCE: usize = 12;
const TAG: usize = 16;
/// Bytes of the header that are associated data: all before the nonce.
pub(crate) const BOUND: usize = 29;
const HEADER: usize = BOUND + NONCE;

/// Bytes that an envelope adds to a datum.
pub const OVERHEAD: usize = HEADER + TAG;

/// The header without the nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) binds_partition: bool,
    pub(crate) schema_id: u32,
    pub(crate) contact: Contact,
    pub(crate) key_version: u32,
}

impl Header {
    /// Its bytes.
    pub(crate) fn bound(&self) -> [u8; BOUND] {
        let [s0, s1, s2, s3] = self.schema_id.to_be_bytes();
        let [v0, v1, v2, v3] = self.key_version.to_be_bytes();
        let [m0, m1, m2] = MAGIC;
        let flags = if self.binds_partition { PARTITION_BOUND } else { 0 };
        let mut bytes = [0; BOUND];
        let (head, rest) = bytes.split_at_mut(9);
        head.copy_from_slice(&[m0, m1, m2, FORMAT, flags, s0, s1, s2, s3]);
        let (contact, version) = rest.split_at_mut(CONTACT);
        contact.copy_from_slice(self.contact.as_bytes());
        version.copy_from_slice(&[v0, v1, v2, v3]);
        bytes
    }
}

/// A sealed value, borrowed from the record. Its header is read but **not yet authenticated**: it says which key to
/// try, and only opening shows that it is true.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    header: Header,
    nonce: &'a [u8; NONCE],
    ciphertext: &'a [u8],
    tag: &'a [u8; TAG],
}

/// Whether one of the values that lie uncompressed in these bytes may be an envelope. A "no" is certain, and costs little: the
/// bytes are searched for [`MAGIC`], wherever it stands.
pub fn may_hold_envelope(bytes: &[u8]) -> bool {
    static SEARCH: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(&MAGIC));
    SEARCH.find(bytes).is_some()
}

impl<'a> Envelope<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// The value is no envelope, or of a version that this build does not know.
    pub fn parse(value: &'a [u8]) -> Result<Self, EnvelopeError> {
        let short = EnvelopeError::Truncated { len: value.len() };
        let rest = value.strip_prefix(&MAGIC).ok_or(EnvelopeError::NotSealed)?;
        let (&[format], rest) = rest.split_first_chunk::<1>().ok_or(short.clone())?;
        if format != FORMAT {
            return Err(EnvelopeError::UnknownFormat { format });
        }
        let (&[flags], rest) = rest.split_first_chunk::<1>().ok_or(short.clone())?;
        if flags & !PARTITION_BOUND != 0 {
            return Err(EnvelopeError::UnknownFlags { flags });
        }
        let (schema_id, rest) = rest.split_first_chunk::<4>().ok_or(short.clone())?;
        let (contact, rest) = rest.split_first_chunk::<CONTACT>().ok_or(short.clone())?;
        let (key_version, rest) = rest.split_first_chunk::<4>().ok_or(short.clone())?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE>().ok_or(short.clone())?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG>().ok_or(short)?;
        let header = Header {
            binds_partition: flags & PARTITION_BOUND != 0,
            schema_id: u32::from_be_bytes(*schema_id),
            contact: Contact::new(*contact),
            key_version: u32::from_be_bytes(*key_version),
        };
        Ok(Self { header, nonce, ciphertext, tag })
    }

    /// Id of the writer's schema.
    pub const fn schema_id(&self) -> u32 {
        self.header.schema_id
    }

    /// Which key it was sealed by.
    pub const fn key(&self) -> KeyName {
        KeyName { contact: self.header.contact, version: self.header.key_version }
    }

    /// Whether the partition was bound by the writer.
    pub const fn binds_partition(&self) -> bool {
        self.header.binds_partition
    }

    /// Bytes of the datum, known before it is opened.
    pub const fn plaintext_len(&self) -> usize {
        self.ciphertext.len()
    }

    /// Decrypts into `out`, which must be [`Envelope::plaintext_len`] long.
    ///
    /// # Errors
    /// [`OpenError`]; `out` then holds zeros or what it held before, never unauthenticated plaintext.
    pub fn open_into(
        &self,
        key: &ContactKey,
        place: &Place<'_>,
        scratch: &mut Scratch,
        out: &mut [u8],
    ) -> Result<(), OpenError> {
        let name = key.name();
        if name.contact != self.header.contact {
            return Err(OpenError::WrongContact);
        }
        if name.version != self.header.key_version {
            return Err(OpenError::WrongKeyVersion { sealed: self.header.key_version, given: name.version });
        }
        if out.len() != self.ciphertext.len() {
            return Err(OpenError::Buffer { needed: self.ciphertext.len(), given: out.len() });
        }
        let aad = scratch.bind(&self.header, place).ok_or(OpenError::NoPartition)?;
        // aws-lc checks the tag after decrypting, and on a mismatch clears the output before it returns.
        key.expand()
            .ok_or(OpenError::Refused)?
            .open_separate_gather(
                Nonce::assume_unique_for_key(*self.nonce),
                Aad::from(aad),
                self.ciphertext,
                self.tag,
                out,
            )
            .map_err(|_| OpenError::NotAuthentic)
    }

    /// Decrypts onto the end of `out`, after `room` zero bytes for a frame that the reader puts before the datum
    /// (Confluent's is 5 bytes). Gives the range that was added, the room included.
    ///
    /// # Errors
    /// [`OpenError`]; `out` is then as it was.
    pub fn open_onto(
        &self,
        key: &ContactKey,
        place: &Place<'_>,
        scratch: &mut Scratch,
        room: usize,
        out: &mut Vec<u8>,
    ) -> Result<Range<usize>, OpenError> {
        let start = out.len();
        let end = start.saturating_add(room).saturating_add(self.ciphertext.len());
        out.resize(end, 0);
        let datum = out.get_mut(start.saturating_add(room)..).unwrap_or_default();
        match self.open_into(key, place, scratch, datum) {
            Ok(()) => Ok(start..end),
            Err(error) => {
                out.truncate(start);
                Err(error)
            }
        }
    }
}

/// Appends the envelope of `datum`. The nonce is the caller's duty: see [`ContactKey::seal`], the one caller.
pub(crate) fn write(
    key: &ContactKey,
    header: Header,
    nonce: [u8; NONCE],
    place: &Place<'_>,
    datum: &[u8],
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) -> Option<()> {
    let (aad, aead) = (scratch.bind(&header, place)?, key.expand()?);
    let start = out.len();
    // All at once, so that no copy of the datum is left behind in a buffer that was outgrown.
    out.reserve(OVERHEAD + datum.len());
    out.extend_from_slice(&header.bound());
    out.extend_from_slice(&nonce);
    out.extend_from_slice(datum);
    let body = out.get_mut(start + HEADER..)?;
    let nonce = Nonce::assume_unique_for_key(nonce);
    let Ok(tag) = aead.seal_in_place_separate_tag(nonce, Aad::from(aad), body) else {
        zeroize::Zeroize::zeroize(body);
        out.truncate(start);
        return None;
    };
    out.extend_from_slice(tag.as_ref());
    Some(())
}

#[cfg(test)]
mod tests;
