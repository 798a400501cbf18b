//! A certificate authority for one test, and a certificate for this machine.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use std::path::PathBuf;
use tempfile::TempDir;

/// PEM files that live as long as this value.
pub struct Pki {
    directory: TempDir,
}

impl Pki {
    pub fn new() -> Self {
        let directory = TempDir::with_prefix("dbaccess-pki-").expect("a temporary directory");
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        authority.distinguished_name.push(DnType::CommonName, "dbaccess tests");
        let authority_key = KeyPair::generate().expect("a key");
        let authority_certificate = authority.self_signed(&authority_key).expect("a certificate");
        let issuer = Issuer::new(authority, authority_key);

        let names = ["localhost", "127.0.0.1"].map(String::from);
        let server = CertificateParams::new(names).expect("names");
        let server_key = KeyPair::generate().expect("a key");
        let server_certificate = server.signed_by(&server_key, &issuer).expect("a certificate");

        let pki = Self { directory };
        for (path, pem) in [
            (pki.authority(), authority_certificate.pem()),
            (pki.certificate(), server_certificate.pem()),
            (pki.key(), server_key.serialize_pem()),
        ] {
            std::fs::write(path, pem).expect("a PEM file");
        }
        pki
    }

    /// What a client must trust.
    pub fn authority(&self) -> PathBuf {
        self.directory.path().join("authority.pem")
    }

    /// A server's certificate for `localhost` and 127.0.0.1.
    pub fn certificate(&self) -> PathBuf {
        self.directory.path().join("certificate.pem")
    }

    pub fn key(&self) -> PathBuf {
        self.directory.path().join("key.pem")
    }
}
