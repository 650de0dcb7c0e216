//! Permits that run out and come back.
//!
//! # Invariants
//! * **PERMIT-1** Permits are given in the order of asking: who asks for many is not overtaken by who asks for few.
//! * **PERMIT-2** Permits that are out and permits that are in are always as many as there were made, whatever is dropped
//!   when.
//! * **PERMIT-3** Nobody waits while the first of those who wait could be served.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::queue::Queue;
use crate::slab::Key;

/// A number of permits.
#[derive(Debug)]
pub struct Semaphore {
    state: RefCell<State>,
}

#[derive(Debug)]
struct State {
    available: usize,
    queue: Queue<usize>,
}

impl Semaphore {
    pub fn new(permits: usize) -> Self {
        Self {
            state: RefCell::new(State {
                available: permits,
                queue: Queue::default(),
            }),
        }
    }

    /// Waits for `permits` of them. They come back when the permit is dropped.
    pub fn acquire(&self, permits: usize) -> Acquire<'_> {
        Acquire {
            semaphore: self,
            permits,
            key: None,
        }
    }

    /// Takes `permits` of them now, if nobody waits and there are as many.
    pub fn try_acquire(&self, permits: usize) -> Option<Permit<'_>> {
        let mut state = self.state.borrow_mut();
        if !state.queue.is_empty() || state.available < permits {
            return None;
        }
        state.available -= permits;
        Some(Permit {
            semaphore: self,
            permits,
        })
    }

    /// How many are in.
    pub fn available(&self) -> usize {
        self.state.borrow().available
    }

    /// Makes `permits` more, or brings those of a forgotten [`Permit`] back.
    pub fn add(&self, permits: usize) {
        self.state.borrow_mut().available += permits;
        self.serve();
    }

    fn serve(&self) {
        loop {
            let mut state = self.state.borrow_mut();
            let Some(asks) = state.queue.first().copied() else {
                return;
            };
            if state.available < asks {
                return;
            }
            state.available -= asks;
            let waker = state.queue.choose_first_as(asks);
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

/// See [`Semaphore::acquire`].
#[derive(Debug)]
#[must_use = "nothing is acquired until it is awaited"]
pub struct Acquire<'a> {
    semaphore: &'a Semaphore,
    permits: usize,
    key: Option<Key>,
}

impl<'a> Future for Acquire<'a> {
    type Output = Permit<'a>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (semaphore, permits) = (self.semaphore, self.permits);
        let mut state = semaphore.state.borrow_mut();
        let Some(key) = self.key else {
            if state.queue.is_empty() && state.available >= permits {
                state.available -= permits;
                return Poll::Ready(Permit { semaphore, permits });
            }
            self.key = Some(state.queue.join(permits, context.waker()));
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
        self.key = None;
        Poll::Ready(Permit { semaphore, permits })
    }
}

impl Drop for Acquire<'_> {
    fn drop(&mut self) {
        let Some(key) = self.key.take() else {
            return;
        };
        let mut state = self.semaphore.state.borrow_mut();
        let left = state.queue.leave(key);
        if left.is_some_and(|waiter| waiter.chosen) {
            state.available += self.permits;
        }
        drop(state);
        self.semaphore.serve(); // whoever stood behind may be served now
    }
}

/// Permits that are out.
#[derive(Debug)]
#[must_use = "dropping it gives the permits back"]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    permits: usize,
}

impl Permit<'_> {
    /// Keeps the permits out for good, or until [`Semaphore::add`].
    pub fn forget(mut self) {
        self.permits = 0;
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.permits > 0 {
            self.semaphore.add(self.permits);
        }
    }
}
