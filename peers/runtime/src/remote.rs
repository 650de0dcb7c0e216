//! The only part of a reactor that other threads touch: which tasks to run, and which operations of theirs ended.
//!
//! # Invariants
//! * **REMOTE-1** No wake-up is lost: what another thread leaves here it leaves before it rings, and the reactor looks
//!   here after it has heeded the rings (BELL-4) and before it sleeps.
//! * **REMOTE-2** Of many wake-ups that the reactor has not looked at yet only the first one rings.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use xseg::{PortId, Segment};

/// Shared with wakers and with the threads of the pool.
#[derive(Debug)]
pub(crate) struct Remote {
    segment: Segment,
    /// Where the reactor sleeps.
    bell: PortId,
    home: usize,
    ready: Mutex<VecDeque<u32>>,
    finished: Mutex<Vec<Finished>>,
}

/// An operation that a thread did: its token, and what the kernel said.
pub(crate) type Finished = (u64, i32);

thread_local! {
    static HERE: Cell<u8> = const { Cell::new(0) };
}

/// A number that tells the present thread from all other living ones.
fn here() -> usize {
    HERE.with(|here| std::ptr::from_ref(here).addr())
}

impl Remote {
    /// Of a reactor that runs on this thread.
    pub fn new(segment: Segment, bell: PortId) -> Self {
        Self {
            segment,
            bell,
            home: here(),
            ready: Mutex::default(),
            finished: Mutex::default(),
        }
    }

    /// A task is to be polled.
    pub fn push_ready(&self, task: u32) {
        let mut ready = lock(&self.ready);
        let is_first = ready.is_empty();
        ready.push_back(task);
        drop(ready);
        if is_first && here() != self.home {
            self.ring();
        }
    }

    /// Swaps what is ready with `taken`, which is empty.
    pub fn take_ready(&self, taken: &mut VecDeque<u32>) {
        std::mem::swap(&mut *lock(&self.ready), taken);
    }

    pub fn has_ready(&self) -> bool {
        !lock(&self.ready).is_empty()
    }

    /// A thread has done an operation.
    pub fn push_finished(&self, finished: Finished) {
        let mut all = lock(&self.finished);
        let is_first = all.is_empty();
        all.push(finished);
        drop(all);
        if is_first {
            self.ring();
        }
    }

    /// Swaps what is finished with `taken`, which is empty.
    pub fn take_finished(&self, taken: &mut Vec<Finished>) {
        std::mem::swap(&mut *lock(&self.finished), taken);
    }

    fn ring(&self) {
        // Fails only for a port that does not exist; the bell's does.
        let _ = self.segment.ring(self.bell.get());
    }
}

/// A thread that panicked while it pushed left a queue that is whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
