//! How a waiter is made.

use std::time::Duration;

/// How a waiter sleeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WaitMethod {
    /// The best that this kernel has.
    #[default]
    Auto,
    /// In the ring, with a futex wait (Linux 6.7).
    RingFutex,
    /// In the ring, with a helper thread that sleeps on the futex.
    RingHelper,
    /// On the futex alone: no io_uring, no other work.
    Futex,
}

/// How to make a waiter.
#[derive(Clone, Debug)]
pub struct WaiterOptions {
    pub(super) method: WaitMethod,
    pub(super) entries: u32,
    pub(super) spin_max: Duration,
    pub(super) file_slots: u32,
}

impl Default for WaiterOptions {
    fn default() -> Self {
        Self {
            method: WaitMethod::Auto,
            entries: 256,
            spin_max: Duration::from_micros(5),
            file_slots: 0,
        }
    }
}

impl WaiterOptions {
    pub fn method(mut self, method: WaitMethod) -> Self {
        self.method = method;
        self
    }

    /// Entries of the ring's submission queue.
    pub fn entries(mut self, entries: u32) -> Self {
        self.entries = entries;
        self
    }

    /// The longest look before a sleep; `Duration::MAX` never sleeps. It is shortened while it does not pay.
    pub fn spin_max(mut self, spin_max: Duration) -> Self {
        self.spin_max = spin_max;
        self
    }

    /// Slots for registered files of the ring's user, after slot 0, which holds the gate.
    pub fn file_slots(mut self, slots: u32) -> Self {
        self.file_slots = slots;
        self
    }
}
