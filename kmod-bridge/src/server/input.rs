//! Bytes on their way in: what was received and not looked at yet.

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use archipelago_front::Payload;
use archipelago_runtime::{Handle, Memory};
use xseg::Errno;

use crate::limits::RECEIVE_BYTES;

/// The receiving side of a connection.
#[derive(Debug)]
pub(super) struct Input {
    handle: Handle,
    socket: Rc<OwnedFd>,
    /// `None` only while the socket has it.
    memory: Option<Vec<u8>>,
    from: usize,
    to: usize,
    stall_timeout: Duration,
}

/// The connection brings nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Ended {
    #[error("the client closed it")]
    Closed,
    #[error("it failed: {0}")]
    Failed(Errno),
    #[error("the client began a write and sent nothing more of it for too long")]
    Stalled,
}

impl Input {
    pub fn new(handle: Handle, socket: Rc<OwnedFd>, stall_timeout: Duration) -> Self {
        Self {
            handle,
            socket,
            memory: Some(vec![0; RECEIVE_BYTES]),
            from: 0,
            to: 0,
            stall_timeout,
        }
    }

    pub fn bytes(&self) -> &[u8] {
        let memory = self.memory.as_ref().expect("given back by every receive");
        &memory[self.from..self.to]
    }

    pub fn consume(&mut self, count: usize) {
        self.from += count;
        if self.from == self.to {
            (self.from, self.to) = (0, 0);
        }
    }

    /// Brings more, behind what is there. Waits for ever: a client may be idle.
    pub async fn receive(&mut self) -> Result<(), Ended> {
        let mut bytes = self.memory.take().expect("given back by every receive");
        bytes.copy_within(self.from..self.to, 0);
        (self.from, self.to) = (0, self.to - self.from);
        let memory = Memory::from(bytes).part(self.to..RECEIVE_BYTES);
        let (result, memory) = self.handle.recv(&self.socket, memory).await;
        self.memory = Some(memory.into_bytes().expect("it was made from bytes"));
        match result {
            Ok(0) => Err(Ended::Closed),
            Ok(count) => {
                self.to += count;
                Ok(())
            }
            Err(errno) => Err(Ended::Failed(errno)),
        }
    }

    /// Fills a place for a write: from what is there, and for the rest straight from the socket (W1).
    pub async fn fill(&mut self, mut place: Payload) -> Result<Payload, Ended> {
        let here = place.len_bytes().min(self.bytes().len());
        if let Err(error) = place.fill(0, &self.bytes()[..here]) {
            return Err(Ended::Failed(error.errno()));
        }
        self.consume(here);
        if here == place.len_bytes() {
            return Ok(place);
        }
        let Some((memory, shape)) = place.into_receiving(here) else {
            return Err(Ended::Failed(Errno::INVAL));
        };
        let wanted = memory.len();
        let received = self.handle.recv_full(&self.socket, memory);
        let received = self.handle.timeout(self.stall_timeout, received).await;
        match received {
            Err(_) => Err(Ended::Stalled),
            Ok((Ok(count), memory)) if count == wanted => Ok(shape.restore(memory)),
            Ok((Ok(_), _)) => Err(Ended::Closed),
            Ok((Err(errno), _)) => Err(Ended::Failed(errno)),
        }
    }

    /// Receives so many bytes for nothing.
    pub async fn discard(&mut self, mut count: usize) -> Result<(), Ended> {
        loop {
            let here = count.min(self.bytes().len());
            self.consume(here);
            count -= here;
            if count == 0 {
                return Ok(());
            }
            self.receive().await?;
        }
    }
}
