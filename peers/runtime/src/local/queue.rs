//! Who waits, in the order of asking.

use std::collections::VecDeque;
use std::task::Waker;

use crate::slab::{Key, Slab};

/// Waiters with what they ask for. Leaving costs no search: a place that is left is skipped when its turn comes.
#[derive(Debug)]
pub(super) struct Queue<T> {
    order: VecDeque<Key>,
    waiters: Slab<Waiter<T>>,
}

#[derive(Debug)]
pub(super) struct Waiter<T> {
    pub asks: T,
    /// It has what it asked for, and is not in the order any more.
    pub chosen: bool,
    pub waker: Waker,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            order: VecDeque::new(),
            waiters: Slab::default(),
        }
    }
}

impl<T> Queue<T> {
    pub fn join(&mut self, asks: T, waker: &Waker) -> Key {
        let key = self.waiters.insert(Waiter {
            asks,
            chosen: false,
            waker: waker.clone(),
        });
        self.order.push_back(key);
        key
    }

    pub fn get_mut(&mut self, key: Key) -> Option<&mut Waiter<T>> {
        self.waiters.get_mut(key)
    }

    pub fn leave(&mut self, key: Key) -> Option<Waiter<T>> {
        let waiter = self.waiters.remove(key);
        while let Some(first) = self.order.front() {
            if self.waiters.contains(*first) {
                break;
            }
            self.order.pop_front();
        }
        waiter
    }

    /// The first who still waits.
    pub fn first(&mut self) -> Option<&T> {
        while let Some(first) = self.order.front().copied() {
            if self.waiters.contains(first) {
                return self.waiters.get_mut(first).map(|waiter| &waiter.asks);
            }
            self.order.pop_front();
        }
        None
    }

    /// Gives the first one what it asks for, noted as `asks`. Its waker is to be woken when nothing is borrowed any more.
    pub fn choose_first_as(&mut self, asks: T) -> Option<Waker> {
        self.first()?;
        let first = self.order.pop_front()?;
        let waiter = self.waiters.get_mut(first)?;
        waiter.chosen = true;
        waiter.asks = asks;
        Some(waiter.waker.clone())
    }

    pub fn is_empty(&mut self) -> bool {
        self.first().is_none()
    }
}
