//! What becomes of a journal when those who wait for it are dropped in the middle.
//!
//! # Invariants
//! * **WAL-6** A call that is dropped leaves no half state: what was not begun to be written is withdrawn; what was may be
//!   there or not, and nothing is believed from then on.

use std::ops::Range;

use super::{Failure, Log};

/// Records in the queue: those that are still there when this is dropped are withdrawn.
#[derive(Debug)]
pub struct Withdrawn<'a, S> {
    pub log: &'a Log<S>,
    pub tickets: Range<u64>,
}

impl<S> Drop for Withdrawn<'_, S> {
    fn drop(&mut self) {
        let mut state = self.log.state.borrow_mut();
        state
            .queue
            .retain(|queued| !self.tickets.contains(&queued.ticket));
    }
}

/// A write or a sync that is to be waited for.
#[derive(Debug)]
pub struct Promised<'a, S> {
    pub log: &'a Log<S>,
    pub is_kept: bool,
}

impl<S> Drop for Promised<'_, S> {
    fn drop(&mut self) {
        if !self.is_kept {
            let mut state = self.log.state.borrow_mut();
            state.latch(Failure::of("a write of the journal was not waited for"));
        }
    }
}
