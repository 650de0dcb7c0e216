//! Why a composer did not do what it was asked.

use archipelago_protocol::BadMessage;
use archipelago_runtime::CallError;
use xseg::{Errno, RequestError};

/// Every way for a composer to fail. Each has an errno for the wire.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ComposeError {
    #[error("bytes {offset} to {offset}+{length} are outside the volume of {size} bytes")]
    OutOfRange { offset: u64, length: u64, size: u64 },
    #[error("the request says {length} bytes and brings room for {room}")]
    NoRoom { length: u64, room: u64 },
    #[error("the request says that its bytes are lent, and they are not")]
    NotLent,
    #[error("the volume is read-only")]
    ReadOnly,
    /// What the map names is not there, or not whole (F28, F37).
    #[error("object {object} is damaged: {why}")]
    Damaged { object: String, why: &'static str },
    #[error("the mapper refused {action}: {errno}")]
    Mapper { action: &'static str, errno: Errno },
    /// The mapper that gave the grant is dead; its successor may adopt it.
    #[error("the grant's mapper is dead")]
    Orphaned { first_epoch: u64 },
    #[error("the blocker refused to {action} {object}: {errno}")]
    Blocker {
        action: &'static str,
        object: String,
        errno: Errno,
    },
    #[error("the mapper's answer makes no sense: {0}")]
    Nonsense(#[from] BadMessage),
    #[error(transparent)]
    NotAnswered(#[from] CallError),
    #[error(transparent)]
    Refused(#[from] RequestError),
    /// What was to be done is done anew under a newer epoch.
    #[error("the map changed meanwhile, again and again")]
    Moved,
    #[error("what changed is asked since a volume, which is no snapshot")]
    NotASnapshot,
    #[error("the snapshot has objects or grains of another size")]
    OtherShape,
    /// The lease was lost, and the lock of the volume with it, or it changed hands since.
    #[error("the volume was taken from this node before this was answered")]
    Taken,
    /// The mapper does not know that we have the volume.
    #[error("the volume is not attached any more")]
    NotAttached,
}

impl ComposeError {
    /// What the wire says.
    pub fn errno(&self) -> Errno {
        match self {
            Self::OutOfRange { .. } | Self::NoRoom { .. } | Self::NotLent | Self::NotASnapshot => {
                Errno::INVAL
            }
            Self::OtherShape => Errno::OPNOTSUPP,
            Self::ReadOnly => Errno::ROFS,
            Self::Damaged { .. }
            | Self::Nonsense(_)
            | Self::Moved
            | Self::Taken
            | Self::NotAttached => Errno::IO,
            // A full disk has three names (F22).
            Self::Mapper { errno, .. } | Self::Blocker { errno, .. } => match *errno {
                Errno::DQUOT | Errno::FBIG => Errno::NOSPC,
                other => other,
            },
            Self::Orphaned { .. } => Errno::STALE,
            Self::NotAnswered(error) => error.errno(),
            Self::Refused(error) => error.errno(),
        }
    }
}
