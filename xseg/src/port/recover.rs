//! Taking over from a dead incarnation of one's own port, and settling what dead senders meant for it.
//!
//! # Invariants
//! * **RECOVER-1** Everything that bears a dead name of this port is dealt with once: its own requests that were at
//!   home are freed; what it held is redelivered; what it had sent stays with whoever has it, and is freed there
//!   when it is answered.
//! * **RECOVER-3** A request that the dead one held is redelivered only when no part of it that the dead one had sent
//!   away is at work any more (S7): so an old write never lands on top of a newer one, and a buffer is not given back
//!   while somebody may be writing to it.
//! * **RECOVER-2** A record that a dead sender named for this port but never pushed is claimed by this port's
//!   incarnation alone, and only after everything published has been walked, so that no record is both in a lane
//!   and claimed here.

use std::rc::Rc;

use super::core::{Core, Rescued};
use crate::delivery::{self, slots_where};
use crate::geometry::Slot;
use crate::kill::kill_point;
use crate::layout::{LANES, LaneKind, LaneWord, PATH_MAX};
use crate::name::{Name, Owner};
use crate::records;
use crate::settle;
use crate::stats::Counter;
use crate::sync::Ordering;

/// First acts of a new incarnation.
pub(super) fn take_over(core: &Rc<Core>) {
    let (mapping, me) = (core.mapping(), core.me);
    settle::free_idle_records(mapping, me.port);
    kill_point!("bind.after-slots");
    // Before anything is handed out: a record that the dead one had claimed and not passed with `taken` is still in the
    // lane, and must be out of our backlog before it can be used again (LANE-3).
    core.walk_lanes();
    for kind in LANES {
        let mut backlog = core.backlogs[kind as usize].borrow_mut();
        mapping
            .port(me.port)
            .lane(kind)
            .skip_claimed(mapping, &mut backlog, me.port);
    }
    let is_old =
        |owner: Owner| matches!(owner, Owner::Held(name) if name.port == me.port && name != me);
    for (slot, owner) in slots_where(mapping, is_old) {
        let word = &mapping.request(slot).owner;
        // From the exact dead name (S2). Acquire: what the dead one wrote into the record.
        let ours = word.compare_exchange(
            owner.pack(),
            Owner::Held(me).pack(),
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        if ours.is_ok() {
            core.count(Counter::Redelivered);
            let lane = lane_of(core, slot);
            core.rescued.borrow_mut().push_back(Rescued {
                slot,
                lane,
                redelivered: true,
            });
        }
    }
    kill_point!("bind.after-held");
    settle::free_forlorn_buffers(mapping, |name| name.port == me.port);
    core.look_for_unpublished();
}

fn lane_of(core: &Core, slot: Slot) -> LaneWord {
    LaneWord::unpack(core.record(slot).lane.load(Ordering::Relaxed))
}

impl Core {
    /// Queues everything that is published. A broken lane is cut off; what hung there is found by the search for
    /// what was never pushed, if its sender is dead.
    fn walk_lanes(&self) {
        for kind in LANES {
            let mut backlog = self.backlogs[kind as usize].borrow_mut();
            if self.collect(kind, &mut backlog).is_err() {
                self.count(Counter::Corruptions);
            }
        }
    }

    /// Takes a rescued record that is fit to be handed out (RECOVER-3). When the last part of another one ends, this
    /// port's bell rings.
    pub(super) fn next_rescued(&self) -> Option<Rescued> {
        let mut rescued = self.rescued.borrow_mut();
        let fit = rescued.iter().position(|one| self.is_fit(*one))?;
        rescued.remove(fit)
    }

    pub(super) fn has_fit_rescued(&self) -> bool {
        self.rescued.borrow().iter().any(|one| self.is_fit(*one))
    }

    fn is_fit(&self, one: Rescued) -> bool {
        // Whoever does not serve yet, or has enough to do, is not handed a request that its predecessor held either
        // (INBOX-1).
        if one.lane.kind == LaneKind::Requests && self.held.get() >= self.held_max.get() {
            return false;
        }
        let is_work = one.redelivered && one.lane.kind != LaneKind::Replies;
        !(is_work && delivery::has_orphaned_parts(self.mapping(), one.slot, self.me.port))
    }

    /// Claims what dead senders marked as sent to us and never pushed (RECOVER-2).
    pub(super) fn look_for_unpublished(&self) {
        let mapping = self.mapping();
        // Read before the search: a death that is announced during it is searched for again.
        self.deaths_seen
            .set(mapping.header().deaths.load(Ordering::Acquire));
        let mine = |owner: Owner| matches!(owner, Owner::Sent { by, to } if to == self.me.port && delivery::is_gone(mapping, by));
        let candidates: Vec<(Slot, Owner)> = slots_where(mapping, mine).collect();
        if candidates.is_empty() {
            return;
        }
        let mut published = vec![false; mapping.geometry().requests() as usize];
        self.walk_lanes();
        for backlog in &self.backlogs {
            for slot in backlog.borrow().slots() {
                published[slot as usize] = true;
            }
        }
        for (slot, owner) in candidates {
            let Owner::Sent { by, .. } = owner else {
                continue;
            };
            if published[slot.get() as usize] {
                continue;
            }
            if records::claim_unpublished(
                &mapping.request(slot).owner,
                by,
                self.me.port,
                Owner::Held(self.me),
            ) {
                self.count(Counter::Rescued);
                let lane = lane_of(self, slot);
                self.rescued.borrow_mut().push_back(Rescued {
                    slot,
                    lane,
                    redelivered: false,
                });
            }
        }
    }
}

/// Requests of earlier incarnations of this port that are still under way or in work.
pub(super) fn orphans_of(core: &Core) -> usize {
    let mapping = core.mapping();
    let under_way = |owner: Owner| matches!(owner, Owner::Sent { .. } | Owner::Held(_));
    slots_where(mapping, under_way)
        .filter(|(slot, _)| {
            let record = mapping.request(*slot);
            let depth = record.depth.load(Ordering::Relaxed) as usize;
            let on_path = depth <= PATH_MAX;
            let requester = Name::unpack(record.path[0].load(Ordering::Relaxed));
            on_path && requester.is_some_and(|name| name.port == core.me.port && name != core.me)
        })
        .count()
}
