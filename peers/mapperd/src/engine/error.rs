//! Why a map operation failed.

use archipelago_protocol::{format_bytes, rfc3339};
use archipelago_store::{ObjectName, StoreError};
use rustix::io::Errno;

use crate::map::VolumeId;

/// Every way for the mapper to fail. Each says on what, and has an errno for the wire.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    #[error("there is no volume or snapshot named {name}")]
    NotFound { name: String },
    #[error("{name} exists already")]
    Exists { name: String },
    #[error("{name} is in use: {by}")]
    Busy { name: String, by: String },
    /// Somebody else has its lock (L1, L2).
    #[error("{name} is locked by {owner}{}", since_text(*since))]
    Locked {
        name: String,
        owner: String,
        /// Seconds since 1970, if that could be told.
        since: Option<u64>,
    },
    /// Its lock is not broken: who has it lives (L3).
    #[error("{name} is locked by {owner}{}, which runs", since_text(*since))]
    OwnerLives {
        name: String,
        owner: String,
        since: Option<u64>,
    },
    /// Somebody broke its lock though we live (F49). Who has it now, if somebody has.
    #[error("{name} was taken from this node: its lock was broken{}", by_text(by.as_deref()))]
    Taken { name: String, by: Option<String> },
    #[error("{name} is not locked")]
    NotLocked { name: String },
    /// Its lock is not taken from under it.
    #[error("{name} is open here")]
    Open { name: String },
    /// A composer does not give it up.
    #[error(
        "{name} is in use: clients of this node are connected to it, or its composer does not answer"
    )]
    InUse { name: String },
    #[error("there is no content with the hash {hash}")]
    NoContent { hash: String },
    #[error("{name} is being hashed")]
    Held { name: String },
    #[error("another collection goes on")]
    Collecting,
    /// Whoever takes over does it when it is asked again.
    #[error("the mapper stops")]
    Stopping,
    #[error("{name} is a snapshot: it never changes")]
    ReadOnly { name: String },
    #[error("{name} is not open here")]
    NotOpen { name: String },
    #[error("{name} is a volume, and no snapshot")]
    NotASnapshot { name: String },
    #[error("{bytes} bytes are less than the {least} bytes of {name}")]
    Smaller {
        name: String,
        bytes: u64,
        least: u64,
    },
    #[error("{what} is invalid: {why}")]
    Invalid { what: &'static str, why: String },
    #[error("operation {op} is not known to this mapper")]
    Unsupported { op: u16 },
    /// The composer acts on what was recalled: it asks again.
    #[error("the grant is void")]
    Stale,
    /// The same, but a grant of our predecessor may be adopted by whoever names this epoch (ADOPT-2).
    #[error("the grant was given by a mapper that died")]
    Orphaned { first_epoch: u64 },
    #[error("object {object} is damaged: {why}")]
    Corrupt { object: ObjectName, why: String },
    #[error("object {object} is missing, though the map of volume {volume} names it")]
    Missing {
        object: ObjectName,
        volume: VolumeId,
    },
    /// A write of map records failed before (D3).
    #[error("volume {volume} has failed: {why}. Close it and open it again to read its map anew")]
    Failed { volume: VolumeId, why: String },
    #[error("the store refused to {action} {object}: {source}")]
    Store {
        action: &'static str,
        object: String,
        source: StoreError,
    },
}

fn since_text(since: Option<u64>) -> String {
    since
        .map(|since| format!(" since {}", rfc3339(since)))
        .unwrap_or_default()
}

fn by_text(by: Option<&str>) -> String {
    by.map(|by| format!(", and is held by {by} now"))
        .unwrap_or_default()
}

