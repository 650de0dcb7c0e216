//! What can go wrong: with the reactor, with a call, with time.

use xseg::{Errno, PortId, RequestError, WaitError};

/// A reactor could not be made, or could not do what was asked of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    #[error("the reactor of {port:?} has no place to sleep")]
    Wait {
        port: PortId,
        #[source]
        source: WaitError,
    },
    #[error(
        "{port:?} belongs to another segment than the reactor's first port: give it a reactor of its own"
    )]
    ForeignPort { port: PortId },
    #[error("the kernel refused {call}")]
    System { call: &'static str, source: Errno },
    #[error("the reactor has ended")]
    Stopped,
}

impl RuntimeError {
    pub fn errno(&self) -> Errno {
        match self {
            Self::Wait { source, .. } => source
                .source
                .raw_os_error()
                .map_or(Errno::IO, Errno::from_raw_os_error),
            Self::ForeignPort { .. } => Errno::INVAL,
            Self::System { source, .. } => *source,
            Self::Stopped => Errno::SHUTDOWN,
        }
    }
}

/// A request got no answer. That its answer is an error is no `CallError`: see [`xseg::Reply::result`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    #[error(
        "no answer from {to:?} before the deadline: look whether it works, or allow it more time"
    )]
    Expired { to: PortId },
    #[error(transparent)]
    Refused(#[from] RequestError),
    #[error("the reactor has ended")]
    Stopped,
}

impl CallError {
    pub fn errno(&self) -> Errno {
        match self {
            Self::Expired { .. } => Errno::TIMEDOUT,
            Self::Refused(error) => error.errno(),
            Self::Stopped => Errno::SHUTDOWN,
        }
    }
}

/// The time was over before the future was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the time is over")]
pub struct Elapsed;

impl Elapsed {
    pub fn errno(self) -> Errno {
        Errno::TIMEDOUT
    }
}
