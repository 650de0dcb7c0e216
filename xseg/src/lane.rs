//! A lane of a port's inbox: many senders push, one receiver takes, and either may die at any instruction.
//!
//! ```text
//!              pushes (CAS)                        the receiver's place (its own cache line)
//!                  v                                          v
//!   head --> [record 9] --next--> [record 4] --next--> [record 7]--next--> (a value, never followed)
//!            unclaimed            unclaimed            claimed last
//! ```
//! The head word is (pushes so far : 32, record : 32). A push stores the head it saw in the record's link and
//! compare-exchanges the head to its own value, so each push yields a value of its own and the link of a record
//! says exactly what came before it. The receiver never writes the head: it walks from the head to the value
//! where it last stopped, claims what it finds oldest first, and moves `taken` behind each claim.
//!
//! Why not "swap the head with empty": a receiver that has no room for all it took must leave the rest where its
//! successor finds it, and a chain that was swapped out cannot say where its unclaimed part ends once the claimed
//! records of it are in use again. Here `taken` says so exactly. Both ways are equally fast: see
//! docs/decisions/0001-inbox-cursor.md.
//!
//! # Invariants
//! * **LANE-1** One compare-exchange publishes a finished record; before it the record is in no lane, after it
//!   the record is in exactly one.
//! * **LANE-2** All records between `head` and `taken` are unclaimed, but for the oldest one if its receiver died
//!   between claim and `taken`: that one is still held by the dead name.
//! * **LANE-3** `taken` moves only past claimed records, before anything else happens to them; so the next
//!   incarnation finds every unclaimed record and never walks through one that has been reused.
//! * **LANE-4** Order is first in, first out, for each sender and for the lane as a whole.
//! * **LANE-5** Whatever the words hold, a walk ends after at most as many steps as there are records.

use std::collections::VecDeque;

use crate::kill::kill_point;
use crate::name::{Name, Owner, PortId};
use crate::records::{self, Records};
use crate::sync::{AtomicU64, Ordering, crash_order, ord};

/// The shared words of one lane.
#[derive(Clone, Copy)]
pub(crate) struct Lane<'a> {
    pub head: &'a AtomicU64,
    pub taken: &'a AtomicU64,
}

/// The receiver's private side: what it has seen in the lane and not yet admitted.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// The head at the last walk.
    seen: u64,
    waiting: VecDeque<Entry>,
    fresh: Vec<Entry>,
}

/// A record in the backlog, and the value that its push gave the head.
#[derive(Clone, Copy, Debug)]
struct Entry {
    slot: u32,
    pushed: u64,
}

/// The lane's words do not make sense. The lane was cut off at its head; what hung there is lost to the lane.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    pub field: &'static str,
    pub value: u64,
}

/// What [`Lane::claim_next`] found at the front of the backlog.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Claimed {
    /// This record is now held by us; `by` sent it.
    Record { slot: u32, by: Name },
    /// This record was not on its way to us (any more): nothing to do.
    NotOurs { slot: u32 },
}

const SLOT_BITS: u32 = 32;

fn slot_of(link: u64) -> u32 {
    link as u32
}

/// The head's next value when `slot` is pushed on `seen`. The count starts at 1: 0 is "nothing was ever pushed".
fn pushed_on(seen: u64, slot: u32) -> u64 {
    let pushes = ((seen >> SLOT_BITS) as u32).wrapping_add(1).max(1);
    (u64::from(pushes) << SLOT_BITS) | u64::from(slot)
}

