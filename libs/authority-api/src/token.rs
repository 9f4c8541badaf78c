//! Access tokens: short-lived EdDSA JWTs bound to one subscription or publication (RFC 6749 section 4.4, RFC 9068).

use chrono::{DateTime, Utc};
use jointuse::{CompanyId, ContactId, Login, OperatorName};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use policy::{GrantId, Policy, TokenKey};
use restriction::Reach;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::keys::SigningKey;

/// Which service a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Audience {
    /// Publishing.
    Intake,
    /// Reading histories.
    History,
    /// Logging in at the hub, and again at the broker, by SASL/OAUTHBEARER (RFC 7628).
    Hub,
    /// Operators' calls to the authority.
    Authority,
    /// Asking hub and history where one restriction stands.
    Proof,
    /// Asking hub and history who received somebody's data.
    Disclosures,
}

impl Audience {
    /// The `aud` text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intake => "intake",
            Self::History => "history",
            Self::Hub => "hub",
            Self::Authority => "authority",
            Self::Proof => "proof",
            Self::Disclosures => "disclosures",
        }
    }
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Issuer: the authority's public URL.
    pub iss: String,
    /// The credential's login.
    pub sub: Login,
    /// Which service it is for.
    pub aud: String,
    /// Issued at, seconds.
    pub iat: i64,
    /// Expires at, seconds.
    pub exp: i64,
    /// Id of the token.
    pub jti: String,
    /// The company.
    pub company: CompanyId,
    /// The grant it is bound to.
    pub grant: GrantId,
}

/// What a token for a proof says: the right to ask about one restriction, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofClaims {
    /// Issuer: the authority's public URL.
    pub iss: String,
    /// The operator who asks.
    pub sub: OperatorName,
    /// [`Audience::Proof`].
    pub aud: String,
    /// Issued at, seconds.
    pub iat: i64,
    /// Expires at, seconds.
    pub exp: i64,
    /// The restriction,
    pub restriction: u64,
    /// on whom,
    pub contact: ContactId,
    /// and whom it reaches.
    pub reach: Reach,
}

/// What a token for a question of disclosures says: the right to ask about these contacts, or this person, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisclosureClaims {
    /// Issuer: the authority's public URL.
    pub iss: String,
    /// The operator who asks.
    pub sub: OperatorName,
    /// [`Audience::Disclosures`].
    pub aud: String,
    /// Issued at, seconds.
    pub iat: i64,
    /// Expires at, seconds.
    pub exp: i64,
    /// The question, as it is recorded.
    pub question: Uuid,
    /// About these contacts,
    pub contacts: Vec<ContactId>,
    /// and all contacts that this person has now.
    pub person: Option<Uuid>,
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a JWT of ours.
    #[error("the access token is malformed")]
    Malformed,
    /// Unknown key or wrong signature.
    #[error("the access token is not signed by the authority")]
    Signature,
    /// Expired.
    #[error("the access token has expired: get a new one")]
    Expired,
    /// Meant for another service.
    #[error("the access token is for another service")]
    Audience,
    /// Of another authority.
    #[error("the access token was issued by another authority")]
    Issuer,
    /// Its credential now belongs to another grant, or is gone.
    #[error("the access token's credential is not bound to its grant any more")]
    Binding,
}

/// Signs tokens.
#[derive(Debug)]
pub struct TokenSigner {
    kid: String,
    x: String,
    key: EncodingKey,
}

impl TokenSigner {
    /// With this key.
    pub fn new(key: &SigningKey) -> Self {
        Self { kid: key.public().id(), x: key.public().to_base64url(), key: EncodingKey::from_ed_der(key.pkcs8()) }
    }

    /// The public half, for snapshots and JWKS.
    pub fn public(&self) -> TokenKey {
        TokenKey { kid: self.kid.clone(), x: self.x.clone() }
    }

