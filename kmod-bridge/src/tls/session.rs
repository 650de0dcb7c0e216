//! One encrypted connection: bytes between the network and the server's own socket.
//!
//! # Invariants
//! * **TLS-1** Nothing that the client sent before the encryption began is taken for anything but TLS (CVE-2021-3716, F81).
//! * **TLS-2** What the server has sent reaches the client before the connection ends, unless the client does not take it.
//! * **TLS-3** A session keeps no more than a few records of each direction: who does not take its answers is waited for by the
//!   server's own socket (F75).

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use archipelago_runtime::local::Mutex;
use archipelago_runtime::{Handle, Memory, Task};
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, shutdown, socketpair};
use xseg::Errno;

use super::error::SessionError;
use super::records::{Records, Stream};

/// What is received at once: the longest record, twice.
const RECEIVE_BYTES: usize = 32 << 10;

/// How long a client may take for the rest of its answers when the server has closed the connection.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// An encrypted connection, as the server has it.
#[derive(Debug)]
pub(crate) struct Session {
    /// The server's end.
    socket: Rc<OwnedFd>,
    network: Rc<OwnedFd>,
    inbound: Task<()>,
    outbound: Task<()>,
}

/// What both directions share.
struct Pump {
    handle: Handle,
    network: Rc<OwnedFd>,
    /// The other end of the server's.
    plain: Rc<OwnedFd>,
    records: RefCell<Box<dyn Records>>,
    /// Records leave in the order in which they were made.
    sending: Mutex<()>,
    stall_timeout: Duration,
}

impl Session {
    /// Shakes hands, and begins to pump.
    pub async fn begin(
        handle: &Handle,
        network: &Rc<OwnedFd>,
        records: Box<dyn Records>,
        stall_timeout: Duration,
    ) -> Result<Self, SessionError> {
        let flags = SocketFlags::CLOEXEC;
        let (ours, plain) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        let pump = Rc::new(Pump {
            handle: handle.clone(),
            network: network.clone(),
            plain: Rc::new(plain),
            records: RefCell::new(records),
            sending: Mutex::new(()),
            stall_timeout,
        });
        // What comes with the end of the handshake belongs to the server.
        let early = pump.shake_hands().await?;
        let inbound = pump.clone();
        let inbound = handle.spawn(async move { inbound.run_inbound(early).await });
        let outbound = handle.spawn(async move { pump.run_outbound().await });
        Ok(Self {
            socket: Rc::new(ours),
            network: network.clone(),
            inbound,
            outbound,
        })
    }

    pub fn socket(&self) -> &Rc<OwnedFd> {
        &self.socket
    }

    /// The server is done with it: the rest of what it sent leaves, then the connection ends (TLS-2).
    pub async fn finish(mut self, handle: &Handle) {
        shut(&self.socket, Shutdown::Both);
        let left = handle.timeout(CLOSE_WITHIN, &mut self.outbound).await;
        shut(&self.network, Shutdown::Both);
        if left.is_err() {
            self.outbound.await;
        }
        self.inbound.await;
    }
}

fn refused(why: String) -> SessionError {
    SessionError::Refused { why }
}

fn shut(socket: &OwnedFd, how: Shutdown) {
    // If the other side was quicker there is nothing left to shut.
    let _ = shutdown(socket, how);
}

impl Pump {
    /// Returns what the client sent behind its part of the handshake, decrypted.
    async fn shake_hands(&self) -> Result<Vec<u8>, SessionError> {
        let mut early = Vec::new();
        let mut bytes = vec![0; RECEIVE_BYTES];
        while self.records.borrow().is_handshaking() {
            let (count, given) = self.receive(bytes).await?;
            bytes = given;
            if count == 0 {
                return Err(SessionError::Closed);
            }
            let decrypted = self.decrypt(&bytes[..count], &mut early);
            // Also when it failed: then TLS has something to say about it.
            self.flush().await?;
            decrypted?;
        }
        Ok(early)
    }

    async fn receive(&self, bytes: Vec<u8>) -> Result<(usize, Vec<u8>), Errno> {
        let (count, memory) = self.handle.recv(&self.network, Memory::from(bytes)).await;
        let bytes = memory.into_bytes().expect("it was made from bytes");
        Ok((count?, bytes))
    }

    fn decrypt(&self, records: &[u8], plain: &mut Vec<u8>) -> Result<Stream, SessionError> {
        let decrypted = self.records.borrow_mut().decrypt(records, plain);
        decrypted.map_err(refused)
    }

    /// Sends all that TLS has to say, in order.
    async fn flush(&self) -> Result<(), SessionError> {
        let _turn = self.sending.lock().await;
        loop {
            let output = self.records.borrow_mut().take_output();
            let records = output.map_err(refused)?;
            if records.is_empty() {
                return Ok(());
            }
            let sent = self.handle.send_all(&self.network, records.into());
            match self.handle.timeout(self.stall_timeout, sent).await {
                Ok((sent, _)) => sent?,
                Err(_) => return Err(Errno::TIMEDOUT.into()),
            }
        }
    }

    async fn run_inbound(self: Rc<Self>, early: Vec<u8>) {
        if let Err(error) = self.pass_in(early).await {
            tracing::debug!(%error, "an encrypted connection ended");
        }
        // The server sees the end of the stream.
        shut(&self.plain, Shutdown::Write);
    }

    async fn pass_in(&self, mut plain: Vec<u8>) -> Result<(), SessionError> {
        let mut bytes = vec![0; RECEIVE_BYTES];
        let mut stream = Stream::Open;
        loop {
            if !plain.is_empty() {
                let (sent, given) = self.handle.send_all(&self.plain, plain.into()).await;
                sent?;
                plain = given.into_bytes().expect("it was made from bytes");
                plain.clear();
            }
            if stream == Stream::Ended {
                return Ok(());
            }
            let (count, given) = self.receive(bytes).await?;
            bytes = given;
            if count == 0 {
                return Ok(());
            }
            let decrypted = self.decrypt(&bytes[..count], &mut plain);
            if self.records.borrow().has_output() {
                self.flush().await?;
            }
            stream = decrypted?;
        }
    }

    async fn run_outbound(self: Rc<Self>) {
        if let Err(error) = self.pass_out().await {
            tracing::debug!(%error, "an encrypted connection took nothing more");
            shut(&self.plain, Shutdown::Both);
        }
        shut(&self.network, Shutdown::Write);
    }

    async fn pass_out(&self) -> Result<(), SessionError> {
        let mut bytes = vec![0; RECEIVE_BYTES];
        loop {
            let (count, memory) = self.handle.recv(&self.plain, Memory::from(bytes)).await;
            bytes = memory.into_bytes().expect("it was made from bytes");
            let count = count?;
            if count == 0 {
                self.records.borrow_mut().end();
                return self.flush().await;
            }
            let encrypted = self.records.borrow_mut().encrypt(&bytes[..count]);
            encrypted.map_err(refused)?;
            self.flush().await?;
        }
    }
}
