//! "Look again": a wake-up without a value.
//!
//! # Invariants
//! * **NOTIFY-1** A `notify_one` wakes one who waits, or else lets the next one through who would wait. If the one that it
//!   chose is dropped before it has noticed, the next one is chosen.
//! * **NOTIFY-2** A `notify_all` wakes all who wait, and nobody who comes later.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::queue::Queue;
use crate::slab::Key;

/// A place to wait for news.
#[derive(Debug, Default)]
pub struct Notify {
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Somebody was to be woken when nobody waited.
    pending: bool,
    /// With whether it was chosen by `notify_all`: then it has nothing to pass on.
    queue: Queue<bool>,
}

impl Notify {
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits for a notification. It waits from its first poll on.
    pub fn notified(&self) -> Notified<'_> {
        Notified {
            notify: self,
            key: None,
        }
    }

    /// Wakes the one who has waited longest; if nobody waits, the next one does not have to.
    pub fn notify_one(&self) {
        let mut state = self.state.borrow_mut();
        let waker = state.queue.choose_first_as(false);
        state.pending |= waker.is_none();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Wakes all who wait.
    pub fn notify_all(&self) {
        let mut state = self.state.borrow_mut();
        if state.queue.is_empty() {
            return;
        }
        let mut wakers = Vec::new();
        while let Some(waker) = state.queue.choose_first_as(true) {
            wakers.push(waker);
        }
        drop(state);
        for waker in wakers {
            waker.wake();
        }
    }
}

/// See [`Notify::notified`].
#[derive(Debug)]
#[must_use = "it waits when it is awaited"]
pub struct Notified<'a> {
    notify: &'a Notify,
    key: Option<Key>,
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.notify.state.borrow_mut();
        let Some(key) = self.key else {
            if std::mem::take(&mut state.pending) {
                return Poll::Ready(());
            }
            let key = state.queue.join(false, context.waker());
            drop(state);
            self.key = Some(key);
            return Poll::Pending;
        };
        let waiter = state
            .queue
            .get_mut(key)
            .expect("it waits until it is polled to its end");
        if !waiter.chosen {
            waiter.waker.clone_from(context.waker());
            return Poll::Pending;
        }
        state.queue.leave(key);
        drop(state);
        self.key = None;
        Poll::Ready(())
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        let Some(key) = self.key.take() else {
            return;
        };
        let mut state = self.notify.state.borrow_mut();
        let left = state.queue.leave(key);
        let is_owed = left.is_some_and(|waiter| waiter.chosen && !waiter.asks);
        drop(state);
        if is_owed {
            self.notify.notify_one(); // NOTIFY-1
        }
    }
}
