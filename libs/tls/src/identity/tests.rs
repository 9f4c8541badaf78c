use std::{os::unix::fs::PermissionsExt as _, path::Path};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::Trust;

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn issue(authority: &CertifiedIssuer<'static, KeyPair>, dir: &Path, name: &str, until: Option<i32>) -> IdentityConfig {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    if let Some(year) = until {
        params.not_after = date_time_ymd(year, 1, 1);
    }
    let certificate = params.signed_by(&key, authority).unwrap();
    let config = IdentityConfig {
        certificate_file: dir.join("certificate.pem"),
        key_file: SecretFile::new(dir.join("key.pem")),
    };
    std::fs::write(&config.certificate_file, certificate.pem()).unwrap();
    std::fs::write(config.key_file.path(), key.serialize_pem()).unwrap();
    std::fs::set_permissions(config.key_file.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(dir.join("ca.pem"), authority.pem()).unwrap();
    config
}

/// Whether a client that trusts `ca.pem` and looks for `name` gets its word to the server.
async fn reaches(identity: &Identity, trust: &Trust, name: &str) -> bool {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (socket, _) = listener.accept().await.unwrap();
    let server = async {
        let mut stream = identity.accept(socket).await.ok()?;
        assert_eq!(stream.server_name().as_deref(), Some(name));
        let mut text = String::new();
        stream.read_to_string(&mut text).await.ok().map(|_| text)
    };
    let client = async {
        let mut stream = trust.connect(name, client).await.ok()?;
        let (_, mut writer) = stream.split();
        writer.write_all(b"word").await.ok()?;
        writer.shutdown().await.ok()
    };
    let (server, client) = tokio::join!(server, client);
    client.is_some() && server.as_deref() == Some("word")
}

#[tokio::test]
async fn a_good_certificate_takes_over_and_a_bad_one_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let authority = authority();
    let config = issue(&authority, dir.path(), "old.example", None);
    let trust = Trust::read(&dir.path().join("ca.pem")).unwrap();
    let identity = Identity::open("test", &config).unwrap();
    assert!(reaches(&identity, &trust, "old.example").await);

    issue(&authority, dir.path(), "new.example", None);
    assert_eq!(identity.look(load(&config), 0), 0);
    assert!(reaches(&identity, &trust, "new.example").await);
    assert!(!reaches(&identity, &trust, "old.example").await);

    // Another key than the certificate's.
    std::fs::write(config.key_file.path(), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    assert!(matches!(load(&config), Err(TlsError::Pair { .. })));
    assert_eq!(identity.look(load(&config), 0), 1);
    assert_eq!(identity.look(load(&config), 1), 2);
    assert!(reaches(&identity, &trust, "new.example").await);

    issue(&authority, dir.path(), "new.example", Some(2001));
    assert!(matches!(load(&config), Err(TlsError::Expired { .. })));
    assert!(matches!(Identity::open("test", &config), Err(TlsError::Expired { .. })));
    assert!(reaches(&identity, &trust, "new.example").await);
}

#[tokio::test]
async fn another_authority_is_not_believed() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = issue(&authority(), ours.path(), "hub.example", None);
    issue(&authority(), theirs.path(), "hub.example", None);
    let identity = Identity::open("test", &config).unwrap();
    assert!(reaches(&identity, &Trust::read(&ours.path().join("ca.pem")).unwrap(), "hub.example").await);
    assert!(!reaches(&identity, &Trust::read(&theirs.path().join("ca.pem")).unwrap(), "hub.example").await);
}

#[tokio::test]
async fn a_plain_client_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let identity = Identity::open("test", &issue(&authority(), dir.path(), "hub.example", None)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    // ApiVersions v0.
    client.write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff]).await.unwrap();
    let (socket, _) = listener.accept().await.unwrap();
    assert!(matches!(identity.accept(socket).await, Err(HandshakeError::NotTls)));
}

#[test]
fn files_that_are_not_what_they_should_be_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let config = issue(&authority(), dir.path(), "hub.example", None);
    std::fs::set_permissions(config.key_file.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(Identity::open("test", &config).unwrap_err().to_string().contains("chmod 600"));
    std::fs::set_permissions(config.key_file.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&config.certificate_file, "nothing").unwrap();
    assert!(Identity::open("test", &config).unwrap_err().to_string().contains("certificate.pem"));
    assert!(matches!(Trust::read(&config.certificate_file), Err(TlsError::Pem { .. })));
    assert!(matches!(Trust::read(&dir.path().join("none")), Err(TlsError::Read { .. })));
}
