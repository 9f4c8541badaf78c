//! Erasures: what is asked for, how far it is, and the signed certificate of a finished one.
//!
//! | call | body | answer |
//! |---|---|---|
//! | `POST /v1/erasures` | [`NewErasure`] | [`Erasure`] |
//! | `GET /v1/erasures`, `GET /v1/erasures/{id}` | | [`Erasure`] |
//! | `GET /v1/erasures/{id}/certificate` | | [`SignedCertificate`] |

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use jointuse::{ContactId, OperatorName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::keys::{PublicKey, SigningKey};

/// Separates this use of the key from any other.
const CONTEXT: &[u8] = b"jointuse erasure certificate v1\0";

/// Why somebody is erased: a closed word, as free text would say things of a person that cannot be erased any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ErasureReason {
    /// The principal asked for it (Art. 35(1), (5)).
    PrincipalRequest,
    /// The data are needed no longer (Art. 22).
    NoLongerNeeded,
    /// They were acquired or used unlawfully (Art. 18 to 20).
    Unlawful,
    /// The company that shared them asked for it.
    PublisherRequest,
}

impl ErasureReason {
    /// The word used in APIs and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PrincipalRequest => "principal-request",
            Self::NoLongerNeeded => "no-longer-needed",
            Self::Unlawful => "unlawful",
            Self::PublisherRequest => "publisher-request",
        }
    }
}

/// An erasure to be made. It cannot be undone or stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewErasure {
    /// Whom, 1 to 1,000 contacts. For a person: all contacts that history names for it.
    #[schema(value_type = Vec<String>)]
    pub contacts: BTreeSet<ContactId>,
    /// The person that the contacts were said to be, where it was asked for by person; for the record only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub person: Option<Uuid>,
    /// Why.
    pub reason: ErasureReason,
}

/// The steps of an erasure, in their order. Each is on disk before the next begins, and each can be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ErasureStep {
    /// It stands in the ledger that no restore reaches.
    Recorded,
    /// The contacts are fenced: no key of theirs is given out or made any more.
    Fenced,
    /// Their wrapped keys are destroyed.
    Destroyed,
    /// Whoever still holds an opened key has heard of it, or gives nothing out.
    Heard,
    /// The compacted topic has their tombstones.
    Tombstoned,
    /// The services that keep something of contacts have nothing left, and the hub opens nothing of them.
    Forgotten,
    /// All of this was looked at once more.
    Verified,
    /// The certificate is signed.
    Certified,
}

impl ErasureStep {
    /// All, in order.
    pub const ALL: [Self; 8] = [
        Self::Recorded,
        Self::Fenced,
        Self::Destroyed,
        Self::Heard,
        Self::Tombstoned,
        Self::Forgotten,
        Self::Verified,
        Self::Certified,
    ];

    /// The word used in APIs and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Fenced => "fenced",
            Self::Destroyed => "destroyed",
            Self::Heard => "heard",
            Self::Tombstoned => "tombstoned",
            Self::Forgotten => "forgotten",
            Self::Verified => "verified",
            Self::Certified => "certified",
        }
    }
}

/// A step that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StepTaken {
    /// Which.
    pub step: ErasureStep,
    /// When it was done.
    pub at: DateTime<Utc>,
}

/// An erasure and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Erasure {
    /// Its id.
    #[schema(value_type = String)]
    pub id: Uuid,
    /// What was asked for.
    #[serde(flatten)]
    pub asked: Asked,
    /// Steps taken, in their order.
    pub steps: Vec<StepTaken>,
    /// The step that comes next; absent when it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<ErasureStep>,
}

/// What was asked for, by whom and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Asked {
    /// Whom.
    #[schema(value_type = Vec<String>)]
    pub contacts: BTreeSet<ContactId>,
    /// As whose contacts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub person: Option<Uuid>,
    /// Why.
    pub reason: ErasureReason,
    /// By whom.
    #[schema(value_type = String)]
    pub asked_by: OperatorName,
    /// When.
    pub asked_at: DateTime<Utc>,
}

/// What the certificate says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Certificate {
    /// Which erasure.
    #[schema(value_type = String)]
    pub erasure: Uuid,
    /// What was asked for.
    #[serde(flatten)]
    pub asked: Asked,
    /// When each step was done; the last is the verification.
    pub steps: Vec<StepTaken>,
    /// What was found.
    pub verified: Verified,
}

