//! Ed25519 keys as PEM files: PKCS#8 (RFC 8410) for the signing half, SubjectPublicKeyInfo for the public half.

use std::{fmt, path::Path};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD};

/// DER of SubjectPublicKeyInfo up to the 32 key bytes, for Ed25519 (RFC 8410 section 4).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("cannot read key file {path}")]
    Read {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not PEM of the kind asked for.
    #[error("{0} is not a PEM file of an Ed25519 {1} key")]
    Format(String, &'static str),
    /// The generator failed.
    #[error("no key could be generated")]
    Generate,
}

/// The signing half.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    pkcs8: Vec<u8>,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public().id())
    }
}

impl SigningKey {
    /// A fresh key from the system's generator.
    ///
    /// # Errors
    /// When the generator fails.
    pub fn generate() -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::generate().map_err(|_| KeyError::Generate)?;
        let pkcs8 = pair.to_pkcs8().map_err(|_| KeyError::Generate)?.as_ref().to_vec();
        Ok(Self { pair, pkcs8 })
    }

    /// Reads a PKCS#8 PEM file.
    ///
    /// # Errors
    /// When it cannot be read or is no Ed25519 private key.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        Self::from_pem(&read(path)?).ok_or_else(|| KeyError::Format(path.display().to_string(), "private"))
    }

    /// Parses PKCS#8 PEM.
    pub fn from_pem(pem: &str) -> Option<Self> {
        let pkcs8 = pem_body(pem, "PRIVATE KEY")?;
        Some(Self { pair: Ed25519KeyPair::from_pkcs8(&pkcs8).ok()?, pkcs8 })
    }

    /// PKCS#8 PEM, for a file of mode 0600.
    pub fn to_pem(&self) -> String {
        to_pem(&self.pkcs8, "PRIVATE KEY")
    }

    /// PKCS#8 DER.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(self.pair.public_key().as_ref()) {
            *to = *from;
        }
        PublicKey(bytes)
    }

    /// Signs `message`: 64 bytes.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

/// The public half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo PEM file.
    ///
    /// # Errors
    /// When it cannot be read or is no Ed25519 public key.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        Self::from_pem(&read(path)?).ok_or_else(|| KeyError::Format(path.display().to_string(), "public"))
    }

    /// Parses SubjectPublicKeyInfo PEM.
    pub fn from_pem(pem: &str) -> Option<Self> {
        let der = pem_body(pem, "PUBLIC KEY")?;
        let key = der.strip_prefix(&SPKI_PREFIX)?;
        Some(Self(key.try_into().ok()?))
    }

    /// SubjectPublicKeyInfo PEM.
    pub fn to_pem(&self) -> String {
        to_pem(&[SPKI_PREFIX.as_slice(), &self.0].concat(), "PUBLIC KEY")
    }

    /// The 32 bytes in base64url without padding: a JWK's `x`.
    pub fn to_base64url(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// From a JWK's `x`.
    pub fn from_base64url(x: &str) -> Option<Self> {
        Some(Self(URL_SAFE_NO_PAD.decode(x).ok()?.try_into().ok()?))
    }

    /// A short name of the key: the first 16 characters of its base64url form.
    pub fn id(&self) -> String {
        self.to_base64url().chars().take(16).collect()
    }

    /// Whether `signature` is this key's over `message`.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok()
    }
}

fn read(path: &Path) -> Result<String, KeyError> {
    std::fs::read_to_string(path).map_err(|source| KeyError::Read { path: path.display().to_string(), source })
}

fn pem_body(pem: &str, label: &str) -> Option<Vec<u8>> {
    let body = pem.trim().strip_prefix(&format!("-----BEGIN {label}-----"))?;
    let body = body.strip_suffix(&format!("-----END {label}-----"))?;
    STANDARD.decode(body.split_whitespace().collect::<String>()).ok()
}

fn to_pem(der: &[u8], label: &str) -> String {
    let mut pem = format!("-----BEGIN {label}-----\n");
    for (index, character) in STANDARD.encode(der).chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            pem.push('\n');
        }
        pem.push(character);
    }
    pem + &format!("\n-----END {label}-----\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_pem_and_signatures_verify() {
        let key = SigningKey::generate().unwrap();
        let again = SigningKey::from_pem(&key.to_pem()).unwrap();
        let public = PublicKey::from_pem(&key.public().to_pem()).unwrap();
        assert_eq!(public, again.public());
        assert!(public.verifies(b"policy", &again.sign(b"policy")));
        assert!(!public.verifies(b"other", &again.sign(b"policy")));
        assert!(PublicKey::from_pem(&key.to_pem()).is_none());
        assert!(!format!("{key:?}").contains(&STANDARD.encode(key.pkcs8())));
    }
}
