//! A socket to the kernel's families.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::{GENERIC, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with,
};

use super::attribute::{Attributes, attributes};
use super::genetlink::{CONTROL_FAMILY, Call, Said, said};

const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;

/// More than any answer has.
const DATAGRAM_BYTES_MAX: usize = 64 << 10;

/// Calls, one after the other.
#[derive(Debug)]
pub struct Link {
    socket: OwnedFd,
    sequence: u32,
}

impl Link {
    pub fn open() -> Result<Self, Errno> {
        let flags = SocketFlags::CLOEXEC;
        let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
        let socket = socket_with(family, kind, flags, Some(GENERIC))?;
        bind(&socket, &SocketAddrNetlink::new(0, 0))?; // whatever number the kernel gives us
        Ok(Self {
            socket,
            sequence: 0,
        })
    }

    /// The number of a family; `None`: no driver of that name is there.
    pub fn family(&mut self, name: &str) -> Result<Option<u16>, Errno> {
        let mut asked = Attributes::default();
        asked.put_text(FAMILY_NAME, name);
        let call = Call {
            family: CONTROL_FAMILY,
            command: GET_FAMILY,
            attributes: &asked,
        };
        match self.call(call) {
            Ok(answer) => {
                let id = attributes(&answer).find(|one| one.kind == FAMILY_ID);
                Ok(id.and_then(|id| id.word16()))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Does it. The attributes of the last answer, if there was one.
    pub fn call(&mut self, call: Call<'_>) -> Result<Vec<u8>, Errno> {
        self.sequence = self.sequence.wrapping_add(1);
        let bytes = call.to_bytes(self.sequence);
        retry(|| send(&self.socket, &bytes, SendFlags::empty()))?;
        let mut answer = Vec::new();
        let mut datagram = vec![0; DATAGRAM_BYTES_MAX];
        loop {
            let received = retry(|| {
                let (len, _) = recv(&self.socket, &mut datagram[..], RecvFlags::empty())?;
                Ok(len)
            })?;
            for word in said(&datagram[..received], self.sequence) {
                match word {
                    Said::Answer(attributes) => answer = attributes.to_vec(),
                    Said::Done(result) => return result.map(|()| answer),
                }
            }
        }
    }
}

/// Until no signal is in the way.
fn retry(mut call: impl FnMut() -> Result<usize, Errno>) -> Result<usize, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_of_this_kernel_are_known_by_their_names_and_others_are_not() {
        let mut link = Link::open().unwrap();
        assert_eq!(link.family("nlctrl").unwrap(), Some(CONTROL_FAMILY));
        assert_eq!(link.family("no-such-family").unwrap(), None);
        assert_eq!(link.family("nlctrl").unwrap(), Some(CONTROL_FAMILY));
    }
}
