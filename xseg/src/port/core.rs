//! What a bound port is made of, behind all its handles.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use super::deadline::Deadlines;
use super::incoming::Copies;
use crate::bell::{Bell, Rings};
use crate::clock::StampClock;
use crate::delivery;
use crate::geometry::{self, BUFFER_CLASSES, BufferId, Slot};
use crate::lane::Backlog;
use crate::layout::{LaneKind, LaneWord, RequestRecord, StatsRecord};
use crate::magazine::Magazine;
use crate::mapping::Mapping;
use crate::name::{Life, Name, PortId};
use crate::segment::{Flight, Shared};
use crate::stats::Counter;
use crate::sync::{Ordering, fence_after_rmw, full_fence};

/// Records claimed at a time.
const REFILL_REQUESTS: usize = 16;
/// Bytes of buffers claimed at a time: sixteen of the smallest, one of the large ones.
const REFILL_BYTES: u64 = 64 << 10;

#[derive(Debug)]
pub(crate) struct Core {
    pub shared: Arc<Shared>,
    pub me: Name,
    pub requests: RefCell<Magazine>,
    pub buffers: RefCell<[Magazine; BUFFER_CLASSES]>,
    /// What was seen in the lanes and not yet admitted, by [`LaneKind`].
    pub backlogs: [RefCell<Backlog>; 3],
    /// Records claimed outside the lanes: held by a dead predecessor, or never pushed by a dead sender.
    pub rescued: RefCell<VecDeque<Rescued>>,
    pub deaths_seen: Cell<u64>,
    pub deadlines: RefCell<Deadlines>,
    pub clock: StampClock,
    /// Of the requests that this port holds.
    pub copies: RefCell<Copies>,
    pub serial: Cell<u64>,
    /// Requests accepted and not answered yet, and how many of them there may be.
    pub held: Cell<u32>,
    pub held_max: Cell<u32>,
    /// Requests of our own that are away, and how many records we may own.
    pub away: Cell<u32>,
    pub owned_max: u32,
    burst: RefCell<Burst>,
    /// The owner has polled since the segment was destroyed: it can know.
    pub knows_of_destruction: Cell<bool>,
    /// The port whose bell our senders ring: this process's own knowledge of what its record says.
    bell_port: Cell<PortId>,
    /// The rings of that bell when a wait last ended (BELL-4).
    rings_seen: Cell<Rings>,
}

/// The receivers that have something new since the burst began.
#[derive(Debug, Default)]
struct Burst {
    depth: u32,
    to_ring: Vec<PortId>,
}

/// A record that is ours already, and how it came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rescued {
    pub slot: Slot,
    pub lane: LaneWord,
    /// A dead predecessor may have begun it.
    pub redelivered: bool,
}

impl Core {
    pub fn new(shared: Arc<Shared>, me: Name, owned_max: u32, held_max: u32) -> Rc<Self> {
        let geometry = *shared.mapping.geometry();
        let start = me.port.get().wrapping_mul(0x9e37_79b1);
        let magazine = |class: usize| {
            let refill = REFILL_BYTES / geometry::class_bytes(class);
            Magazine::new(geometry.class_buffers(class), refill as usize, start)
        };
        let backlog = |kind| RefCell::new(Backlog::resume(shared.mapping.port(me.port).lane(kind)));
        Rc::new(Self {
            me,
            requests: RefCell::new(Magazine::new(
                0..geometry.requests(),
                REFILL_REQUESTS,
                start,
            )),
            buffers: RefCell::new(std::array::from_fn(magazine)),
            backlogs: [
                backlog(LaneKind::Requests),
                backlog(LaneKind::Replies),
                backlog(LaneKind::Notices),
            ],
            rescued: RefCell::default(),
            deaths_seen: Cell::new(shared.mapping.header().deaths.load(Ordering::Relaxed)),
            deadlines: RefCell::default(),
            clock: StampClock::new(),
            copies: RefCell::default(),
            // Serials of different incarnations differ: the generation is in their high half.
            serial: Cell::new(u64::from(me.generation) << 40 ^ u64::from(me.port.get()) << 26),
            held: Cell::new(0),
            held_max: Cell::new(held_max),
            away: Cell::new(0),
            owned_max,
            burst: RefCell::default(),
            knows_of_destruction: Cell::new(false),
            bell_port: Cell::new(me.port),
            rings_seen: Cell::new(Bell(&shared.mapping.port(me.port).bell).rings()),
            shared,
        })
    }

    #[inline]
    pub fn mapping(&self) -> &Mapping {
        &self.shared.mapping
    }

