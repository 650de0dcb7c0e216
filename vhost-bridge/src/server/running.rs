use std::os::fd::OwnedFd;
use std::rc::Rc;

use archipelago_front::Disk;
use archipelago_runtime::{Handle, Task};
use rustix::io::Errno;

use super::error::{ConnectionError, RingError};
use super::ring::Ring;
use super::signals::make_nonblocking;

/// A ring, and the task that waits for its kicks.
#[derive(Debug)]
pub struct Running<D> {
    pub ring: Rc<Ring<D>>,
    kicks: Task<()>,
}

impl<D: Disk> Running<D> {
    pub fn new(handle: &Handle, ring: Rc<Ring<D>>, kick: OwnedFd) -> Result<Self, ConnectionError> {
        make_nonblocking(&kick).map_err(ConnectionError::Descriptor)?;
        let kicks = handle.spawn(wait_for_kicks(handle.clone(), ring.clone(), Rc::new(kick)));
        Ok(Self { ring, kicks })
    }

    /// Nothing more is taken; what was is done.
    pub async fn stop(self) -> Rc<Ring<D>> {
        self.kicks.abort();
        self.ring.pause().await;
        self.ring
    }

    /// Waits for other kicks from now on.
    pub fn kicked_by(self, handle: &Handle, kick: OwnedFd) -> Result<Self, ConnectionError> {
        self.kicks.abort();
        Self::new(handle, self.ring, kick)
    }
}

async fn wait_for_kicks<D: Disk>(handle: Handle, ring: Rc<Ring<D>>, kick: Rc<OwnedFd>) {
    loop {
        ring.take_all();
        if ring.is_broken() {
            return;
        }
        if let Err(error) = kicked(&handle, &kick).await {
            return ring.break_down(&error);
        }
    }
}

async fn kicked(handle: &Handle, kick: &Rc<OwnedFd>) -> Result<(), RingError> {
    handle.readable(kick).await.map_err(RingError::Kick)?;
    match rustix::io::read(&**kick, &mut [0u8; 8]) {
        Ok(0) => Err(RingError::KickEnded),
        Ok(_) | Err(Errno::AGAIN | Errno::INTR) => Ok(()),
        Err(error) => Err(RingError::Kick(error)),
    }
}
