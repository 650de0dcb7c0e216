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
//! * **SETTLE-4** Whoever sends a record on bears a name that is not gone while it lives: a settler is for its short
//!   time the port's present incarnation. So nobody takes a record that it is just sending for one that a dead
//!   sender never pushed.

use rustix::io::Errno;

use crate::delivery::{self, free_if_owner_gone, slots_where};
use crate::error::PortError;
use crate::gate::Tried;
use crate::geometry::{BufferId, Slot};
use crate::kill::kill_point;
use crate::layout::LANES;
use crate::mapping::Mapping;
use crate::name::{Life, Name, Owner, PortId};
use crate::port::owner_of;
use crate::process::ProcessId;
use crate::segment::{Segment, Shared};
use crate::sync::{Ordering, full_fence};

mod inbox;

pub(crate) use inbox::empty_inbox;

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
            let is_owned = delivery::life_of(mapping, port).is_owned();
            if !is_owned && !leftovers[number as usize] {
                continue;
            }
            match sweep(self.shared(), port) {
                Ok(one) => {
                    all.ports += one.ports;
                    all.requests += one.requests;
                    all.buffers += one.buffers;
                    all.waiting += one.waiting;
                }
                Err(PortError::Alive { .. } | PortError::Damaged { .. }) => {}
                Err(PortError::Draining { .. }) => all.draining += 1,
                Err(error) => return Err(error),
            }
        }
        // What bears a name that is gone is nobody's, even where the port has a new owner: the name went when its
        // I/O was over (GATE-1).
        all.buffers += free_forlorn_buffers(mapping, |name| delivery::is_gone(mapping, name));
        let unpublished = |owner: Owner| matches!(owner, Owner::Sent { by, .. } if delivery::is_gone(mapping, by));
        if slots_where(mapping, unpublished).next().is_some() {
            announce_death(mapping); // an earlier settler may have died before it did
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

/// Buffers that bear a name that `wanted` likes.
fn buffers_named<'a>(
    mapping: &'a Mapping,
    wanted: impl Fn(Name) -> bool + 'a,
) -> impl Iterator<Item = BufferId> + 'a {
    (0..mapping.geometry().buffers())
        .filter_map(|index| mapping.geometry().buffer(index))
        .filter(move |buffer| {
            let word = mapping.buffer_owner(*buffer).load(Ordering::Acquire);
            Owner::unpack(word)
                .and_then(Owner::name)
                .is_some_and(&wanted)
        })
}

/// Settles a port if its lock can be had: then whoever owned it is dead, and its I/O over.
pub(crate) fn sweep(shared: &Shared, port: PortId) -> Result<Settled, PortError> {
    lock(shared, port)?;
    kill_point!("settle.after-lock");
    let settled = sweep_locked(shared, port);
    kill_point!("settle.before-unlock");
    unlock(shared, port);
    Ok(settled)
}

/// Gets the lock of a port that nobody alive has. A port with a damaged life word is refused: its next generation is
/// unknown (NAME-3).
fn lock(shared: &Shared, port: PortId) -> Result<(), PortError> {
    if shared.gate.try_lock(port).map_err(refused)? == Tried::Taken {
        let owner = owner_of(shared, port);
        let pid = owner.pid;
        return Err(if owner.is_alive() {
            PortError::Alive { port, pid }
        } else {
            PortError::Draining { port, pid }
        });
    }
    let word = shared.mapping.port(port).life.load(Ordering::Acquire);
    if Life::unpack(word).is_none() {
        shared.gate.unlock(port);
        return Err(PortError::Damaged { port, word });
    }
    Ok(())
}

/// The same for whoever holds the lock already.
pub(crate) fn sweep_locked(shared: &Shared, port: PortId) -> Settled {
    let mapping = &shared.mapping;
    ring_every_bell(mapping);
    let life = delivery::life_of(mapping, port);
    let was_dead = life.is_owned();
    let mut settled = if mapping.geometry().is_static(port) {
        sweep_static(mapping, port, life)
    } else {
        sweep_dynamic(mapping, port, life)
    };
    settled.ports = u32::from(was_dead);
    announce_death(mapping);
    settled
}

/// Inbox and held requests wait for the next incarnation; nothing is sent.
fn sweep_static(mapping: &Mapping, port: PortId, life: Life) -> Settled {
    if let Life::Bound { generation } = life {
        let vacant = Life::Vacant { generation };
        mapping
            .port(port)
            .life
            .store(vacant.pack(), Ordering::Release);
    }
    kill_point!("settle.after-life");
    let requests = free_idle_records(mapping, port);
    kill_point!("settle.after-slots");
    let held = |owner: Owner| matches!(owner, Owner::Held(name) if name.port == port);
    Settled {
        requests,
        waiting: slots_where(mapping, held).count() as u32,
        buffers: free_forlorn_buffers(mapping, |name| name.port == port),
        ..Settled::default()
    }
}

