//! What can go wrong, one enum for each boundary: the segment, a port, a request. Each says what failed, on what,
//! and the way out; each has an errno for the wire.

use std::path::PathBuf;

use rustix::io::Errno;

use crate::geometry::GeometryError;
use crate::name::PortId;

/// Creating, joining or destroying a segment failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentError {
    #[error("{name:?} is no name for a segment: 1 to 200 bytes, no '/', not starting with '.'")]
    BadName { name: String },
    #[error("segment {} exists: join it, or destroy it first", path.display())]
    Exists { path: PathBuf },
    #[error("there is no segment {}: create it first, or look whether its owner has been started", path.display())]
    NotFound { path: PathBuf },
    #[error("no permission for {}: run as its owner or as a member of its group", path.display())]
    Permission { path: PathBuf },
    #[error("{} is not a regular file (or is a symbolic link): remove it", path.display())]
    NotAFile { path: PathBuf },
    #[error("{} belongs to user {uid}, group {gid}, mode {mode:o}, whom we do not trust: name the owner if that is right", path.display())]
    ForeignOwner {
        path: PathBuf,
        uid: u32,
        gid: u32,
        mode: u32,
    },
    #[error("{needed} bytes are needed for {} and {available} are free there: make the segment smaller or the file system larger", path.display())]
    NoSpace {
        path: PathBuf,
        needed: u64,
        available: u64,
    },
    #[error("{} has {found} bytes where its header needs {needed}: it was cut off; destroy and create it", path.display())]
    TooShort {
        path: PathBuf,
        found: u64,
        needed: u64,
    },
    #[error("{} does not begin as a segment does (found {found:#018x}): it is something else, or its creation was cut short", path.display())]
    BadMagic { path: PathBuf, found: u64 },
    #[error("{} has layout {oldest} to {newest}, this program speaks {ours_oldest} to {ours_newest}: upgrade the older side", path.display())]
    LayoutVersion {
        path: PathBuf,
        oldest: u32,
        newest: u32,
        ours_oldest: u32,
        ours_newest: u32,
    },
    #[error("the header of {} says {stored} bytes where its own numbers make {derived}: it is damaged; destroy and create it", path.display())]
    SizeMismatch {
        path: PathBuf,
        stored: u64,
        derived: u64,
    },
    #[error("the header of {} is damaged: {source}", path.display())]
    BadGeometry {
        path: PathBuf,
        source: GeometryError,
    },
    #[error(
        "the file that was handed over can shrink: hand over a private segment, which is sealed, or join by name"
    )]
    NotSealed,
    #[error("segment {} was destroyed: join the new one", path.display())]
    Destroyed { path: PathBuf },
    #[error("segment {} is in use by {port:?} (process {pid}): stop it first", path.display())]
    InUse {
        path: PathBuf,
        port: PortId,
        pid: u32,
    },
    #[error("{call} on {}", path.display())]
    System {
        call: &'static str,
        path: PathBuf,
        source: Errno,
    },
}

impl SegmentError {
    pub fn errno(&self) -> Errno {
        match self {
            Self::BadName { .. } | Self::NotAFile { .. } | Self::NotSealed => Errno::INVAL,
            Self::Exists { .. } => Errno::EXIST,
            Self::NotFound { .. } => Errno::NOENT,
            Self::Permission { .. } | Self::ForeignOwner { .. } => Errno::ACCESS,
            Self::NoSpace { .. } => Errno::NOSPC,
            Self::TooShort { .. } | Self::BadMagic { .. } => Errno::NOEXEC,
            Self::SizeMismatch { .. } | Self::BadGeometry { .. } => Errno::UCLEAN,
            Self::LayoutVersion { .. } => Errno::PROTO,
            Self::Destroyed { .. } => Errno::STALE,
            Self::InUse { .. } => Errno::BUSY,
            Self::System { source, .. } => *source,
        }
    }
}

