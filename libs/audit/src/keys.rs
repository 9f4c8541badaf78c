//! Named Ed25519 keys of signed notes (C2SP signed-note), in the two kinds that this log uses.
//!
//! A signature line names its key by a name and four bytes of a hash over name, kind and public key: enough to find the key
//! among those one trusts, never a reason to trust one.

use std::{fmt, str::FromStr};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What a signature of the key says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// Type 0x01: over the text as it stands. The log's own.
    Note,
    /// Type 0x04, `cosignature/v1`: that as of a time, this was the largest checkpoint seen and it was consistent with all before.
    Cosignature,
}

impl KeyKind {
    const fn byte(self) -> u8 {
        match self {
            Self::Note => 0x01,
            Self::Cosignature => 0x04,
        }
    }
}

/// The text is no key of a kind known here. Never repeats the text, which may hold a private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A name is not empty and has no white space, control character or plus sign.
    #[error("a key name must not be empty and has no white space and no '+'")]
    Name,
    /// Not `name+hash+base64`.
    #[error("a verifier key is name+8 hexadecimal digits+base64")]
    Format,
    /// Another algorithm.
    #[error("only Ed25519 keys of types 1 and 4 are known")]
    Kind,
    /// The hash is of another name or key: mistyped.
    #[error("the key's hash does not fit its name and bytes")]
    Hash,
    /// The private key is none.
    #[error("not an Ed25519 private key")]
    Private,
}

/// Name of a key, e.g. `audit.jointuse.example/log`. Like a URL without scheme, so that names do not collide.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyName(String);

impl KeyName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = KeyError;
    fn from_str(name: &str) -> Result<Self, KeyError> {
        let wrong = |c: char| c.is_whitespace() || c.is_control() || c == '+';
        if name.is_empty() || name.contains(wrong) { Err(KeyError::Name) } else { Ok(Self(name.to_owned())) }
    }
}

impl TryFrom<String> for KeyName {
    type Error = KeyError;
    fn try_from(name: String) -> Result<Self, KeyError> {
        name.parse()
    }
}

impl From<KeyName> for String {
    fn from(name: KeyName) -> Self {
        name.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// First four bytes of `SHA-256(name || 0x0A || kind || public key)`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 4]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// The public half, with its name: what a verifier trusts. Text form: the vkey of C2SP signed-note.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct VerifierKey {
    name: KeyName,
    kind: KeyKind,
    public: [u8; 32],
}

impl VerifierKey {
    /// Of these parts; `public` as RFC 8032 encodes it.
    pub const fn new(name: KeyName, kind: KeyKind, public: [u8; 32]) -> Self {
        Self { name, kind, public }
    }

    /// Its name.
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// The same key under another name.
    #[must_use]
    pub fn named(&self, name: KeyName) -> Self {
        Self { name, ..self.clone() }
    }

    /// What its signatures say.
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Its short hash.
    pub fn id(&self) -> KeyId {
        let digest: [u8; 32] = Sha256::new()
            .chain_update(self.name.as_str())
            .chain_update([b'\n', self.kind.byte()])
            .chain_update(self.public)
            .finalize()
            .into();
        let [a, b, c, d, ..] = digest;
        KeyId([a, b, c, d])
    }

    /// Whether the 64 bytes are this key's signature over `message`, which its kind prescribes.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.public).verify(message, signature).is_ok()
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, rest) = text.split_once('+').ok_or(KeyError::Format)?;
        let (id, key) = rest.split_once('+').ok_or(KeyError::Format)?;
        let bytes = STANDARD.decode(key).map_err(|_| KeyError::Format)?;
        let (kind, public) = match bytes.split_first().ok_or(KeyError::Format)? {
            (0x01, public) => (KeyKind::Note, public),
            (0x04, public) => (KeyKind::Cosignature, public),
            _ => return Err(KeyError::Kind),
        };
        let key = Self { name: name.parse()?, kind, public: public.try_into().map_err(|_| KeyError::Format)? };
        if key.id().to_string() == id { Ok(key) } else { Err(KeyError::Hash) }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![self.kind.byte()];
        bytes.extend(self.public);
        write!(f, "{}+{}+{}", self.name, self.id(), STANDARD.encode(bytes))
    }
}

/// The private half, with its name. `Debug` shows the public half.
pub struct SignerKey {
    key: VerifierKey,
    pair: Ed25519KeyPair,
}

impl SignerKey {
    /// From PKCS#8 DER, as key files hold it.
    ///
    /// # Errors
    /// When that is no Ed25519 private key.
    pub fn from_pkcs8(name: KeyName, kind: KeyKind, pkcs8: &[u8]) -> Result<Self, KeyError> {
        Self::of(name, kind, Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| KeyError::Private)?)
    }

    /// From the 32 bytes of RFC 8032.
    ///
    /// # Errors
    /// Never, for 32 bytes.
    pub fn from_seed(name: KeyName, kind: KeyKind, seed: &[u8; 32]) -> Result<Self, KeyError> {
        Self::of(name, kind, Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyError::Private)?)
    }

    fn of(name: KeyName, kind: KeyKind, pair: Ed25519KeyPair) -> Result<Self, KeyError> {
        let public = pair.public_key().as_ref().try_into().map_err(|_| KeyError::Private)?;
        Ok(Self { key: VerifierKey::new(name, kind, public), pair })
    }

    /// The public half.
    pub const fn verifier(&self) -> &VerifierKey {
        &self.key
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

impl fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignerKey({})", self.key)
    }
}
