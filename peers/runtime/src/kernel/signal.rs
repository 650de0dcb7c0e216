//! Signals that arrive as bytes of a descriptor, and nowhere else.

use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr::null_mut;

use rustix::io::Errno;
use rustix::process::Signal;

/// Keeps these signals from interrupting the present thread, and those that it starts from now on. To be called first
/// thing in `main`: a signal to the process goes to any thread that has not blocked it.
pub fn block_signals(signals: &[Signal]) -> Result<(), Errno> {
    change_mask(&set_of(signals))
}

/// For threads that do the reactor's work: signals are for those who asked for them.
pub(crate) fn block_all_signals() {
    let mut set = set_of(&[]);
    // SAFETY: the set is a live local.
    unsafe { libc::sigfillset(&raw mut set) };
    let _ = change_mask(&set); // can only fail for a bad `how`
}

/// A descriptor that these signals can be read from, without waiting.
pub(crate) fn signal_descriptor(signals: &[Signal]) -> Result<OwnedFd, Errno> {
    let set = set_of(signals);
    // SAFETY: the set is a live local; -1 asks for a new descriptor.
    let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
    if fd < 0 {
        return Err(last_errno());
    }
    // SAFETY: made just above, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn change_mask(set: &libc::sigset_t) -> Result<(), Errno> {
    // SAFETY: the set is borrowed for the call, and the old one is not asked for.
    match unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, set, null_mut()) } {
        0 => Ok(()),
        errno => Err(Errno::from_raw_os_error(errno)),
    }
}

fn set_of(signals: &[Signal]) -> libc::sigset_t {
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the call writes the set that it is given.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: written just above.
    let mut set = unsafe { set.assume_init() };
    for signal in signals {
        // SAFETY: the set is a live local, and every `Signal` is a signal's number.
        unsafe { libc::sigaddset(&raw mut set, signal.as_raw()) };
    }
    set
}

pub(super) fn last_errno() -> Errno {
    let error = std::io::Error::last_os_error();
    Errno::from_raw_os_error(error.raw_os_error().unwrap_or(libc::EIO))
}
