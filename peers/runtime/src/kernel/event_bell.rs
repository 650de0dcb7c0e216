//! Signals to an eventfd that others have as well, without ever waiting for them.
//!
//! write(2) waits for as long as the counter is full, unless the open file says `O_NONBLOCK`; and that is common to all who have it, so that
//! any of them may clear it between our look and our write. The kernel itself never waits: it signals an eventfd that is registered with
//! a ring at each completion. So a signal is an operation that does nothing, on a ring for nothing else.
//!
//! # Invariants
//! * **EVENTBELL-1** A signal never waits, whatever others do with the eventfd.

use std::cell::RefCell;
use std::os::fd::{AsFd, AsRawFd};

use io_uring::{IoUring, opcode};
use rustix::io::Errno;

/// One eventfd. It need not be kept open beside.
pub struct EventBell {
    ring: RefCell<IoUring>,
}

impl std::fmt::Debug for EventBell {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("EventBell").finish_non_exhaustive()
    }
}

impl EventBell {
    /// Fails where io_uring is not to be had, and for what is no eventfd.
    pub fn new(event: impl AsFd) -> Result<Self, Errno> {
        let ring = IoUring::new(1).map_err(|error| errno_of(&error))?;
        let registered = ring.submitter().register_eventfd(event.as_fd().as_raw_fd());
        registered.map_err(|error| errno_of(&error))?;
        Ok(Self {
            ring: RefCell::new(ring),
        })
    }

    /// Adds one to the counter, if there is room (EVENTBELL-1).
    pub fn ring(&self) -> Result<(), Errno> {
        let mut ring = self.ring.borrow_mut();
        let nothing = opcode::Nop::new().build();
        // SAFETY: the operation has no memory. If there is no room, one that could not be submitted before goes now.
        let _ = unsafe { ring.submission().push(&nothing) };
        loop {
            match ring.submit().map_err(|error| errno_of(&error)) {
                Ok(_) => break,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        ring.completion().for_each(drop);
        Ok(())
    }
}

fn errno_of(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use rustix::event::{EventfdFlags, eventfd};

    use super::*;

    #[test]
    fn each_signal_is_counted() {
        let event = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        let bell = EventBell::new(&event).unwrap();
        let mut count = [0u8; 8];
        for signals in [1, 3, 1000] {
            for _ in 0..signals {
                bell.ring().unwrap();
            }
            rustix::io::read(&event, &mut count).unwrap();
            assert_eq!(u64::from_ne_bytes(count), signals);
        }
    }

    #[test]
    fn an_event_that_is_full_makes_nobody_wait() {
        // EVENTBELL-1
        let event = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        let bell = EventBell::new(&event).unwrap();
        rustix::io::write(&event, &(u64::MAX - 1).to_ne_bytes()).unwrap();
        for _ in 0..3 {
            bell.ring().unwrap();
        }
        rustix::io::read(&event, &mut [0u8; 8]).unwrap();
        bell.ring().unwrap();
        let mut count = [0u8; 8];
        rustix::io::read(&event, &mut count).unwrap();
        assert_eq!(u64::from_ne_bytes(count), 1);
    }

    #[test]
    fn what_is_no_event_is_refused() {
        let (pipe, _end) = rustix::pipe::pipe().unwrap();
        assert!(EventBell::new(&pipe).is_err());
    }
}