    /// Signs any claims (operators' sessions have claims of their own).
    ///
    /// # Errors
    /// When the claims do not serialise.
    pub fn sign<T: Serialize>(&self, claims: &T) -> Result<String, jsonwebtoken::errors::Error> {
        let header =
            Header { kid: Some(self.kid.clone()), typ: Some("at+jwt".into()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, claims, &self.key)
    }
}

/// Verifies a token with keys at hand and returns its claims. Time is passed in.
///
/// # Errors
/// When it is malformed, not signed by one of `keys`, expired or for another audience.
pub fn verify_claims<T: serde::de::DeserializeOwned>(
    token: &str,
    audience: Audience,
    keys: &[TokenKey],
    at: DateTime<Utc>,
) -> Result<T, TokenError> {
    #[derive(Deserialize)]
    struct Registered {
        exp: i64,
        aud: String,
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Malformed)?;
    let kid = header.kid.ok_or(TokenError::Malformed)?;
    let key = keys.iter().find(|key| key.kid == kid).ok_or(TokenError::Signature)?;
    let key = DecodingKey::from_ed_components(&key.x).map_err(|_| TokenError::Signature)?;
    // Expiry and audience are checked below against the clock that was passed in.
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let claims =
        jsonwebtoken::decode::<serde_json::Value>(token, &key, &validation).map_err(|_| TokenError::Signature)?.claims;
    let registered: Registered = serde_json::from_value(claims.clone()).map_err(|_| TokenError::Malformed)?;
    if at.timestamp() >= registered.exp {
        return Err(TokenError::Expired);
    }
    if registered.aud != audience.as_str() {
        return Err(TokenError::Audience);
    }
    serde_json::from_value(claims).map_err(|_| TokenError::Malformed)
}

/// Verifies a company's token against the policy in force: signature, expiry, audience, and that its credential still
/// belongs to the grant it names. Whether anything may be done with it, [`policy::decide`] says.
///
/// # Errors
/// As [`verify_claims`], and when the binding no longer holds.
pub fn verify_token(token: &str, audience: Audience, policy: &Policy, at: DateTime<Utc>) -> Result<Claims, TokenError> {
    let claims: Claims = verify_claims(token, audience, &policy.snapshot().token_keys, at)?;
    match policy.credential(&claims.sub) {
        Some(credential) if credential.grant == claims.grant => Ok(claims),
        _ => Err(TokenError::Binding),
    }
}

/// The keys that verify tokens as a JSON Web Key Set (RFC 7517, RFC 8037): what is published, and what brokers are given.
pub fn jwks(keys: &[TokenKey]) -> serde_json::Value {
    let key = |key: &TokenKey| serde_json::json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": key.kid, "x": key.x });
    serde_json::json!({ "keys": keys.iter().map(key).collect::<Vec<_>>() })
}

/// Reads what [`jwks`] wrote.
///
/// # Errors
/// When it is no key set, or one of its keys is not of the kind that tokens are signed by.
pub fn read_jwks(text: &str) -> Result<Vec<TokenKey>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Key>,
    }
    #[derive(Deserialize)]
    #[serde(tag = "crv")]
    enum Key {
        Ed25519 { kid: String, x: String },
    }
    let set: Set = serde_json::from_str(text)?;
    Ok(set.keys.into_iter().map(|Key::Ed25519 { kid, x }| TokenKey { kid, x }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_holds_only_with_its_key_time_and_audience() {
        let signer = TokenSigner::new(&SigningKey::generate().unwrap());
        let other = TokenSigner::new(&SigningKey::generate().unwrap());
        let at: DateTime<Utc> = "2026-11-23T00:00:00Z".parse().unwrap();
        let claims = Claims {
            iss: "http://authority".into(),
            sub: "ju-sub-sales-1".parse().unwrap(),
            aud: "history".into(),
            iat: at.timestamp(),
            exp: at.timestamp() + 300,
            jti: "1".into(),
            company: "persol-career".parse().unwrap(),
            grant: GrantId::Subscription("sales".parse().unwrap()),
        };
        let token = signer.sign(&claims).unwrap();
        let keys = [signer.public()];
        assert_eq!(verify_claims::<Claims>(&token, Audience::History, &keys, at), Ok(claims));
        let check = |audience, keys: &[TokenKey], at| verify_claims::<Claims>(&token, audience, keys, at).unwrap_err();
        assert_eq!(check(Audience::Intake, &keys, at), TokenError::Audience);
        assert_eq!(check(Audience::History, &[other.public()], at), TokenError::Signature);
        let renamed = TokenKey { kid: signer.public().kid, ..other.public() };
        assert_eq!(check(Audience::History, &[renamed], at), TokenError::Signature);
        assert_eq!(check(Audience::History, &keys, at + chrono::TimeDelta::seconds(300)), TokenError::Expired);
        assert_eq!(read_jwks(&jwks(&keys).to_string()).unwrap(), keys);
        assert!(read_jwks(r#"{"keys":[{"kty":"RSA","kid":"a","n":"b"}]}"#).is_err());
        assert_eq!(verify_claims::<Claims>("x.y.z", Audience::History, &keys, at), Err(TokenError::Malformed));
    }
}
