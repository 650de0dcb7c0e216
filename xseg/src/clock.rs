//! The two clocks: monotonic nanoseconds for stamps and deadlines, which processes of one machine share, and
//! wall-clock nanoseconds for what people read.

use std::cell::Cell;

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of the monotonic clock. Read in user space; never steps.
#[inline]
pub fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Nanoseconds since 1970.
pub(crate) fn unix_ns() -> u64 {
    let now = clock_gettime(ClockId::Realtime);
    (now.tv_sec as u64)
        .wrapping_mul(1_000_000_000)
        .wrapping_add(now.tv_nsec as u64)
}

/// The monotonic clock for stamps, read again only when it may have moved by more than a fraction of a microsecond:
/// the processor's own counter, three times as cheap, says whether.
#[derive(Debug)]
pub(crate) struct StampClock {
    ns: Cell<u64>,
    counter: Cell<u64>,
}

/// At the few gigahertz of today's counters, half a microsecond or less.
#[cfg(target_arch = "x86_64")]
const FRESH_TICKS: u64 = 1024;

impl StampClock {
    pub fn new() -> Self {
        Self {
            ns: Cell::new(monotonic_ns()),
            counter: Cell::new(counter()),
        }
    }

    #[inline]
    pub fn now_ns(&self) -> u64 {
        let counter = counter();
        if self.is_stale(counter) {
            self.ns.set(monotonic_ns());
            self.counter.set(counter);
        }
        self.ns.get()
    }

    #[cfg(target_arch = "x86_64")]
    #[inline]
    fn is_stale(&self, counter: u64) -> bool {
        // A counter that went backwards (another socket) is stale as well.
        counter.wrapping_sub(self.counter.get()) > FRESH_TICKS
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn is_stale(&self, _counter: u64) -> bool {
        true
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn counter() -> u64 {
    // SAFETY: every x86-64 processor has the instruction, and Linux lets user space execute it.
    unsafe { std::arch::x86_64::_rdtsc() }
}

#[cfg(not(target_arch = "x86_64"))]
fn counter() -> u64 {
    0
}
