//! Listening sockets on their way between processes: from the supervisor to a host, and back to those that it will lend to the next one.
//!
//! ```text
//! parent: Handover --- packets, each a list of sockets (SCM_RIGHTS) --- stdin of the child
//! ```
//! # Invariants
//! * **HANDOVER-1** What is handed over keeps listening from then on, whichever of the two processes dies.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::sockopt::socket_type;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

/// More are a mistake.
const SOCKETS_MAX: usize = 64;

/// What a packet begins with; nobody else's does.
const MARK: &[u8] = b"archipelago listens";

/// One end of the way.
#[derive(Debug)]
pub struct Handover {
    socket: OwnedFd,
}

impl Handover {
    /// The parent's end, and what is to be the child's stdin.
    pub fn pair() -> io::Result<(Self, OwnedFd)> {
        let (socket, theirs) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok((Self { socket }, theirs))
    }

    /// The child's end, where it is known.
    #[cfg(test)]
    pub fn of(socket: OwnedFd) -> Self {
        Self { socket }
    }

    /// The child's end, if there is one, and what came with it. Programs that this process starts do not get it.
    pub fn of_stdin() -> io::Result<Option<(Self, Vec<OwnedFd>)>> {
        let stdin = rustix::stdio::stdin();
        if socket_type(stdin) != Ok(SocketType::SEQPACKET) {
            return Ok(None);
        }
        let socket = rustix::io::fcntl_dupfd_cloexec(stdin, 3)?;
        let handover = Self { socket };
        let Some(sockets) = handover.receive()? else {
            return Ok(None);
        };
        rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
        Ok(Some((handover, sockets)))
    }

    /// Sends all of them; never waits.
    pub fn send(&self, sockets: &[OwnedFd]) -> io::Result<()> {
        let sockets: Vec<BorrowedFd<'_>> = sockets.iter().map(AsFd::as_fd).collect();
        if sockets.len() > SOCKETS_MAX {
            return Err(io::Error::other(format!(
                "{} sockets are more than {SOCKETS_MAX}",
                sockets.len()
            )));
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !sockets.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(&sockets));
        }
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        rustix::net::sendmsg(&self.socket, &[IoSlice::new(MARK)], &mut control, flags)?;
        Ok(())
    }

    /// What lies ready; `None`: nothing more, or nothing of this kind.
    pub fn receive(&self) -> io::Result<Option<Vec<OwnedFd>>> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut mark = [0; MARK.len()];
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let iov = &mut [IoSliceMut::new(&mut mark)];
        let bytes = match rustix::net::recvmsg(&self.socket, iov, &mut control, flags) {
            Ok(message) => message.bytes,
            Err(Errno::AGAIN | Errno::CONNRESET) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        let mut sockets = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(some) = message {
                sockets.extend(some);
            }
        }
        Ok((mark[..bytes] == *MARK).then_some(sockets))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn what_is_under_way_listens_although_both_who_had_it_are_gone() {
        // HANDOVER-1
        let (ours, theirs) = Handover::pair().expect("a pair");
        let child = Handover { socket: theirs };
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("bound");
        child.send(&[listener.into()]).expect("sent");
        drop(child);
        let client = TcpStream::connect(address).expect("it listens");
        let sockets = ours.receive().expect("read").expect("sent");
        let [socket] = <[OwnedFd; 1]>::try_from(sockets).expect("one");
        let accepted = TcpListener::from(socket).accept().expect("it waits");
        assert_eq!(accepted.1, client.local_addr().expect("connected"));
        assert!(ours.receive().expect("the end is no error").is_none());
    }

    #[test]
    fn packets_of_others_are_nothing() {
        let (ours, theirs) = Handover::pair().expect("a pair");
        rustix::io::write(&theirs, b"listen!").expect("sent");
        assert!(ours.receive().expect("read").is_none());
        Handover { socket: theirs }.send(&[]).expect("sent");
        assert!(ours.receive().expect("read").expect("ours").is_empty());
    }
}
