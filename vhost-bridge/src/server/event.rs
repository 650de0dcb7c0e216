//! The two ends of a front end's eventfds. It has them open as well, and may do with them at any time what it likes: clear
//! `O_NONBLOCK`, fill the counter, read what was meant for us. Neither end waits for it (VHOST-8).

use std::io::IoSliceMut;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

use archipelago_runtime::{EventBell, Handle};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

use super::elsewhere::Elsewhere;

/// "Where the file stands".
const CURRENT: u64 = u64::MAX;

/// What we signal.
#[derive(Debug)]
pub struct Event {
    fd: Arc<OwnedFd>,
    /// `None`: there is no io_uring, or it is not worth one.
    bell: Option<EventBell>,
    elsewhere: Rc<Elsewhere>,
}

impl Event {
    /// One that is signalled often.
    pub fn new(fd: OwnedFd, handle: &Handle, elsewhere: &Rc<Elsewhere>) -> Self {
        let bell = handle.event_bell(&fd);
        Self {
            bell,
            ..Self::of_rare(fd, elsewhere)
        }
    }

    /// One that is signalled once, if ever.
    pub fn of_rare(fd: OwnedFd, elsewhere: &Rc<Elsewhere>) -> Self {
        Self {
            fd: Arc::new(fd),
            bell: None,
            elsewhere: elsewhere.clone(),
        }
    }

    /// Takes what was signalled: there is room again for who waits for it.
    pub fn let_go(&self) {
        if let Err(error) = take(&*self.fd) {
            tracing::debug!(%error, "an event that cannot be emptied");
        }
    }

    pub fn signal(&self) {
        match self.bell.as_ref().map(EventBell::ring) {
            Some(Ok(())) => return,
            Some(Err(error)) => {
                tracing::debug!(%error, "a signal goes another way");
            }
            None => {}
        }
        self.elsewhere.signal(&self.fd);
    }
}

/// Takes what was signalled to us: `false` if somebody else was quicker.
pub fn take(event: impl AsFd) -> Result<bool, Errno> {
    let mut count = [0u8; 8];
    let mut slices = [IoSliceMut::new(&mut count)];
    match preadv2(event, &mut slices, CURRENT, ReadWriteFlags::NOWAIT) {
        Ok(_) => Ok(true),
        Err(Errno::AGAIN | Errno::INTR) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};

    use super::*;

    #[test]
    fn a_signal_that_somebody_else_took_is_not_waited_for() {
        // VHOST-8
        let event = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        assert_eq!(take(&event), Ok(false));
        rustix::io::write(&event, &3u64.to_ne_bytes()).unwrap();
        assert_eq!(take(&event), Ok(true));
        assert_eq!(take(&event), Ok(false));
    }

    #[test]
    fn without_a_ring_a_signal_comes_all_the_same_and_one_that_is_stuck_stops_nobody() {
        // VHOST-8
        let elsewhere = Rc::default();
        let fd = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        let ours = fd.try_clone().unwrap();
        let event = Event::of_rare(fd, &elsewhere);
        event.signal();
        poll(&mut [PollFd::new(&ours, PollFlags::IN)], None).unwrap();
        while elsewhere.jobs() > 0 {
            std::thread::yield_now();
        }
        assert_eq!(take(&ours), Ok(true));
        rustix::io::write(&ours, &(u64::MAX - 1).to_ne_bytes()).unwrap();
        for _ in 0..1000 {
            event.signal();
        }
        assert!(elsewhere.jobs() <= 2, "one is stuck, and one waits for all");
        event.let_go();
        while elsewhere.jobs() > 0 {
            std::thread::yield_now();
        }
    }
}
