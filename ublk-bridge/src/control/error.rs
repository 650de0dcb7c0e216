use std::path::PathBuf;
use std::time::Duration;

use rustix::io::Errno;

use crate::abi::DeviceState;

/// Why a device cannot be had, or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    #[error(
        "the kernel has no ublk driver ({path} is not there): `modprobe ublk_drv`, with Linux 6.5 or later"
    )]
    NoDriver { path: PathBuf },
    #[error("cannot open {path}: {source}; devices are added, started and removed by root")]
    Open {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("io_uring, by which the ublk driver is told, cannot be used: {source}")]
    Ring {
        #[source]
        source: std::io::Error,
    },
    #[error("the kernel's ublk driver lacks {}: Linux 6.5 or later has it", lacks.join(", "))]
    Lacks { lacks: Vec<&'static str> },
    #[error("{doing} was refused by the kernel: {source}")]
    Refused {
        doing: &'static str,
        #[source]
        source: Errno,
    },
    #[error("{doing} was not done within {within:?}: does its server run?")]
    Deadline {
        doing: &'static str,
        within: Duration,
    },
    #[error("there is no device {number}")]
    NoDevice { number: u32 },
    #[error("device {number} is {}: its server has not died", told(*state))]
    NotQuiesced { number: u32, state: DeviceState },
    #[error(
        "this kernel cannot change the size of a ublk device in use (Linux 6.16 can): unmap and map the volume"
    )]
    NoResize,
    #[error("a size of {size_bytes} bytes is not a number of sectors of 512")]
    NotSectors { size_bytes: u64 },
    #[error("{path}: {source}")]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

fn told(state: DeviceState) -> &'static str {
    match state {
        DeviceState::Dead => "not started",
        DeviceState::Live => "live",
        DeviceState::Quiesced => "waiting for a server",
        DeviceState::Other(_) => "in a state that this program does not know",
    }
}
