//! A certificate authority of one's own: for tests, and for `make up`.
use std::path::{Path, PathBuf};

use chrono::Datelike as _;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};

use crate::{Error, Result, dir::write_secret, error::IoContext as _};

/// Years that a certificate is good for.
const YEARS: i32 = 2;

/// Issues certificates into its folder: `<name>.pem` and `<name>.key`. Whoever trusts [`Authority::trust`] believes them.
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key.
#[derive(Debug, Clone)]
pub struct Issued {
    /// PEM; for everybody.
    pub certificate: PathBuf,
    /// PEM (PKCS #8), mode 0600.
    pub key: PathBuf,
}

impl Authority {
    /// One whose key is kept in `folder`, and found there again.
    ///
    /// # Errors
    /// When files cannot be read or written.
    pub fn open(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).at("make the directory", folder)?;
        let kept = folder.join("ca.key");
        let key = match std::fs::read_to_string(&kept) {
            Ok(pem) => KeyPair::from_pem(&pem).map_err(refused)?,
            Err(_) => {
                let key = KeyPair::generate().map_err(refused)?;
                write_secret(&kept, &key.serialize_pem())?;
                key
            }
        };
        let mut params = CertificateParams::new(Vec::new()).map_err(refused)?;
        params.distinguished_name = named("joint-use hub: local authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        valid(&mut params, YEARS * 5);
        let authority =
            Self { folder: folder.to_owned(), issuer: CertifiedIssuer::self_signed(params, key).map_err(refused)? };
        let trust = authority.trust();
        // Certificates of the same key and name are as good as one another: what clients have been given stays.
        if !trust.exists() {
            std::fs::write(&trust, authority.issuer.pem()).at("write", trust)?;
        }
        Ok(authority)
    }

    /// PEM file with its certificate.
    pub fn trust(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// A new certificate for these names and addresses (`*.hub.test`, `127.0.0.1`), in place of an earlier one of `name`.
    ///
    /// # Errors
    /// When a name is none, or files cannot be written.
    pub fn issue(&self, name: &str, hosts: &[&str]) -> Result<Issued> {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).map_err(refused)?;
        params.distinguished_name = named(name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        valid(&mut params, YEARS);
        let key = KeyPair::generate().map_err(refused)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(refused)?;
        let issued = Issued {
            certificate: self.folder.join(format!("{name}.pem")),
            key: self.folder.join(format!("{name}.key")),
        };
        write_secret(&issued.key, &key.serialize_pem())?;
        std::fs::write(&issued.certificate, certificate.pem()).at("write", &issued.certificate)?;
        Ok(issued)
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

fn valid(params: &mut CertificateParams, years: i32) {
    let year = chrono::Utc::now().year();
    params.not_before = date_time_ymd(year - 1, 1, 1);
    params.not_after = date_time_ymd(year + years, 1, 1);
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn refused(error: rcgen::Error) -> Error {
    Error::Answer { what: "the certificate authority".to_owned(), answer: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_found_again_and_its_certificates_are_new_each_time() {
        let dir = crate::dir::Dir::temporary("authority").unwrap();
        let first = Authority::open(dir.path()).unwrap();
        let trust = std::fs::read_to_string(first.trust()).unwrap();
        let issued = first.issue("hub", &["127.0.0.1", "*.hub.test"]).unwrap();
        let old = std::fs::read_to_string(&issued.certificate).unwrap();
        let again = Authority::open(dir.path()).unwrap();
        assert_eq!(std::fs::read_to_string(again.trust()).unwrap(), trust);
        let issued = again.issue("hub", &["127.0.0.1"]).unwrap();
        assert_ne!(std::fs::read_to_string(issued.certificate).unwrap(), old);
    }
}