impl MapError {
    /// What the wire says.
    pub fn errno(&self) -> Errno {
        match self {
            Self::NotFound { .. } | Self::NoContent { .. } => Errno::NOENT,
            Self::Exists { .. } => Errno::EXIST,
            Self::Busy { .. }
            | Self::Open { .. }
            | Self::InUse { .. }
            | Self::Held { .. }
            | Self::Collecting => Errno::BUSY,
            Self::Locked { .. } | Self::OwnerLives { .. } => Errno::NOLCK,
            Self::Stopping => Errno::AGAIN,
            Self::ReadOnly { .. } => Errno::ROFS,
            Self::NotOpen { .. } | Self::NotLocked { .. } => Errno::BADFD,
            Self::Invalid { .. } | Self::NotASnapshot { .. } | Self::Smaller { .. } => Errno::INVAL,
            Self::Unsupported { .. } => Errno::OPNOTSUPP,
            Self::Stale | Self::Orphaned { .. } => Errno::STALE,
            Self::Corrupt { .. }
            | Self::Missing { .. }
            | Self::Failed { .. }
            | Self::Taken { .. } => Errno::IO,
            Self::Store { source, .. } => source.errno(),
        }
    }

    /// The same of a lock that was to be broken.
    pub fn by_who_lives(self) -> Self {
        match self {
            Self::Locked { name, owner, since } => Self::OwnerLives { name, owner, since },
            other => other,
        }
    }

    /// The store does not have what it was given.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Corrupt { .. } | Self::Missing { .. })
    }

    /// What to do about it, for people.
    pub fn remedy(&self) -> String {
        match self {
            Self::NotFound { .. } => "`vlmc list` shows what there is".into(),
            Self::NoContent { .. } => "`vlmc hash SNAPSHOT` makes it, and prints its hash".into(),
            Self::Held { .. } => "wait until `vlmc hash` has ended".into(),
            Self::Collecting => "wait until it has ended".into(),
            Self::Stopping => "ask again when it runs: what was done is not done again".into(),
            Self::Exists { .. } => {
                "choose another name, or remove or rename the one that has it".into()
            }
            Self::Busy { .. } => "look whether `archipelago status` is well, and ask again".into(),
            Self::Locked { name, .. } => format!(
                "close it there, or, if nobody uses it there any more, break its lock with `vlmc unlock -f {name}`"
            ),
            Self::OwnerLives { name, .. } => format!(
                "close it there (`vlmc close {name}`), or stop that node; if neither can be done, `vlmc unlock --fence {name}` takes it all the same, and its clients there are refused"
            ),
            Self::Taken { name, .. } => format!(
                "disconnect its clients here: they know nothing of what is written elsewhere; or say `vlmc open {name}` if they may go on"
            ),
            Self::NotLocked { name } => {
                format!("`vlmc locks` shows what is locked; `vlmc lock {name}` locks it")
            }
            Self::Open { name } => format!("`vlmc close {name}` closes it, and unlocks it"),
            Self::InUse { .. } => {
                "disconnect its clients (`vlmc showmapped` counts those of mapped volumes), and look whether `archipelago status` is well".into()
            }
            Self::ReadOnly { name } => {
                format!("make a volume of it: `vlmc create NEW --snap {name}`")
            }
            Self::NotASnapshot { name } => format!(
                "take one (`vlmc snapshot {name} NAME`) and begin with that, or `vlmc clone {name} NEW`"
            ),
            Self::Smaller { least, .. } => format!(
                "leave --size out, or give at least {}; `vlmc resize --allow-shrink` cuts it off afterwards",
                format_bytes(*least)
            ),
            Self::NotOpen { name } => format!("`vlmc open {name}` opens it"),
            Self::Corrupt { .. } | Self::Missing { .. } => {
                "nothing was changed; restore the object from a copy, or go back to a snapshot"
                    .into()
            }
            Self::Store {
                source: StoreError::NoSpace,
                ..
            } => "free space in the store: remove volumes or snapshots, or enlarge its file system"
                .into(),
            Self::Invalid { .. }
            | Self::Unsupported { .. }
            | Self::Stale
            | Self::Orphaned { .. }
            | Self::Failed { .. }
            | Self::Store { .. } => String::new(),
        }
    }

    pub(crate) fn store(
        action: &'static str,
        object: &ObjectName,
    ) -> impl FnOnce(StoreError) -> Self {
        let object = object.to_string();
        move |source| Self::Store {
            action,
            object,
            source,
        }
    }
}