/// Binding, leaving or settling a port failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortError {
    #[error("there is no port {port}: this segment has ports 0 to {last}")]
    NoSuchPort { port: u32, last: u32 },
    #[error("{port:?} is owned by process {pid}, which is alive: stop it, or use another port")]
    Alive { port: PortId, pid: u32 },
    #[error("{port:?}: process {pid} is dead, but its I/O has not ended: wait for its device")]
    Draining { port: PortId, pid: u32 },
    #[error(
        "all {count} dynamic ports are taken: settle what dead processes left, or make the segment larger"
    )]
    NoDynamicPort { count: u32 },
    #[error("{port:?} is dynamic: it is given out by the segment, not chosen")]
    NotStatic { port: PortId },
    #[error("{port:?} still owes or awaits {count} answers")]
    Busy { port: PortId, count: usize },
    #[error("the segment was destroyed: join the new one")]
    Destroyed,
    #[error("{port:?}: its life word is damaged ({word:#018x}): recreate the segment")]
    Damaged { port: PortId, word: u64 },
    #[error("the kernel refused {call}")]
    System { call: &'static str, source: Errno },
}

impl PortError {
    pub fn errno(&self) -> Errno {
        match self {
            Self::NoSuchPort { .. } | Self::NotStatic { .. } => Errno::INVAL,
            Self::Alive { .. } | Self::Draining { .. } | Self::Busy { .. } => Errno::BUSY,
            Self::NoDynamicPort { .. } => Errno::AGAIN,
            Self::Destroyed => Errno::STALE,
            Self::Damaged { .. } => Errno::UCLEAN,
            Self::System { source, .. } => *source,
        }
    }
}

/// A request could not be made or sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    #[error("all {total} requests of the segment are taken: wait for answers")]
    NoRequests { total: u32 },
    #[error("this port owns {owned} requests, its limit: wait for answers")]
    PortLimit { owned: u32 },
    #[error("no buffer of {bytes} bytes is free: wait for answers")]
    NoBuffers { bytes: u64 },
    #[error("no buffer has {bytes} bytes: the largest has {largest}")]
    TooLarge { bytes: u64, largest: u64 },
    #[error("a name has at most {max} bytes, this one has {len}")]
    NameTooLong { len: usize, max: usize },
    #[error("bytes {from} to {from}+{len} are outside the data of {available} bytes")]
    OutsideData { from: u64, len: u64, available: u64 },
    #[error("there is no port {port}: this segment has ports 0 to {last}")]
    NoSuchPort { port: u32, last: u32 },
    #[error("nobody has bound {port:?}: start the peer that should be there")]
    Unbound { port: PortId },
    #[error("the request has passed {max} ports, the most there can be: the route has a loop")]
    PathFull { max: usize },
    #[error("the segment was destroyed: join the new one")]
    Destroyed,
}

impl RequestError {
    pub fn errno(&self) -> Errno {
        match self {
            Self::NoRequests { .. } | Self::PortLimit { .. } | Self::NoBuffers { .. } => {
                Errno::AGAIN
            }
            Self::TooLarge { .. } | Self::OutsideData { .. } => Errno::OVERFLOW,
            Self::NameTooLong { .. } => Errno::NAMETOOLONG,
            Self::NoSuchPort { .. } => Errno::INVAL,
            Self::Unbound { .. } => Errno::NOTCONN,
            Self::PathFull { .. } => Errno::LOOP,
            Self::Destroyed => Errno::STALE,
        }
    }
}

/// Words of the segment that make no sense. The words were not acted on; what they described may be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{port:?}: {field} is damaged ({value:#x}); what it described was left alone")]
pub struct Corruption {
    /// The port in whose inbox or table the word stands.
    pub port: PortId,
    pub field: &'static str,
    pub value: u64,
}

impl Corruption {
    pub fn errno(&self) -> Errno {
        Errno::UCLEAN
    }
}
