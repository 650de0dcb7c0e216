//! What can be done with an accepted request: answer it, fail it, forward it, hand it on.

use rustix::io::Errno;

use super::draft::HAS_ARGS;
use super::incoming::Incoming;
use super::reply::Returning;
use crate::delivery::{self, Returned};
use crate::error::RequestError;
use crate::geometry::Slot;
use crate::layout::{LaneKind, PATH_MAX, STAMPS};
use crate::name::PortId;
use crate::port::Core;
use crate::stats::Counter;
use crate::sync::Ordering;

/// An accepted request that could not be forwarded: still to be answered.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct NotForwarded {
    pub error: RequestError,
    pub incoming: Incoming,
}

impl Incoming {
    /// It was done: so many bytes, or whatever number the operation answers with.
    pub fn answer(self, done: u64) {
        self.core.count(Counter::Answered);
        self.core.stats().add(Counter::BytesDone, done);
        self.finish(done, 0);
    }

    /// It failed.
    pub fn fail(self, errno: Errno) {
        self.core.count(Counter::Failed);
        self.finish(0, errno.raw_os_error() as u32);
    }

    /// This peer does not know the operation: the answer that every unknown operation gets.
    pub fn unsupported(self) {
        self.fail(Errno::OPNOTSUPP);
    }

    /// Changes the answer's arguments, for operations that answer with more than a number.
    pub fn set_answer_args(&mut self, args: [u64; crate::layout::ARGS]) {
        let op = u32::from(self.op().0) | HAS_ARGS;
        self.record().op.store(op, Ordering::Relaxed);
        for (word, value) in self.record().args.iter().zip(args) {
            word.store(value, Ordering::Relaxed);
        }
    }

    fn finish(mut self, done: u64, errno: u32) {
        let (op, depth) = (self.op(), usize::from(self.depth));
        self.settle();
        delivery::prefetch_way_back(self.core.mapping(), self.slot(), depth);
        let record = self.record();
        record.done.store(done, Ordering::Relaxed);
        record.errno.store(errno, Ordering::Relaxed);
        let accepted_at = record.stamps[depth.min(STAMPS - 2)].load(Ordering::Relaxed);
        let now_ns = self.core.clock.now_ns();
        self.core.stamp(record, STAMPS - 1, now_ns);
        let took = now_ns.saturating_sub(accepted_at);
        self.core.stats().took(op, took);
        self.core.send_back(self.slot(), depth);
    }

    /// Sends it to another port; the answer comes back through this one, as [`super::Event::Returning`].
    pub fn forward(self, to: PortId) -> Result<(), Box<NotForwarded>> {
        let depth = usize::from(self.depth);
        if depth >= PATH_MAX {
            let error = RequestError::PathFull { max: PATH_MAX };
            return Err(Box::new(NotForwarded {
                error,
                incoming: self,
            }));
        }
        self.record().path[depth].store(self.core.me.pack(), Ordering::Relaxed);
        self.pass(to, depth + 1)
    }

    /// Sends it to another port, which answers in our stead: we see nothing of it any more.
    pub fn hand_on(self, to: PortId) -> Result<(), Box<NotForwarded>> {
        let depth = usize::from(self.depth);
        self.pass(to, depth)
    }

    fn pass(mut self, to: PortId, depth: usize) -> Result<(), Box<NotForwarded>> {
        let mapping = self.core.mapping();
        if mapping.geometry().port(to.get()).is_none() {
            let last = mapping.geometry().ports() - 1;
            let error = RequestError::NoSuchPort {
                port: to.get(),
                last,
            };
            return Err(Box::new(NotForwarded {
                error,
                incoming: self,
            }));
        }
        if !delivery::life_of(mapping, to).admits() {
            let error = RequestError::Unbound { port: to };
            return Err(Box::new(NotForwarded {
                error,
                incoming: self,
            }));
        }
        let kind = if self.op().is_notice() {
            LaneKind::Notices
        } else {
            LaneKind::Requests
        };
        let hop = delivery::next_hop(mapping, self.core.me.port, to);
        self.settle();
        self.record().depth.store(depth as u32, Ordering::Relaxed);
        self.record().destination.store(to.get(), Ordering::Relaxed);
        self.core.count(Counter::PassedOn);
        self.core.send(self.slot(), kind, hop);
        Ok(())
    }
}

impl Returning {
    /// Lets the answer go on its way.
    pub fn pass_on(mut self) {
        let (core, slot, place) = self.take_apart();
        core.count(Counter::PassedOn);
        core.send_back(slot, place);
    }
}

impl Core {
    /// Sends an answered record back to whoever is left on its path.
    pub(super) fn send_back(&self, slot: Slot, places: usize) {
        match delivery::send_back(self.mapping(), slot, self.me, places) {
            Returned::Orphan => self.count(Counter::Orphans),
            Returned::To(port) => self.after_push(port),
        }
    }
}
