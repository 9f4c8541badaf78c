//! Keyed pseudonyms: ids that are stable for the publisher and tell nothing to anyone without the key.
//!
//! A plain hash of an e-mail address can be guessed; HMAC-SHA-256 under a key that only intake holds cannot.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::ids::{CompanyId, ContactId, RecordId};

/// The 256-bit key under which references become ids. `Debug` prints no content.
#[derive(Clone)]
pub struct PseudonymKey([u8; 32]);

impl fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PseudonymKey(‹secret›)")
    }
}

impl PseudonymKey {
    /// Wraps 32 random bytes.
    pub const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The contact id of `company`'s own `reference` (its record number, or a derived one) of a person.
    pub fn contact_id(&self, company: &CompanyId, reference: &str) -> ContactId {
        #[expect(clippy::expect_used, reason = "32 hexadecimal digits by construction")]
        self.tag("contact", company, reference).parse().expect("hex of 16 bytes")
    }

    /// The id of `company`'s own `reference` of an event of `kind` (`meeting`, `transaction`, …).
    pub fn record_id(&self, kind: &str, company: &CompanyId, reference: &str) -> RecordId {
        #[expect(clippy::expect_used, reason = "32 hexadecimal digits by construction")]
        self.tag(kind, company, reference).parse().expect("hex of 16 bytes")
    }

    /// A keyed digest of content, by which a re-import finds out that nothing changed (32 bytes).
    pub fn fingerprint(&self, content: &[u8]) -> [u8; 32] {
        let mut mac = self.mac();
        mac.update(b"content\0");
        mac.update(content);
        mac.finalize().into_bytes().into()
    }

    fn tag(&self, kind: &str, company: &CompanyId, reference: &str) -> String {
        let mut mac = self.mac();
        for part in [kind, company.as_str(), reference] {
            // Length first, so that ("ab","c") and ("a","bc") differ.
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        let digest = mac.finalize().into_bytes();
        hex::encode(digest.get(..16).unwrap_or_default())
    }

    fn mac(&self) -> Hmac<Sha256> {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        Hmac::<Sha256>::new_from_slice(&self.0).expect("any length")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_stable_separate_and_keyed() {
        let career: CompanyId = "persol-career".parse().unwrap();
        let tech: CompanyId = "persol-tech".parse().unwrap();
        let key = PseudonymKey::new([7; 32]);
        let id = key.contact_id(&career, "card-1");
        assert_eq!(id, key.contact_id(&career, "card-1"));
        assert_ne!(id, key.contact_id(&tech, "card-1"));
        assert_ne!(id, key.contact_id(&career, "card-2"));
        assert_ne!(id, PseudonymKey::new([8; 32]).contact_id(&career, "card-1"));
        assert_ne!(id.as_str(), key.record_id("meeting", &career, "card-1").as_str());
    }
}
