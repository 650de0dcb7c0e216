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

/// The monotonic clock for stamps, three times as cheap: read a few thousand times a second, and in between told by
/// the processor's own counter at the rate that it had until then.
#[derive(Debug)]
pub(crate) struct StampClock {
    pace: Cell<Pace>,
    /// Stamps of one port do not go backwards, even where the pace is corrected.
    last_ns: Cell<u64>,
}

impl StampClock {
    pub fn new() -> Self {
        let (ns, ticks, _) = both();
        Self {
            pace: Cell::new(Pace::begin(ns, ticks)),
            last_ns: Cell::new(ns),
        }
    }

    #[inline]
    pub fn now_ns(&self) -> u64 {
        let told = self.pace.get().tell(counter());
        let now_ns = told.unwrap_or_else(|| self.read()).max(self.last_ns.get());
        self.last_ns.set(now_ns);
        now_ns
    }

    #[cold]
    fn read(&self) -> u64 {
        let (ns, ticks, are_close) = both();
        self.pace.set(if are_close {
            self.pace.get().corrected(ns, ticks)
        } else {
            Pace::begin(ns, ticks)
        });
        ns
    }
}

/// Where both clocks stood, and how fast one went by the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pace {
    ns: u64,
    ticks: u64,
    /// Nanoseconds a tick, times 2^32; 0: not known yet.
    rate: u64,
}

/// At the few gigahertz of today's counters, a third of a millisecond.
const TICKS_TOLD: u64 = 1 << 20;
/// A rate is measured over at least so many ticks, and at most so many, which keeps its product within 64 bits.
const TICKS_MEASURED: std::ops::Range<u64> = 1 << 18..1 << 40;
/// No counter is slower than 10 MHz.
const RATE_MAX: u64 = 100 << 32;

impl Pace {
    const fn begin(ns: u64, ticks: u64) -> Self {
        Self { ns, ticks, rate: 0 }
    }

    /// The time at that count. `None`: the clock itself must be read. A counter that went backwards (another socket)
    /// is far away as well.
    #[inline]
    fn tell(self, ticks: u64) -> Option<u64> {
        let since = ticks.wrapping_sub(self.ticks);
        (since < TICKS_TOLD && self.rate != 0).then(|| self.ns + ((since * self.rate) >> 32))
    }

    fn corrected(self, ns: u64, ticks: u64) -> Self {
        let since = ticks.wrapping_sub(self.ticks);
        let elapsed = u128::from(ns.saturating_sub(self.ns)) << 32;
        if TICKS_MEASURED.contains(&since) {
            let rate = u64::try_from(elapsed / u128::from(since)).unwrap_or(u64::MAX);
            let rate = if rate < RATE_MAX { rate } else { 0 };
            Self { ns, ticks, rate }
        } else if since < TICKS_MEASURED.start {
            self // too soon to tell
        } else {
            Self::begin(ns, ticks)
        }
    }
}

/// Both clocks, and whether they were read at the same moment.
fn both() -> (u64, u64, bool) {
    const CLOSE: u64 = 4096;
    let mut before = counter();
    for _ in 0..3 {
        let ns = monotonic_ns();
        let after = counter();
        if after.wrapping_sub(before) < CLOSE {
            return (ns, after, true);
        }
        before = after; // interrupted in between, or a slow clock
    }
    (monotonic_ns(), counter(), false)
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn counter() -> u64 {
    // SAFETY: every x86-64 processor has the instruction, and Linux lets user space execute it.
    unsafe { std::arch::x86_64::_rdtsc() }
}

/// Without a counter that stands still nothing is ever told: each stamp reads the clock.
#[cfg(not(target_arch = "x86_64"))]
fn counter() -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICKS_PER_US: u64 = 3000;

    #[test]
    fn a_pace_is_told_once_it_was_measured_and_until_it_is_old() {
        let begun = Pace::begin(1_000_000, 500);
        assert_eq!(begun.tell(600), None);
        assert_eq!(begun.corrected(1_000_010, 600), begun, "too soon");
        let ticks = 500 + 100 * TICKS_PER_US;
        let pace = begun.corrected(1_100_000, ticks);
        let told = pace.tell(ticks + 50 * TICKS_PER_US).unwrap();
        assert!((1_149_999..=1_150_000).contains(&told), "{told}");
        assert_eq!(pace.tell(ticks + TICKS_TOLD), None);
    }

    #[test]
    fn a_counter_that_jumps_back_is_not_believed() {
        let begun = Pace::begin(1_000_000, 1 << 50);
        let pace = begun.corrected(1_100_000, (1 << 50) + 100 * TICKS_PER_US);
        assert_eq!(pace.tell(7), None);
        assert_eq!(pace.corrected(1_200_000, 7), Pace::begin(1_200_000, 7));
    }

    #[test]
    fn a_clock_that_stands_or_leaps_gives_no_pace_that_overflows() {
        let begun = Pace::begin(0, 0);
        let leaped = begun.corrected(u64::MAX, 1 << 18);
        assert_eq!(leaped.rate, 0);
        assert_eq!(leaped.tell((1 << 18) + 1), None);
        let stood = begun.corrected(0, 1 << 20);
        assert_eq!(stood.tell((1 << 20) + 5), None);
    }

    #[test]
    fn a_pace_that_was_measured_too_early_is_corrected() {
        let early = Pace::begin(0, 0).corrected(1_000_000, 1 << 18);
        let right = early.corrected(1_000_000 + 100_000, (1 << 18) + 100 * TICKS_PER_US);
        let told = right.tell((1 << 18) + 200 * TICKS_PER_US).unwrap();
        assert!((1_199_990..=1_200_000).contains(&told), "{told}");
    }

    /// Off by a few microseconds at the most, and here by no more than a preempted thread may be late.
    #[test]
    fn told_time_stays_near_the_clock() {
        let clock = StampClock::new();
        let until = monotonic_ns() + 20_000_000;
        let mut off_ns = Vec::new();
        while monotonic_ns() < until {
            let before = monotonic_ns();
            let told = clock.now_ns();
            let after = monotonic_ns();
            off_ns.push(before.saturating_sub(told) + told.saturating_sub(after));
        }
        off_ns.sort_unstable();
        let median = off_ns[off_ns.len() / 2];
        assert!(median < 100_000, "{median} ns off");
    }
}
