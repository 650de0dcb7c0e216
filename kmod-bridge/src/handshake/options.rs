//! What the handshake is told from outside, and how it can end badly.

use archipelago_front::{NotAName, OpenRefusal};

use crate::limits::PAYLOAD_BYTES_MAX;
use crate::wire::ReplyMode;

/// Whether a client may, or must, have the connection encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Security {
    /// There is no TLS.
    #[default]
    None,
    /// Who wants it gets it.
    Offered,
    /// Nothing is told or opened without it.
    Required,
}

/// How much a server admits to.
#[derive(Clone, Debug)]
pub struct HandshakeOptions {
    /// The best dialect that is offered. Less than all of it is for tests of clients, and for finding faults.
    pub mode_max: ReplyMode,
    /// Whether LIST tells the exports' names.
    pub list: bool,
    /// The longest read or write.
    pub payload_bytes_max: u32,
    pub security: Security,
}

impl Default for HandshakeOptions {
    fn default() -> Self {
        Self {
            mode_max: ReplyMode::Extended,
            list: true,
            payload_bytes_max: PAYLOAD_BYTES_MAX,
            security: Security::None,
        }
    }
}

/// Why a connection ended before an export was chosen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    #[error("the client set unknown flags: {flags:#010x}")]
    ClientFlags { flags: u32 },
    #[error("an option begins with {found:#018x}: that is no NBD client")]
    Magic { found: u64 },
    #[error("option {option} announces {len_bytes} bytes")]
    Oversize { option: u32, len_bytes: u32 },
    #[error("the client chose an export name that cannot be: {0}")]
    Name(#[from] NotAName),
    #[error("the export was not opened: {0}")]
    Refused(#[from] OpenRefusal),
    #[error("the client chose an export the old way after it had agreed to extended headers")]
    OldWay,
    #[error("the client chose an export in the clear, where encryption is required")]
    InTheClear,
    #[error("the client ended the handshake")]
    Aborted,
}
