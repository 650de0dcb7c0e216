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
    /// The store did not answer in time: what it was asked may have been done, or may still be done, until [`crate::Store::heal`] says
    /// that it will not (STORE-7).
    #[error("the store did not answer in time: whether it was done is not known")]
    Late,
    #[error("the store failed: {0}")]
    Io(Errno),
}

impl StoreError {
    /// What the wire says. A failure whose errno would be taken for something else there, such as "not found", is EIO
    /// (STORE-4).
    pub fn errno(&self) -> Errno {
        match self {
            Self::NotFound => Errno::NOENT,
            Self::Exists => Errno::EXIST,
            Self::Locked { .. } => Errno::BUSY,
            Self::NotLocked => Errno::NOLCK,
            Self::NoSpace => Errno::NOSPC,
            Self::Invalid => Errno::INVAL,
            Self::Failed => Errno::UCLEAN,
            Self::Late => Errno::TIME,
            Self::Io(errno) => match Self::from(*errno) {
                Self::Io(errno) => errno,
                _ => Errno::IO,
            },
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
            Errno::TIME => Self::Late,
            other => Self::Io(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_4_a_failure_is_a_failure_on_the_other_side_too() {
        for errno in [Errno::NOENT, Errno::EXIST, Errno::INVAL, Errno::NOSPC] {
            let there = StoreError::from(StoreError::Io(errno).errno());
            assert_eq!(there, StoreError::Io(Errno::IO)); // STORE-4
        }
        for said in [
            StoreError::NotFound,
            StoreError::NoSpace,
            StoreError::Failed,
            StoreError::Late,
        ] {
            assert_eq!(StoreError::from(said.errno()), said);
        }
        let stale = StoreError::Io(Errno::STALE);
        assert_eq!(StoreError::from(stale.errno()), stale);
    }
}