/// Fails one request that the dead incarnation `holder` of a static port holds.
pub(crate) fn fail_held(
    shared: &Shared,
    slot: Slot,
    holder: Name,
    errno: Errno,
) -> Result<bool, PortError> {
    let (mapping, port) = (&shared.mapping, holder.port);
    lock(shared, port)?;
    sweep_locked(shared, port);
    let settler = Name {
        port,
        generation: delivery::life_of(mapping, port)
            .generation()
            .wrapping_add(1)
            .max(1),
    };
    become_incarnation(mapping, settler);
    let is_ours = mapping
        .request(slot)
        .owner
        .compare_exchange(
            Owner::Held(holder).pack(),
            Owner::Held(settler).pack(),
            Ordering::AcqRel,
            Ordering::Relaxed,
        )
        .is_ok();
    if is_ours {
        inbox::fail(mapping, slot, settler, errno);
    }
    retire(mapping, settler);
    unlock(shared, port);
    Ok(is_ours)
}

/// There is no next incarnation: everything is ended here, by a settler that is the port's incarnation meanwhile
/// (SETTLE-4). If it dies it leaves a dead incarnation like any other.
fn sweep_dynamic(mapping: &Mapping, port: PortId, life: Life) -> Settled {
    let generation = life.generation().wrapping_add(1).max(1);
    let settler = Name { port, generation };
    become_incarnation(mapping, settler);
    kill_point!("settle.after-life");
    let mut settled = Settled {
        requests: free_idle_records(mapping, port),
        ..Settled::default()
    };
    kill_point!("settle.after-slots");
    let emptied = empty_inbox(mapping, settler);
    settled.requests += emptied.requests;
    settled.waiting = emptied.waiting;
    settled.buffers = free_forlorn_buffers(mapping, |name| name.port == port);
    retire(mapping, settler);
    settled
}

/// For the time of a settlement (SETTLE-4).
fn become_incarnation(mapping: &Mapping, settler: Name) {
    let process = ProcessId::own();
    let record = mapping.port(settler.port);
    record.pid.store(process.pid, Ordering::Relaxed);
    record.pid_start.store(process.start, Ordering::Relaxed);
    let generation = settler.generation;
    let life = if mapping.geometry().is_static(settler.port) {
        Life::Bound { generation } // what is sent to it meanwhile waits for its next owner
    } else {
        Life::Settling { generation }
    };
    record.life.store(life.pack(), Ordering::Release);
}

/// Ends an incarnation that holds nothing any more. [`unlock`] follows, and looks into the inbox once more.
pub(crate) fn retire(mapping: &Mapping, name: Name) {
    let generation = name.generation;
    let end = if mapping.geometry().is_static(name.port) {
        Life::Vacant { generation }
    } else {
        Life::Free { generation }
    };
    // Release: whoever sees us gone sees all that we gave back.
    let life = &mapping.port(name.port).life;
    life.store(end.pack(), Ordering::Release);
}

/// How often a last look may find something that was pushed just before it. Each time takes a sender of its own that
/// had looked at the port before it was given back.
const LAST_LOOKS: u32 = 10_000;

/// Gives a port's lock back, then looks into the inbox for the last time: a sender that found the port gone and its
/// lock taken left what it had pushed to us (LEAVE-2).
pub(crate) fn unlock(shared: &Shared, port: PortId) {
    for _ in 0..LAST_LOOKS {
        shared.gate.unlock(port);
        kill_point!("leave.before-last-look");
        full_fence("leave.last-look"); // pairs with "push.last-look"
        let record = shared.mapping.port(port);
        let is_free = matches!(delivery::life_of(&shared.mapping, port), Life::Free { .. });
        if !is_free || LANES.iter().all(|kind| record.lane(*kind).is_empty()) {
            return;
        }
        // Whoever has the lock now will look when he gives it back.
        if !matches!(shared.gate.try_lock(port), Ok(Tried::Locked)) {
            return;
        }
        sweep_locked(shared, port);
    }
    shared.gate.unlock(port);
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

/// Frees the buffers under names that `wanted` likes and that are gone, unless some record refers to them
/// (DELIVERY-3).
pub(crate) fn free_forlorn_buffers(mapping: &Mapping, wanted: impl Fn(Name) -> bool) -> u32 {
    let gone: Vec<_> = buffers_named(mapping, |name| {
        wanted(name) && delivery::is_gone(mapping, name)
    })
    .collect();
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

fn refused(source: Errno) -> PortError {
    PortError::System {
        call: "the lock of the port (fcntl)",
        source,
    }
}
