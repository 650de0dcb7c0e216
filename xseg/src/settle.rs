//! Settling what the dead left behind: done by any live process or by the tool, by several at once if it happens.
//!
//! A dead incarnation leaves, under its name: records at home (freed), records that it held (its successor's to
//! redo), records on their way (their destinations'), and buffers (freed when no record refers to them).
//!
//! # Invariants
//! * **SETTLE-1** The settler holds the port's gate lock, so the dead one's I/O is over (GATE-1) and there is one
//!   settler at a time; each step is a compare-exchange from the exact dead name, so one that dies half way has
//!   done nothing that the next one cannot go on from.
//! * **SETTLE-2** The first act is to ring every doorbell (BELL-3), the last but one to announce the death, which
//!   makes every receiver look for what the dead one had not pushed yet.
//! * **SETTLE-3** Only a dynamic port's inbox is emptied here: a static port's waits for its next incarnation.

use rustix::io::Errno;

use crate::delivery::{self, free_if_owner_gone, slots_where};
use crate::error::PortError;
use crate::gate::Tried;
use crate::geometry::Slot;
use crate::kill::kill_point;
use crate::lane::{Backlog, Claimed};
use crate::layout::{LANES, LaneKind};
use crate::mapping::Mapping;
use crate::name::{Life, Name, Owner, PortId};
use crate::port::owner_of;
use crate::segment::{Segment, Shared};
use crate::sync::Ordering;

pub(crate) use crate::delivery::ring_every_bell;

/// What a settlement found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Ports whose incarnation was dead.
    pub ports: u32,
    /// Requests that became free.
    pub requests: u32,
    /// Buffers that became free.
    pub buffers: u32,
    /// Requests that a dead static port still holds: its successor redoes them.
    pub waiting: u32,
    /// Ports whose process is dead, but whose I/O has not ended.
    pub draining: u32,
}

impl Segment {
    /// Settles one port, if its incarnation is dead.
    pub fn settle(&self, number: u32) -> Result<Settled, PortError> {
        let port = self.existing_port(number)?;
        sweep(self.shared(), port)
    }

