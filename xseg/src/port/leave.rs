//! Giving a port back in good order: when its last handle is gone.
//!
//! # Invariants
//! * **LEAVE-1** What the port owned and had at home is free before its life word says that it is gone; what it
//!   had away bears a dead name from then on, and is freed by whoever answers it.
//! * **LEAVE-2** Nothing is left lying in the inbox of a dynamic port that was given back. A sender looks at the port
//!   after its push; if it is gone the sender sweeps it, or finds its lock taken. Whoever gives the lock of a free
//!   port back looks into its inbox afterwards. So one of the two sees the push.

use super::core::Core;
use crate::kill::kill_point;
use crate::layout::{LaneKind, LaneWord};
use crate::name::Owner;
use crate::settle;
use crate::sync::Ordering;

impl Core {
    /// Answers that have arrived already need not become orphans.
    fn take_last_answers(&self) {
        let mapping = self.mapping();
        let lane = mapping.port(self.me.port).lane(LaneKind::Replies);
        let mut backlog = self.backlogs[LaneKind::Replies as usize].borrow_mut();
        if self.collect(LaneKind::Replies, &mut backlog).is_err() {
            return;
        }
        while let Some(claimed) =
            lane.claim_next(mapping, &mut backlog, self.me.port, Owner::Held(self.me))
        {
            if let crate::lane::Claimed::Record { slot, .. } = claimed
                && let Some(slot) = mapping.geometry().slot(slot)
            {
                self.drop_answer(slot);
            }
        }
    }

    fn drop_answer(&self, slot: crate::geometry::Slot) {
        let flight = self.flight(slot);
        if !flight.is_away_for(self.me) {
            let lane = LaneWord::unpack(self.record(slot).lane.load(Ordering::Relaxed));
            self.send_back(slot, lane.place); // a predecessor's, or on its way through us
            return;
        }
        let buffer = flight.buffer.load(Ordering::Relaxed);
        self.land(slot);
        self.put_slot(slot);
        if let Some(buffer) = crate::delivery::buffer_of(self.mapping(), buffer) {
            self.put_buffer(buffer);
        }
    }

    fn empty_magazines(&self) {
        let mapping = self.mapping();
        let geometry = mapping.geometry();
        self.requests.borrow_mut().empty(|index| {
            let slot = geometry
                .slot(index)
                .expect("magazines hold existing records");
            &mapping.request(slot).owner
        });
        for magazine in self.buffers.borrow_mut().iter_mut() {
            magazine.empty(|index| {
                let buffer = geometry
                    .buffer(index)
                    .expect("magazines hold existing buffers");
                mapping.buffer_owner(buffer)
            });
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return; // handles may be lost: leave it to settlement, as after any death
        }
        self.take_last_answers();
        self.empty_magazines();
        kill_point!("leave.before-life");
        for flight in &self.shared.flights {
            if flight.is_away_for(self.me) {
                flight.land(); // its record is freed by whoever answers it
            }
        }
        if !self.mapping().geometry().is_static(self.me.port) {
            settle::empty_inbox(self.mapping(), self.me);
        }
        settle::retire(self.mapping(), self.me);
        settle::unlock(&self.shared, self.me.port);
    }
}
