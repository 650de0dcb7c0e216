//! Signals, awaited.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::io::Errno;
use rustix::process::Signal;

use crate::error::RuntimeError;
use crate::handle::Handle;
use crate::kernel::{block_signals, signal_descriptor};

/// The kernel's record of a signal; its first word is the number.
const RECORD_BYTES: usize = 128;

/// See [`Handle::signals`].
#[derive(Debug)]
pub struct Signals {
    handle: Handle,
    fd: Rc<OwnedFd>,
    blocked: Vec<Signal>,
}

impl Handle {
    /// These signals as events. They are blocked for this thread and those that it starts from now on; threads
    /// that run already must have blocked them ([`crate::block_signals`], first thing in `main`).
    pub fn signals(&self, signals: &[Signal]) -> Result<Signals, RuntimeError> {
        let refused = |call| move |source| RuntimeError::System { call, source };
        block_signals(signals).map_err(refused("pthread_sigmask"))?;
        let fd = signal_descriptor(signals).map_err(refused("signalfd"))?;
        Ok(Signals {
            handle: self.clone(),
            fd: Rc::new(fd),
            blocked: signals.to_vec(),
        })
    }
}

impl Signals {
    /// The next one. Several of one kind that came meanwhile count as one, as always with signals.
    pub async fn next(&mut self) -> Result<Signal, RuntimeError> {
        let refused = |source| RuntimeError::System {
            call: "read of a signalfd",
            source,
        };
        loop {
            let mut record = [0; RECORD_BYTES];
            match rustix::io::read(&self.fd, &mut record) {
                Ok(_) => {
                    let [a, b, c, d, ..] = record;
                    let number = i32::from_ne_bytes([a, b, c, d]);
                    let known = self.blocked.iter().find(|one| one.as_raw() == number);
                    if let Some(signal) = known {
                        return Ok(*signal);
                    }
                }
                Err(Errno::INTR) => {}
                // Waited for, not read: a future that is dropped loses no signal.
                Err(Errno::AGAIN) => self.handle.readable(&self.fd).await.map_err(refused)?,
                Err(errno) => return Err(refused(errno)),
            }
        }
    }
}
