//! Waiting for many streams at once on a thread, without io_uring.

use std::os::fd::{AsRawFd, OwnedFd};

use super::action::RawCall;

/// Waits until `bell` or one of `calls` is ready, and tries what is. Whatever has ended goes to `ended`, with its place
/// among the calls.
///
/// The entries of all calls are in [`super::Operations`]: it drops none whose completion has not come.
pub(crate) fn wait_for_streams(
    bell: &OwnedFd,
    calls: &[(u64, RawCall)],
    mut ended: impl FnMut(usize, i32),
) {
    let entry = |fd, events| libc::pollfd {
        fd,
        events,
        revents: 0,
    };
    let mut entries = vec![entry(bell.as_raw_fd(), libc::POLLIN)];
    entries.extend(
        calls
            .iter()
            .map(|(_, call)| entry(call.fd, call.poll_events())),
    );
    // SAFETY: the vector is good for as many entries as it has.
    let found = unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, -1) };
    if found <= 0 {
        return; // a signal: the caller comes again
    }
    for (place, ((_, call), entry)) in calls.iter().zip(&entries[1..]).enumerate() {
        if entry.revents == 0 {
            continue;
        }
        // SAFETY: its completion has not been told yet, so its entry is there (OPERATION-1).
        let result = unsafe { call.attempt() };
        if result != -libc::EAGAIN {
            ended(place, result);
        }
    }
}

impl RawCall {
    /// Does a call of the pool: a file's.
    pub(crate) fn block_on_file(&self) -> i32 {
        // SAFETY: its completion has not been told yet, so its entry is there (OPERATION-1).
        unsafe { self.block() }
    }
}
