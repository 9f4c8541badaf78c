//! SCRAM-SHA-512 (RFC 5802 with SHA-512): what the authority stores for a login, and the client's side of the exchange.

use std::num::NonZeroU32;

use aws_lc_rs::{
    digest::{SHA512, digest},
    hmac,
    pbkdf2::{self, PBKDF2_HMAC_SHA512},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Bytes of a salted password.
pub const HASH_SIZE: usize = 64;
/// Kafka refuses fewer (`ScramMechanism.SCRAM_SHA_512`).
pub const MIN_ITERATIONS: u32 = 4096;
/// Kafka refuses more.
pub const MAX_ITERATIONS: u32 = 16384;

/// `SaltedPassword := Hi(password, salt, iterations)`, RFC 5802 section 3. Kafka and this hub use passwords of ASCII
/// characters only, for which SASLprep is the identity.
pub fn salted_password(password: &str, salt: &[u8], iterations: u32) -> [u8; HASH_SIZE] {
    let mut salted = [0; HASH_SIZE];
    pbkdf2::derive(PBKDF2_HMAC_SHA512, at_least_one(iterations), salt, password.as_bytes(), &mut salted);
    salted
}

/// Whether `password` is the one behind `salted`, in constant time.
pub fn verify(password: &str, salt: &[u8], iterations: u32, salted: &[u8]) -> bool {
    // The library would be content with a prefix.
    salted.len() == HASH_SIZE
        && pbkdf2::verify(PBKDF2_HMAC_SHA512, at_least_one(iterations), salt, password.as_bytes(), salted).is_ok()
}

fn at_least_one(iterations: u32) -> NonZeroU32 {
    NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN)
}

/// Why an exchange failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScramError {
    /// The server's message is not as RFC 5802 says.
    #[error("the broker's SCRAM message is malformed")]
    Malformed,
    /// The server did not prove that it knows the password.
    #[error("the broker did not prove that it knows the password")]
    Impostor,
}

fn keyed(key: &[u8], text: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, key), text)
}

/// The client's side, in its two steps.
#[derive(Debug)]
pub(crate) struct Exchange {
    nonce: String,
    first_bare: String,
}

/// What the server must answer last.
#[derive(Debug)]
pub(crate) struct Expectation(hmac::Tag);

impl Exchange {
    /// `nonce` is random printable text without commas.
    pub(crate) fn new(login: &str, nonce: String) -> Self {
        let login = login.replace('=', "=3D").replace(',', "=2C");
        Self { first_bare: format!("n={login},r={nonce}"), nonce }
    }

    pub(crate) fn first(&self) -> String {
        format!("n,,{}", self.first_bare)
    }

    pub(crate) fn last(self, password: &str, server_first: &[u8]) -> Result<(String, Expectation), ScramError> {
        let server_first = std::str::from_utf8(server_first).map_err(|_| ScramError::Malformed)?;
        let mut attributes = server_first.split(',');
        let mut attribute = |name: &str| attributes.next().and_then(|text| text.strip_prefix(name));
        let nonce = attribute("r=").ok_or(ScramError::Malformed)?;
        let salt = attribute("s=").and_then(|text| STANDARD.decode(text).ok()).ok_or(ScramError::Malformed)?;
        let iterations: u32 = attribute("i=").and_then(|text| text.parse().ok()).ok_or(ScramError::Malformed)?;
        let longer = nonce.len() > self.nonce.len() && nonce.starts_with(&self.nonce);
        if !longer || !(1..=1_000_000).contains(&iterations) {
            return Err(ScramError::Malformed);
        }
        let salted = salted_password(password, &salt, iterations);
        let client_key = keyed(&salted, b"Client Key");
        let stored_key = digest(&SHA512, client_key.as_ref());
        let without_proof = format!("c=biws,r={nonce}");
        let text = format!("{},{server_first},{without_proof}", self.first_bare);
        let signature = keyed(stored_key.as_ref(), text.as_bytes());
        let proof = client_key
            .as_ref()
            .iter()
            .zip(signature.as_ref())
            .map(|(key, signature)| key ^ signature)
            .collect::<Vec<_>>();
        let server_key = keyed(&salted, b"Server Key");
        let expectation = Expectation(keyed(server_key.as_ref(), text.as_bytes()));
        Ok((format!("{without_proof},p={}", STANDARD.encode(proof)), expectation))
    }
}

impl Expectation {
    pub(crate) fn check(&self, server_last: &[u8]) -> Result<(), ScramError> {
        let text = std::str::from_utf8(server_last).map_err(|_| ScramError::Malformed)?;
        let signature = text.split(',').next().and_then(|text| text.strip_prefix("v="));
        let signature = signature.and_then(|text| STANDARD.decode(text).ok()).ok_or(ScramError::Malformed)?;
        if signature == self.0.as_ref() { Ok(()) } else { Err(ScramError::Impostor) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PBKDF2-HMAC-SHA512 vectors that are widely published (Stack Overflow 15593184, checked with Python's hashlib).
    #[test]
    fn salting_is_pbkdf2() {
        let hex = |bytes: [u8; HASH_SIZE]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(
            hex(salted_password("password", b"salt", 1)),
            "867f70cf1ade02cff3752599a3a53dc4af34c7a669815ae5d513554e1c8cf252\
             c02d470a285a0501bad999bfe943c08f050235d7d68b1da55e63f73b60a57fce"
        );
        assert_eq!(
            hex(salted_password("password", b"salt", 4096)),
            "d197b1b33db0143e018b12f3d1d1479e6cdebdcc97c5c0f87f6902e072f457b5\
             143f30602641b3d55cd335988cb36b84376060ecd532e039b742a239434af2d5"
        );
    }

    #[test]
    fn verifying_tells_passwords_apart() {
        let salted = salted_password("right", b"salt", MIN_ITERATIONS);
        assert!(verify("right", b"salt", MIN_ITERATIONS, &salted));
        assert!(!verify("wrong", b"salt", MIN_ITERATIONS, &salted));
        assert!(!verify("right", b"salt", MIN_ITERATIONS, &salted[..63]));
    }

    #[test]
    fn refuses_a_server_that_does_not_continue_our_nonce_or_cannot_prove_itself() {
        let exchange = || Exchange::new("a,b=c", "nonce".to_owned());
        assert_eq!(exchange().first(), "n,,n=a=2Cb=3Dc,r=nonce");
        for bad in [
            "r=other,s=c2FsdA==,i=4096",
            "r=nonce,s=c2FsdA==,i=4096",
            "r=noncex,s=c2FsdA==",
            "e=other-error",
            "r=noncex,s=c2FsdA==,i=0",
        ] {
            assert_eq!(exchange().last("p", bad.as_bytes()).unwrap_err(), ScramError::Malformed, "{bad}");
        }
        let (_, expectation) = exchange().last("p", b"r=noncex,s=c2FsdA==,i=4096").unwrap();
        assert_eq!(expectation.check(b"v=AAAA"), Err(ScramError::Impostor));
        assert_eq!(expectation.check(b"e=invalid-proof"), Err(ScramError::Malformed));
    }
}
