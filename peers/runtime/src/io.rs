//! Files, pipes and sockets.
//!
//! By io_uring where the reactor has a ring, else by threads: the same results both ways. Memory goes in and comes
//! back with the result. A future that is dropped cancels its operation; bytes that a stream had given by then are
//! lost, so a read of a stream is dropped only together with the stream.

use std::future::Future;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::io::Errno;

use crate::handle::Handle;
use crate::kernel::{Action, DriverCommand, Memory, Outcome};
use crate::operation::Operation;

/// A result, and the memory that it was about.
pub type WithMemory<T> = (Result<T, Errno>, Memory);

/// What [`Handle::fsync`] makes durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncScope {
    /// The bytes, and what is needed to find them again: fdatasync.
    Data,
    /// Everything that is known of the file: fsync.
    All,
}

impl Handle {
    async fn perform(
        &self,
        action: Action,
        fd: &Rc<OwnedFd>,
        mut memory: [Option<Memory>; 2],
    ) -> Outcome {
        loop {
            let outcome = Operation::begin(&self.core, action, fd, memory).await;
            match outcome.result {
                Err(Errno::INTR) => {}
                // A descriptor that does not block: then we wait by other means.
                Err(Errno::AGAIN) if action.is_stream() => {
                    let ready = match action {
                        Action::Write | Action::Send | Action::SendBoth => Action::Writable,
                        _ => Action::Readable,
                    };
                    let waited = Operation::begin(&self.core, ready, fd, [None, None]).await;
                    if waited.result.is_err() {
                        return Outcome {
                            result: waited.result,
                            ..outcome
                        };
                    }
                }
                _ => return outcome,
            }
            memory = outcome.memory;
        }
    }

    async fn with_memory(
        &self,
        action: Action,
        fd: &Rc<OwnedFd>,
        memory: Memory,
    ) -> WithMemory<usize> {
        let mut outcome = self.perform(action, fd, [Some(memory), None]).await;
        let memory = outcome.memory[0].take();
        (outcome.result, memory.expect("it comes back"))
    }

    /// Reads once, at `offset` of a file. Fewer bytes than asked for are no error; 0 is the end of the file.
    pub fn read_at(
        &self,
        fd: &Rc<OwnedFd>,
        offset: u64,
        memory: Memory,
    ) -> impl Future<Output = WithMemory<usize>> {
        self.with_memory(Action::ReadAt { offset }, fd, memory)
    }

    /// Reads until the memory is full or the file ends, at `offset` of it. The number of bytes read.
    pub async fn read_full_at(
        &self,
        fd: &Rc<OwnedFd>,
        offset: u64,
        memory: Memory,
    ) -> WithMemory<usize> {
        let at = |done: u64| Action::ReadAt {
            offset: offset.saturating_add(done),
        };
        self.in_full(fd, memory, at).await
    }

    /// Writes once, at `offset` of a file. Fewer bytes than given are no error.
    pub fn write_at(
        &self,
        fd: &Rc<OwnedFd>,
        offset: u64,
        memory: Memory,
    ) -> impl Future<Output = WithMemory<usize>> {
        self.with_memory(Action::WriteAt { offset }, fd, memory)
    }

    /// Writes all bytes, at `offset` of a file (F29). After an error any part of them may have been written.
    pub async fn write_all_at(
        &self,
        fd: &Rc<OwnedFd>,
        offset: u64,
        memory: Memory,
    ) -> WithMemory<()> {
        let at = |done: u64| Action::WriteAt {
            offset: offset.saturating_add(done),
        };
        all_or_error(self.in_full(fd, memory, at).await, Errno::IO)
    }

    /// Makes what was written to the file durable. A failed one is not to be tried again: what could not be written
    /// may be forgotten by then (F27).
    pub async fn fsync(&self, fd: &Rc<OwnedFd>, scope: SyncScope) -> Result<(), Errno> {
        let action = match scope {
            SyncScope::Data => Action::SyncData,
            SyncScope::All => Action::SyncAll,
        };
        let outcome = self.perform(action, fd, [None, None]).await;
        outcome.result.map(drop)
    }

    /// The next bytes of a pipe or the like; 0 is its end.
    pub fn read(
        &self,
        fd: &Rc<OwnedFd>,
        memory: Memory,
    ) -> impl Future<Output = WithMemory<usize>> {
        self.with_memory(Action::Read, fd, memory)
    }

    /// Some bytes into a pipe or the like.
    pub fn write(
        &self,
        fd: &Rc<OwnedFd>,
        memory: Memory,
    ) -> impl Future<Output = WithMemory<usize>> {
        self.with_memory(Action::Write, fd, memory)
    }

