//! Management calls: what travels as JSON in the buffer of a request.
//!
//! The target of the request is the volume's name; what a call needs beyond it is here. Answers are JSON in the same
//! buffer, `done` is their length; a failed call carries an [`ErrorReport`] there, and its errno in the record.

use serde::{Deserialize, Serialize};
use xseg::OpCode;

/// The locks of all volumes.
pub const LOCKS: OpCode = OpCode::LOCKS;
/// What hangs from a volume or a snapshot.
pub const CHILDREN: OpCode = OpCode::CHILDREN;
/// Locks a volume without opening it.
pub const LOCK: OpCode = OpCode::LOCK;
/// Gives a volume's lock back; FORCE breaks another's.
pub const UNLOCK: OpCode = OpCode::UNLOCK;
/// Which ranges are mapped: extent in bytes, answered with [`crate::Extent`]s.
pub const BLOCK_STATUS: OpCode = OpCode::BLOCK_STATUS;

/// Which ranges of the target changed since the snapshot that is the second name: extent in bytes, answered with
/// [`crate::Change`]s.
pub const CHANGED: OpCode = OpCode::CHANGED;

/// The largest JSON text of a call or an answer.
pub const CALL_BYTES_MAX: u64 = 1 << 20;

/// CREATE and CLONE.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CreateCall {
    /// In bytes; the origin's if there is one and this is missing.
    pub size: Option<u64>,
    /// A snapshot's name, or (CLONE) a volume's.
    pub origin: Option<String>,
    /// The name of content: what `hash` printed.
    pub hash: Option<String>,
    pub object_bytes: Option<u64>,
    pub grain_bytes: Option<u64>,
}

/// RENAME.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenameCall {
    pub to: String,
}

/// RESIZE.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResizeCall {
    pub size: u64,
    /// Cutting off what lies beyond is meant.
    #[serde(default)]
    pub allow_shrink: bool,
}

/// LIST: a page of the volumes, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ListCall {
    pub after: Option<String>,
}

/// What INFO tells, and what LIST tells of each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeInfo {
    pub name: String,
    /// 32 hexadecimal digits, for life.
    pub id: String,
    pub size: u64,
    pub is_snapshot: bool,
    pub object_bytes: u64,
    pub grain_bytes: u64,
    /// The name of what it hangs from, if that has one.
    pub parent: Option<String>,
    /// Seconds since 1970.
    pub created: u64,
    pub lock: Option<LockInfo>,
    /// Open in this deployment.
    pub is_open: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockInfo {
    /// The volume's name.
    pub volume: String,
    pub node: String,
    pub deployment: String,
    pub since: u64,
    pub token: u64,
    /// Held by whoever answers.
    pub is_ours: bool,
    /// Whether a process of its owner lives, if that can be told.
    #[serde(default)]
    pub lives: Option<bool>,
    /// It is being taken from its owner: it is nobody's, and not free yet.
    #[serde(default)]
    pub is_being_broken: bool,
    /// How long its owner may still answer without having looked again, in milliseconds, if that is known: it is of this node's.
    #[serde(default)]
    pub lease_ms: Option<u64>,
    /// Its volume was removed, and is named by its id.
    #[serde(default)]
    pub in_trash: bool,
}

/// LOCKS: a page of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LocksCall {
    pub after: Option<String>,
    /// Only what was lost: nothing is asked of the store.
    pub lost_only: bool,
}

/// A volume that was taken from this node though clients of it used it here, and do so still.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostInfo {
    pub volume: String,
    pub problem: String,
    pub remedy: String,
    /// They are refused.
    pub clients: u64,
}

/// UNLOCK beyond one's own lock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UnlockCall {
    /// Also of an owner that lives, when it answers nothing any more.
    pub fenced: bool,
    /// The same, at once.
    pub anyway: bool,
    /// All locks of this node, and no target.
    pub node: Option<String>,
}

/// What was taken from others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnlockAnswer {
    pub broken: Vec<LockInfo>,
}

/// In the order of the names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListAnswer {
    pub volumes: Vec<VolumeInfo>,
    /// Those that cannot be told about.
    #[serde(default)]
    pub damaged: Vec<Damaged>,
    /// There are more, after the last one.
    pub more: bool,
}

/// A volume whose records cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damaged {
    pub name: String,
    pub problem: String,
}

impl ListAnswer {
    /// The last name of this page.
    pub fn last(&self) -> Option<&str> {
        let volume = self.volumes.last().map(|volume| volume.name.as_str());
        let damaged = self.damaged.last().map(|damaged| damaged.name.as_str());
        volume.max(damaged)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocksAnswer {
    pub locks: Vec<LockInfo>,
    #[serde(default)]
    pub lost: Vec<LostInfo>,
    /// There are more, after the last one.
    #[serde(default)]
    pub more: bool,
}

/// REMOVE: what the target names, or content by its hash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RemoveCall {
    /// 64 hexadecimal digits; the target is empty then.
    pub hash: Option<String>,
}

/// HASH. It takes as long as it takes: whoever asks again is told how far it is, until it is done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashAnswer {
    /// 64 hexadecimal digits, when it is done.
    pub hash: Option<String>,
    /// Blocks that were hashed, of so many.
    pub done: u64,
    pub total: u64,
}

/// GC. Like HASH it is told of a piece at a time: whoever asks again with the same number is told how far it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GcCall {
    /// Which collection is meant: the caller's choice. Another number begins another, when the last one has ended.
    pub number: u64,
    /// Nothing is given back.
    pub dry_run: bool,
}

/// What GC tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GcAnswer {
    pub is_done: bool,
    /// Objects that were looked at.
    pub looked_at: u64,
    /// Objects that nobody names, or not all of.
    pub found: u64,
    /// What they take.
    pub bytes: u64,
    /// The first of them.
    pub orphans: Vec<GcOrphan>,
    /// What was not judged, and why.
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GcOrphan {
    pub object: String,
    pub bytes: u64,
}

/// Why a call failed, for people and for programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    /// One of [`crate::ErrorCode`]'s names.
    pub code: String,
    pub message: String,
    /// What to do about it; may be empty.
    pub remedy: String,
}
