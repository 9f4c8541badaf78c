//! Who is let in, and how; and bytes that are no login at all.

use std::time::{Duration, Instant};

use bytes::Bytes;
use testkit::raw::{Raw, Reply, encode};
use wire::messages::{ApiVersionsRequest, MetadataRequest, SaslAuthenticateRequest, SaslHandshakeRequest};

use super::{SASL_AUTHENTICATION_FAILED, UNSUPPORTED_SASL_MECHANISM, counted, fetch_by_name, seen, text};
use crate::hub_rig::{ALPHA, BETA, CONTACT, PASSWORD, Rig};

async fn try_login(rig: &Rig, login: &str, password: &str, gs2: &str, extensions: &str) -> Option<i16> {
    Raw::connect(&rig.bootstrap()).await.authenticate(login, password, gs2, extensions).await
}

pub async fn logins(rig: &Rig) {
    assert_eq!(try_login(rig, ALPHA, PASSWORD, "n,,", "").await, Some(0));
    // The broker's own word on a wrong password.
    let failed = Some(SASL_AUTHENTICATION_FAILED);
    assert_eq!(counted!(rig, "broker_refused_login", 1, try_login(rig, ALPHA, "wrong", "n,,", "")), failed);
    assert_eq!(counted!(rig, "broker_refused_login", 1, try_login(rig, "nobody", "wrong", "n,,", "")), failed);
    // Logins that the broker knows and the policy does not let in.
    for login in ["ju-hub", "ju-pub-gamma-1", "ju-authority"] {
        let password = if login == "ju-authority" { rig.kafka.password(login) } else { PASSWORD };
        assert_eq!(counted!(rig, "login", 1, try_login(rig, login, password, "n,,", "")), failed, "{login}");
    }
    for login in ["ju-sub-nonotice-1", "ju-sub-asked-1", "ju-sub-over-1", "ju-sub-purpose-1"] {
        assert_eq!(counted!(rig, "subscription", 1, try_login(rig, login, PASSWORD, "n,,", "")), failed, "{login}");
    }
    assert_eq!(counted!(rig, "tokenauth", 1, try_login(rig, ALPHA, PASSWORD, "n,,", ",tokenauth=true")), failed);
    assert_eq!(counted!(rig, "authzid", 1, try_login(rig, ALPHA, PASSWORD, "n,a=ju-sub-beta-1,", "")), failed);
    // Other mechanisms.
    for mechanism in ["PLAIN", "OAUTHBEARER", "GSSAPI"] {
        let answer = counted!(rig, "mechanism", 1, async {
            let handshake = SaslHandshakeRequest::default().with_mechanism(text(mechanism));
            Raw::connect(&rig.bootstrap()).await.call(&handshake, 1).await
        });
        let answer = answer.unwrap();
        assert_eq!(answer.error_code, UNSUPPORTED_SASL_MECHANISM);
        assert_eq!(answer.mechanisms, ["SCRAM-SHA-256", "SCRAM-SHA-512"].map(text));
    }
    // Version 0 would be followed by SASL bytes without frames.
    let handshake = SaslHandshakeRequest::default().with_mechanism(text("SCRAM-SHA-512"));
    assert_eq!(counted!(rig, "api", 1, async { Raw::connect(&rig.bootstrap()).await.call(&handshake, 0).await }), None);
    // No SCRAM message after the handshake.
    let answer = counted!(rig, "scram", 1, async {
        let mut raw = Raw::connect(&rig.bootstrap()).await;
        raw.call(&handshake, 1).await.unwrap();
        raw.call(&SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from_static(b"\0user\0password")), 2).await
    });
    assert_eq!(answer.unwrap().error_code, SASL_AUTHENTICATION_FAILED);
}

pub async fn bytes_of_other_kinds(rig: &Rig) {
    let quickly = async |bytes: &[u8]| {
        let begun = Instant::now();
        let mut raw = Raw::connect(&rig.bootstrap()).await;
        raw.bytes(bytes).await;
        assert_eq!(raw.reply().await, Reply::Closed);
        assert!(begun.elapsed() < Duration::from_secs(1), "closed after {:?}", begun.elapsed());
    };
    // A TLS hello, an HTTP request, a frame that claims 2 GB, one that claims less than nothing.
    counted!(rig, "tls", 1, quickly(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"));
    counted!(rig, "frame_size", 1, quickly(b"GET / HTTP/1.1\r\n\r\n"));
    counted!(rig, "frame_size", 1, quickly(b"\x7f\xff\xff\xff\x00\x12\x00\x00"));
    counted!(rig, "frame_size", 1, quickly(b"\xff\xff\xff\xff\x00\x12\x00\x00"));
    // An API that nobody knows, in a frame of good size.
    counted!(rig, "api", 1, quickly(b"\x00\x00\x00\x0a\x7f\xff\x00\x00\x00\x00\x00\x01\xff\xff"));
    // Slow-loris: a client that says half a word is closed when the time for logging in is over.
    let begun = Instant::now();
    counted!(rig, "slow", 1, async {
        let mut raw = Raw::connect(&rig.bootstrap()).await;
        raw.bytes(b"\x00\x00").await;
        assert_eq!(raw.reply().await, Reply::Closed);
    });
    counted!(rig, "slow", 1, async {
        assert_eq!(Raw::connect(&rig.bootstrap()).await.reply().await, Reply::Closed);
    });
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    // After login a huge frame is refused by its length alone.
    counted!(rig, "frame_size", 1, async {
        let mut raw = Raw::login(&rig.bootstrap(), ALPHA, PASSWORD).await;
        raw.bytes(b"\x40\x00\x00\x00\x00\x01\x00\x0b").await;
        assert_eq!(raw.reply().await, Reply::Closed);
    });
    // Two billion topics claimed in a small frame.
    counted!(rig, "malformed", 1, async {
        let mut raw = Raw::login(&rig.bootstrap(), ALPHA, PASSWORD).await;
        let mut frame = encode(&MetadataRequest::default().with_topics(Some(vec![])), 7, 1).to_vec();
        let count = frame.len() - 5;
        frame[count..count + 4].copy_from_slice(&i32::MAX.to_be_bytes());
        raw.bytes(&frame).await;
        assert_eq!(raw.reply().await, Reply::Closed);
    });
}

pub async fn before_login(rig: &Rig) {
    let mut raw = Raw::connect(&rig.bootstrap()).await;
    assert!(raw.call(&ApiVersionsRequest::default(), 3).await.is_some(), "ApiVersions is open to all");
    let answer = counted!(rig, "unauthenticated", 1, raw.call(&MetadataRequest::default().with_topics(None), 9));
    assert_eq!(answer, None);
}

/// KIP-368: a client may log in again on the same connection, as the same login only.
pub async fn reauthentication(rig: &Rig) {
    let mut raw = Raw::login(&rig.bootstrap(), ALPHA, PASSWORD).await;
    let mut other = Raw::login(&rig.bootstrap(), ALPHA, PASSWORD).await;
    // The broker refuses a second login within a second of the first.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(raw.authenticate(ALPHA, PASSWORD, "n,,", "").await, Some(0));
    let answer = raw.call(&fetch_by_name(&[CONTACT]), 11).await.unwrap();
    assert!(seen(&answer)[0].2 > 0, "reading goes on after logging in again");
    let error = counted!(rig, "login_changed", 1, other.authenticate(BETA, PASSWORD, "n,,", ""));
    assert_eq!(error, Some(SASL_AUTHENTICATION_FAILED));
    assert_eq!(other.reply().await, Reply::Closed);
}