    /// Takes the next connection of a listening socket, which without io_uring does not block any more from then on.
    pub async fn accept(&self, listener: &Rc<OwnedFd>) -> Result<OwnedFd, Errno> {
        let outcome = self.perform(Action::Accept, listener, [None, None]).await;
        outcome.result?;
        Ok(outcome
            .accepted
            .expect("an accept without error brings one"))
    }

    /// The next bytes of a socket, as many as there are; 0: the other side has closed it.
    pub fn recv(
        &self,
        socket: &Rc<OwnedFd>,
        memory: Memory,
    ) -> impl Future<Output = WithMemory<usize>> {
        self.with_memory(Action::Recv, socket, memory)
    }

    /// Fills the memory from a socket. Fewer bytes only if the other side has closed it.
    pub async fn recv_full(&self, socket: &Rc<OwnedFd>, memory: Memory) -> WithMemory<usize> {
        self.in_full(socket, memory, |_| Action::Recv).await
    }

    /// Some bytes into a socket. A closed one is an error, never a signal.
    pub fn send(
        &self,
        socket: &Rc<OwnedFd>,
        memory: Memory,
    ) -> impl Future<Output = WithMemory<usize>> {
        self.with_memory(Action::Send, socket, memory)
    }

    /// All bytes into a socket.
    pub async fn send_all(&self, socket: &Rc<OwnedFd>, memory: Memory) -> WithMemory<()> {
        let sent = self.in_full(socket, memory, |_| Action::Send).await;
        all_or_error(sent, Errno::PIPE)
    }

    /// A header and its payload into a socket, in one system call if the socket takes them.
    pub async fn send_vectored_all(
        &self,
        socket: &Rc<OwnedFd>,
        header: Memory,
        payload: Memory,
    ) -> (Result<(), Errno>, Memory, Memory) {
        let windows = [header.window(), payload.window()];
        let mut both = [header, payload];
        let mut result = Ok(());
        while both.iter().any(|memory| !memory.is_empty()) {
            let outcome = self.perform(Action::SendBoth, socket, both.map(Some)).await;
            both = outcome.memory.map(|memory| memory.expect("it comes back"));
            let mut sent = match outcome.result {
                Ok(0) => Err(Errno::PIPE),
                other => other,
            }
            .unwrap_or_else(|errno| {
                result = Err(errno);
                0
            });
            if result.is_err() {
                break;
            }
            for memory in &mut both {
                let here = sent.min(memory.len());
                memory.narrow(here..memory.len());
                sent -= here;
            }
        }
        for (memory, window) in both.iter_mut().zip(windows) {
            memory.restore(window);
        }
        let [header, payload] = both;
        (result, header, payload)
    }

    /// Waits until there is something to read, or an end or an error to see.
    pub async fn readable(&self, fd: &Rc<OwnedFd>) -> Result<(), Errno> {
        let outcome = self.perform(Action::Readable, fd, [None, None]).await;
        outcome.result.map(drop)
    }

    /// Waits until something can be written, or there is an error to see.
    pub async fn writable(&self, fd: &Rc<OwnedFd>) -> Result<(), Errno> {
        let outcome = self.perform(Action::Writable, fd, [None, None]).await;
        outcome.result.map(drop)
    }

    /// Has the descriptor's driver do something that only it understands, and waits until it has. Only io_uring can: without it the
    /// answer is OPNOTSUPP.
    ///
    /// A driver may keep a command for as long as it likes, and a future that is dropped does not take it back: what the driver
    /// answers then is lost. The end of the reactor ends it.
    pub async fn command(&self, fd: &Rc<OwnedFd>, command: DriverCommand) -> Result<usize, Errno> {
        if !self.core.has_ring {
            return Err(Errno::OPNOTSUPP);
        }
        Operation::begin(&self.core, Action::Command(command), fd, [None, None])
            .await
            .result
    }

    /// Repeats until the memory is used up or nothing comes any more. `action` is told what was done so far.
    async fn in_full(
        &self,
        fd: &Rc<OwnedFd>,
        mut memory: Memory,
        action: impl Fn(u64) -> Action,
    ) -> WithMemory<usize> {
        let window = memory.window();
        let mut done = 0;
        let mut result = Ok(());
        while !memory.is_empty() {
            let (step, back) = self.with_memory(action(done as u64), fd, memory).await;
            memory = back;
            match step {
                Ok(0) => break,
                Ok(count) => {
                    done += count;
                    memory.narrow(count..memory.len());
                }
                Err(errno) => {
                    result = Err(errno);
                    break;
                }
            }
        }
        memory.restore(window);
        (result.map(|()| done), memory)
    }
}

/// Fewer bytes than there are is an error.
fn all_or_error((result, memory): WithMemory<usize>, short: Errno) -> WithMemory<()> {
    let result = match result {
        Ok(done) if done == memory.len() => Ok(()),
        Ok(_) => Err(short),
        Err(errno) => Err(errno),
    };
    (result, memory)
}