    /// The bell that our senders ring.
    #[inline]
    pub fn bell(&self) -> Bell<'_> {
        Bell(&self.mapping().port(self.bell_port.get()).bell)
    }

    /// Was it rung since [`Core::heed_rings`]?
    #[inline]
    pub fn is_rung(&self) -> bool {
        self.bell().rings() != self.rings_seen.get()
    }

    /// Takes note of all rings. Tells whether there was one since the last time.
    #[inline]
    pub fn heed_rings(&self) -> bool {
        let rings = self.bell().rings();
        self.rings_seen.replace(rings) != rings
    }

    /// Has senders ring the bell of `stand_in` from now on, or this port's own: a thread with many ports sleeps on one.
    pub fn share_bell(&self, stand_in: Option<PortId>) {
        let stand_in = stand_in.filter(|port| *port != self.me.port);
        let word = stand_in.map_or(0, |port| port.get() + 1);
        let record = self.mapping().port(self.me.port);
        record.bell_port.store(word, Ordering::Relaxed);
        self.bell_port.set(stand_in.unwrap_or(self.me.port));
        self.heed_rings();
        // A sender that still saw the other bell woke nobody; its push comes before our next look.
        full_fence("bell.arm");
    }

    #[inline]
    pub fn record(&self, slot: Slot) -> &RequestRecord {
        self.shared.mapping.request(slot)
    }

    #[inline]
    pub fn flight(&self, slot: Slot) -> &Flight {
        &self.shared.flights[slot.get() as usize]
    }

    #[inline]
    pub fn stats(&self) -> &StatsRecord {
        self.shared.mapping.stats(self.me.port)
    }

    #[inline]
    pub fn count(&self, counter: Counter) {
        self.stats().count(counter);
    }

    pub fn next_serial(&self) -> u64 {
        let serial = self.serial.get().wrapping_add(1);
        self.serial.set(serial);
        serial
    }

    /// A record of our own, cleared of what it said before.
    pub fn take_slot(&self) -> Option<Slot> {
        let mapping = self.mapping();
        let geometry = mapping.geometry();
        let word = |index: u32| {
            let slot = geometry
                .slot(index)
                .expect("magazines hold existing records");
            &mapping.request(slot).owner
        };
        let index = self.requests.borrow_mut().take(self.me, word)?;
        crate::kill::kill_point!("claim.after-slot");
        geometry.slot(index)
    }

    /// Gives a record of ours back to the magazine.
    pub fn put_slot(&self, slot: Slot) {
        let mapping = self.mapping();
        self.requests.borrow_mut().put(slot.get(), |index| {
            let slot = mapping.geometry().slot(index);
            &mapping
                .request(slot.expect("magazines hold existing records"))
                .owner
        });
    }

    pub fn take_buffer(&self, class: usize) -> Option<BufferId> {
        let mapping = self.mapping();
        let geometry = mapping.geometry();
        let word = |index: u32| {
            let buffer = geometry
                .buffer(index)
                .expect("magazines hold existing buffers");
            mapping.buffer_owner(buffer)
        };
        let index = self.buffers.borrow_mut()[class].take(self.me, word)?;
        crate::kill::kill_point!("claim.after-buffer");
        geometry.buffer(index)
    }

    pub fn leave_buffers_to_others(&self, part: u32) {
        for magazine in self.buffers.borrow_mut().iter_mut() {
            magazine.leave_to_others(part);
        }
    }

    pub fn put_buffer(&self, buffer: BufferId) {
        let mapping = self.mapping();
        let class = mapping.geometry().class_of(buffer);
        self.buffers.borrow_mut()[class].put(buffer.get(), |index| {
            let buffer = mapping.geometry().buffer(index);
            mapping.buffer_owner(buffer.expect("magazines hold existing buffers"))
        });
    }

    /// Sends a record that we own or hold.
    #[inline]
    pub fn send(&self, slot: Slot, kind: LaneKind, to: PortId) {
        let lane = LaneWord { kind, place: 0 };
        delivery::push(self.mapping(), slot, self.me, lane, to);
        self.after_push(to);
    }

    /// Wakes the receiver, and sees to it that nothing lies in the inbox of a port that was given back between our
    /// look at it and our push (LEAVE-2).
    #[inline]
    pub fn after_push(&self, to: PortId) {
        self.ring(to);
        fence_after_rmw("push.last-look");
        if matches!(delivery::life_of(self.mapping(), to), Life::Free { .. }) {
            // An error means that somebody else has the port's lock: its next owner, who will take what we sent, or a
            // settler, who looks into the inbox when he gives the lock back.
            let _ = crate::settle::sweep(&self.shared, to);
        }
    }

    /// Wakes a receiver, now or at the end of the burst.
    pub fn ring(&self, port: PortId) {
        let mut burst = self.burst.borrow_mut();
        if burst.depth == 0 {
            self.ring_now(port);
        } else if !burst.to_ring.contains(&port) {
            burst.to_ring.push(port);
        }
    }

    fn ring_now(&self, port: PortId) {
        if delivery::ring(self.mapping(), port) {
            self.count(Counter::Rings);
        }
    }

    pub fn begin_burst(&self) {
        self.burst.borrow_mut().depth += 1;
    }

    pub fn end_burst(&self) {
        let mut burst = self.burst.borrow_mut();
        burst.depth -= 1;
        if burst.depth == 0 {
            for port in burst.to_ring.drain(..) {
                self.ring_now(port);
            }
        }
    }

    /// Remembers a moment of the request's way.
    #[inline]
    pub fn stamp(&self, record: &RequestRecord, stage: usize, now_ns: u64) {
        record.stamps[stage.min(crate::layout::STAMPS - 1)].store(now_ns, Ordering::Relaxed);
    }
}
