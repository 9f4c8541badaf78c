//! The first message of a SCRAM exchange (RFC 5802, section 7): only who claims to log in, and how.

/// What a client-first message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFirst {
    /// The name that the broker will authenticate.
    pub user: String,
    /// The name to act as, if one is given.
    pub authzid: Option<String>,
    /// Whether the extension `tokenauth=true` asks for a delegation token login (KIP-48): the name is then a token id.
    pub tokenauth: bool,
}

/// Why a client-first message is not one. Never repeats its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScramError {
    /// Not UTF-8, or no GS2 header, or an attribute out of order.
    #[error("not a SCRAM client-first message")]
    Malformed,
    /// Channel binding was asked for; Kafka has none.
    #[error("channel binding is not supported")]
    ChannelBinding,
}

/// Reads a client-first message: `n,[a=authzid],n=user,r=nonce[,extensions]`.
pub fn client_first(bytes: &[u8]) -> Result<ClientFirst, ScramError> {
    let text = std::str::from_utf8(bytes).map_err(|_| ScramError::Malformed)?;
    let mut parts = text.split(',');
    match parts.next() {
        Some("n" | "y") => {}
        Some(flag) if flag.starts_with("p=") => return Err(ScramError::ChannelBinding),
        _ => return Err(ScramError::Malformed),
    }
    let authzid = match parts.next() {
        Some("") => None,
        Some(part) => Some(saslname(part.strip_prefix("a=").ok_or(ScramError::Malformed)?)?),
        None => return Err(ScramError::Malformed),
    };
    let user = parts.next().and_then(|part| part.strip_prefix("n=")).ok_or(ScramError::Malformed)?;
    let user = saslname(user)?;
    let nonce = parts.next().and_then(|part| part.strip_prefix("r=")).ok_or(ScramError::Malformed)?;
    if user.is_empty() || nonce.is_empty() {
        return Err(ScramError::Malformed);
    }
    let tokenauth = parts
        .filter_map(|part| part.split_once('='))
        .any(|(name, value)| name.eq_ignore_ascii_case("tokenauth") && !value.eq_ignore_ascii_case("false"));
    Ok(ClientFirst { user, authzid, tokenauth })
}

/// Undoes `=2C` and `=3D`; any other `=` is an error (RFC 5802, section 5.1).
pub(crate) fn saslname(text: &str) -> Result<String, ScramError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('=') {
        out.push_str(before);
        if let Some(tail) = after.strip_prefix("2C") {
            out.push(',');
            rest = tail;
        } else if let Some(tail) = after.strip_prefix("3D") {
            out.push('=');
            rest = tail;
        } else {
            return Err(ScramError::Malformed);
        }
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_login() {
        let first = client_first(b"n,,n=ju-sub-sales-1,r=abc").unwrap();
        assert_eq!(first, ClientFirst { user: "ju-sub-sales-1".into(), authzid: None, tokenauth: false });
    }

    #[test]
    fn escapes_authzid_and_extensions() {
        let first = client_first(b"n,a=some=2Cone,n=a=3Db,r=x,tokenauth=true").unwrap();
        assert_eq!(first.user, "a=b");
        assert_eq!(first.authzid.as_deref(), Some("some,one"));
        assert!(first.tokenauth);
        assert!(client_first(b"n,,n=a,r=x,TokenAuth=yes").unwrap().tokenauth);
    }

    #[test]
    fn what_is_no_client_first_message() {
        for bad in [
            &b"\xff"[..],
            b"",
            b"n",
            b"n,",
            b"n,,r=x",
            b"n,,n=,r=x",
            b"n,,n=a",
            b"n,,n=a=2c,r=x",
            b"\0user\0pw",
            b"n,,m=1,n=a,r=x",
        ] {
            assert_eq!(client_first(bad), Err(ScramError::Malformed));
        }
        assert_eq!(client_first(b"p=tls-unique,,n=a,r=x"), Err(ScramError::ChannelBinding));
    }
}
