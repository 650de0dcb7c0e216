//! Why a host does not run.

use archipelago_filed::FiledError;
use archipelago_protocol::ErrorCode;

use super::confinement::ConfinementError;
use crate::cli::ErrorReport;
use crate::supervisor::SupervisorError;
use xseg::SegmentError;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    #[error("the configuration has no host {name}")]
    Unknown { name: String },
    #[error("{0}")]
    Supervisor(#[from] SupervisorError),
    #[error("the segment {name}: {source}")]
    Segment {
        name: String,
        source: xseg::SegmentError,
    },
    #[error("the segment {name} has no size that works: {source}")]
    Geometry {
        name: String,
        source: xseg::GeometryError,
    },
    #[error("the role {role} cannot have port {port}: {source}")]
    Port {
        role: String,
        port: u32,
        source: xseg::PortError,
    },
    #[error("{source}{}", cause(source))]
    Presence {
        #[from]
        source: FiledError,
    },
    #[error("the reactor does not start: {0}")]
    Runtime(#[from] archipelago_runtime::RuntimeError),
    #[error("the role {role} does not start: {why}")]
    Role { role: String, why: String },
    #[error("the role {role} does not start: {why}")]
    Fenced { role: String, why: String },
    #[error("the sockets that the supervisor lends cannot be had: {0}")]
    Handover(std::io::Error),
    #[error("signals cannot be waited for: {0}")]
    Signals(rustix::io::Errno),
    #[error("a thread cannot be had: {0}")]
    Thread(std::io::Error),
    #[error("the host cannot be confined to its directories: {0}")]
    Confinement(#[from] ConfinementError),
    #[error("cannot become the user {user}: {source}")]
    Privileges {
        user: String,
        source: rustix::io::Errno,
    },
}

/// What the file system said, if it did.
fn cause(error: &FiledError) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(String::new, |source| format!(": {source}"))
}

impl From<HostError> for ErrorReport {
    fn from(error: HostError) -> Self {
        let (code, remedy) = match &error {
            HostError::Unknown { .. } => (ErrorCode::NotFound, "name one of those in [hosts]"),
            HostError::Supervisor(_) => (ErrorCode::Busy, "`archipelago status` tells what runs"),
            HostError::Segment {
                source: SegmentError::Permission { .. } | SegmentError::ForeignOwner { .. },
                ..
            } => (
                ErrorCode::Permission,
                "a node's owner, root and the members of its group may use it",
            ),
            HostError::Segment {
                source: SegmentError::NotAFile { .. } | SegmentError::BadMagic { .. },
                ..
            } => (
                ErrorCode::Invalid,
                "remove that file if it is nobody's, or give another name in [segment]",
            ),
            HostError::Segment { .. } => (
                ErrorCode::Unavailable,
                "`xseg report` tells what is wrong; `archipelago stop` and `start` make it anew",
            ),
            HostError::Geometry { .. } => {
                (ErrorCode::Invalid, "change size and ports of [segment]")
            }
            HostError::Port { .. } => (ErrorCode::Busy, "`xseg reportall` tells who has it"),
            HostError::Presence {
                source: FiledError::OwnerTwice { .. },
            } => (ErrorCode::Busy, "stop the other one, or set `node`"),
            HostError::Presence { .. }
            | HostError::Runtime(_)
            | HostError::Role { .. }
            | HostError::Handover(_)
            | HostError::Signals(_)
            | HostError::Thread(_) => (ErrorCode::Failed, ""),
            HostError::Fenced { .. } => (
                ErrorCode::Failed,
                "`archipelago restart` has all hosts begin anew",
            ),
            HostError::Confinement(_) => (
                ErrorCode::Invalid,
                "`archipelago config check` looks at the directories, `archipelago start` makes them",
            ),
            HostError::Privileges { .. } => (ErrorCode::Permission, "change user and group"),
        };
        Self::new(code, error.to_string(), remedy)
    }
}
