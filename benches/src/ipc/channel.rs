//! A byte stream to another process, as the kernel offers it: a socket or a pair of pipes.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result, ensure};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

use super::{MESSAGE_BYTES, Message, Waiting, spin};

/// One end of a stream in each direction.
#[derive(Debug)]
pub struct Ends {
    pub reader: OwnedFd,
    pub writer: OwnedFd,
}

/// A pair of ends and how to wait on them.
#[derive(Debug)]
pub struct Channel {
    ends: Ends,
}

impl Channel {
    /// Sleeping, reads and writes block; spinning, they return at once and are repeated.
    pub fn new(ends: Ends, mode: Waiting) -> Result<Self> {
        if mode == Waiting::Spinning {
            for fd in [&ends.reader, &ends.writer] {
                fcntl_setfl(fd, fcntl_getfl(fd)? | OFlags::NONBLOCK)?;
            }
        }
        Ok(Self { ends })
    }

    /// The channel a peer has been given as its standard input and output.
    pub fn inherited(mode: Waiting) -> Result<Self> {
        let ends = Ends {
            reader: io::stdin().as_fd().try_clone_to_owned()?,
            writer: io::stdout().as_fd().try_clone_to_owned()?,
        };
        Self::new(ends, mode)
    }

    pub fn reader(&self) -> BorrowedFd<'_> {
        self.ends.reader.as_fd()
    }

    /// Reads what is there: `None` if that is nothing yet, zero if nothing will follow.
    pub fn try_read(&self, buffer: &mut [u8]) -> Result<Option<usize>> {
        match rustix::io::read(&self.ends.reader, buffer) {
            Ok(length) => Ok(Some(length)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(error) => Err(error).context("cannot read from the other process"),
        }
    }

    /// Reads as soon as there is something; zero if nothing will follow.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize> {
        spin::until(|| self.try_read(buffer))
    }

    /// Writes all of `bytes`.
    pub fn send(&self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let written = spin::until(|| match rustix::io::write(&self.ends.writer, bytes) {
                Ok(length) => Ok(Some(length)),
                Err(Errno::AGAIN | Errno::INTR) => Ok(None),
                Err(error) => Err(error).context("cannot write to the other process"),
            })?;
            bytes = &bytes[written..];
        }
        Ok(())
    }

    /// Reads one whole message; `false` if the other process has closed the channel instead.
    pub fn receive(&self, message: &mut Message) -> Result<bool> {
        let mut filled = 0;
        while filled < MESSAGE_BYTES {
            let length = self.read(&mut message[filled..])?;
            if length == 0 {
                ensure!(filled == 0, "the other process ended within a message");
                return Ok(false);
            }
            filled += length;
        }
        Ok(true)
    }
}
