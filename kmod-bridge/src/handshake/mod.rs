//! From the first byte of a connection to the choice of an export. No I/O: bytes in, bytes and decisions out.

mod agreed;
mod answers;
mod context;
mod machine;
mod offers;
mod option;
mod options;

pub use agreed::Agreed;
pub use context::{ContextKind, MetaContext};
pub use machine::{Decision, Handshake};
pub(crate) use offers::transmission_flags;
pub use option::Purpose;
pub use options::{HandshakeError, HandshakeOptions, Security};
