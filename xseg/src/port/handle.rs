//! The port as its user sees it.

use std::rc::Rc;
use std::time::Duration;

use super::buffer::Buffer;
use super::core::Core;
use super::draft::Draft;
use super::incoming::Incoming;
use super::reply::{Reply, Returning};
use crate::error::{Corruption, PortError, RequestError};
use crate::geometry::{self, Geometry};
use crate::layout::LaneKind;
use crate::name::{Name, PortId};
use crate::op::OpCode;
use crate::segment::Segment;
use crate::stats::Counter;
use crate::sync::Ordering;

/// A bound port. It belongs to the thread that bound it; dropping it, when all its handles are gone too, gives
/// the port back in good order.
#[derive(Debug)]
pub struct Port {
    pub(crate) core: Rc<Core>,
    pub(super) segment: Segment,
}

/// Names a request that is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    pub(super) slot: u32,
    pub(super) serial: u64,
}

impl Ticket {
    /// The number that names the request on all its way.
    pub fn serial(self) -> u64 {
        self.serial
    }
}

/// A request that was given up because its time was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired {
    pub ticket: Ticket,
    /// What its sender attached to it.
    pub cookie: u64,
}

/// Something that arrived.
#[derive(Debug)]
#[must_use = "requests must be answered, answers passed on"]
pub enum Event {
    /// Work.
    Request(Incoming),
    /// Work that does not wait for room: a cancellation, a recall, or an unknown notice.
    Notice(Incoming),
    /// The answer to a request of ours.
    Reply(Reply),
    /// An answer that passes through us to somebody else.
    Returning(Returning),
    /// The segment holds words that make no sense; they were left alone. To be logged.
    Corrupt(Corruption),
}

impl Port {
    pub fn id(&self) -> PortId {
        self.core.me.port
    }

    /// The name of this incarnation.
    pub fn name(&self) -> Name {
        self.core.me
    }

    pub fn segment(&self) -> &Segment {
        &self.segment
    }

    pub fn geometry(&self) -> &Geometry {
        self.core.mapping().geometry()
    }

    /// Begins a request.
    pub fn draft(&self, op: OpCode) -> Result<Draft, RequestError> {
        Draft::begin(&self.core, op)
    }

    /// Takes a buffer of at least `bytes`.
    pub fn buffer(&self, bytes: u64) -> Result<Buffer, RequestError> {
        let too_large = RequestError::TooLarge {
            bytes,
            largest: geometry::BUFFER_BYTES_MAX,
        };
        let smallest = geometry::class_for(bytes).ok_or(too_large)?;
        // When a size is out, twice that size is better than waiting.
        (smallest..(smallest + 2).min(geometry::BUFFER_CLASSES))
            .find_map(|class| self.core.take_buffer(class))
            .map(|id| Buffer::new(self.core.clone(), id))
            .ok_or_else(|| {
                self.core.count(Counter::Exhausted);
                RequestError::NoBuffers { bytes }
            })
    }

    /// From now on this port leaves one in `part` buffers of each size to others, and at least one where there are two: for ports
    /// at the beginning of the way, whose requests end only when those behind them find buffers too (P1).
    pub fn leave_buffers_to_others(&self, part: u32) {
        self.core.leave_buffers_to_others(part);
    }

