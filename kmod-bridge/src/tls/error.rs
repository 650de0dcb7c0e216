//! Why there is no encryption.

use std::path::PathBuf;

#[cfg(feature = "tls")]
use xseg::Errno;

/// Why a server cannot offer TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    #[error(
        "cannot read {what} from {path:?}: {why}: it is a file in PEM format that the server may read"
    )]
    File {
        what: &'static str,
        path: PathBuf,
        why: String,
    },
    #[error("{path:?} has no {what}: it begins with a line of dashes and BEGIN")]
    Nothing { what: &'static str, path: PathBuf },
    #[error("the certificate in {certificates:?} and the key in {key:?} do not work: {why}")]
    Unusable {
        certificates: PathBuf,
        key: PathBuf,
        why: String,
    },
    #[error("the authorities in {path:?} do not work: {why}")]
    Authorities { path: PathBuf, why: String },
    #[error("the users in {path:?} are not taken: {why}")]
    Users { path: PathBuf, why: String },
    #[error("OpenSSL cannot be used: {why}")]
    Library { why: String },
    #[error("this server was built without TLS: build it with the feature tls")]
    NotBuilt,
    #[error(
        "this server was built without pre-shared keys: build it with the feature tls-psk, where libssl-dev is installed"
    )]
    NoSharedKeys,
}

/// Why a client was not let in.
#[cfg(feature = "tls")]
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error("the client's TLS was refused: {why}")]
    Refused { why: String },
    #[error("the client closed the connection within the TLS handshake")]
    Closed,
    #[error("the connection failed: {0}")]
    Socket(#[from] Errno),
    #[error("the TLS handshake took too long")]
    TooLong,
}
