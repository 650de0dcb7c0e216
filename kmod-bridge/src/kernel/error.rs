use std::io;
use std::time::Duration;

use rustix::io::Errno;
use thiserror::Error;

use super::greeting::GreetingError;

/// Why there are no connections for the kernel.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DialError {
    #[error("cannot reach the NBD server at {place}: {source}")]
    Connect {
        place: String,
        #[source]
        source: io::Error,
    },
    #[error("the NBD server at {place} did not answer within {within:?}")]
    Silent { place: String, within: Duration },
    #[error("the NBD server at {place}: {source}")]
    Greeting {
        place: String,
        #[source]
        source: GreetingError,
    },
    #[error("the NBD server at {place} says another thing about the export to each connection")]
    Different { place: String },
    #[error("the NBD server at {place} takes only one connection to this export")]
    NoMultiConnection { place: String },
}

/// Why the kernel has no device, or does not change it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KernelError {
    #[error("the kernel has no NBD driver: `modprobe nbd`")]
    NoDriver,
    #[error("netlink, by which the NBD driver is told, cannot be used: {source}")]
    Netlink {
        #[source]
        source: Errno,
    },
    #[error("{doing} needs root")]
    NotPermitted { doing: &'static str },
    #[error("/dev/nbd{index} is in use by another export")]
    Busy { index: u32 },
    #[error("no NBD device is free: `modprobe nbd nbds_max=N` has more of them")]
    NoneFree,
    #[error("/dev/nbd{index} is not connected, or to something else")]
    NotConnected { index: u32 },
    #[error("the export's size of {size_bytes} bytes is not a number of blocks of {block_bytes}")]
    NotBlocks { size_bytes: u64, block_bytes: u32 },
    #[error(
        "the export's blocks of {block_bytes} bytes are none that the kernel's client can have"
    )]
    BlockSize { block_bytes: u32 },
    #[error("{doing} was refused by the kernel: {source} (its log may say more)")]
    Refused {
        doing: &'static str,
        #[source]
        source: Errno,
    },
    #[error("the kernel did not say which device it has taken")]
    NoIndex,
}
