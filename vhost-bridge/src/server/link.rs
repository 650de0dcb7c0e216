//! A connection's socket: messages with descriptors.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use archipelago_runtime::Handle;
use rustix::cmsg_space;
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use super::elsewhere::Elsewhere;
use super::error::ConnectionError;
use super::foreign::Foreign;
use crate::message::{FDS_MAX, HEADER_BYTES, Header};

/// What the kernel lets anybody send at once. All of them are taken, for what finds no room is closed by this thread (VHOST-8).
const SENT_MAX: usize = 253;

/// One end of it.
#[derive(Debug)]
pub struct Link {
    handle: Handle,
    socket: Rc<OwnedFd>,
    elsewhere: Rc<Elsewhere>,
}

/// A message, not yet looked into.
#[derive(Debug)]
pub struct Received {
    pub header: Header,
    pub payload: Vec<u8>,
    pub fds: Vec<Foreign>,
}

impl Link {
    pub fn new(handle: &Handle, socket: Rc<OwnedFd>, elsewhere: &Rc<Elsewhere>) -> Self {
        Self {
            handle: handle.clone(),
            socket,
            elsewhere: elsewhere.clone(),
        }
    }

    /// The next message; `None`: the front end has left.
    pub async fn receive(&self) -> Result<Option<Received>, ConnectionError> {
        let mut fds = Vec::new();
        let mut header = [0; HEADER_BYTES];
        if !self.fill(&mut header, &mut fds).await? {
            return Ok(None);
        }
        let header = Header::parse(&header)?;
        let mut payload = vec![0; header.len_bytes as usize];
        if !payload.is_empty() && !self.fill(&mut payload, &mut fds).await? {
            return Err(ConnectionError::Cut);
        }
        Ok(Some(Received {
            header,
            payload,
            fds,
        }))
    }

    /// All of these bytes, and what comes with them. `false`: the end came before the first.
    async fn fill(
        &self,
        bytes: &mut [u8],
        fds: &mut Vec<Foreign>,
    ) -> Result<bool, ConnectionError> {
        let mut done = 0;
        while done < bytes.len() {
            match self.receive_some(&mut bytes[done..], fds) {
                Ok(0) if done == 0 => return Ok(false),
                Ok(0) => return Err(ConnectionError::Cut),
                Ok(count) => done += count,
                Err(ConnectionError::Socket(Errno::AGAIN)) => {
                    let readable = self.handle.readable(&self.socket).await;
                    readable.map_err(ConnectionError::Socket)?;
                }
                Err(ConnectionError::Socket(Errno::INTR)) => {}
                Err(ConnectionError::Socket(Errno::CONNRESET)) if done == 0 => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn receive_some(
        &self,
        bytes: &mut [u8],
        fds: &mut Vec<Foreign>,
    ) -> Result<usize, ConnectionError> {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(SENT_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let mut slices = [IoSliceMut::new(bytes)];
        let received = recvmsg(&*self.socket, &mut slices, &mut control, flags);
        let received = received.map_err(ConnectionError::Socket)?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights.map(|fd| Foreign::new(fd, &self.elsewhere)));
            }
        }
        if received.flags.contains(ReturnFlags::CTRUNC) || fds.len() > FDS_MAX {
            return Err(ConnectionError::TooManyFds);
        }
        Ok(received.bytes)
    }

    /// All of it, with a descriptor if there is one.
    pub async fn send(&self, bytes: &[u8], fd: Option<&OwnedFd>) -> Result<(), ConnectionError> {
        let mut fd = fd;
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.send_some(rest, fd) {
                Ok(count) => {
                    rest = &rest[count..];
                    fd = None;
                }
                Err(Errno::AGAIN) => {
                    let writable = self.handle.writable(&self.socket).await;
                    writable.map_err(ConnectionError::Socket)?;
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(ConnectionError::Socket(error)),
            }
        }
        Ok(())
    }

    fn send_some(&self, bytes: &[u8], fd: Option<&OwnedFd>) -> Result<usize, Errno> {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let rights = fd.map(|fd| [fd.as_fd()]);
        if let Some(rights) = &rights {
            let has_room = control.push(SendAncillaryMessage::ScmRights(rights));
            assert!(has_room, "the space was made for one");
        }
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        sendmsg(&*self.socket, &[IoSlice::new(bytes)], &mut control, flags)
    }
}
