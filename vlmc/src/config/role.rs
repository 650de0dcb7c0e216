//! A role: a named use of a kind of peer.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::port_range::PortRange;

/// Kinds of peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleKind {
    FileBlocker,
    RadosBlocker,
    Mapperd,
    Vlmcd,
}

impl RoleKind {
    pub const NAMES: [&'static str; 4] = ["file_blocker", "rados_blocker", "mapperd", "vlmcd"];

    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "file_blocker" => Some(Self::FileBlocker),
            "rados_blocker" => Some(Self::RadosBlocker),
            "mapperd" => Some(Self::Mapperd),
            "vlmcd" => Some(Self::Vlmcd),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::FileBlocker => "file_blocker",
            Self::RadosBlocker => "rados_blocker",
            Self::Mapperd => "mapperd",
            Self::Vlmcd => "vlmcd",
        }
    }

    pub fn is_blocker(self) -> bool {
        matches!(self, Self::FileBlocker | Self::RadosBlocker)
    }
}

impl fmt::Display for RoleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How a flush reaches the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncKind {
    /// By measurement.
    Auto,
    Fdatasync,
    Syncfs,
}

impl SyncKind {
    pub const NAMES: [&'static str; 3] = ["auto", "fdatasync", "syncfs"];

    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Fdatasync => "fdatasync",
            Self::Syncfs => "syncfs",
        }
    }
}

/// What becomes of I/O while the store's cluster does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendLoss {
    /// It waits as long as it takes.
    Pause,
    /// It fails after a while.
    Error,
}

impl BackendLoss {
    pub const NAMES: [&'static str; 2] = ["pause", "error"];

    pub fn name(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Error => "error",
        }
    }
}

/// What every role has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleConfig {
    pub name: String,
    pub ports: PortRange,
    /// 0 errors, 1 warnings, 2 information, 3 everything.
    pub log_level: u8,
    pub nr_ops: u32,
    pub nr_threads: u32,
    pub umask: u32,
    pub logfile: PathBuf,
    pub settings: RoleSettings,
}

impl RoleConfig {
    pub fn kind(&self) -> RoleKind {
        match self.settings {
            RoleSettings::FileBlocker { .. } => RoleKind::FileBlocker,
            RoleSettings::RadosBlocker { .. } => RoleKind::RadosBlocker,
            RoleSettings::Mapperd { .. } => RoleKind::Mapperd,
            RoleSettings::Vlmcd { .. } => RoleKind::Vlmcd,
        }
    }
}

/// What only one kind of role has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleSettings {
    FileBlocker {
        archip_dir: PathBuf,
        lock_dir: PathBuf,
        fdcache: u32,
        direct: bool,
        sync: SyncKind,
        /// How long a look at the lease is good for.
        lease: Duration,
    },
    RadosBlocker {
        pool: String,
        cephx_id: Option<String>,
        /// Keeps the store apart from others in the pool.
        namespace: String,
        /// Ceph's own configuration; where Ceph looks for it, if not given.
        ceph_conf: Option<PathBuf>,
        on_backend_loss: BackendLoss,
        /// How long I/O waits if it is to fail then.
        backend_timeout: Duration,
    },
    Mapperd {
        blockerb_port: u32,
        blockerm_port: u32,
    },
    Vlmcd {
        blocker_port: u32,
        mapper_port: u32,
    },
}
