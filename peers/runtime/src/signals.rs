//! Signals, awaited.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::io::Errno;
use rustix::process::Signal;

use crate::error::RuntimeError;
use crate::handle::Handle;
use crate::kernel::{block_signals, signal_descriptor};

/// The kernel's record of a signal; its first word is the number.
const RECORD_BYTES: usize = 128;

/// Signals as something to read, for those who wait in a `poll` of their own. The descriptor is readable while there is one.
#[derive(Debug)]
pub struct SignalDescriptor {
    fd: Rc<OwnedFd>,
    blocked: Vec<Signal>,
}

impl SignalDescriptor {
    /// These signals come here from now on, and interrupt nobody: they are blocked for this thread and those that it
    /// starts. Threads that run already must have blocked them ([`crate::block_signals`], first thing in `main`).
    pub fn new(signals: &[Signal]) -> Result<Self, RuntimeError> {
        let refused = |call| move |source| RuntimeError::System { call, source };
        block_signals(signals).map_err(refused("pthread_sigmask"))?;
        let fd = signal_descriptor(signals).map_err(refused("signalfd"))?;
        Ok(Self {
            fd: Rc::new(fd),
            blocked: signals.to_vec(),
        })
    }

    /// The next one that has come, if any has.
    pub fn take(&self) -> Result<Option<Signal>, RuntimeError> {
        loop {
            let mut record = [0; RECORD_BYTES];
            match rustix::io::read(&self.fd, &mut record) {
                Ok(_) => {
                    let [a, b, c, d, ..] = record;
                    let number = i32::from_ne_bytes([a, b, c, d]);
                    let known = self.blocked.iter().find(|one| one.as_raw() == number);
                    if let Some(signal) = known {
                        return Ok(Some(*signal));
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(None),
                Err(errno) => return Err(refused(errno)),
            }
        }
    }
}

impl AsFd for SignalDescriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// See [`Handle::signals`].
#[derive(Debug)]
pub struct Signals {
    handle: Handle,
    descriptor: SignalDescriptor,
}

impl Handle {
    /// These signals as events: see [`SignalDescriptor::new`].
    pub fn signals(&self, signals: &[Signal]) -> Result<Signals, RuntimeError> {
        Ok(Signals {
            handle: self.clone(),
            descriptor: SignalDescriptor::new(signals)?,
        })
    }
}

impl Signals {
    /// The next one. Several of one kind that came meanwhile count as one, as always with signals.
    pub async fn next(&mut self) -> Result<Signal, RuntimeError> {
        loop {
            if let Some(signal) = self.descriptor.take()? {
                return Ok(signal);
            }
            // Waited for, not read: a future that is dropped loses no signal.
            let readable = self.handle.readable(&self.descriptor.fd);
            readable.await.map_err(refused)?;
        }
    }
}

fn refused(source: Errno) -> RuntimeError {
    RuntimeError::System {
        call: "read of a signalfd",
        source,
    }
}
