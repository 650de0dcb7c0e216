//! What a directory store can be told.

use std::path::PathBuf;

pub use crate::engine::LeaseOptions;

/// How a FLUSH gets to the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncMethod {
    /// Few objects one by one, many through the whole file system.
    #[default]
    Auto,
    /// Always each object that was written, and the directories.
    Files,
    /// Always the whole file system: best when nobody else writes to it.
    FileSystem,
}

/// Options of a directory store. The defaults suit most.
#[derive(Clone, Debug)]
pub struct FiledOptions {
    /// The directory of the store.
    pub archip_dir: PathBuf,
    /// Where locks are kept; `locks` in the store's directory if nothing else is said. Nodes that share the store
    /// share this.
    pub lock_dir: Option<PathBuf>,
    /// The uuid that the store must have, if that is known.
    pub identity: Option<u128>,
    /// Open files at the most; less if the process may not have so many.
    pub fdcache: usize,
    /// Data go past the page cache where their alignment allows it.
    pub direct: bool,
    /// Requests at a time.
    pub nr_ops: u32,
    /// Threads for what io_uring lacks; whoever makes the reactor gives it so many.
    pub nr_threads: usize,
    pub sync: SyncMethod,
    /// Space that is kept back for the time when the file system is full; a store of maps needs some to remove anything.
    pub reserve_bytes: u64,
    /// The lease of the deployment whose locks are kept here; none if nothing else is said.
    pub lease: Option<LeaseOptions>,
}

impl FiledOptions {
    /// The defaults, for this directory.
    pub fn new(archip_dir: impl Into<PathBuf>) -> Self {
        Self {
            archip_dir: archip_dir.into(),
            lock_dir: None,
            identity: None,
            fdcache: 4096,
            direct: false,
            nr_ops: 128,
            nr_threads: 16,
            sync: SyncMethod::Auto,
            reserve_bytes: 0,
            lease: None,
        }
    }
}
