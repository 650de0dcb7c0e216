//! Bytes on their way in: what was received and not looked at yet.
//!
//! # Invariants
//! * **INPUT-1** A client that stops within a request, header or payload, is cut off after a while; one that is silent between
//!   requests is not (F76).

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
    /// Until when the rest of a request that has begun must be here.
    until_ns: Option<u64>,
}

/// What a client may be silent in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// Nothing, or the beginning of a header.
    BetweenRequests,
    WithinRequest,
}

/// The connection brings nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Ended {
    #[error("the client closed it")]
    Closed,
    #[error("it failed: {0}")]
    Failed(Errno),
    #[error("the client began a request and did not send the rest of it for too long")]
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
            until_ns: None,
        }
    }

    pub fn bytes(&self) -> &[u8] {
        let memory = self.memory.as_ref().expect("given back by every receive");
        &memory[self.from..self.to]
    }

    pub fn consume(&mut self, count: usize) {
        if count > 0 {
            self.until_ns = None;
        }
        self.from += count;
        if self.from == self.to {
            (self.from, self.to) = (0, 0);
        }
    }

    /// Brings more, behind what is there. Between requests it waits for ever: a client may be idle. Who has begun one has
    /// so much time for the whole header, or for each part of the rest (INPUT-1).
    pub async fn receive(&mut self, silence: Silence) -> Result<(), Ended> {
        let is_idle = self.bytes().is_empty() && silence == Silence::BetweenRequests;
        if is_idle {
            return self.receive_now().await;
        }
        let handle = self.handle.clone();
        let until_ns = match self.until_ns {
            Some(until_ns) => until_ns,
            None => handle.after_ns(self.stall_timeout),
        };
        self.until_ns = Some(until_ns);
        let received = handle.timeout_at_ns(until_ns, self.receive_now()).await;
        received.map_err(|_| Ended::Stalled)?
    }

    async fn receive_now(&mut self) -> Result<(), Ended> {
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
            self.receive(Silence::WithinRequest).await?;
        }
    }
}
