//! Getting a record from one port to another: routes, ways back, and answers that have nobody to go to.
//!
//! # Invariants
//! * **DELIVERY-1** A way back is a list of incarnations, not of ports: an answer goes to the nearest one that is
//!   still its port's present incarnation, so no answer reaches a stranger.
//! * **DELIVERY-2** A record whose requester is gone is freed by whoever answers it, exactly once.
//! * **ANSWER-1** One store turns a held request into an answer and says whose it is, just before it is sent. A holder
//!   that dies before it leaves a request to be redone, one that dies after it a finished answer to be sent on.
//! * **DELIVERY-3** A dead requester's buffer is freed only when no record refers to it any more: what still may
//!   write to it holds, or is, such a record.

use crate::bell::Bell;
use crate::geometry::{BufferId, Slot};
use crate::kill::kill_point;
use crate::layout::{LaneKind, LaneWord, PATH_MAX};
use crate::mapping::Mapping;
use crate::name::{Life, Name, Owner, PortId};
use crate::records::{self, Records};
use crate::sync::{AtomicU32, Ordering, crash_order, fence_after_rmw, full_fence};
use crate::wait::futex::wake;

/// The present life of a port. A damaged word counts as nobody's.
#[inline]
pub(crate) fn life_of(mapping: &Mapping, port: PortId) -> Life {
    let word = mapping.port(port).life.load(Ordering::Acquire);
    Life::unpack(word).unwrap_or(Life::Free { generation: 0 })
}

/// Is this name no longer its port's present incarnation? Then it will never act again.
pub(crate) fn is_gone(mapping: &Mapping, name: Name) -> bool {
    mapping.geometry().port(name.port.get()).is_none()
        || !life_of(mapping, name.port).is_bound_by(name.generation)
}

/// Sends a finished record that `by` owns. Its receiver may sleep: [`ring`] follows, at once or once a burst.
#[inline]
pub(crate) fn push(mapping: &Mapping, slot: Slot, by: Name, lane: LaneWord, to: PortId) {
    let record = mapping.request(slot);
    crash_order(); // whatever the answer says comes before the word that makes it one (ANSWER-1)
    record.lane.store(lane.pack(), Ordering::Relaxed); // published by the push
    kill_point!("send.before-mark");
    records::mark_sent(&record.owner, by, to);
    kill_point!("send.after-mark");
    mapping.port(to).lane(lane.kind).push(mapping, slot.get());
    kill_point!("send.after-push");
}

/// Wakes the receiver of a port if it sleeps.
#[inline]
pub(crate) fn ring(mapping: &Mapping, port: PortId) -> bool {
    // Which bell is looked up after the push, as is whether it must ring: a receiver that changes either looks for
    // work afterwards.
    fence_after_rmw("bell.must-ring");
    let word = bell_word(mapping, port);
    if !Bell(word).must_ring() {
        return false;
    }
    kill_point!("send.before-wake");
    wake(word);
    true
}

/// Rings the doorbell of everybody who sleeps: the first act of any settlement (BELL-3).
pub(crate) fn ring_every_bell(mapping: &Mapping) {
    full_fence("bell.must-ring");
    for number in 0..mapping.geometry().ports() {
        if let Some(port) = mapping.geometry().port(number)
            && Bell(&mapping.port(port).bell).must_ring()
        {
            wake(&mapping.port(port).bell);
        }
    }
}

/// Rings for something that no lane shows (BELL-4). Tells whether the receiver sleeps.
pub(crate) fn ring_anyway(mapping: &Mapping, port: PortId) -> bool {
    let word = bell_word(mapping, port);
    let sleeps = Bell(word).ring();
    wake(word); // even if it does not say that it sleeps: this is rare
    sleeps
}

/// The word that the senders of this port ring: its own bell, or the one of the port that stands in for it.
#[inline]
fn bell_word(mapping: &Mapping, port: PortId) -> &AtomicU32 {
    let record = mapping.port(port);
    let stand_in = record.bell_port.load(Ordering::Relaxed);
    let bell_port = stand_in
        .checked_sub(1)
        .and_then(|number| mapping.geometry().port(number))
        .unwrap_or(port);
    &mapping.port(bell_port).bell
}

