//! Why a store in a directory cannot be opened.

use std::path::PathBuf;

use rustix::io::Errno;

/// Opening a directory as a store failed. Each says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FiledError {
    #[error("{call} {}", path.display())]
    System {
        call: &'static str,
        path: PathBuf,
        source: Errno,
    },
    #[error(
        "{} holds objects and has no identity file `archipelago`: it was emptied, restored in part, or is no store; \
         put the file back, or name another directory",
        path.display()
    )]
    NoIdentity { path: PathBuf },
    #[error(
        "{} is the store {found}, and {expected} is expected: another directory is mounted there, or the configuration \
         names the wrong one",
        path.display()
    )]
    OtherStore {
        path: PathBuf,
        found: String,
        expected: String,
    },
    #[error("{} is damaged ({what}): put it back from a backup", path.display())]
    BadIdentity { path: PathBuf, what: &'static str },
    #[error(
        "a node that calls itself {owner}, too, runs and uses {}: give each node that shares a store a name of its own (`node`)",
        path.display()
    )]
    OwnerTwice { owner: String, path: PathBuf },
    #[error("{} has format {found}, this program knows format {known}: upgrade it", path.display())]
    Format {
        path: PathBuf,
        found: u64,
        known: u64,
    },
}

impl FiledError {
    pub fn errno(&self) -> Errno {
        match self {
            Self::System { source, .. } => *source,
            Self::NoIdentity { .. } => Errno::NOENT,
            Self::OtherStore { .. } => Errno::STALE,
            Self::BadIdentity { .. } => Errno::UCLEAN,
            Self::Format { .. } => Errno::PROTO,
            Self::OwnerTwice { .. } => Errno::BUSY,
        }
    }
}
