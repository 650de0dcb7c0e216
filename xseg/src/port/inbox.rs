//! Taking what has arrived.
//!
//! # Invariants
//! * **INBOX-1** Notices and answers are always taken; requests only while there is room. So what a peer waits for
//!   never waits behind what it has no room for.
//! * **INBOX-2** An answer is believed only if this process's own memory says that the request is away (D. 59).

use std::rc::Rc;

use super::core::{Core, Rescued};
use super::handle::{Event, Port};
use super::incoming::Incoming;
use super::reply::{Reply, Returning};
use crate::delivery;
use crate::error::Corruption;
use crate::geometry::Slot;
use crate::kill::kill_point;
use crate::lane::Claimed;
use crate::layout::{LaneKind, LaneWord, STAMPS};
use crate::name::{Name, Owner};
use crate::op::OpCode;
use crate::stats::Counter;
use crate::sync::Ordering;

impl Port {
    /// The next thing that has arrived, if there is one: notices first, then answers, then requests.
    pub fn poll(&self) -> Option<Event> {
        let core = &self.core;
        if core.mapping().header().deaths.load(Ordering::Relaxed) != core.deaths_seen.get() {
            core.look_for_unpublished();
        }
        if core.shared.is_destroyed() {
            core.knows_of_destruction.set(true);
        }
        loop {
            let found = match core.next_record() {
                Ok(Some(found)) => found,
                Ok(None) => return None,
                Err(corruption) => {
                    core.count(Counter::Corruptions);
                    return Some(Event::Corrupt(corruption));
                }
            };
            match core.dispatch(found) {
                Ok(Some(event)) => return Some(event),
                Ok(None) => {}
                Err(corruption) => {
                    core.count(Counter::Corruptions);
                    return Some(Event::Corrupt(corruption));
                }
            }
        }
    }
}

impl Core {
    /// Claims the next record: from what was rescued, then lane by lane.
    fn next_record(&self) -> Result<Option<Rescued>, Corruption> {
        if !self.rescued.borrow().is_empty()
            && let Some(rescued) = self.next_rescued()
        {
            return Ok(Some(rescued));
        }
        for kind in [LaneKind::Notices, LaneKind::Replies, LaneKind::Requests] {
            if kind == LaneKind::Requests && self.held.get() >= self.held_max.get() {
                break; // INBOX-1
            }
            if let Some(slot) = self.claim_from(kind)? {
                let said = LaneWord::unpack(self.record(slot).lane.load(Ordering::Relaxed));
                let lane = LaneWord { kind, ..said }; // it came by this lane, whatever it says
                return Ok(Some(Rescued {
                    slot,
                    lane,
                    redelivered: false,
                }));
            }
        }
        Ok(None)
    }

    /// Walks the lane if its backlog is out, and claims the oldest record.
    fn claim_from(&self, kind: LaneKind) -> Result<Option<Slot>, Corruption> {
        let mapping = self.mapping();
        let lane = mapping.port(self.me.port).lane(kind);
        let mut backlog = self.backlogs[kind as usize].borrow_mut();
        if backlog.is_empty() {
            if !lane.has_news(&backlog) {
                return Ok(None);
            }
            self.collect(kind, &mut backlog)?;
        }
        loop {
            if let Some(next) = backlog.peek() {
                mapping.prefetch_request(next);
            }
            match lane.claim_next(mapping, &mut backlog, self.me.port, Owner::Held(self.me)) {
                None => return Ok(None),
                Some(Claimed::Record { slot, .. }) => {
                    kill_point!("take.after-claim");
                    return Ok(mapping.geometry().slot(slot));
                }
                // After a predecessor's death the oldest one may be claimed already (LANE-2).
                Some(Claimed::NotOurs { .. }) => {}
            }
        }
    }

    pub(super) fn collect(
        &self,
        kind: LaneKind,
        backlog: &mut crate::lane::Backlog,
    ) -> Result<(), Corruption> {
        let mapping = self.mapping();
        let walked = mapping
            .port(self.me.port)
            .lane(kind)
            .collect(mapping, backlog);
        kill_point!("take.after-walk");
        walked.map_err(|broken| Corruption {
            port: self.me.port,
            field: broken.field,
            value: broken.value,
        })
    }

    /// Turns a record that we hold into what it is for the peer. `None`: it was dealt with here.
    fn dispatch(self: &Rc<Self>, found: Rescued) -> Result<Option<Event>, Corruption> {
        let Rescued {
            slot,
            lane,
            redelivered,
        } = found;
        if lane.kind == LaneKind::Replies {
            return self.take_answer(slot, lane.place, redelivered);
        }
        let record = self.record(slot);
        let depth = record.depth.load(Ordering::Relaxed) as usize;
        self.stamp(record, depth.min(STAMPS - 2), self.clock.now_ns());
        let incoming = Incoming::read(self, slot, lane.kind, redelivered)?;
        self.count(Counter::Accepted);
        if incoming.op() == OpCode::PING {
            self.count(Counter::Pings);
            incoming.answer(0);
            return Ok(None);
        }
        Ok(Some(match lane.kind {
            LaneKind::Notices => Event::Notice(incoming),
            _ => Event::Request(incoming),
        }))
    }

    /// An answer: to a request of ours, passing through, or for somebody who is no more.
    fn take_answer(
        self: &Rc<Self>,
        slot: Slot,
        place: usize,
        redelivered: bool,
    ) -> Result<Option<Event>, Corruption> {
        let record = self.record(slot);
        if self.flight(slot).is_away_for(self.me) {
            return Ok(self.land_answer(slot, place));
        }
        if redelivered {
            // Our predecessor had it from somebody, or was about to send it to that place (ANSWER-1): both ways it
            // goes to the nearest one that is left, from there on.
            self.send_back(slot, place.saturating_add(1));
            return Ok(None);
        }
        let addressee = record
            .path
            .get(place)
            .and_then(|entry| Name::unpack(entry.load(Ordering::Relaxed)));
        if addressee == Some(self.me) && place > 0 {
            return Ok(Some(Event::Returning(Returning::new(self, slot, place))));
        }
        self.count(Counter::Strays);
        if addressee.is_some_and(|name| name.port == self.me.port && name != self.me) {
            self.send_back(slot, place); // a predecessor's: on to the next on the path, where it ends at the latest
            return Ok(None);
        }
        delivery::free_orphan(self.mapping(), slot);
        Err(Corruption {
            port: self.me.port,
            field: "answer that nobody asked for",
            value: u64::from(slot.get()),
        })
    }

    /// INBOX-2: we know of it. It is back in our hands, whatever the record says.
    fn land_answer(self: &Rc<Self>, slot: Slot, place: usize) -> Option<Event> {
        let record = self.record(slot);
        let flight = self.flight(slot);
        let intact = place == 0
            && record.serial.load(Ordering::Relaxed) == flight.serial.load(Ordering::Relaxed);
        let abandoned = flight.is_abandoned();
        // Held by the claim; ours again from here on. A settler frees it either way.
        record
            .owner
            .store(Owner::Owned(self.me).pack(), Ordering::Relaxed);
        self.land(slot);
        let reply = Reply::read(self, slot, intact);
        (!abandoned).then_some(Event::Reply(reply))
    }
}
