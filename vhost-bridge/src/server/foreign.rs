//! What a front end has sent, before it is known what it is.
//!
//! It may be a file whose server answers nothing any more: then fstat(2) and close(2) of it never return. So what it is, is asked of
//! the kernel alone (VHOST-8).

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{fcntl_get_seals, readlink};
use rustix::net::AddressFamily;
use rustix::net::sockopt::socket_domain;

use super::elsewhere::Elsewhere;
use super::error::ConnectionError;

/// What /proc calls an eventfd. A file's name there begins with a slash, so that none is called so.
const EVENT: &CStr = c"anon_inode:[eventfd]";

/// A descriptor of a front end. Dropped, it is closed where that may wait.
#[derive(Debug)]
pub struct Foreign {
    /// `None`: it is a [`Foreign`] no longer.
    fd: Option<OwnedFd>,
    elsewhere: Rc<Elsewhere>,
}

impl Foreign {
    pub fn new(fd: OwnedFd, elsewhere: &Rc<Elsewhere>) -> Self {
        Self {
            fd: Some(fd),
            elsewhere: elsewhere.clone(),
        }
    }

    /// For kicks, calls or errors.
    pub fn into_event(mut self) -> Result<OwnedFd, ConnectionError> {
        let path = format!("/proc/self/fd/{}", self.as_fd().as_raw_fd());
        let name = readlink(&path, Vec::new()).map_err(ConnectionError::Descriptor)?;
        match self.fd.take_if(|_| *name == *EVENT) {
            Some(fd) => Ok(fd),
            None => Err(ConnectionError::NotAnEvent),
        }
    }

    /// For what the front end is told by itself.
    pub fn into_socket(mut self) -> Result<OwnedFd, ConnectionError> {
        let domain = socket_domain(&self).map_err(ConnectionError::Descriptor)?;
        match self.fd.take_if(|_| domain == AddressFamily::UNIX) {
            Some(fd) => Ok(fd),
            None => Err(ConnectionError::NotASocket),
        }
    }
}

impl AsFd for Foreign {
    fn as_fd(&self) -> BorrowedFd<'_> {
        let fd = self.fd.as_ref();
        fd.expect("only what consumes it takes it out").as_fd()
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        match self.fd.take() {
            // Memory, which nobody serves but the kernel.
            Some(fd) if fcntl_get_seals(&fd).is_ok() => drop(fd),
            Some(fd) => self.elsewhere.close(fd),
            None => {}
        }
    }
}