    /// Settles every port whose incarnation is dead.
    pub fn settle_all(&self) -> Result<Settled, PortError> {
        let mut all = Settled::default();
        let mapping = &self.shared().mapping;
        let leftovers = ports_with_leftovers(mapping);
        for number in 0..self.geometry().ports() {
            let port = self.existing_port(number)?;
            let is_bound = matches!(delivery::life_of(mapping, port), Life::Bound { .. });
            if !is_bound && !leftovers[number as usize] {
                continue;
            }
            match sweep(self.shared(), port) {
                Ok(one) => {
                    all.ports += one.ports;
                    all.requests += one.requests;
                    all.buffers += one.buffers;
                    all.waiting += one.waiting;
                }
                Err(PortError::Alive { .. }) => {}
                Err(PortError::Draining { .. }) => all.draining += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }
}

/// Which ports have something that bears one of their dead names, or lies in an inbox that nobody will open.
fn ports_with_leftovers(mapping: &Mapping) -> Vec<bool> {
    let mut left = vec![false; mapping.geometry().ports() as usize];
    let mut mark = |port: PortId| {
        if let Some(mark) = left.get_mut(port.get() as usize) {
            *mark = true;
        }
    };
    for (_, owner) in slots_where(mapping, |owner| owner != Owner::Free) {
        match owner {
            Owner::Owned(name) if delivery::is_gone(mapping, name) => mark(name.port),
            Owner::Held(name)
                if delivery::is_gone(mapping, name) && !mapping.geometry().is_static(name.port) =>
            {
                mark(name.port);
            }
            Owner::Sent { to, .. } if !mapping.geometry().is_static(to) => mark(to),
            _ => {}
        }
    }
    for index in 0..mapping.geometry().buffers() {
        let word = mapping
            .geometry()
            .buffer(index)
            .map(|buffer| mapping.buffer_owner(buffer).load(Ordering::Acquire));
        if let Some(name) = word.and_then(Owner::unpack).and_then(Owner::name)
            && delivery::is_gone(mapping, name)
        {
            mark(name.port);
        }
    }
    left
}

fn buffers_of(
    mapping: &Mapping,
    port: PortId,
) -> impl Iterator<Item = crate::geometry::BufferId> + '_ {
    (0..mapping.geometry().buffers())
        .filter_map(|index| mapping.geometry().buffer(index))
        .filter(move |buffer| {
            let word = mapping.buffer_owner(*buffer).load(Ordering::Acquire);
            Owner::unpack(word)
                .and_then(Owner::name)
                .is_some_and(|name| name.port == port)
        })
}

/// Settles a port if its lock can be had: then whoever owned it is dead, and its I/O over.
pub(crate) fn sweep(shared: &Shared, port: PortId) -> Result<Settled, PortError> {
    match shared.gate.try_lock(port).map_err(refused)? {
        Tried::Locked => {}
        Tried::Taken => {
            let owner = owner_of(shared, port);
            let pid = owner.pid;
            return Err(if owner.is_alive() {
                PortError::Alive { port, pid }
            } else {
                PortError::Draining { port, pid }
            });
        }
    }
    kill_point!("settle.after-lock");
    let settled = sweep_locked(shared, port);
    kill_point!("settle.before-unlock");
    shared.gate.unlock(port);
    Ok(settled)
}

/// The same for whoever holds the lock already.
pub(crate) fn sweep_locked(shared: &Shared, port: PortId) -> Settled {
    let mapping = &shared.mapping;
    ring_every_bell(mapping);
    let life = delivery::life_of(mapping, port);
    let was_dead = matches!(life, Life::Bound { .. });
    let is_static = mapping.geometry().is_static(port);
    // The settler's own generation: what it claims bears a name that is dead from the start, so that its own death
    // half way leaves nothing new.
    let generation = life.generation().wrapping_add(1).max(1);
    let next = if is_static {
        Life::Vacant { generation }
    } else {
        Life::Free { generation }
    };
    mapping
        .port(port)
        .life
        .store(next.pack(), Ordering::Release);
    kill_point!("settle.after-life");
    let mut settled = settle_names_of(mapping, port);
    settled.ports = u32::from(was_dead);
    if !is_static {
        settled.requests += empty_inbox(mapping, Name { port, generation });
        settled.waiting = 0;
        settled.buffers += free_forlorn_buffers(mapping, port);
    }
    settled
}

/// The rest of an orderly leave, in the leaver's own name, which is a dead one by now. Nobody needs to be told:
/// a live process leaves nothing half sent.
pub(crate) fn after_leaving(mapping: &Mapping, leaver: Name, has_orphans: bool) {
    if !mapping.geometry().is_static(leaver.port) {
        empty_inbox(mapping, leaver);
    }
    if has_orphans {
        free_idle_records(mapping, leaver.port);
        free_forlorn_buffers(mapping, leaver.port);
    }
}

/// Everything under the port's dead names that is not its successor's, and the news of the death.
fn settle_names_of(mapping: &Mapping, port: PortId) -> Settled {
    let requests = free_idle_records(mapping, port);
    kill_point!("settle.after-slots");
    let buffers = free_forlorn_buffers(mapping, port);
    let held = |owner: Owner| matches!(owner, Owner::Held(name) if name.port == port);
    let waiting = slots_where(mapping, held).count() as u32;
    announce_death(mapping);
    Settled {
        requests,
        buffers,
        waiting,
        ..Settled::default()
    }
}

/// Makes every receiver look for what dead senders never pushed, and wakes it for that.
pub(crate) fn announce_death(mapping: &Mapping) {
    mapping.header().deaths.fetch_add(1, Ordering::AcqRel);
    ring_every_bell(mapping);
}

/// Frees the records that a dead incarnation of `port` had at home.
pub(crate) fn free_idle_records(mapping: &Mapping, port: PortId) -> u32 {
    let idle = |owner: Owner| matches!(owner, Owner::Owned(name) if name.port == port && delivery::is_gone(mapping, name));
    let mut freed = 0;
    for (slot, owner) in slots_where(mapping, idle) {
        let record = mapping.request(slot);
        record.buffer.store(0, Ordering::Relaxed); // a free record refers to nothing
        freed += u32::from(free_from(mapping, slot, owner));
    }
    freed
}

fn free_from(mapping: &Mapping, slot: Slot, owner: Owner) -> bool {
    mapping
        .request(slot)
        .owner
        .compare_exchange(
            owner.pack(),
            Owner::FREE,
            Ordering::AcqRel,
            Ordering::Relaxed,
        )
        .is_ok()
}

/// Frees the buffers of dead incarnations of `port` that no record refers to (DELIVERY-3).
pub(crate) fn free_forlorn_buffers(mapping: &Mapping, port: PortId) -> u32 {
    let gone: Vec<_> = buffers_of(mapping, port).collect();
    if gone.is_empty() {
        return 0;
    }
    // Records first, buffers after: a record that is answered in between frees its buffer by itself.
    let mut referred_to = vec![false; mapping.geometry().buffers() as usize];
    for (slot, _) in slots_where(mapping, |owner| owner != Owner::Free) {
        let word = mapping.request(slot).buffer.load(Ordering::Relaxed);
        if let Some(buffer) = delivery::buffer_of(mapping, word) {
            referred_to[buffer.get() as usize] = true;
        }
    }
    let forlorn = gone
        .iter()
        .filter(|buffer| !referred_to[buffer.get() as usize]);
    forlorn
        .filter(|buffer| free_if_owner_gone(mapping, **buffer))
        .count() as u32
}

/// Deals with all that lies in the inbox of a dynamic port whose owner is gone, in the settler's name: requests are
/// failed, answers freed. Also with what it held, and what dead senders never pushed.
fn empty_inbox(mapping: &Mapping, settler: Name) -> u32 {
    let port = settler.port;
    let mut dealt_with = 0;
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
                dispose(mapping, slot, settler, kind);
                dealt_with += 1;
            }
        }
    }
    let left = |owner: Owner| match owner {
        Owner::Held(name) => name.port == port,
        Owner::Sent { by, to } => to == port && delivery::is_gone(mapping, by),
        Owner::Owned(_) | Owner::Free => false,
    };
    let left: Vec<_> = slots_where(mapping, left).collect();
    for (slot, owner) in left {
        let word = &mapping.request(slot).owner;
        let ours = Owner::Held(settler).pack();
        if word
            .compare_exchange(owner.pack(), ours, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
        {
            let is_answer =
                mapping.request(slot).lane.load(Ordering::Relaxed) == LaneKind::Replies as u32;
            let kind = if is_answer {
                LaneKind::Replies
            } else {
                LaneKind::Requests
            };
            dispose(mapping, slot, settler, kind);
            dealt_with += 1;
        }
    }
    dealt_with
}

/// Fails a request, or sends an answer on along what is left of its path, where it ends if nobody is left.
fn dispose(mapping: &Mapping, slot: Slot, settler: Name, kind: LaneKind) {
    let record = mapping.request(slot);
    let depth = record.depth.load(Ordering::Relaxed) as usize;
    if kind != LaneKind::Replies {
        record.done.store(0, Ordering::Relaxed);
        record
            .errno
            .store(Errno::CONNRESET.raw_os_error() as u32, Ordering::Relaxed);
    }
    if let delivery::Returned::To(port) = delivery::send_back(mapping, slot, settler, depth) {
        delivery::ring(mapping, port);
    }
}

fn refused(source: Errno) -> PortError {
    PortError::System {
        call: "the lock of the port (fcntl)",
        source,
    }
}
