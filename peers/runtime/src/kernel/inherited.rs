//! Descriptors that whoever started this process has left open for it.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use rustix::io::Errno;

use super::signal::last_errno;

/// One's own descriptor of what a starter, such as systemd, left open under this number. The number stays open, but is
/// not handed on to programs that this process starts. What is not open is `BADF`. The new one's number is `beyond` or
/// more: it is not to be taken for one of the starter's.
///
/// Whether the number is meant for this process is for the caller to know, before the process opens anything itself.
pub fn inherited_descriptor(number: RawFd, beyond: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: no memory is touched; a number that is not open is an error.
    let fd = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, beyond) };
    if fd < 0 {
        return Err(last_errno());
    }
    // SAFETY: made just above, and nobody else's.
    let own = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: no memory is touched; the number is open, or was closed by its owner meanwhile.
    match unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } {
        0.. => Ok(own),
        _ => Err(last_errno()),
    }
}
