//! Secrets of credentials: made here, shown once, kept only as what SCRAM needs to check them.

use aws_lc_rs::rand;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bus::scram;
use jointuse::Login;
use policy::{GrantId, GrantKind};

use crate::{db::credentials::Verifier, error::Refusal};

/// PBKDF2 iterations: a secret of 256 random bits needs no stretching, so Kafka's minimum, which clients pay at every
/// log-in.
const ITERATIONS: u32 = scram::MIN_ITERATIONS;

/// A fresh secret and its verifier.
pub(crate) fn fresh() -> Result<(String, Verifier), Refusal> {
    let (mut secret, mut salt) = ([0; 32], [0; 32]);
    rand::fill(&mut secret).map_err(|_| Refusal::Random)?;
    rand::fill(&mut salt).map_err(|_| Refusal::Random)?;
    let secret = URL_SAFE_NO_PAD.encode(secret);
    let salted_password = scram::salted_password(&secret, &salt, ITERATIONS).to_vec();
    Ok((secret, Verifier { salt: salt.to_vec(), iterations: ITERATIONS, salted_password }))
}

/// `ju-sub-<id>-<n>` or `ju-pub-<id>-<n>`.
pub(crate) fn login(grant: &GrantId, ordinal: u32) -> Result<Login, store::StoreError> {
    let kind = match grant.kind() {
        GrantKind::Publication => "pub",
        GrantKind::Subscription => "sub",
    };
    crate::db::parsed(&format!("ju-{kind}-{}-{ordinal}", grant.as_str()))
}

/// Whether `secret` is the one behind `verifier`; without one it takes as long and the answer is `false`. Takes
/// milliseconds of a core, so it runs beside the runtime.
pub(crate) async fn verify(secret: String, verifier: Option<Verifier>) -> bool {
    if secret.len() > 256 {
        return false;
    }
    let known = verifier.is_some();
    let verifier = verifier.unwrap_or_else(|| Verifier {
        salt: vec![0; 32],
        iterations: ITERATIONS,
        salted_password: vec![0; scram::HASH_SIZE],
    });
    let checked = tokio::task::spawn_blocking(move || {
        scram::verify(&secret, &verifier.salt, verifier.iterations, &verifier.salted_password) && known
    });
    checked.await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_fresh_secret_is_long_and_verifies() {
        let (secret, verifier) = fresh().unwrap();
        let (other, _) = fresh().unwrap();
        assert_eq!(secret.len(), 43);
        assert_ne!(secret, other);
        assert!(verify(secret.clone(), Some(verifier.clone())).await);
        assert!(!verify(other, Some(verifier.clone())).await);
        assert!(!verify(secret.clone(), None).await);
        assert!(!format!("{verifier:?}").contains(&hex::encode(&verifier.salted_password)));
    }

    #[test]
    fn logins_are_named_after_their_grant() {
        let grant = GrantId::Subscription("career-sales".parse().unwrap());
        assert_eq!(login(&grant, 3).unwrap().as_str(), "ju-sub-career-sales-3");
        let grant = GrantId::Publication("career".parse().unwrap());
        assert_eq!(login(&grant, 1).unwrap().as_str(), "ju-pub-career-1");
    }
}