/// Where a request for `destination` goes from `me`: to a port that was put in between, or straight there.
#[inline]
pub(crate) fn next_hop(mapping: &Mapping, me: PortId, destination: PortId) -> PortId {
    let via = mapping.port(destination).via.load(Ordering::Relaxed);
    via.checked_sub(1)
        .and_then(|number| mapping.geometry().port(number))
        .filter(|via| *via != me && *via != destination)
        .filter(|via| matches!(life_of(mapping, *via), Life::Bound { .. }))
        .unwrap_or(destination)
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Returned {
    /// It is in this port's inbox; the bell was not rung yet.
    To(PortId),
    /// Nobody waits for it any more; its record is free.
    Orphan,
}

/// Asks for the line that the answer will be pushed on, while the answer is still being written.
#[inline]
pub(crate) fn prefetch_way_back(mapping: &Mapping, slot: Slot, depth: usize) {
    let entry = mapping.request(slot).path[depth.clamp(1, PATH_MAX) - 1].load(Ordering::Relaxed);
    if let Some(port) =
        Name::unpack(entry).and_then(|name| mapping.geometry().port(name.port.get()))
    {
        mapping
            .port(port)
            .lane(LaneKind::Replies)
            .prefetch_for_push();
    }
}

/// Is anybody left among the first `places` entries of its path who could be told its answer (DELIVERY-1)?
pub(crate) fn has_way_back(mapping: &Mapping, slot: Slot, places: usize) -> bool {
    let path = &mapping.request(slot).path[..places.min(PATH_MAX)];
    let mut names = path
        .iter()
        .filter_map(|entry| Name::unpack(entry.load(Ordering::Relaxed)));
    names.any(|name| !is_gone(mapping, name))
}

/// Sends an answered record, which `by` holds, to the nearest port that is left among the first `places` entries of
/// its path (DELIVERY-1).
pub(crate) fn send_back(mapping: &Mapping, slot: Slot, by: Name, places: usize) -> Returned {
    let record = mapping.request(slot);
    for place in (0..places.min(PATH_MAX)).rev() {
        let entry = record.path[place].load(Ordering::Relaxed);
        let Some(name) = Name::unpack(entry).filter(|name| !is_gone(mapping, *name)) else {
            continue;
        };
        kill_point!("answer.before-mark");
        let lane = LaneWord {
            kind: LaneKind::Replies,
            place,
        };
        push(mapping, slot, by, lane, name.port);
        kill_point!("answer.after-push");
        return Returned::To(name.port);
    }
    free_orphan(mapping, slot);
    Returned::Orphan
}

/// Frees a record whose requester is gone, and the requester's buffer if this was the last record on it.
pub(crate) fn free_orphan(mapping: &Mapping, slot: Slot) {
    let record = mapping.request(slot);
    let buffer = buffer_of(mapping, record.buffer.load(Ordering::Relaxed));
    let requester = Name::unpack(record.path[0].load(Ordering::Relaxed));
    record.buffer.store(0, Ordering::Relaxed); // a free record refers to nothing
    kill_point!("free.before-slot");
    records::give_back(&record.owner);
    if let Some(buffer) = buffer {
        free_if_forlorn(mapping, buffer);
    }
    // A successor of the requester may be waiting for its predecessor's requests to end (S7).
    if let Some(port) = requester.and_then(|name| mapping.geometry().port(name.port.get())) {
        ring_anyway(mapping, port);
    }
}

/// The buffer that a record's word names.
#[inline]
pub(crate) fn buffer_of(mapping: &Mapping, word: u32) -> Option<BufferId> {
    mapping.geometry().buffer(word.checked_sub(1)?)
}

/// Frees a buffer whose owner is gone and which no record refers to (DELIVERY-3).
fn free_if_forlorn(mapping: &Mapping, buffer: BufferId) {
    // Two records on one buffer may end at the same time: with this fence at least one of the two enders sees
    // both records free. It pairs with itself.
    full_fence("orphan.last-look");
    let referred_to = (0..mapping.geometry().requests())
        .filter_map(|index| mapping.geometry().slot(index))
        .any(|slot| {
            let record = mapping.request(slot);
            record.owner.load(Ordering::Relaxed) != Owner::FREE
                && record.buffer.load(Ordering::Relaxed) == buffer.get() + 1
        });
    if !referred_to {
        free_if_owner_gone(mapping, buffer);
    }
}

/// Frees a buffer by compare-exchange from the exact dead name.
pub(crate) fn free_if_owner_gone(mapping: &Mapping, buffer: BufferId) -> bool {
    let word = mapping.buffer_owner(buffer);
    let seen = word.load(Ordering::Relaxed);
    let gone = Owner::unpack(seen)
        .and_then(Owner::name)
        .is_some_and(|name| is_gone(mapping, name));
    // Release: whoever takes the buffer next comes after all that was done to it.
    gone && word
        .compare_exchange(seen, Owner::FREE, Ordering::AcqRel, Ordering::Relaxed)
        .is_ok()
}

/// Is somebody still at work on a part of this request that a former incarnation of `port` had sent away? Then the
/// request must not be ended, nor begun again, before that part has ended (S7).
pub(crate) fn has_orphaned_parts(mapping: &Mapping, slot: Slot, port: PortId) -> bool {
    let buffer = mapping.request(slot).buffer.load(Ordering::Relaxed);
    let under_way = |owner: Owner| matches!(owner, Owner::Sent { .. } | Owner::Held(_));
    buffer != 0
        && slots_where(mapping, under_way).any(|(other, _)| {
            let record = mapping.request(other);
            let requester = Name::unpack(record.path[0].load(Ordering::Relaxed));
            other != slot
                && record.buffer.load(Ordering::Relaxed) == buffer
                && requester.is_some_and(|name| name.port == port && is_gone(mapping, name))
        })
}

/// Slots whose owner word says something that `wanted` likes, with what it says.
pub(crate) fn slots_where<'a>(
    mapping: &'a Mapping,
    wanted: impl Fn(Owner) -> bool + 'a,
) -> impl Iterator<Item = (Slot, Owner)> + 'a {
    (0..mapping.count()).filter_map(move |index| {
        let slot = mapping.geometry().slot(index)?;
        let owner = Owner::unpack(mapping.request(slot).owner.load(Ordering::Acquire))?;
        wanted(owner).then_some((slot, owner))
    })
}
