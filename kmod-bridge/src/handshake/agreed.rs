//! What client and server have agreed on when the handshake ends.

use archipelago_front::{DiskFacts, DiskName};

use crate::wire::ReplyMode;

/// A metadata context by its number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MetaContext(pub u32);

impl MetaContext {
    /// Which number stands for `base:allocation` on all our connections.
    pub const ALLOCATION: Self = Self(1);
}

/// Everything that the rest of the connection depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    pub name: DiskName,
    pub facts: DiskFacts,
    pub mode: ReplyMode,
    /// The context that block status is asked for in, if the client chose one for this export.
    pub context: Option<MetaContext>,
}
