//! Which log one means, which keys one believes, and how many cosignatures one asks for.

use chrono::{DateTime, Utc};

use super::{Checkpoint, SignedCheckpoint, cosigned};
use crate::keys::{KeyKind, KeyName, VerifierKey};

/// What a verifier is configured with.
#[derive(Debug, Clone)]
pub struct Trust {
    origin: KeyName,
    log: Vec<VerifierKey>,
    cosigners: Vec<VerifierKey>,
    quorum: usize,
}

/// Why a checkpoint is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// Of another log.
    #[error("the checkpoint is of another log")]
    Origin,
    /// A key that we know is named, but did not make the signature: forged, or the text was changed.
    #[error("the signature of {0} is wrong")]
    Wrong(KeyName),
    /// None of the log's keys signed.
    #[error("the log's signature is missing; signed by {}", names(.strangers))]
    Missing {
        /// Names on signatures that no known key explains.
        strangers: Vec<KeyName>,
    },
    /// Too few of the cosigners signed.
    #[error("{have} of at least {need} known cosigners signed")]
    Quorum {
        /// Known cosigners that signed.
        have: usize,
        /// How many have to.
        need: usize,
    },
}

fn names(of: &[KeyName]) -> String {
    if of.is_empty() {
        return "nobody else".to_owned();
    }
    of.iter().map(KeyName::as_str).collect::<Vec<_>>().join(", ")
}

/// A checkpoint that is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// Cosigners that vouch for it, each with the time at which it did.
    pub seen: Vec<Seen>,
    /// Signatures that no known key explains, and were passed over.
    pub strangers: Vec<KeyName>,
}

/// A known cosigner's statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Whose.
    pub key: VerifierKey,
    /// When, by its clock, to the second.
    pub at: DateTime<Utc>,
}

impl Trust {
    /// Believes checkpoints of `origin` signed by any of `log`: more than one while a key is exchanged. A log that also
    /// tells the time signs with a key of kind [`Cosignature`](KeyKind::Cosignature) too; that one goes among the cosigners.
    pub const fn new(origin: KeyName, log: Vec<VerifierKey>) -> Self {
        Self { origin, log, cosigners: Vec::new(), quorum: 0 }
    }

    /// Knows these cosigners, and believes nothing that fewer than `quorum` of them signed.
    #[must_use]
    pub fn cosigned_by(self, cosigners: Vec<VerifierKey>, quorum: usize) -> Self {
        Self { cosigners, quorum, ..self }
    }

    /// The log's name.
    pub const fn origin(&self) -> &KeyName {
        &self.origin
    }

    /// Verifies every signature of a known key.
    ///
    /// # Errors
    /// When the checkpoint is not to be believed.
    pub fn open(&self, signed: &SignedCheckpoint) -> Result<Opened, TrustError> {
        if signed.claims().origin != self.origin {
            return Err(TrustError::Origin);
        }
        let (mut by_log, mut seen, mut strangers) = (false, Vec::<Seen>::new(), Vec::new());
        for signature in signed.note().signatures() {
            let known = |key: &&VerifierKey| *key.name() == signature.name && key.id() == signature.id;
            let Some(key) = self.log.iter().chain(&self.cosigners).find(known) else {
                strangers.push(signature.name.clone());
                continue;
            };
            let at = verified(key, signed.note().text(), &signature.bytes);
            let at = at.ok_or_else(|| TrustError::Wrong(key.name().clone()))?;
            by_log |= self.log.contains(key);
            if let Some(at) = at
                && self.cosigners.contains(key)
                && !seen.iter().any(|seen| seen.key == *key)
            {
                seen.push(Seen { key: key.clone(), at });
            }
        }
        if !by_log {
            return Err(TrustError::Missing { strangers });
        }
        if seen.len() < self.quorum {
            return Err(TrustError::Quorum { have: seen.len(), need: self.quorum });
        }
        Ok(Opened { checkpoint: signed.claims().clone(), seen, strangers })
    }
}

/// Whether the signature holds, and the time that it tells if its kind tells one.
fn verified(key: &VerifierKey, text: &str, bytes: &[u8]) -> Option<Option<DateTime<Utc>>> {
    match key.kind() {
        KeyKind::Note => key.verifies(text.as_bytes(), bytes).then_some(None),
        KeyKind::Cosignature => {
            let (seconds, signature) = bytes.split_first_chunk::<8>()?;
            let seconds = u64::from_be_bytes(*seconds);
            let at = DateTime::from_timestamp_secs(i64::try_from(seconds).ok()?)?;
            key.verifies(&cosigned(seconds, text), signature).then_some(Some(at))
        }
    }
}