    /// Sends what is sent while the guard lives with one wake-up for each receiver, when it is dropped.
    pub fn burst(&self) -> Burst<'_> {
        self.core.begin_burst();
        Burst { core: &self.core }
    }

    /// How many requests may be accepted and unanswered at a time.
    pub fn set_held_max(&self, max: u32) {
        self.core.held_max.set(max);
    }

    /// Requests that were accepted and not answered yet.
    pub fn held(&self) -> u32 {
        self.core.held.get()
    }

    /// Requests of ours whose answers are outstanding.
    pub fn away(&self) -> u32 {
        self.core.away.get()
    }

    /// Gives up on a request: its answer, when it comes, is dropped, and only then are its record and buffer used
    /// again, for until then somebody may be writing to them.
    pub fn abandon(&self, ticket: Ticket) {
        if self.core.is_away(ticket.slot, ticket.serial)
            && let Some(slot) = self.geometry().slot(ticket.slot)
        {
            self.core.flight(slot).abandon();
            self.core.count(Counter::Abandoned);
        }
    }

    /// Asks whoever has the request to give it up. It is answered all the same, perhaps with ECANCELED.
    pub fn cancel(&self, ticket: Ticket) -> Result<(), RequestError> {
        let Some(slot) = self.geometry().slot(ticket.slot) else {
            return Ok(());
        };
        if !self.core.is_away(ticket.slot, ticket.serial) {
            return Ok(()); // answered already
        }
        let to = self.core.flight(slot).to.load(Ordering::Relaxed);
        let mut notice = self.draft(OpCode::CANCEL)?;
        notice.set_args([u64::from(ticket.slot), ticket.serial, 0, 0]);
        let to = self
            .geometry()
            .port(to)
            .expect("we sent it to an existing port");
        let sent = notice.send(to)?;
        self.abandon(sent); // nobody waits for the notice's answer
        Ok(())
    }

    /// The soonest deadline of what is away, on the monotonic clock.
    pub fn next_deadline_ns(&self) -> Option<u64> {
        let core = &self.core;
        let mut deadlines = core.deadlines.borrow_mut();
        deadlines.soonest_ns(|slot, serial| core.is_away(slot, serial))
    }

    /// Gives up, one a call, the requests whose deadline has passed.
    pub fn expire(&self) -> Option<Expired> {
        let core = &self.core;
        let (slot, serial) = core
            .deadlines
            .borrow_mut()
            .pop_due(crate::clock::monotonic_ns(), |slot, serial| {
                core.is_away(slot, serial)
            })?;
        let ticket = Ticket { slot, serial };
        self.abandon(ticket);
        let slot = self.geometry().slot(slot)?;
        Some(Expired {
            ticket,
            cookie: core.flight(slot).cookie.load(Ordering::Relaxed),
        })
    }

    /// Is there anything that [`Port::poll`] would look at? For the last look before sleeping.
    pub fn has_news(&self) -> bool {
        self.core.has_news()
    }

    /// Puts this port in between all senders and `destination`: requests for it come here first, until
    /// [`Port::step_aside`], or until this port is gone.
    pub fn interpose(&self, destination: PortId) -> Result<(), PortError> {
        self.segment.set_route(destination, Some(self.id()))
    }

    /// Ends [`Port::interpose`].
    pub fn step_aside(&self, destination: PortId) -> Result<(), PortError> {
        self.segment.set_route(destination, None)
    }

    /// Requests of this port's earlier incarnations that others still work on (S7): while there are any, what
    /// they touch must not be given to anybody. The port's bell rings when one ends.
    pub fn orphans(&self) -> usize {
        super::recover::orphans_of(&self.core)
    }

    /// Waits by itself, without a ring: until something arrives or the port's bell is rung. `false`: `timeout` was over
    /// first. For tools and simple peers; a reactor uses [`crate::Waiter`].
    pub fn wait(&self, timeout: Option<Duration>) -> bool {
        crate::wait::futex::wait(self, timeout)
    }
}

/// See [`Port::burst`].
#[derive(Debug)]
#[must_use = "the burst ends when this is dropped"]
pub struct Burst<'a> {
    core: &'a Core,
}

impl Drop for Burst<'_> {
    fn drop(&mut self) {
        self.core.end_burst();
    }
}

impl Core {
    pub fn is_away(&self, slot: u32, serial: u64) -> bool {
        self.shared
            .flights
            .get(slot as usize)
            .is_some_and(|flight| {
                flight.is_away_for(self.me)
                    && !flight.is_abandoned()
                    && flight.serial.load(Ordering::Relaxed) == serial
            })
    }

    pub fn has_news(&self) -> bool {
        let record = self.mapping().port(self.me.port);
        let lane_has_news = |kind: LaneKind| {
            let backlog = self.backlogs[kind as usize].borrow();
            let admitted = kind != LaneKind::Requests || self.held.get() < self.held_max.get();
            admitted && (!backlog.is_empty() || record.lane(kind).has_news(&backlog))
        };
        crate::layout::LANES.into_iter().any(lane_has_news)
            || self.has_fit_rescued()
            || (self.shared.is_destroyed() && !self.knows_of_destruction.get())
            || self.mapping().header().deaths.load(Ordering::Relaxed) != self.deaths_seen.get()
    }
}
