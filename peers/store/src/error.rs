//! What a store says when it cannot.

use rustix::io::Errno;

/// Why a store did not do what it was asked. A store error is never read as "does not exist" (M6): only
/// [`StoreError::NotFound`] says that.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    #[error("there is no such object")]
    NotFound,
    #[error("the object exists already")]
    Exists,
    /// Somebody else holds the lock.
    #[error("the lock is held by {owner}")]
    Locked { owner: String },
    /// Unlocking what one does not hold.
    #[error("the lock is not held")]
    NotLocked,
    #[error("no space is left in the store")]
    NoSpace,
    #[error("the name, the range or the argument is invalid")]
    Invalid,
    /// A write or a sync failed before: nothing is believed until it was verified again (D3).
    #[error("an earlier write failed, and the object was not verified since")]
    Failed,
    #[error("the store failed: {0}")]
    Io(Errno),
}

impl StoreError {
    /// What the wire says.
    pub fn errno(&self) -> Errno {
        match self {
            Self::NotFound => Errno::NOENT,
            Self::Exists => Errno::EXIST,
            Self::Locked { .. } => Errno::BUSY,
            Self::NotLocked => Errno::NOLCK,
            Self::NoSpace => Errno::NOSPC,
            Self::Invalid => Errno::INVAL,
            Self::Failed => Errno::UCLEAN,
            Self::Io(errno) => *errno,
        }
    }
}

/// What the kernel or the wire said; a full disk has three names (F22).
impl From<Errno> for StoreError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::NOENT => Self::NotFound,
            Errno::EXIST => Self::Exists,
            Errno::BUSY => Self::Locked {
                owner: "somebody else".into(),
            },
            Errno::NOLCK => Self::NotLocked,
            Errno::NOSPC | Errno::DQUOT | Errno::FBIG => Self::NoSpace,
            Errno::INVAL | Errno::NAMETOOLONG => Self::Invalid,
            Errno::UCLEAN => Self::Failed,
            other => Self::Io(other),
        }
    }
}
