//! The first message of an OAUTHBEARER exchange (RFC 7628, section 3.1): a token, and whom to act as if that is said.

use std::fmt;

use crate::scram::{ScramError, saslname};

/// Separates the parts of the message.
const SEPARATOR: char = '\u{1}';

/// What a client's first response says. Its `Debug` shows nothing of it: a token is a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientResponse<'a> {
    /// The access token, as it came; its characters are those of RFC 6750.
    pub token: &'a str,
    /// The name to act as, if one is given.
    pub authzid: Option<String>,
}

impl fmt::Debug for ClientResponse<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientResponse(..)")
    }
}

/// Why a message is not one. Never repeats its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OauthbearerError {
    /// Not UTF-8, no GS2 header, no token, or a pair out of shape.
    #[error("not an OAUTHBEARER client response")]
    Malformed,
    /// Channel binding was asked for; Kafka has none.
    #[error("channel binding is not supported")]
    ChannelBinding,
}

/// Reads a client's first response: `n,[a=authzid],^Aauth=Bearer <token>^A[key=value^A…]^A`. Pairs other than `auth`
/// (Kafka's extensions) must have their form and are left to the broker.
pub fn client_response(bytes: &[u8]) -> Result<ClientResponse<'_>, OauthbearerError> {
    let malformed = OauthbearerError::Malformed;
    let text = std::str::from_utf8(bytes).map_err(|_| malformed)?;
    let (gs2, pairs) = text.split_once(SEPARATOR).ok_or(malformed)?;
    let mut header = gs2.split(',');
    match header.next() {
        Some("n" | "y") => {}
        Some(flag) if flag.starts_with("p=") => return Err(OauthbearerError::ChannelBinding),
        _ => return Err(malformed),
    }
    let authzid = match (header.next(), header.next(), header.next()) {
        (Some(""), Some(""), None) => None,
        (Some(part), Some(""), None) => {
            let name = part.strip_prefix("a=").filter(|name| !name.is_empty()).ok_or(malformed)?;
            Some(saslname(name).map_err(|_: ScramError| malformed)?)
        }
        _ => return Err(malformed),
    };
    // Every pair ends with a separator, and one more ends the message.
    let pairs = pairs.strip_suffix("\u{1}\u{1}").ok_or(malformed)?;
    let mut token = None;
    for pair in pairs.split(SEPARATOR) {
        let (key, value) = pair.split_once('=').ok_or(malformed)?;
        if key.is_empty() || !key.bytes().all(|b| b.is_ascii_alphabetic()) || !value.bytes().all(is_value) {
            return Err(malformed);
        }
        if key == "auth" && token.replace(bearer(value).ok_or(malformed)?).is_some() {
            return Err(malformed);
        }
    }
    Ok(ClientResponse { token: token.ok_or(malformed)?, authzid })
}

/// The token of `Bearer <token>` (RFC 6750, section 2.1: b64token).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, rest) = value.split_once(' ')?;
    let token = rest.trim_start_matches(' ');
    let body = token.trim_end_matches('=');
    let good = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b);
    (scheme.eq_ignore_ascii_case("bearer") && !body.is_empty() && body.bytes().all(good)).then_some(token)
}

/// RFC 7628: VCHAR, space, tab, CR, LF.
fn is_value(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(String, Option<String>), OauthbearerError> {
        client_response(text.as_bytes()).map(|said| (said.token.to_owned(), said.authzid))
    }

    #[test]
    fn what_stock_clients_send() {
        let plain = ("a.b-_c".to_owned(), None);
        // Java and KafkaJS; librdkafka with extensions; a scheme in other letters.
        assert_eq!(read("n,,\u{1}auth=Bearer a.b-_c\u{1}\u{1}"), Ok(plain.clone()));
        assert_eq!(read("n,,\u{1}auth=Bearer a.b-_c\u{1}cluster=x y\u{1}pool=1\u{1}\u{1}"), Ok(plain.clone()));
        assert_eq!(read("n,,\u{1}host=h\u{1}auth=bearer  a.b-_c\u{1}\u{1}"), Ok(plain));
        let named = read("n,a=one=2Ctwo,\u{1}auth=Bearer t==\u{1}\u{1}").unwrap();
        assert_eq!(named, ("t==".to_owned(), Some("one,two".to_owned())));
    }

    #[test]
    fn what_is_none() {
        for bad in [
            "",
            "\u{1}",
            "n,,",
            "n,,\u{1}\u{1}",
            "n,,\u{1}auth=Bearer t\u{1}",
            "n,,\u{1}auth=Bearer \u{1}\u{1}",
            "n,,\u{1}auth=Bearer ==\u{1}\u{1}",
            "n,,\u{1}auth=Basic t\u{1}\u{1}",
            "n,,\u{1}auth=Bearer a b\u{1}\u{1}",
            "n,,\u{1}auth=Bearer a,b\u{1}\u{1}",
            "n,,\u{1}auth=Bearer a\u{1}auth=Bearer b\u{1}\u{1}",
            "n,,\u{1}port=1\u{1}\u{1}",
            "n,,\u{1}auth=Bearer t\u{1}x1=1\u{1}\u{1}",
            "n,,\u{1}auth=Bearer t\u{1}x=\u{7f}\u{1}\u{1}",
            "n,a=,\u{1}auth=Bearer t\u{1}\u{1}",
            "n,a=x=2c,\u{1}auth=Bearer t\u{1}\u{1}",
            "n,b=x,\u{1}auth=Bearer t\u{1}\u{1}",
            "n,\u{1}auth=Bearer t\u{1}\u{1}",
            "n,,,\u{1}auth=Bearer t\u{1}\u{1}",
            "n,,n=user,r=nonce",
            "auth=Bearer t\u{1}\u{1}",
        ] {
            assert_eq!(read(bad), Err(OauthbearerError::Malformed), "{bad:?}");
        }
        assert_eq!(client_response(b"n,,\x01auth=Bearer \xff\x01\x01").err(), Some(OauthbearerError::Malformed));
        let bound = read("p=tls-unique,,\u{1}auth=Bearer t\u{1}\u{1}");
        assert_eq!(bound, Err(OauthbearerError::ChannelBinding));
    }
}