impl Lane<'_> {
    /// Publishes a finished record that is already marked as sent to this lane's port.
    #[inline]
    pub fn push<R: Records>(&self, records: &R, slot: u32) {
        let link = records.next(slot);
        let mut seen = self.head.load(Ordering::Relaxed);
        loop {
            link.store(seen, Ordering::Relaxed); // published by the exchange below
            match self.head.compare_exchange_weak(
                seen,
                pushed_on(seen, slot),
                // Release: pairs with the Acquire of `collect`. Later pushes are read-modify-writes of the same
                // word, so they carry this release on.
                ord!("lane.push", Release),
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// Is there something that the backlog has not seen? Costs a load of a line that is in our cache until
    /// somebody pushes.
    #[inline]
    pub fn has_news(&self, backlog: &Backlog) -> bool {
        self.head.load(Ordering::Relaxed) != backlog.seen
    }

    /// Asks the processor for the head's line, for writing: a push that finds it shared waits for it, behind all
    /// that was written before. Called while there is still something to write.
    #[inline]
    pub fn prefetch_for_push(&self) {
        #[cfg(not(loom))]
        crate::mapping::prefetch_for_write(std::ptr::from_ref(self.head).cast());
    }

    /// Has everything that was ever pushed been claimed?
    #[cfg(not(loom))]
    pub fn is_empty(&self) -> bool {
        self.head.load(Ordering::Relaxed) == self.taken.load(Ordering::Relaxed)
    }

    /// Walks from the head to where the last walk began and queues what it finds, oldest first.
    #[inline]
    pub fn collect<R: Records>(&self, records: &R, backlog: &mut Backlog) -> Result<(), Broken> {
        // Acquire: pairs with the Release of `push`, of the newest record and of all below it.
        let head = self.head.load(ord!("lane.collect", Acquire));
        let until = std::mem::replace(&mut backlog.seen, head);
        backlog.fresh.clear();
        let mut at = head;
        while at != until {
            let slot = slot_of(at);
            if slot >= records.count() {
                return Err(self.cut_off(backlog, "lane link", at));
            }
            if backlog.fresh.len() >= records.count() as usize {
                return Err(self.cut_off(backlog, "lane length", at));
            }
            records.prefetch(slot);
            backlog.fresh.push(Entry { slot, pushed: at });
            at = records.next(slot).load(Ordering::Relaxed); // acquired with the head
        }
        backlog.waiting.extend(backlog.fresh.drain(..).rev());
        Ok(())
    }

    /// Claims the oldest record of the backlog for `me` and moves `taken` behind it.
    #[inline]
    pub fn claim_next<R: Records>(
        &self,
        records: &R,
        backlog: &mut Backlog,
        me: PortId,
        mine: Owner,
    ) -> Option<Claimed> {
        let Entry { slot, pushed } = backlog.waiting.pop_front()?;
        let by = records::claim_sent(records.owner(slot), me, mine);
        kill_point!("take.before-taken");
        // Relaxed: read only by the next incarnation, after our death (crash order).
        self.taken.store(pushed, Ordering::Relaxed);
        crash_order(); // before anything lets the record be reused (LANE-3)
        Some(match by {
            Some(by) => Claimed::Record { slot, by },
            None => Claimed::NotOurs { slot },
        })
    }

    /// For a new incarnation: drops the record that its predecessor claimed without getting to `taken` (LANE-2). It is
    /// dealt with under the dead name, and must not be in the backlog any more when it is used again.
    pub fn skip_claimed<R: Records>(&self, records: &R, backlog: &mut Backlog, me: PortId) {
        while let Some(Entry { slot, pushed }) = backlog.waiting.front().copied() {
            let owner = Owner::unpack(records.owner(slot).load(Ordering::Relaxed));
            if matches!(owner, Some(Owner::Sent { to, .. }) if to == me) {
                return;
            }
            self.taken.store(pushed, Ordering::Relaxed);
            backlog.waiting.pop_front();
        }
    }

    /// Gives up everything between head and `taken`: the links cannot be trusted.
    fn cut_off(&self, backlog: &mut Backlog, field: &'static str, value: u64) -> Broken {
        backlog.fresh.clear();
        if backlog.waiting.is_empty() {
            self.taken.store(backlog.seen, Ordering::Relaxed);
        }
        Broken { field, value }
    }
}

impl Backlog {
    /// The place of a new incarnation: where the last one's `taken` word stands.
    pub fn resume(lane: Lane<'_>) -> Self {
        Self {
            // Relaxed: whoever wrote it is dead, and the gate's lock orders all it did before us.
            seen: lane.taken.load(Ordering::Relaxed),
            ..Self::default()
        }
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The record that the next claim will look at: to fetch its lines before they are needed.
    #[inline]
    pub fn peek(&self) -> Option<u32> {
        self.waiting.front().map(|entry| entry.slot)
    }

    /// All records of the backlog, oldest first.
    pub fn slots(&self) -> impl Iterator<Item = u32> + '_ {
        self.waiting.iter().map(|entry| entry.slot)
    }
}

#[cfg(test)]
#[cfg(not(loom))]
#[path = "lane/tests.rs"]
mod tests;
