//! Timers: a heap of what is due, soonest first.
//!
//! # Invariants
//! * **TIMER-1** Timers fire in the order of their times, those of one time in the order in which they were begun, and
//!   never early.
//! * **TIMER-2** Timers that were given up do not pile up: they are at most half of a heap of more than a few.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use xseg::monotonic_ns;

use crate::core::Core;
use crate::error::Elapsed;
use crate::slab::{Key, Slab};

/// Fewer than this are not worth cleaning up.
const HEAP_WORTH_CLEANING: usize = 64;

/// When, which of those, and whose.
type Due = Reverse<(u64, u64, u64)>;

/// The timers of a reactor.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Due>,
    waiting: Slab<Option<Waker>>,
    begun: u64,
}

impl Timers {
    fn begin(&mut self, at_ns: u64, waker: Waker) -> Key {
        let key = self.waiting.insert(Some(waker));
        self.begun += 1;
        self.heap.push(Reverse((at_ns, self.begun, key.to_bits())));
        key
    }

    fn end(&mut self, key: Key) {
        self.waiting.remove(key);
        if self.heap.len() > HEAP_WORTH_CLEANING && self.waiting.count() * 2 < self.heap.len() {
            let waiting = &self.waiting;
            self.heap
                .retain(|Reverse((_, _, key))| waiting.contains(Key::from_bits(*key)));
        }
    }

    /// When the next one is due.
    pub fn next_ns(&mut self) -> Option<u64> {
        while let Some(Reverse((at_ns, _, key))) = self.heap.peek() {
            if self.waiting.contains(Key::from_bits(*key)) {
                return Some(*at_ns);
            }
            self.heap.pop();
        }
        None
    }

    /// Takes the waker of a timer that is due.
    pub fn pop_due(&mut self, now_ns: u64) -> Option<Waker> {
        loop {
            if self.next_ns()? > now_ns {
                return None;
            }
            let Reverse((_, _, key)) = self.heap.pop()?;
            // Its future has not looked yet: the timer stays, without a waker, until it has.
            if let Some(waker) = self.waiting.get_mut(Key::from_bits(key))?.take() {
                return Some(waker);
            }
        }
    }
}

/// Done when its time has come.
#[derive(Debug)]
#[must_use = "a sleep does nothing until it is awaited"]
pub struct Sleep {
    core: Rc<Core>,
    at_ns: u64,
    timer: Option<Key>,
}

impl Sleep {
    pub(crate) fn until(core: Rc<Core>, at_ns: u64) -> Self {
        Self {
            core,
            at_ns,
            timer: None,
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if monotonic_ns() >= self.at_ns {
            return Poll::Ready(());
        }
        let core = self.core.clone();
        let mut timers = core.timers.borrow_mut();
        match self.timer.and_then(|key| timers.waiting.get_mut(key)) {
            Some(Some(waker)) if waker.will_wake(context.waker()) => {}
            Some(Some(waker)) => *waker = context.waker().clone(),
            // Not begun, or fired by a clock that is a little ahead of ours.
            _ => {
                if let Some(key) = self.timer.take() {
                    timers.end(key);
                }
                self.timer = Some(timers.begin(self.at_ns, context.waker().clone()));
            }
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.timer {
            self.core.timers.borrow_mut().end(key);
        }
    }
}

/// Awaits `future`, but no longer than until `at_ns`. It is polled first: what is done in time is not lost.
pub(crate) async fn within<F: Future>(
    core: Rc<Core>,
    at_ns: u64,
    future: F,
) -> Result<F::Output, Elapsed> {
    let mut future = std::pin::pin!(future);
    let mut sleep = std::pin::pin!(Sleep::until(core, at_ns));
    std::future::poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Ok(output));
        }
        sleep.as_mut().poll(context).map(|()| Err(Elapsed))
    })
    .await
}

/// The time that lies so far ahead; what cannot be told is never.
pub(crate) fn ahead_ns(duration: Duration) -> u64 {
    let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    monotonic_ns().saturating_add(ns)
}

/// Wakes whoever is due.
pub(crate) fn fire(timers: &RefCell<Timers>, now_ns: u64) -> bool {
    let mut any = false;
    loop {
        let due = timers.borrow_mut().pop_due(now_ns);
        let Some(waker) = due else {
            return any;
        };
        waker.wake();
        any = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_that_were_given_up_do_not_pile_up() {
        // TIMER-2
        let mut timers = Timers::default();
        let kept: Vec<_> = (0..10)
            .map(|at_ns| timers.begin(1_000_000 - at_ns, Waker::noop().clone()))
            .collect();
        for at_ns in 0..10_000 {
            let key = timers.begin(2_000_000 + at_ns, Waker::noop().clone());
            timers.end(key);
            assert!(timers.heap.len() <= HEAP_WORTH_CLEANING + 1);
        }
        assert_eq!(timers.next_ns(), Some(1_000_000 - 9));
        for key in kept {
            assert!(timers.waiting.contains(key));
            timers.end(key);
        }
        assert_eq!(timers.next_ns(), None);
    }
}
