//! Encrypted connections: by certificates of the server, and of clients where they have to show one, or by keys that are shared.
//!
//! ```text
//! client === TLS over TCP === [pump: Records] --- socket pair --- the connection as any other
//!                                  |
//!                   rustls: certificates, or OpenSSL: shared keys
//! ```
//! The server's own end is a plain socket, so that nothing behind the handshake knows of TLS. That costs a copy and two
//! system calls for each direction, which is little beside the encryption.

#[cfg(feature = "tls")]
mod certificates;
mod error;
mod files;
#[cfg(feature = "tls")]
mod keyring;
#[cfg(feature = "tls-psk")]
mod psk_file;
#[cfg(feature = "tls")]
mod records;
#[cfg(feature = "tls")]
mod session;
#[cfg(feature = "tls-psk")]
mod shared_keys;
#[cfg(not(feature = "tls"))]
mod without;

#[cfg(feature = "tls")]
pub(crate) use error::SessionError;
pub use error::TlsError;
pub use files::TlsFiles;
#[cfg(feature = "tls")]
pub use keyring::Tls;
#[cfg(feature = "tls")]
pub(crate) use session::Session;
#[cfg(not(feature = "tls"))]
pub use without::Tls;
#[cfg(not(feature = "tls"))]
pub(crate) use without::{Session, SessionError};
