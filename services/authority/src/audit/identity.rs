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
    /// Name of the first log.
    origin: KeyName,
    log: SignerKey,
    /// A cosigner of our own: log signatures hold no time.
    clock: SignerKey,
    trust: Trust,
}

impl Identity {
    /// Of the log of this number; `origin` is the first one's name.
    ///
    /// # Errors
    /// When the name cannot be a key's.
    pub(crate) fn new(origin: KeyName, number: i32, log: &SigningKey, clock: &SigningKey) -> Result<Self, KeyError> {
        let name = numbered(&origin, number)?;
        let log = SignerKey::from_pkcs8(name.clone(), KeyKind::Note, log.pkcs8())?;
        // One for all of them: it says when, whatever it is that it saw.
        let clock = SignerKey::from_pkcs8(format!("{origin}/time").parse()?, KeyKind::Cosignature, clock.pkcs8())?;
        let trust = Trust::new(name, vec![log.verifier().clone()]);
        Ok(Self { origin, log, clock, trust })
    }

    /// The key of the log of this number: the same, under that log's name.
    pub(super) fn key_of(&self, number: i32) -> Result<VerifierKey, KeyError> {
        Ok(self.log.verifier().named(numbered(&self.origin, number)?))
    }

    /// Which of this authority's logs signed this.
    pub(super) fn number_of(&self, signed: &SignedCheckpoint) -> Option<i32> {
        let name = signed.claims().origin.as_str();
        let rest = name.strip_prefix(self.origin.as_str())?;
        let number =
            if rest.is_empty() { 1 } else { rest.strip_prefix('/')?.parse().ok().filter(|number| *number > 1)? };
        let key = self.key_of(number).ok()?;
        Trust::new(key.name().clone(), vec![key]).open(signed).is_ok().then_some(number)
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

fn numbered(origin: &KeyName, number: i32) -> Result<KeyName, KeyError> {
    if number == 1 { Ok(origin.clone()) } else { format!("{origin}/{number}").parse() }
}
