//! What stays on this machine, and so may go without TLS.

use std::net::IpAddr;

/// Whether a host as written in a configuration is this machine and nothing else: `localhost`, `127.…`, `::1`.
pub fn is_loopback(host: &str) -> bool {
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The same for `host:port` (or a host alone).
pub fn address_is_loopback(address: &str) -> bool {
    match address.rsplit_once(':') {
        // An IPv6 address without port has colons of its own.
        Some((host, port)) if port.parse::<u16>().is_ok() && (!host.contains(':') || host.starts_with('[')) => {
            is_loopback(host)
        }
        _ => is_loopback(address),
    }
}

/// Whether a URL leads off this machine without TLS.
pub fn url_is_plain_abroad(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let address = authority.rsplit_once('@').map_or(authority, |(_, address)| address);
    !address_is_loopback(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        for host in ["localhost", "LocalHost", "127.0.0.1", "127.8.9.1", "::1", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["", "0.0.0.0", "::", "10.0.0.1", "localhost.example", "127.0.0.1.example", "hub"] {
            assert!(!is_loopback(host), "{host}");
        }
        for address in ["localhost:9092", "127.0.0.1:1", "[::1]:9092", "::1", "127.0.0.1"] {
            assert!(address_is_loopback(address), "{address}");
        }
        for address in ["kafka:9092", "[::]:9092", "10.0.0.1:9092", ":9092"] {
            assert!(!address_is_loopback(address), "{address}");
        }
    }

    #[test]
    fn a_url_is_read_up_to_its_host() {
        for url in
            ["http://127.0.0.1:8080/registry", "http://localhost", "https://authority.example", "http://[::1]:1/"]
        {
            assert!(!url_is_plain_abroad(url), "{url}");
        }
        for url in ["http://authority:8080/registry", "http://localhost@authority/", "http://10.0.0.1?localhost"] {
            assert!(url_is_plain_abroad(url), "{url}");
        }
    }
}
