//! Sleeping on a port's doorbell and nothing else.

use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::thread::futex;
use rustix::time::Timespec;

use crate::bell::{Armed, Bell};
use crate::mapping::Mapping;
use crate::name::PortId;
use crate::port::Port;
use crate::stats::Counter;
use crate::sync::{AtomicU32, Ordering};

/// The word that the senders of this port ring.
pub(crate) fn bell_word(mapping: &Mapping, port: PortId) -> &AtomicU32 {
    let stand_in = mapping.port(port).bell_port.load(Ordering::Relaxed);
    let port = stand_in
        .checked_sub(1)
        .and_then(|number| mapping.geometry().port(number))
        .unwrap_or(port);
    &mapping.port(port).bell
}

/// Waits until `port` has something to look at or its bell was rung. `false` if the time was over first.
pub(crate) fn wait(port: &Port, timeout: Option<Duration>) -> bool {
    let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout)); // none: for ever
    let core = &port.core;
    let word = bell_word(core.mapping(), port.id());
    loop {
        if port.has_news() {
            return true;
        }
        let armed = Bell(word).arm();
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        if !port.has_news() && left != Some(Duration::ZERO) {
            core.count(Counter::Sleeps);
            sleep_on(word, armed, left);
        }
        if Bell(word).disarm() != armed {
            return true;
        }
        if until.is_some_and(|until| Instant::now() >= until) {
            return port.has_news();
        }
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
