//! Who the log is: its name, the key that signs, and the key that says when.

use audit::{
    checkpoint::{Checkpoint, SignedCheckpoint, TimeError, Trust, TrustError},
    keys::{KeyError, KeyKind, KeyName, SignerKey, VerifierKey},
};
use chrono::{DateTime, Utc};

use authority_api::SigningKey;

/// Name and keys of the log.
#[derive(Debug)]
pub(crate) struct Identity {
    log: SignerKey,
    /// A cosigner of our own: log signatures hold no time.
    clock: SignerKey,
    trust: Trust,
}

impl Identity {
    /// Of the log of this name.
    ///
    /// # Errors
    /// When the name cannot be a key's.
    pub(crate) fn new(origin: &KeyName, log: &SigningKey, clock: &SigningKey) -> Result<Self, KeyError> {
        let log = SignerKey::from_pkcs8(origin.clone(), KeyKind::Note, log.pkcs8())?;
        let clock = SignerKey::from_pkcs8(format!("{origin}/time").parse()?, KeyKind::Cosignature, clock.pkcs8())?;
        let trust = Trust::new(origin.clone(), vec![log.verifier().clone()]);
        Ok(Self { log, clock, trust })
    }

    /// The log's key, whose name is the log's.
    pub(crate) const fn log_key(&self) -> &VerifierKey {
        self.log.verifier()
    }

    /// The key that says when.
    pub(crate) const fn time_key(&self) -> &VerifierKey {
        self.clock.verifier()
    }

    /// Signs that the log is `checkpoint`, as of `at`.
    pub(super) fn sign(&self, checkpoint: Checkpoint, at: DateTime<Utc>) -> Result<SignedCheckpoint, TimeError> {
        let mut signed = SignedCheckpoint::unsigned(checkpoint);
        signed.sign(&self.log, at)?;
        signed.sign(&self.clock, at)?;
        Ok(signed)
    }

    /// What was signed by this log.
    pub(super) fn open(&self, signed: &SignedCheckpoint) -> Result<Checkpoint, TrustError> {
        self.trust.open(signed).map(|opened| opened.checkpoint)
    }

    /// Believes this log, and what these cosigners say of it.
    pub(super) fn trust(&self, cosigners: Vec<VerifierKey>) -> Trust {
        self.trust.clone().cosigned_by(cosigners, 0)
    }
}
