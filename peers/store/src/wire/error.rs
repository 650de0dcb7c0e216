//! Requests that make no sense.

use xseg::{Errno, OpCode};

use crate::name::BadObjectName;

/// Why a request, or an answer, was not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    #[error("a store does not know {op}")]
    UnknownOperation { op: OpCode },
    #[error("the target is no object's name: {0}")]
    BadName(#[from] BadObjectName),
    #[error("{len} bytes from {offset}: no object has that range")]
    Range { offset: u64, len: u64 },
    #[error("the request needs {needed} bytes of payload and has {given}")]
    Payload { needed: u64, given: u64 },
    #[error("the bytes are lent, and a copy of them is needed")]
    Lent,
    #[error("the payload's lengths do not add up at byte {at}")]
    Strings { at: usize },
    #[error(
        "the payload does not name a lock's owner: a node and a deployment, each of 1 to 255 bytes of UTF-8"
    )]
    Owner,
}

impl WireError {
    pub fn errno(&self) -> Errno {
        match self {
            Self::UnknownOperation { .. } => Errno::OPNOTSUPP,
            _ => Errno::INVAL,
        }
    }
}
