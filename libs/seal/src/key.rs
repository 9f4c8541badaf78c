//! Data keys: one random 256-bit key per contact, and per version of it.
//!
//! # Nonces
//! AES-GCM must never see a nonce twice under one key. Each record takes 96 fresh bits of aws-lc's generator (a
//! CTR-DRBG per thread, seeded by the operating system; see the module `nonces`), and no caller can pass one in. By the birthday bound, q records
//! under one key repeat a nonce with a probability of at most q²/2⁹⁷. NIST SP 800-38D (8.3) allows 2³² records with
//! random nonces, where it is 2⁻³³. Nobody counts to it, as no writer could without asking all others: a key belongs to *one* business contact, and at a record a second it lasts 136 years. The largest contact that
//! is imaginable, a million records, is at 2⁻⁵⁷. [`KeyStore::renew`](crate::KeyStore::renew) gives a contact a new key
//! version when there is a reason to.
//!
//! # Memory
//! What is kept of a key are its 32 bytes ([`DataKey`]), overwritten when dropped (`zeroize`). It is expanded anew for every record: an expanded key
//! takes ten cache lines, and to wait for those of tens of thousands of contacts costs more than to expand (`cargo bench -p seal`);
//! several times as many contacts fit in the same memory; and no expanded key outlives its record. It lives in an `EVP_AEAD_CTX` on aws-lc's heap;
//! `EVP_AEAD_CTX_free` ends in `OPENSSL_free`, which overwrites every block before giving it back
//! (`OPENSSL_cleanse`, aws-lc `crypto/mem.c`), so it cleans itself. What neither covers are copies on the stack and in
//! registers, and a core dump of a live process: services switch those off when they start.

use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM, LessSafeKey, UnboundKey},
    rand,
};
use zeroize::Zeroizing;

use crate::{
    Contact, Place, Scratch,
    envelope::{self, Header},
    error::SealError,
};

/// Bytes of a data key.
pub(crate) const DATA_KEY: usize = 32;

/// Which key: whose, and which version of it, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName {
    /// Whose.
    pub contact: Contact,
    /// Which version.
    pub version: u32,
}

/// The bytes of a data key. `Debug` prints none; they are overwritten on drop, and so are those of every clone.
#[derive(Clone)]
pub struct DataKey(Zeroizing<[u8; DATA_KEY]>);

impl DataKey {
    /// A fresh one.
    ///
    /// # Errors
    /// [`SealError::Random`] when the operating system gives no randomness.
    pub fn random() -> Result<Self, SealError> {
        let mut bytes = Zeroizing::new([0; DATA_KEY]);
        rand::fill(bytes.as_mut_slice()).map_err(|_| SealError::Random)?;
        Ok(Self(bytes))
    }

    /// Room for a key that is about to be unwrapped.
    pub(crate) fn unwrapped<E>(fill: impl FnOnce(&mut [u8; DATA_KEY]) -> Result<(), E>) -> Result<Self, E> {
        let mut bytes = Zeroizing::new([0; DATA_KEY]);
        fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The bytes, for wrapping and expanding.
    pub(crate) fn expose(&self) -> &[u8; DATA_KEY] {
        &self.0
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(..)")
    }
}

/// A data key with its name.
#[derive(Clone)]
pub struct ContactKey {
    name: KeyName,
    key: DataKey,
}

impl ContactKey {
    /// Names a key.
    pub const fn new(name: KeyName, key: DataKey) -> Self {
        Self { name, key }
    }

    pub(crate) const fn data(&self) -> &DataKey {
        &self.key
    }

    /// Whose key, and which version.
    pub const fn name(&self) -> KeyName {
        self.name
    }

    /// Expanded, for one record. `None` when aws-lc takes no such key: it has the right length, so it is out of memory.
    pub(crate) fn expand(&self) -> Option<LessSafeKey> {
        UnboundKey::new(&AES_256_GCM, self.key.expose()).ok().map(LessSafeKey::new)
    }

    /// Appends the envelope of `datum` (Avro, without Confluent's frame, written by `schema_id`) to `out`; its layout is
    /// in the module `envelope`. It can be opened at `place` only.
    ///
    /// # Errors
    /// [`SealError`]; `out` is then as it was.
    pub fn seal(
        &self,
        schema_id: u32,
        place: &Place<'_>,
        datum: &[u8],
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Result<(), SealError> {
        let nonce = scratch.nonce()?;
        let KeyName { contact, version: key_version } = self.name;
        let header = Header { binds_partition: place.partition.is_some(), schema_id, contact, key_version };
        envelope::write(self, header, nonce, place, datum, scratch, out).ok_or(SealError::Refused)
    }
}

impl fmt::Debug for ContactKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContactKey").field("name", &self.name).finish_non_exhaustive()
    }
}
