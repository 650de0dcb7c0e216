use thiserror::Error;

use crate::queue::MemoryFault;

/// Why an in-flight region is not gone on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InflightError {
    #[error(transparent)]
    Memory(#[from] MemoryFault),
    #[error("the in-flight region is of version {version}: version 1 is known here")]
    Version { version: u16 },
    #[error("the in-flight region is for {found} descriptors, but the ring has {expected}")]
    Size { found: u16, expected: u16 },
    #[error("the in-flight region lags {behind} completions behind a ring of {size} descriptors")]
    Behind { behind: u16, size: u16 },
    #[error("the in-flight region names descriptor {head} of {size}")]
    Head { head: u16, size: u16 },
}
