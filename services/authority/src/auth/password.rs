//! Operators' passwords: argon2id with the library's defaults (19 MiB, two passes; OWASP's first choice).

use std::sync::LazyLock;

use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use tokio::sync::Semaphore;

/// Shortest password that is taken (NIST SP 800-63B asks for 8, 15 where it is the only factor).
pub(crate) const MIN_LENGTH: usize = 15;
/// Longest that is hashed.
const MAX_LENGTH: usize = 512;

/// At most two at a time: each takes 19 MiB and a core.
static HASHING: Semaphore = Semaphore::const_new(2);

/// Checked when no operator has the name, so that the answer takes as long.
static NOBODY: LazyLock<String> = LazyLock::new(|| hash("nobody has this password").unwrap_or_default());

/// Why a password is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PasswordError {
    #[error("a password must have at least {MIN_LENGTH} characters")]
    Short,
    #[error("a password must have at most {MAX_LENGTH} bytes")]
    Long,
    #[error("the password cannot be hashed")]
    Hash,
}

/// Hashes a new password: a PHC string. Takes tens of milliseconds.
pub(crate) fn hash_new(password: &str) -> Result<String, PasswordError> {
    if password.chars().count() < MIN_LENGTH {
        return Err(PasswordError::Short);
    }
    if password.len() > MAX_LENGTH {
        return Err(PasswordError::Long);
    }
    hash(password).ok_or(PasswordError::Hash)
}

fn hash(password: &str) -> Option<String> {
    Argon2::default().hash_password(password.as_bytes()).ok().map(|hash: PasswordHash| hash.to_string())
}

/// Whether the password is the one behind the hash, without blocking the runtime. Without a hash it takes as long and
/// the answer is `false`.
pub(crate) async fn verify(password: String, hash: Option<String>) -> bool {
    if password.len() > MAX_LENGTH {
        return false;
    }
    let Ok(_permit) = HASHING.acquire().await else { return false };
    // Not a database call: a core is busy for tens of milliseconds.
    let checked = tokio::task::spawn_blocking(move || {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| NOBODY.clone());
        let Ok(parsed) = PasswordHash::new(&hash) else { return false };
        Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok() && known
    });
    checked.await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_password_itself_is_taken() {
        let hash = hash_new("correct horse battery").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$"), "{hash}");
        assert!(verify("correct horse battery".into(), Some(hash.clone())).await);
        assert!(!verify("correct horse batterz".into(), Some(hash)).await);
        assert!(!verify("nobody has this password".into(), None).await);
        assert!(!verify("x".into(), Some("no hash".into())).await);
        assert_eq!(hash_new("too short"), Err(PasswordError::Short));
        assert_eq!(hash_new(&"x".repeat(513)), Err(PasswordError::Long));
    }
}
