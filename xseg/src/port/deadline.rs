//! When the answers that a port waits for are due.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A request with a deadline: when, which slot, which serial.
type Due = Reverse<(u64, u32, u64)>;

/// Deadlines, soonest first. Answered requests are dropped when they come to the top.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    heap: BinaryHeap<Due>,
}

impl Deadlines {
    pub fn push(&mut self, at_ns: u64, slot: u32, serial: u64) {
        self.heap.push(Reverse((at_ns, slot, serial)));
    }

    /// The soonest deadline of a request that `is_away` still knows.
    pub fn soonest_ns(&mut self, is_away: impl Fn(u32, u64) -> bool) -> Option<u64> {
        while let Some(Reverse((at_ns, slot, serial))) = self.heap.peek() {
            if is_away(*slot, *serial) {
                return Some(*at_ns);
            }
            self.heap.pop();
        }
        None
    }

    /// Takes a request whose time is over.
    pub fn pop_due(
        &mut self,
        now_ns: u64,
        is_away: impl Fn(u32, u64) -> bool,
    ) -> Option<(u32, u64)> {
        if self.soonest_ns(is_away)? > now_ns {
            return None;
        }
        self.heap
            .pop()
            .map(|Reverse((_, slot, serial))| (slot, serial))
    }
}
