//! What a member does before it cosigns: it never vouches for two histories.

use chrono::{DateTime, Utc};

use crate::{
    Hash, ProofError,
    checkpoint::{Checkpoint, Opened, SignedCheckpoint, TimeError, Trust, TrustError},
    keys::{KeyKind, SignerKey},
    tree::verify_consistency,
};

/// Why a cosigner does not sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CosignError {
    /// The log's signature does not hold.
    #[error("the checkpoint is not believed")]
    Trust(#[from] TrustError),
    /// It is not shown to continue what was cosigned before. With the log's signature on both, that is evidence: keep them.
    #[error("the checkpoint does not continue the one of {size} entries cosigned before")]
    Inconsistent {
        /// Size of the earlier one.
        size: u64,
        /// Why.
        #[source]
        source: ProofError,
    },
    /// The key is of the kind that signs without a time.
    #[error("the key is not a cosigner's")]
    Kind,
    /// The clock.
    #[error("the time cannot be written")]
    Time(#[from] TimeError),
}

/// Cosigns `signed` if the log signed it and `proof` shows that it continues `before`, the last one that this cosigner
/// signed. The caller stores the returned checkpoint as its new `before`, durably, and only then gives the signature away.
/// `trust` need not ask for other cosigners: each looks for itself.
///
/// # Errors
/// When one of these does not hold. Nothing is signed then.
pub fn cosign(
    signed: &mut SignedCheckpoint,
    before: Option<&Checkpoint>,
    proof: &[Hash],
    trust: &Trust,
    key: &SignerKey,
    now: DateTime<Utc>,
) -> Result<Checkpoint, CosignError> {
    if key.verifier().kind() != KeyKind::Cosignature {
        return Err(CosignError::Kind);
    }
    let Opened { checkpoint, .. } = trust.open(signed)?;
    if let Some(before) = before {
        if before.origin != checkpoint.origin {
            return Err(TrustError::Origin.into());
        }
        verify_consistency(before.size, &before.root, checkpoint.size, &checkpoint.root, proof)
            .map_err(|source| CosignError::Inconsistent { size: before.size, source })?;
    }
    signed.sign(key, now)?;
    Ok(checkpoint)
}
