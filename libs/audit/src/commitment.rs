//! Salted commitments: the log holds what binds, the database holds what tells.
//!
//! A leaf can never leave the tree, so nothing that may have to be forgotten is in it. It holds
//! `HMAC-SHA-256(salt, context || payload)` with 32 random bytes of salt for every entry. Whoever has the [`Opening`] (salt and
//! payload) proves that this payload was logged, and no other: HMAC under a key of fixed length collides only where
//! SHA-256 does. Whoever has only the leaf learns nothing, not even by trying every payload one can think of, as
//! would be possible with a plain hash of, say, a contact id. Erasing is deleting the opening; the tree does not notice.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use jointuse::Personal;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::Hash;

/// Separates this use of HMAC from any other, and this version from later ones.
const CONTEXT: &[u8] = b"jointuse audit payload v1\0";

/// 32 random bytes, fresh for every entry and erased with its payload. `Debug` prints no content.
#[derive(Clone, PartialEq, Eq)]
pub struct Salt([u8; 32]);

impl Salt {
    /// Wraps 32 bytes of a cryptographic generator.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for storing them.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(‹secret›)")
    }
}

/// What stands in the leaf for a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commitment(pub Hash);

/// What a commitment commits to. In JSON both parts are base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Opening {
    /// Makes the commitment unguessable.
    pub salt: Salt,
    /// What happened, in full. Its bytes are the caller's (this library neither reads nor normalises them).
    pub payload: Personal<Vec<u8>>,
}

impl Opening {
    /// Of these parts.
    pub fn new(salt: Salt, payload: Vec<u8>) -> Self {
        Self { salt, payload: Personal::new(payload) }
    }

    /// The commitment to write into the leaf.
    pub fn commitment(&self) -> Commitment {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.salt.0).expect("any length");
        mac.update(CONTEXT);
        mac.update(self.payload.expose());
        Commitment(Hash::new(mac.finalize().into_bytes().into()))
    }

    /// Whether it opens this commitment.
    pub fn opens(&self, commitment: &Commitment) -> bool {
        verify_slices_are_equal(self.commitment().0.as_bytes(), commitment.0.as_bytes()).is_ok()
    }
}

/// As it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    salt: String,
    payload: String,
}

/// Not base64, or a salt of another length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an opening is 32 bytes of salt and a payload, both in base64")]
struct Malformed;

impl TryFrom<Parts> for Opening {
    type Error = Malformed;
    fn try_from(parts: Parts) -> Result<Self, Malformed> {
        let salt = STANDARD.decode(parts.salt).ok().and_then(|salt| salt.try_into().ok());
        let payload = STANDARD.decode(parts.payload).ok();
        Ok(Self::new(Salt(salt.ok_or(Malformed)?), payload.ok_or(Malformed)?))
    }
}

impl From<Opening> for Parts {
    fn from(opening: Opening) -> Self {
        Self { salt: STANDARD.encode(opening.salt.0), payload: STANDARD.encode(opening.payload.expose()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAYLOAD: &[u8] = br#"{"contact":"0123456789abcdef0123456789abcdef"}"#;

    #[test]
    fn only_the_same_salt_and_payload_open() {
        let opening = Opening::new(Salt::new([7; 32]), PAYLOAD.to_vec());
        let commitment = opening.commitment();
        assert!(opening.opens(&commitment));
        assert!(!Opening::new(Salt::new([8; 32]), PAYLOAD.to_vec()).opens(&commitment));
        assert!(!Opening::new(Salt::new([7; 32]), b"{}".to_vec()).opens(&commitment));
    }

    /// Computed by OpenSSL: `printf 'jointuse audit payload v1\0...' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0707...`.
    #[test]
    fn a_commitment_is_what_the_documentation_says() {
        let commitment = Opening::new(Salt::new([7; 32]), PAYLOAD.to_vec()).commitment();
        assert_eq!(
            hex::encode(commitment.0.as_bytes()),
            "418db52eac26cbd7004b293a31213b7577f35df4a411590ae0a2512587182a46"
        );
    }

    #[test]
    fn neither_salt_nor_payload_is_printed() {
        let opening = Opening::new(Salt::new([7; 32]), PAYLOAD.to_vec());
        assert_eq!(format!("{opening:?}"), "Opening { salt: Salt(‹secret›), payload: ‹personal› }");
        let json = serde_json::to_string(&opening).unwrap();
        assert_eq!(serde_json::from_str::<Opening>(&json).unwrap(), opening);
        let wrong = json.replacen("Bwc", "B", 1);
        let error = serde_json::from_str::<Opening>(&wrong).unwrap_err().to_string();
        assert!(error.starts_with("an opening is 32 bytes of salt"), "{error}");
    }
}
