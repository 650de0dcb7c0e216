//! The two clocks: monotonic nanoseconds for stamps and deadlines, which processes of one machine share, and
//! wall-clock nanoseconds for what people read.

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
