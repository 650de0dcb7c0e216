//! What peers say to each other beyond the record of a request.

#![forbid(unsafe_code)]

mod call;
mod change;
mod clock;
mod code;
mod extent;
mod map;
mod object_source;
mod size;
mod users;
mod volume_name;

pub use call::{
    BLOCK_STATUS, CALL_BYTES_MAX, CHANGED, CHILDREN, CallError, CreateCall, Damaged, GcAnswer,
    GcCall, GcOrphan, HashAnswer, LOCK, LOCKS, ListAnswer, ListCall, LockInfo, LocksAnswer,
    LocksCall, LostInfo, RemoveCall, RenameCall, ResizeCall, UNLOCK, UnlockAnswer, UnlockCall,
    VolumeInfo,
};
pub use change::{CHANGE_BYTES, Change};
pub use clock::rfc3339;
pub use code::ErrorCode;
pub use extent::{EXTENT_BYTES, Extent};
pub use map::{
    ATTACH, ATTACHED_BYTES, Attached, BadMessage, ChangedBy, CommitCall, DETACH, GrantCall,
    GrantHead, Had, MAP_DISCARD, MAP_GIVE_UP, MapHead, NOT_KEPT, RUN_BYTES, Recall, RecallKind,
    Run, VolumeIdBytes,
};
pub use object_source::{CONTENT_GROUPS, CONTENT_ID_BYTES, ObjectSource};
pub use size::{SECTOR_BYTES, SizeError, VOLUME_BYTES_MAX, VolumeSize, format_bytes, parse_bytes};
pub use users::{User, users};
pub use volume_name::{NAME_BYTES_MAX, NameError, VolumeName, VolumeRef};
