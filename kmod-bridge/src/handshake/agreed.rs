//! What client and server have agreed on when the handshake ends.

use archipelago_front::{DiskFacts, DiskName};

use super::context::MetaContext;
use crate::wire::ReplyMode;

/// Everything that the rest of the connection depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    pub name: DiskName,
    pub facts: DiskFacts,
    pub mode: ReplyMode,
    /// The contexts that block status is asked for in, if the client chose any for this export.
    pub contexts: Vec<MetaContext>,
}

impl Agreed {
    /// May a block status name the contexts that it is about?
    pub fn has_status_payload(&self) -> bool {
        self.mode == ReplyMode::Extended && !self.contexts.is_empty()
    }
}
