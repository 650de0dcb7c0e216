//! Certificates for a server and its clients, as files, in directories of the names that libnbd and QEMU look for.
#![cfg(feature = "tls")]

use std::path::{Path, PathBuf};

use archipelago_nbd::TlsFiles;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use tempfile::TempDir;

/// An authority, with a server's and a client's certificates in one directory.
pub struct Certificates {
    pub directory: TempDir,
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

impl Certificates {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(directory.path().join(name), text).unwrap();
        };
        let mut authority = params("authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = CertifiedIssuer::self_signed(authority, key).unwrap();
        write("ca-cert.pem", &authority.pem());
        for who in ["server", "client"] {
            let mut own = params(who);
            if who == "server" {
                let local = "localhost".try_into().unwrap();
                let address = SanType::IpAddress([127, 0, 0, 1].into());
                own.subject_alt_names = vec![SanType::DnsName(local), address];
            }
            let key = KeyPair::generate().unwrap();
            let signed = own.signed_by(&key, &authority).unwrap();
            write(&format!("{who}-cert.pem"), &signed.pem());
            write(&format!("{who}-key.pem"), &key.serialize_pem());
        }
        Self { directory }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn files(&self) -> TlsFiles {
        TlsFiles {
            certificates: self.path("server-cert.pem"),
            key: self.path("server-key.pem"),
            client_authorities: None,
        }
    }

    /// The same, for a server that wants to see its clients' certificates.
    pub fn mutual(&self) -> TlsFiles {
        TlsFiles {
            client_authorities: Some(self.path("ca-cert.pem")),
            ..self.files()
        }
    }

    /// What a client needs that shows no certificate.
    pub fn anonymous(&self) -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        let name = Path::new("ca-cert.pem");
        std::fs::copy(
            self.directory.path().join(name),
            directory.path().join(name),
        )
        .unwrap();
        directory
    }
}
