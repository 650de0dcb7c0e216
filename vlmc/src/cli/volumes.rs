//! What `vlmc` needs done, without saying how: one method a command.

use archipelago_protocol::{
    GcAnswer, ListAnswer, LockInfo, LocksAnswer, VolumeInfo, VolumeName, VolumeRef, VolumeSize,
};
use serde::{Deserialize, Serialize};

use super::error_report::ErrorReport;
use super::progress::Progress;
use super::vlmc_args::AttachKind;
use crate::attach::Kind;

/// Who does it: the running node, or a fake in tests. Every request that a method sends is answered within the command's
/// time-out, or given up; a hash, a collection and a long list are as many requests as they take.
pub trait Volumes {
    fn map(&mut self, request: &MapRequest) -> Result<Attachment, ErrorReport>;
    /// By device, or by the address of an export.
    fn unmap(&mut self, device: &str) -> Result<(), ErrorReport>;
    fn attachments(&mut self) -> Result<Vec<Attachment>, ErrorReport>;
    fn create(&mut self, request: &CreateRequest) -> Result<VolumeInfo, ErrorReport>;
    fn snapshot(&mut self, volume: &VolumeName, snapshot: &VolumeName) -> Result<(), ErrorReport>;
    fn remove(&mut self, volume: &VolumeRef) -> Result<(), ErrorReport>;
    /// The name of content: 64 hexadecimal digits in small letters.
    fn remove_hash(&mut self, hash: &str) -> Result<(), ErrorReport>;
    /// All of them; the front sorts.
    fn list(&mut self) -> Result<ListAnswer, ErrorReport>;
    fn info(&mut self, volume: &VolumeRef) -> Result<VolumeInfo, ErrorReport>;
    fn open(&mut self, volume: &VolumeName) -> Result<(), ErrorReport>;
    fn close(&mut self, volume: &VolumeName) -> Result<(), ErrorReport>;
    fn lock(&mut self, volume: &VolumeName) -> Result<(), ErrorReport>;
    /// Tells which lock of somebody else was broken.
    fn unlock(
        &mut self,
        volume: &VolumeName,
        breaking: Breaking,
    ) -> Result<Vec<LockInfo>, ErrorReport>;
    /// Breaks all locks of a node that does not live, and tells which.
    fn evict_node(&mut self, node: &str) -> Result<Vec<LockInfo>, ErrorReport>;
    fn rename(&mut self, volume: &VolumeName, new_name: &VolumeName) -> Result<(), ErrorReport>;
    fn resize(&mut self, request: &ResizeRequest) -> Result<(), ErrorReport>;
    /// 64 hexadecimal digits.
    fn hash(
        &mut self,
        snapshot: &VolumeRef,
        progress: &mut Progress,
    ) -> Result<String, ErrorReport>;
    /// Finds what nobody names, and gives it back.
    fn gc(&mut self, what: Collecting, progress: &mut Progress) -> Result<GcAnswer, ErrorReport>;
    fn clone_volume(&mut self, request: &CloneRequest) -> Result<VolumeInfo, ErrorReport>;
    /// All of them, and what was taken from this node; the front sorts.
    fn locks(&mut self) -> Result<LocksAnswer, ErrorReport>;
    fn children(&mut self, volume: &VolumeRef) -> Result<Vec<VolumeInfo>, ErrorReport>;
}

/// May a lock of somebody else be broken?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaking {
    OwnOnly,
    /// Of an owner that does not live.
    Anybodys,
    /// Also of one that does, or may, when it answers nothing any more.
    Fenced,
    /// The same, at once.
    Anyway,
}

/// Is what is found given back?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collecting {
    DryRun,
    ForGood,
}

/// For `map`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapRequest {
    pub volume: VolumeRef,
    pub is_read_only: bool,
    pub kind: AttachKind,
    /// Again after each start, and each boot.
    pub is_persistent: bool,
}

/// For `create`: the size is the source's if it is not given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateRequest {
    pub volume: VolumeName,
    pub source: CreateSource,
    pub size: Option<VolumeSize>,
    pub object_bytes: Option<u64>,
}

/// What a new volume begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateSource {
    Blank,
    Snapshot(VolumeRef),
    /// 64 hexadecimal digits in small letters.
    Hash(String),
}

/// For `resize`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResizeRequest {
    pub volume: VolumeName,
    pub size: VolumeSize,
    /// Data beyond a smaller size may go.
    pub allow_shrink: bool,
}

/// For `clone`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloneRequest {
    pub source: VolumeRef,
    pub volume: VolumeName,
    pub size: Option<VolumeSize>,
}

/// A volume that is attached, or reachable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    pub volume: String,
    pub kind: Kind,
    /// A block device, where there is one.
    pub device: Option<String>,
    /// The same by a name that stays, where there is one.
    #[serde(default)]
    pub link: Option<String>,
    /// Path of a unix socket, where there is one: of the NBD export, or of a virtual machine's disk.
    pub socket: Option<String>,
    /// Of the NBD export, where that is how to reach it.
    pub uri: Option<String>,
    pub is_read_only: bool,
    /// Clients that use it now.
    pub clients: u32,
}

impl Attachment {
    /// What `unmap` takes.
    pub fn address(&self) -> &str {
        let address = self.device.as_deref().or(self.uri.as_deref());
        address.or(self.socket.as_deref()).unwrap_or_default()
    }

    /// Is this what `unmap` was told?
    pub fn is_called(&self, called: &str) -> bool {
        self.address() == called || self.volume == called || self.link.as_deref() == Some(called)
    }
}
