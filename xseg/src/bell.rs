//! The doorbell: how a sender wakes a receiver that sleeps, and only then.
//!
//! ```text
//!  31                                   1 0
//! +--------------------------------------+-+
//! | rings                                |S|   S: the receiver sleeps, or is about to
//! +--------------------------------------+-+
//! receiver: set S -> look for work -> sleep while the word is unchanged -> clear S
//! sender:   push -> look at S -> if set: count a ring -> wake
//! ```
//! # Invariants
//! * **BELL-1** No wake-up is lost: if a push comes after the receiver's last look for work, its sender sees S,
//!   and the word that the receiver sleeps on has changed or the receiver is woken.
//! * **BELL-2** Only the receiver clears S. A sender that dies between its ring and the wake-up silences nobody:
//!   the next sender sees S still set and wakes.
//! * **BELL-3** A sender that dies between push and ring leaves the receiver asleep only until settlement, whose
//!   first act is to ring every doorbell of the segment.
//! * **BELL-4** A ring for what no lane shows (the end of an orphan, a ring by hand) is counted whether or not the
//!   receiver sleeps, and ends the wait that is under way or else the next one.

use crate::sync::{AtomicU32, Ordering, fence_after_rmw};

const ASLEEP: u32 = 1;
const RING: u32 = 2;

/// The word of one doorbell.
#[derive(Clone, Copy)]
pub(crate) struct Bell<'a>(pub &'a AtomicU32);

/// The value to sleep on: the kernel puts the thread to sleep only while the word still has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Armed(pub u32);

/// The count of a bell's rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rings(u32);

impl Bell<'_> {
    /// The receiver says that it is about to sleep. It must look for work once more before it does.
    pub fn arm(&self) -> Armed {
        let word = self.0.fetch_or(ASLEEP, Ordering::Relaxed) | ASLEEP;
        // With the fence of `must_ring`: either our look for work sees the push, or its sender sees S.
        fence_after_rmw("bell.arm");
        Armed(word)
    }

    /// The receiver is awake.
    pub fn disarm(&self) {
        // Relaxed: a sender that still sees S wakes once too often, nothing more.
        self.0.fetch_and(!ASLEEP, Ordering::Relaxed);
    }

    /// How often it was rung, to be compared with an earlier count (BELL-4).
    #[inline]
    pub fn rings(&self) -> Rings {
        Rings(self.0.load(Ordering::Relaxed) / RING)
    }

    /// A sender, right after its push: must the receiver be woken? Counts the ring if so.
    pub fn must_ring(&self) -> bool {
        fence_after_rmw("bell.must-ring");
        if self.0.load(Ordering::Relaxed) & ASLEEP == 0 {
            return false;
        }
        self.ring();
        true
    }

    /// Changes the word, so that a receiver between its last look and its sleep does not fall asleep. Tells whether
    /// it sleeps.
    pub fn ring(&self) -> bool {
        self.0.fetch_add(RING, Ordering::Relaxed) & ASLEEP != 0
    }
}