/// What was found when all was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Verified {
    /// Contacts of this erasure that are fenced: all.
    pub fenced: usize,
    /// Wrapped keys of theirs in the key store: none.
    pub keys: u64,
    /// Milliseconds from the fence after which no cache gave out a key that it had kept.
    pub caches_heard_within_ms: u64,
    /// Services that looked: nothing of any of them is left there, or can be opened there.
    pub forgotten: Vec<ForgottenBy>,
    /// Where the tombstones are.
    pub tombstones: Vec<Tombstone>,
}

/// A service that has nothing left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ForgottenBy {
    /// Which.
    pub service: String,
    /// Since when, for the last of the contacts.
    pub at: DateTime<Utc>,
}

/// A tombstone on the topic of contacts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tombstone {
    /// Whose.
    #[schema(value_type = String)]
    pub contact: ContactId,
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
}

/// A certificate and the authority's signature over its exact bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignedCertificate {
    /// Short name of the key, for people; verification tries every trusted key.
    pub key_id: String,
    /// JSON of a [`Certificate`], base64.
    pub payload: String,
    /// Ed25519 over a context string and the payload's bytes, base64.
    pub signature: String,
}

/// Why a certificate is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not base64.
    #[error("the certificate is malformed")]
    Envelope,
    /// No trusted key made the signature.
    #[error("the signature is by no trusted key")]
    Signature,
    /// Signed, but not a certificate this build knows.
    #[error("the signed payload is no certificate known to this version")]
    Payload,
}

impl SignedCertificate {
    /// Signs one.
    ///
    /// # Errors
    /// When it does not serialise (never, for those made here).
    pub fn sign(certificate: &Certificate, key: &SigningKey) -> Result<Self, serde_json::Error> {
        let payload = serde_json::to_vec(certificate)?;
        let signature = key.sign(&[CONTEXT, &payload].concat());
        Ok(Self {
            key_id: key.public().id(),
            payload: STANDARD.encode(&payload),
            signature: STANDARD.encode(signature),
        })
    }

    /// Verifies and opens.
    ///
    /// # Errors
    /// When envelope, signature or payload does not hold.
    pub fn open(&self, trusted: &[PublicKey]) -> Result<Certificate, CertificateError> {
        let payload = STANDARD.decode(&self.payload).map_err(|_| CertificateError::Envelope)?;
        let signature = STANDARD.decode(&self.signature).map_err(|_| CertificateError::Envelope)?;
        let message = [CONTEXT, &payload].concat();
        if !trusted.iter().any(|key| key.verifies(&message, &signature)) {
            return Err(CertificateError::Signature);
        }
        serde_json::from_slice(&payload).map_err(|_| CertificateError::Payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> Certificate {
        let at = DateTime::UNIX_EPOCH;
        Certificate {
            erasure: Uuid::nil(),
            asked: Asked {
                contacts: BTreeSet::from(["00000000000000000000000000000001".parse().unwrap()]),
                person: None,
                reason: ErasureReason::PrincipalRequest,
                asked_by: "kimura".parse().unwrap(),
                asked_at: at,
            },
            steps: vec![StepTaken { step: ErasureStep::Recorded, at }],
            verified: Verified {
                fenced: 1,
                keys: 0,
                caches_heard_within_ms: 10_000,
                forgotten: Vec::new(),
                tombstones: Vec::new(),
            },
        }
    }

    #[test]
    fn opens_only_as_it_was_signed() {
        let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let signed = SignedCertificate::sign(&certificate(), &key).unwrap();
        assert_eq!(signed.open(&[other.public(), key.public()]), Ok(certificate()));
        assert_eq!(signed.open(&[other.public()]), Err(CertificateError::Signature));
        let mut changed = signed.clone();
        let mut better = certificate();
        better.verified.keys = 1;
        changed.payload = STANDARD.encode(serde_json::to_vec(&better).unwrap());
        assert_eq!(changed.open(&[key.public()]), Err(CertificateError::Signature));
        let snapshot = b"jointuse policy snapshot v1\0";
        let payload = serde_json::to_vec(&certificate()).unwrap();
        let elsewhere = STANDARD.encode(key.sign(&[&snapshot[..], &payload].concat()));
        assert_eq!(
            SignedCertificate { signature: elsewhere, ..signed }.open(&[key.public()]),
            Err(CertificateError::Signature)
        );
    }

    #[test]
    fn words_are_the_same_everywhere() {
        for step in ErasureStep::ALL {
            assert_eq!(serde_json::to_value(step).unwrap(), step.as_str());
        }
        assert_eq!(
            serde_json::to_value(ErasureReason::NoLongerNeeded).unwrap(),
            ErasureReason::NoLongerNeeded.as_str()
        );
    }
}
