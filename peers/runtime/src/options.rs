//! How to make a reactor.

use std::time::Duration;

use xseg::{WaitMethod, WaiterOptions};

/// The defaults suit a peer on a machine of any size.
#[derive(Clone, Debug)]
pub struct ReactorOptions {
    pub(crate) waiter: WaiterOptions,
    pub(crate) threads_max: usize,
    pub(crate) thread_idle: Duration,
}

impl Default for ReactorOptions {
    fn default() -> Self {
        Self {
            waiter: WaiterOptions::default(),
            threads_max: 8,
            thread_idle: Duration::from_secs(10),
        }
    }
}

impl ReactorOptions {
    /// How the reactor sleeps. [`WaitMethod::Futex`] does without io_uring: threads do its work.
    pub fn wait_method(mut self, method: WaitMethod) -> Self {
        self.waiter = self.waiter.method(method);
        self
    }

    /// Entries of the submission queue: more submissions than that in one turn cost another system call.
    pub fn ring_entries(mut self, entries: u32) -> Self {
        self.waiter = self.waiter.entries(entries);
        self
    }

    /// The longest look before a sleep (W5).
    pub fn spin_max(mut self, spin_max: Duration) -> Self {
        self.waiter = self.waiter.spin_max(spin_max);
        self
    }

    /// How many threads do blocking calls at a time; without io_uring as many do the work of files. At least one.
    pub fn threads_max(mut self, threads_max: usize) -> Self {
        self.threads_max = threads_max.max(1);
        self
    }

    /// How long such a thread waits for more work before it ends.
    pub fn thread_idle(mut self, thread_idle: Duration) -> Self {
        self.thread_idle = thread_idle;
        self
    }
}
