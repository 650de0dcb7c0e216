//! Where keys and certificates are.

use std::path::PathBuf;

/// Files in PEM format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, and behind it those that lead to its authority.
    pub certificates: PathBuf,
    /// The server's private key.
    pub key: PathBuf,
    /// Certificates of authorities. Given, a client must show a certificate that one of them has signed.
    pub client_authorities: Option<PathBuf>,
}
