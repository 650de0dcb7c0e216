use thiserror::Error;

use crate::message::Code;
use crate::queue::QueueError;

/// What a front end asks for that does not fit what it has agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SessionError {
    #[error("features {bits:#x} were accepted, which were not offered")]
    NotOffered { bits: u64 },
    #[error("{code:?} needs a protocol feature that was not accepted")]
    NotNegotiated { code: Code },
    #[error("ring {index} of a device of {queues} rings")]
    NoSuchRing { index: u32, queues: u16 },
    #[error("{code:?} for a ring that is running, or while one is")]
    Running { code: Code },
    #[error("ring {index} is to start, but its size and its addresses were not set")]
    NotSetUp { index: u32 },
    #[error("ring {index} without a descriptor for kicks: polling is not offered")]
    Polling { index: u32 },
    #[error("{value} is no index of a ring")]
    Base { value: u32 },
    #[error("{value} for the enabling of a ring: 0 or 1")]
    Enable { value: u32 },
    #[error("an in-flight region for {queues} rings of {queue_size} descriptors")]
    Inflight { queues: u16, queue_size: u16 },
    #[error("the device's configuration cannot be written")]
    ReadOnlyConfig,
    #[error(transparent)]
    Queue(#[from] QueueError),
}
