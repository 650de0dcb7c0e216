//! Sleeping on a port's doorbell and nothing else.

use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::thread::futex;
use rustix::time::Timespec;

use crate::bell::Armed;
use crate::port::Port;
use crate::stats::Counter;
use crate::sync::AtomicU32;

/// Waits until `port` has something to look at or its bell was rung. `false` if the time was over first.
pub(crate) fn wait(port: &Port, timeout: Option<Duration>) -> bool {
    let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout)); // none: for ever
    let core = &port.core;
    let bell = core.bell();
    loop {
        if core.heed_rings() || port.has_news() {
            return true;
        }
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return false;
        }
        let armed = bell.arm();
        if !core.is_rung() && !port.has_news() {
            core.count(Counter::Sleeps);
            sleep_on(bell.0, armed, left);
        }
        bell.disarm();
    }
}

/// Sleeps while the word has the armed value. May return early.
pub(super) fn sleep_on(word: &AtomicU32, Armed(value): Armed, timeout: Option<Duration>) {
    // More than the kernel's clock can hold is for ever.
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    match futex::wait(word, futex::Flags::empty(), value, timeout.as_ref()) {
        Ok(()) | Err(Errno::AGAIN | Errno::INTR | Errno::TIMEDOUT) => {}
        // The word is mapped and aligned, so nothing else can come; not sleeping is safe in any case.
        Err(_) => std::thread::yield_now(),
    }
}

/// Wakes whoever sleeps on the word.
pub(crate) fn wake(word: &AtomicU32) {
    // Fails only for an address that is not mapped.
    let _ = futex::wake(word, futex::Flags::empty(), i32::MAX as u32);
}
