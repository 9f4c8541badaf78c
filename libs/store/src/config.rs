//! `[database]`.

use secret::SecretFile;
use serde::Deserialize;

use crate::StoreError;

/// Where the database is and how many connections a service takes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `postgresql://user@host:5432/database`, without password. A socket directory goes into `?host=/run/postgresql`.
    pub url: String,
    /// File with the password; absent where the server asks for none.
    #[serde(default)]
    pub password_file: Option<SecretFile>,
    /// Most connections at a time. Default 8.
    #[serde(default = "eight")]
    pub max_connections: u32,
    /// Milliseconds to wait for a connection before a transaction fails. Default 3000.
    #[serde(default = "three_seconds")]
    pub connection_timeout_ms: u64,
    /// Milliseconds after which the server ends a statement. Default 30000; 0 means never.
    #[serde(default = "thirty_seconds")]
    pub statement_timeout_ms: u64,
}

const fn eight() -> u32 {
    8
}

const fn three_seconds() -> u64 {
    3_000
}

const fn thirty_seconds() -> u64 {
    30_000
}

impl DatabaseConfig {
    /// Checks what the types cannot say; the message names the key.
    ///
    /// # Errors
    /// [`StoreError::Config`].
    pub fn validate(&self) -> Result<(), StoreError> {
        let refuse = |message: &str| Err(StoreError::Config(message.to_owned()));
        let Some((scheme, rest)) = self.url.split_once("://") else {
            return refuse("database.url must look like postgresql://user@host:5432/database");
        };
        if !matches!(scheme, "postgresql" | "postgres") {
            return refuse("database.url must begin with postgresql://");
        }
        let userinfo = rest.split(['/', '?']).next().unwrap_or(rest).rsplit_once('@').map(|(userinfo, _)| userinfo);
        if userinfo.is_some_and(|userinfo| userinfo.contains(':')) || rest.contains("password=") {
            return refuse(
                "database.url must not contain a password: write it to a file named by database.password_file",
            );
        }
        if !is_private(rest) {
            return refuse(
                "database.url leads to another machine, and plain text is for loopback only: add \
                 ?sslmode=verify-full&sslrootcert=/path/to/authority.pem",
            );
        }
        if self.max_connections == 0 {
            return refuse("database.max_connections must be at least 1");
        }
        Ok(())
    }

    /// The URL for libpq, with password, name and timeouts.
    pub(crate) fn url(&self, application: &str) -> Result<String, StoreError> {
        self.validate()?;
        let mut url = self.url.clone();
        let mut add = |key: &str, value: &str| {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(key);
            url.push('=');
            url.push_str(&percent_encode(value));
        };
        add("application_name", application);
        add("connect_timeout", "3");
        add("keepalives_idle", "30");
        add("tcp_user_timeout", "10000");
        add("options", &format!("-c statement_timeout={}", self.statement_timeout_ms));
        if let Some(file) = &self.password_file {
            add("password", file.read()?.expose());
        }
        Ok(url)
    }
}

/// Whether what goes to the database of this URL (behind its scheme) stays on this machine, or is encrypted for a server
/// whose certificate is checked. `sslmode=require` is not enough: it takes any certificate.
fn is_private(rest: &str) -> bool {
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let hosts = place.split('/').next().unwrap_or(place);
    let hosts = hosts.rsplit_once('@').map_or(hosts, |(_, hosts)| hosts);
    let pairs: Vec<(&str, &str)> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let parameters = |name: &'static str| pairs.iter().filter(move |(key, _)| *key == name).map(|(_, value)| *value);
    if parameters("sslmode").next_back() == Some("verify-full") {
        return true;
    }
    let named = hosts.split(',').chain(parameters("host").flat_map(|hosts| hosts.split(',')));
    let mut addresses = named.chain(parameters("hostaddr").flat_map(|hosts| hosts.split(',')));
    addresses.all(|address| {
        // Without a host, or with a folder, it is a Unix socket.
        let socket =
            address.is_empty() || address.starts_with(['/', ':']) || address.to_ascii_lowercase().starts_with("%2f");
        socket || tls::address_is_loopback(address)
    })
}

fn percent_encode(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            out.push(char::from(byte));
        } else {
            let hex = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
            out.extend(['%', hex(byte >> 4), hex(byte & 15)]);
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> DatabaseConfig {
        DatabaseConfig {
            url: url.to_owned(),
            password_file: None,
            max_connections: 2,
            connection_timeout_ms: 1,
            statement_timeout_ms: 5,
        }
    }

    #[test]
    fn a_password_in_the_url_is_refused() {
        for url in ["postgresql://hub:x@db/hub", "postgres://db/hub?user=a&password=x", "host=db", "mysql://db/hub"] {
            assert!(config(url).validate().is_err(), "{url}");
        }
        assert!(config("postgresql://hub@[::1]:5432/hub").validate().is_ok());
        assert!(config("postgresql://hub@:5432/hub?host=/run/pg").validate().is_ok());
    }

    #[test]
    fn another_machine_is_spoken_to_only_when_its_certificate_is_checked() {
        for url in [
            "postgresql://hub@db.example/hub",
            "postgresql://hub@10.0.0.1:5432/hub?sslmode=require",
            "postgresql://hub@db/hub?sslmode=verify-full&sslmode=prefer",
            "postgresql://hub@127.0.0.1:5432,db:5432/hub",
            "postgresql://hub@/hub?host=db",
            "postgresql://hub@localhost/hub?hostaddr=10.0.0.1",
            "postgresql://[::]:1/hub",
        ] {
            let error = config(url).validate().unwrap_err().to_string();
            assert!(error.contains("sslmode=verify-full"), "{url}: {error}");
        }
        for url in [
            "postgresql://hub@db.example/hub?sslmode=verify-full&sslrootcert=/ca.pem",
            "postgresql://hub@localhost/hub",
            "postgresql://hub@127.0.0.1:5432,[::1]:5433/hub",
            "postgresql://hub@%2Frun%2Fpg/hub",
            "postgresql:///hub",
        ] {
            assert!(config(url).validate().is_ok(), "{url}");
        }
    }

    #[test]
    fn parameters_are_added_encoded() {
        let url = config("postgresql://hub@/hub?host=/run/pg").url("hub").unwrap();
        assert!(url.starts_with("postgresql://hub@/hub?host=/run/pg&application_name=hub&"), "{url}");
        assert!(url.ends_with("&options=-c%20statement_timeout%3d5"), "{url}");
        assert_eq!(percent_encode("a&b=%é"), "a%26b%3d%25%c3%a9");
    }
}
