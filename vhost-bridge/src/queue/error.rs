use thiserror::Error;

use super::memory::MemoryFault;

/// What is wrong with a ring. It is not looked at again until the front end sets it up anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum QueueError {
    #[error("a ring of {size} descriptors: powers of two from 1 to {size_max} are taken")]
    Size { size: u32, size_max: u16 },
    #[error("the ring's {what} at {at:#x} is not aligned")]
    Alignment { what: &'static str, at: u64 },
    #[error(transparent)]
    Memory(#[from] MemoryFault),
    #[error("the available index jumped from {from} to {to} in a ring of {size} descriptors")]
    AvailableJumped { from: u16, to: u16, size: u16 },
    #[error("head {head} of a ring of {size} descriptors")]
    HeadOutside { head: u16, size: u16 },
    #[error("head {head} was made available again while it is in flight")]
    HeadTaken { head: u16 },
    #[error("head {head} is given back, but was not taken")]
    HeadNotTaken { head: u16 },
    #[error("descriptor {index} of a table of {count}")]
    DescriptorOutside { index: u32, count: u32 },
    #[error("the chain of head {head} is longer than its table: it goes in circles")]
    Loop { head: u16 },
    #[error("an indirect table, which was not negotiated")]
    IndirectNotNegotiated,
    #[error("an indirect table within an indirect table")]
    IndirectNested,
    #[error("an indirect table with a next descriptor")]
    IndirectWithNext,
    #[error("an indirect table of {len_bytes} bytes: 1 to {count_max} descriptors of 16 are taken")]
    IndirectLength { len_bytes: u32, count_max: u32 },
    #[error("a descriptor of no bytes in the chain of head {head}")]
    Empty { head: u16 },
    #[error("what the guest reads comes before what it wrote in the chain of head {head}")]
    WritableFirst { head: u16 },
}
