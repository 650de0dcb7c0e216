//! Emptying the inbox of a port that has no next incarnation.
//!
//! # Invariants
//! * **EMPTY-1** Each record ends where somebody expects it: an answer with the nearest requester that is left, a
//!   request that was only passing through with its destination, any other request as failed; nothing is dropped
//!   that somebody waits for.
//! * **EMPTY-2** A held request of which parts are still away is not ended: its requester would use the buffer
//!   again while somebody may be writing to it (S7). It waits for a later settlement.

use rustix::io::Errno;

use super::Settled;
use crate::delivery::{self, slots_where};
use crate::geometry::Slot;
use crate::lane::{Backlog, Claimed};
use crate::layout::{LANES, LaneKind, LaneWord};
use crate::mapping::Mapping;
use crate::name::{Name, Owner, PortId};
use crate::op::{OpCode, Redo};
use crate::sync::Ordering;

/// Deals with all that lies in the inbox of a dynamic port whose owner is gone, in the settler's name: requests are
/// failed, answers freed. Also with what it held, and what dead senders never pushed.
pub(crate) fn empty_inbox(mapping: &Mapping, settler: Name) -> Settled {
    let port = settler.port;
    let mut emptied = Settled::default();
    for kind in LANES {
        let lane = mapping.port(port).lane(kind);
        let mut backlog = Backlog::resume(lane);
        // A broken lane is cut off; its records are found by the scan below.
        let _ = lane.collect(mapping, &mut backlog);
        while let Some(claimed) = lane.claim_next(mapping, &mut backlog, port, Owner::Held(settler))
        {
            if let Claimed::Record { slot, .. } = claimed
                && let Some(slot) = mapping.geometry().slot(slot)
            {
                let said = LaneWord::unpack(mapping.request(slot).lane.load(Ordering::Relaxed));
                dispose(mapping, slot, settler, LaneWord { kind, ..said }, false);
                emptied.requests += 1;
            }
        }
    }
    let left = |owner: Owner| match owner {
        Owner::Held(name) => name.port == port, // also what the leaver had rescued and not looked at
        Owner::Sent { by, to } => to == port && delivery::is_gone(mapping, by),
        Owner::Owned(_) | Owner::Free => false,
    };
    let left: Vec<_> = slots_where(mapping, left).collect();
    for (slot, owner) in left {
        if matches!(owner, Owner::Held(_)) && delivery::has_orphaned_parts(mapping, slot, port) {
            emptied.waiting += 1; // S7: its requester must not use the buffer again yet
            continue;
        }
        let word = &mapping.request(slot).owner;
        let ours = Owner::Held(settler).pack();
        if word
            .compare_exchange(owner.pack(), ours, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
        {
            let lane = LaneWord::unpack(mapping.request(slot).lane.load(Ordering::Relaxed));
            let begun = matches!(owner, Owner::Held(_));
            dispose(mapping, slot, settler, lane, begun);
            emptied.requests += 1;
        }
    }
    emptied
}

/// Sends an answer on to whoever is left of its path, where it ends if nobody is. A request that was only to pass
/// through this port goes on to where it was meant to go; any other one is failed.
fn dispose(mapping: &Mapping, slot: Slot, settler: Name, lane: LaneWord, begun: bool) {
    if lane.kind == LaneKind::Replies {
        send_back(mapping, slot, settler, lane.place.saturating_add(1));
    } else if let Some(destination) = passes_through(mapping, slot, settler.port, begun) {
        delivery::push(mapping, slot, settler, lane, destination);
        delivery::ring(mapping, destination);
    } else {
        fail(mapping, slot, settler, Errno::CONNRESET);
    }
}

pub(super) fn fail(mapping: &Mapping, slot: Slot, settler: Name, errno: Errno) {
    let record = mapping.request(slot);
    record.done.store(0, Ordering::Relaxed);
    record
        .errno
        .store(errno.raw_os_error() as u32, Ordering::Relaxed);
    let depth = record.depth.load(Ordering::Relaxed) as usize;
    send_back(mapping, slot, settler, depth);
}

fn send_back(mapping: &Mapping, slot: Slot, settler: Name, places: usize) {
    if let delivery::Returned::To(port) = delivery::send_back(mapping, slot, settler, places) {
        delivery::ring(mapping, port);
    }
}

/// Where a request was meant to go, if that is not this port and somebody is, or will be, there. One that this port
/// had begun to work on goes there only if it may be done again.
fn passes_through(mapping: &Mapping, slot: Slot, here: PortId, begun: bool) -> Option<PortId> {
    let record = mapping.request(slot);
    let op = OpCode(record.op.load(Ordering::Relaxed) as u16);
    let may_be_redone = op.info().is_some_and(|info| info.redo == Redo::Again);
    mapping
        .geometry()
        .port(record.destination.load(Ordering::Relaxed))
        .filter(|port| *port != here && (!begun || may_be_redone))
        .filter(|port| delivery::life_of(mapping, *port).admits())
}
