//! What peers say to each other beyond the record of a request.

#![forbid(unsafe_code)]

mod call;
mod extent;
mod map;

pub use call::{
    BLOCK_STATUS, CALL_BYTES_MAX, CHILDREN, CallError, CreateCall, HashAnswer, LOCK, LOCKS,
    ListAnswer, ListCall, LockInfo, LocksAnswer, RenameCall, ResizeCall, UNLOCK, VolumeInfo,
};
pub use extent::{EXTENT_BYTES, Extent};
pub use map::{
    BadMessage, CommitCall, GrantCall, GrantHead, MAP_DISCARD, MapHead, RUN_BYTES, Recall,
    RecallKind, Run, VolumeIdBytes,
};
