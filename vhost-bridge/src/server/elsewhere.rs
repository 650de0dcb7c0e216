//! A thread of a device's own, for what may wait for ever.
//!
//! A signal to an eventfd waits while its counter is full, where io_uring does not help ([`super::event`]). And
//! close(2) of a file asks whoever serves it (FUSE, NFS), and waits for the answer in a way that nothing ends. A front end that
//! sends such a descriptor stops this thread, which works for its own disk only, and no reactor (VHOST-8). The thread begins with
//! the first job and ends when there has been none for a while.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Jobs that wait behind one that does not end. A device with so many takes nothing more from front ends until they are done:
/// descriptors are few, and others need them as well.
pub const JOBS_MAX: usize = 512;

const IDLE: Duration = Duration::from_secs(10);

/// The way to the thread.
#[derive(Debug, Default)]
pub struct Elsewhere {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    jobs: VecDeque<Job>,
    has_thread: bool,
    is_busy: bool,
    /// There will be no more jobs.
    is_over: bool,
}

#[derive(Debug)]
enum Job {
    Close(OwnedFd),
    Signal(Arc<OwnedFd>),
}

impl Job {
    fn is_signal_to(&self, event: &Arc<OwnedFd>) -> bool {
        matches!(self, Self::Signal(other) if Arc::ptr_eq(other, event))
    }

    fn perform(self) {
        match self {
            Self::Close(fd) => drop(fd),
            Self::Signal(event) => {
                if let Err(error) = rustix::io::write(&event, &1u64.to_ne_bytes()) {
                    tracing::debug!(%error, "a ring's descriptor does not take a signal");
                }
            }
        }
    }
}

impl Elsewhere {
    /// Closes it, some time.
    pub fn close(&self, fd: OwnedFd) {
        self.push(self.shared.lock(), Job::Close(fd));
    }

    /// Signals it, some time. One signal says what many say.
    pub fn signal(&self, event: &Arc<OwnedFd>) {
        let state = self.shared.lock();
        if !state.jobs.iter().any(|job| job.is_signal_to(event)) {
            self.push(state, Job::Signal(event.clone()));
        }
    }

    fn push(&self, mut state: MutexGuard<'_, State>, job: Job) {
        state.jobs.push_back(job);
        if state.has_thread {
            return self.shared.changed.notify_one();
        }
        let shared = self.shared.clone();
        let thread = std::thread::Builder::new().name("vhost-elsewhere".to_owned());
        match thread.spawn(move || shared.work()) {
            Ok(_) => state.has_thread = true,
            // The next job tries again.
            Err(error) => tracing::warn!(%error, "no thread for what may wait"),
        }
    }

    /// Jobs that are not done.
    pub fn jobs(&self) -> usize {
        let state = self.shared.lock();
        state.jobs.len() + usize::from(state.is_busy)
    }
}

impl Drop for Elsewhere {
    /// Nobody waits for the thread: it may never end.
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_over = true;
        if !state.has_thread {
            // Rather lost than closed here.
            std::mem::forget(std::mem::take(&mut state.jobs));
        }
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                state.is_busy = true;
                drop(state);
                job.perform();
                state = self.lock();
                state.is_busy = false;
                continue;
            }
            if state.is_over {
                break;
            }
            let waited = self.changed.wait_timeout(state, IDLE);
            let (after, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = after;
            if timeout.timed_out() && state.jobs.is_empty() {
                break;
            }
        }
        state.has_thread = false;
    }
}
