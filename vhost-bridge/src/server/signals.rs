use std::cell::RefCell;
use std::os::fd::OwnedFd;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

/// How a ring's front end is told of things. It may change the descriptors at any time.
#[derive(Debug, Default)]
pub struct Signals {
    call: RefCell<Option<OwnedFd>>,
    err: RefCell<Option<OwnedFd>>,
}

/// A front end's descriptor must not make us wait.
pub fn make_nonblocking(fd: &OwnedFd) -> Result<(), Errno> {
    fcntl_setfl(fd, fcntl_getfl(fd)? | OFlags::NONBLOCK)
}

impl Signals {
    pub fn set_call(&self, fd: Option<OwnedFd>) {
        self.call.replace(fd);
    }

    pub fn set_err(&self, fd: Option<OwnedFd>) {
        self.err.replace(fd);
    }

    /// Something was completed.
    pub fn call(&self) {
        Self::signal(&self.call);
    }

    /// The ring is broken.
    pub fn err(&self) {
        Self::signal(&self.err);
    }

    /// One that is full says the same already; one that fails concerns its front end only (VHOST-3).
    fn signal(fd: &RefCell<Option<OwnedFd>>) {
        if let Some(fd) = &*fd.borrow() {
            let written = rustix::io::write(fd, &1u64.to_ne_bytes());
            if let Err(error) = written {
                tracing::debug!(%error, "a ring's descriptor does not take a signal");
            }
        }
    }
}
