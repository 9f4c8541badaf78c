//! A policy snapshot and the authority's signature over its exact bytes.

use base64::{Engine, engine::general_purpose::STANDARD};
use policy::Snapshot;
use serde::{Deserialize, Serialize};

use crate::keys::{PublicKey, SigningKey};

/// Separates this use of the key from any other.
const CONTEXT: &[u8] = b"jointuse policy snapshot v1\0";

/// As it lies on `jointuse.policy`, in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedSnapshot {
    /// Short name of the key, for people; verification tries every trusted key.
    pub key_id: String,
    /// JSON of a [`Snapshot`], base64.
    pub payload: String,
    /// Ed25519 over a context string and the payload's bytes, base64.
    pub signature: String,
}

/// Why a signed snapshot is not believed. Each is alarming: only the authority writes to the topic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignedSnapshotError {
    /// Not JSON of the envelope, or not base64.
    #[error("the envelope is malformed")]
    Envelope,
    /// No trusted key made the signature.
    #[error("the signature is by no trusted key")]
    Signature,
    /// Signed, but not a snapshot this build knows.
    #[error("the signed payload is no snapshot known to this version")]
    Payload,
}

/// Signs snapshots.
#[derive(Debug)]
pub struct SnapshotSigner(SigningKey);

impl SnapshotSigner {
    /// With this key.
    pub const fn new(key: SigningKey) -> Self {
        Self(key)
    }

    /// The public half, for `trusted_keys`.
    pub fn public(&self) -> PublicKey {
        self.0.public()
    }

    /// The bytes to put on `jointuse.policy`.
    ///
    /// # Errors
    /// When the snapshot does not serialise (never, for snapshots made here).
    pub fn sign(&self, snapshot: &Snapshot) -> Result<Vec<u8>, serde_json::Error> {
        let payload = serde_json::to_vec(snapshot)?;
        let signature = self.0.sign(&[CONTEXT, &payload].concat());
        serde_json::to_vec(&SignedSnapshot {
            key_id: self.public().id(),
            payload: STANDARD.encode(&payload),
            signature: STANDARD.encode(signature),
        })
    }
}

/// Verifies and opens.
///
/// # Errors
/// When the envelope, the signature or the payload does not hold.
pub fn open(bytes: &[u8], trusted: &[PublicKey]) -> Result<Snapshot, SignedSnapshotError> {
    let envelope: SignedSnapshot = serde_json::from_slice(bytes).map_err(|_| SignedSnapshotError::Envelope)?;
    let payload = STANDARD.decode(&envelope.payload).map_err(|_| SignedSnapshotError::Envelope)?;
    let signature = STANDARD.decode(&envelope.signature).map_err(|_| SignedSnapshotError::Envelope)?;
    let message = [CONTEXT, &payload].concat();
    if !trusted.iter().any(|key| key.verifies(&message, &signature)) {
        return Err(SignedSnapshotError::Signature);
    }
    serde_json::from_slice(&payload).map_err(|_| SignedSnapshotError::Payload)
}
