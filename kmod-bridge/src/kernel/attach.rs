//! The driver, as root speaks to it.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use rustix::io::Errno;

use super::attribute::{Attributes, attributes};
use super::dial::Dialed;
use super::error::KernelError;
use super::genetlink::Call;
use super::greeting::ExportFacts;
use super::link::Link;
use super::status::{self, DeviceStatus};

const FAMILY: &str = "nbd";

/// The family's commands.
const CONNECT: u8 = 1;
const DISCONNECT: u8 = 2;
const RECONFIGURE: u8 = 3;
const STATUS: u8 = 5;

/// The attributes of its messages.
const INDEX: u16 = 1;
const SIZE_BYTES: u16 = 2;
const BLOCK_BYTES: u16 = 3;
const REQUEST_TIMEOUT_S: u16 = 4;
const SERVER_FLAGS: u16 = 5;
const CLIENT_FLAGS: u16 = 6;
const SOCKETS: u16 = 7;
const RECONNECT_WITHIN_S: u16 = 8;
const BACKEND: u16 = 10;
const SOCKET_ITEM: u16 = 1;
const SOCKET_FD: u16 = 1;

/// The least and the most that the driver takes for a block.
const BLOCK_BYTES_MIN: u32 = 512;
const BLOCK_BYTES_MAX: u32 = 4096;

/// What a device is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachOptions {
    /// `None`: one that is free.
    pub index: Option<u32>,
    /// What was sent and not answered for so long costs its connection, and is sent anew on another one. Whole seconds, one at least.
    /// None at all: a connection that lives is waited for as long as it takes; what was sent on one that was replaced is sent anew
    /// at the next beat of the kernel's timer (`queue/io_timeout`, 30 s).
    pub request_timeout: Option<Duration>,
    /// What finds no live connection waits for one for so long, and fails then.
    pub reconnect_within: Duration,
    /// Shown in `/sys/block/nbdN/backend`; who does not know it cannot reconnect the device (Linux 5.14).
    pub backend: Option<String>,
}

impl Default for AttachOptions {
    fn default() -> Self {
        Self {
            index: None,
            request_timeout: None,
            reconnect_within: Duration::from_secs(24 * 3600),
            backend: None,
        }
    }
}

/// Where a device is.
pub fn block_path(index: u32) -> PathBuf {
    format!("/dev/nbd{index}").into()
}

/// The kernel's NBD driver.
#[derive(Debug)]
pub struct KernelNbd {
    link: Link,
    family: u16,
}

impl KernelNbd {
    pub fn open() -> Result<Self, KernelError> {
        let netlink = |source| KernelError::Netlink { source };
        let mut link = Link::open().map_err(netlink)?;
        let family = link.family(FAMILY).map_err(netlink)?;
        let family = family.ok_or(KernelError::NoDriver)?;
        Ok(Self { link, family })
    }

    /// Makes a device of an export; the kernel has the connections from then on. The device's number.
    pub fn connect(
        &mut self,
        dialed: &Dialed,
        options: &AttachOptions,
    ) -> Result<u32, KernelError> {
        let mut asked = Attributes::default();
        if let Some(index) = options.index {
            asked.put32(INDEX, index);
        }
        let block_bytes = block_bytes(&dialed.facts)?;
        asked.put64(SIZE_BYTES, dialed.facts.size_bytes);
        asked.put64(BLOCK_BYTES, block_bytes.into());
        asked.put64(SERVER_FLAGS, dialed.facts.transmission_flags.into());
        asked.put64(CLIENT_FLAGS, 0); // it stays until it is disconnected
        put_times(&mut asked, options);
        asked.put_nested(SOCKETS, &sockets(&dialed.sockets));
        let answer = self.call(CONNECT, "connecting the device", &asked);
        let answer = answer.map_err(|error| match (error, options.index) {
            (
                KernelError::Refused {
                    source: Errno::BUSY,
                    ..
                },
                Some(index),
            ) => KernelError::Busy { index },
            (
                KernelError::Refused {
                    source: Errno::BUSY | Errno::NODEV,
                    ..
                },
                None,
            ) => KernelError::NoneFree,
            (error, _) => error,
        })?;
        let index = attributes(&answer).find(|one| one.kind == INDEX);
        index
            .and_then(|index| index.word32())
            .ok_or(KernelError::NoIndex)
    }

    /// Gives a device other connections in the place of dead ones, and tells it the size that the export has now. Connections that
    /// find none dead are closed again: it can be called once more at any time.
    ///
    /// Two messages: for a size that differs the kernel lets all requests end first, and those that wait for a connection do not end
    /// before they have one. In one message the size comes first, and the kernel waits until the time to reconnect is over.
    pub fn reconnect(
        &mut self,
        index: u32,
        dialed: &Dialed,
        options: &AttachOptions,
    ) -> Result<(), KernelError> {
        block_bytes(&dialed.facts)?;
        let mut asked = Attributes::default();
        asked.put32(INDEX, index);
        put_times(&mut asked, options);
        asked.put_nested(SOCKETS, &sockets(&dialed.sockets));
        self.reconfigure(index, "reconnecting the device", &asked)?;
        self.resize(index, dialed.facts.size_bytes, options.backend.as_deref())
    }

