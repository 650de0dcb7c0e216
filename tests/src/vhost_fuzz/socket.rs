use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use anyhow::Context;
use archipelago_vhost::message::Message;
use rustix::cmsg_space;
use rustix::event::{EventfdFlags, eventfd};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

/// A front end's end of a connection, and its eventfds. Answers are not read: there is room for all of them.
#[derive(Debug)]
pub struct Socket {
    stream: UnixStream,
    pub kick: OwnedFd,
    pub call: OwnedFd,
}

const FDS_MAX: usize = 12;

impl Socket {
    /// With the end that the server gets.
    pub fn pair() -> anyhow::Result<(Self, OwnedFd)> {
        let (stream, theirs) = UnixStream::pair().context("a pair of sockets")?;
        let event = || eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let socket = Self {
            stream,
            kick: event()?,
            call: event()?,
        };
        Ok((socket, theirs.into()))
    }

    pub fn send(&self, message: &Message, fds: &[BorrowedFd<'_>]) {
        self.send_bytes(&message.to_bytes(false), fds);
    }

    /// A server that has ended the connection takes nothing any more.
    pub fn send_bytes(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(FDS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(fds));
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let _ = sendmsg(&self.stream, &[IoSlice::new(bytes)], &mut control, flags);
    }

    pub fn kick(&self) {
        let _ = rustix::io::write(&self.kick, &1u64.to_ne_bytes()); // full: it says the same
    }
}
