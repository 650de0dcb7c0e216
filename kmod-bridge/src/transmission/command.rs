//! Requests that were judged and found good.

use super::contexts::ContextSet;

/// What is to be done. Ranges lie within the export, and lengths within what was agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Read {
        length: u32,
        /// In one chunk.
        whole: bool,
    },
    /// So many bytes follow on the connection.
    Write {
        length: u32,
        fua: bool,
    },
    Flush,
    Trim {
        length: u64,
        fua: bool,
    },
    Cache {
        length: u64,
    },
    WriteZeroes {
        length: u64,
        fua: bool,
        no_hole: bool,
        fast: bool,
    },
    BlockStatus {
        length: u64,
        /// One extent is enough.
        one: bool,
        contexts: ContextSet,
    },
}

/// A command, where it applies, and the number by which the client knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    pub cookie: u64,
    pub offset: u64,
    pub command: Command,
}