    /// Tells the kernel of another size, while the device is used. `backend` as it was connected with.
    pub fn resize(
        &mut self,
        index: u32,
        size_bytes: u64,
        backend: Option<&str>,
    ) -> Result<(), KernelError> {
        let mut asked = Attributes::default();
        asked.put32(INDEX, index);
        asked.put64(SIZE_BYTES, size_bytes);
        if let Some(backend) = backend {
            asked.put_text(BACKEND, backend);
        }
        self.reconfigure(index, "resizing the device", &asked)
    }

    /// Ends its connections, if it has any. What is in flight fails: nobody must use it any more.
    pub fn disconnect(&mut self, index: u32) -> Result<(), KernelError> {
        let mut asked = Attributes::default();
        asked.put32(INDEX, index);
        let done = self.call(DISCONNECT, "disconnecting the device", &asked);
        done.map(drop).map_err(|error| not_connected(error, index))
    }

    /// One device, or all that the driver has.
    pub fn status(&mut self, index: Option<u32>) -> Result<Vec<DeviceStatus>, KernelError> {
        let mut asked = Attributes::default();
        if let Some(index) = index {
            asked.put32(INDEX, index);
        }
        let answer = self.call(STATUS, "telling about devices", &asked)?;
        Ok(status::parse(&answer))
    }

    fn reconfigure(
        &mut self,
        index: u32,
        doing: &'static str,
        asked: &Attributes,
    ) -> Result<(), KernelError> {
        let done = self.call(RECONFIGURE, doing, asked);
        done.map(drop).map_err(|error| not_connected(error, index))
    }

    fn call(
        &mut self,
        command: u8,
        doing: &'static str,
        attributes: &Attributes,
    ) -> Result<Vec<u8>, KernelError> {
        let call = Call {
            family: self.family,
            command,
            attributes,
        };
        self.link.call(call).map_err(|errno| match errno {
            Errno::PERM => KernelError::NotPermitted { doing },
            source => KernelError::Refused { doing, source },
        })
    }
}

/// The driver says so of a device that is not connected, or by somebody with another backend.
fn not_connected(error: KernelError, index: u32) -> KernelError {
    match error {
        KernelError::Refused {
            source: Errno::INVAL | Errno::NODEV | Errno::NOENT,
            ..
        } => KernelError::NotConnected { index },
        other => other,
    }
}

fn put_times(asked: &mut Attributes, options: &AttachOptions) {
    let timeout = options.request_timeout;
    let timeout_s = timeout.map_or(0, |timeout| timeout.as_secs().max(1));
    asked.put64(REQUEST_TIMEOUT_S, timeout_s);
    asked.put64(RECONNECT_WITHIN_S, options.reconnect_within.as_secs());
    if let Some(backend) = &options.backend {
        asked.put_text(BACKEND, backend);
    }
}

fn sockets(sockets: &[OwnedFd]) -> Attributes {
    let mut list = Attributes::default();
    for socket in sockets {
        let mut item = Attributes::default();
        item.put32(SOCKET_FD, socket.as_raw_fd() as u32);
        list.put_nested(SOCKET_ITEM, &item);
    }
    list
}

/// What the kernel is to take for a block of the export.
fn block_bytes(facts: &ExportFacts) -> Result<u32, KernelError> {
    let block_bytes = facts.block_bytes_min.max(BLOCK_BYTES_MIN);
    if !block_bytes.is_power_of_two() || block_bytes > BLOCK_BYTES_MAX {
        return Err(KernelError::BlockSize { block_bytes });
    }
    let size_bytes = facts.size_bytes;
    if !size_bytes.is_multiple_of(block_bytes.into()) {
        return Err(KernelError::NotBlocks {
            size_bytes,
            block_bytes,
        });
    }
    Ok(block_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(size_bytes: u64, block_bytes_min: u32) -> ExportFacts {
        ExportFacts {
            size_bytes,
            block_bytes_min,
            transmission_flags: 1,
        }
    }

    #[test]
    fn blocks_are_such_as_the_kernel_can_have() {
        assert_eq!(block_bytes(&facts(1 << 20, 1)).unwrap(), 512);
        assert_eq!(block_bytes(&facts(1 << 20, 4096)).unwrap(), 4096);
        let refused = |facts| block_bytes(&facts).unwrap_err().to_string();
        assert!(refused(facts(1000, 1)).contains("1000 bytes"));
        assert!(refused(facts(1 << 20, 3 << 9)).contains("1536 bytes"));
        assert!(refused(facts(1 << 20, 1 << 16)).contains("65536 bytes"));
    }

    #[test]
    fn a_list_of_sockets_is_what_the_driver_expects() {
        let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
        let fds = [OwnedFd::from(one), other.into()];
        let list = sockets(&fds);
        let found: Vec<_> = attributes(list.as_bytes())
            .map(|item| attributes(item.payload).next().unwrap().word32().unwrap())
            .collect();
        assert_eq!(found, fds.each_ref().map(|fd| fd.as_raw_fd() as u32));
    }
}
