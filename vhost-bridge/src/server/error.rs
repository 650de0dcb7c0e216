use rustix::io::Errno;
use thiserror::Error;

use crate::guest::MapError;
use crate::inflight::InflightError;
use crate::message::MessageError;
use crate::queue::{MemoryFault, QueueError};
use crate::request::ParseError;
use crate::session::SessionError;

/// Why a connection ends, or a message is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectionError {
    #[error("the connection ended in the middle of a message")]
    Cut,
    #[error("more descriptors than any message has")]
    TooManyFds,
    #[error("the connection failed: {0}")]
    Socket(#[source] Errno),
    #[error("a descriptor of the front end cannot be used: {0}")]
    Descriptor(#[source] Errno),
    #[error("a descriptor for kicks, calls or errors that is no eventfd")]
    NotAnEvent,
    #[error("a descriptor for notices that is no socket of this machine")]
    NotASocket,
    #[error(
        "too many descriptors of front ends wait to be closed, as whoever serves their files does not answer"
    )]
    Unclosed,
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error("guest memory: {0}")]
    Map(#[from] MapError),
    #[error("a ring: {0}")]
    Ring(#[from] RingError),
}

/// Why a ring is left alone.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RingError {
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Parse(#[from] ParseError),
    #[error(transparent)]
    Inflight(#[from] InflightError),
    #[error(transparent)]
    Memory(#[from] MemoryFault),
    #[error("the descriptor for kicks failed: {0}")]
    Kick(#[source] Errno),
    #[error("the descriptor for kicks has ended")]
    KickEnded,
}
