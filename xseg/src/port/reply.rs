//! Answers: to a request of ours, or passing through.

use std::rc::Rc;

use rustix::io::Errno;

use super::buffer::{Buffer, Data};
use super::core::Core;
use super::draft::HAS_ARGS;
use super::handle::Ticket;
use crate::delivery;
use crate::geometry::Slot;
use crate::layout::{ARGS, STAMPS};
use crate::segment::Flight;
use crate::stats::Counter;
use crate::sync::Ordering;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done: so many bytes, or the operation's own number.
    Done(u64),
    Failed(Errno),
}

/// The answer to a request of ours. Dropped, its record and buffer can be used again.
#[derive(Debug)]
pub struct Reply {
    core: Rc<Core>,
    slot: Slot,
    outcome: Outcome,
}

impl Reply {
    /// From a record that came back to this port and that its flight knows.
    pub(super) fn read(core: &Rc<Core>, slot: Slot, intact: bool) -> Self {
        let record = core.record(slot);
        let errno = record.errno.load(Ordering::Relaxed);
        let outcome = match errno {
            _ if !intact => Outcome::Failed(Errno::UCLEAN),
            0 => Outcome::Done(record.done.load(Ordering::Relaxed)),
            1..4096 => Outcome::Failed(Errno::from_raw_os_error(errno as i32)),
            _ => Outcome::Failed(Errno::UCLEAN),
        };
        Self {
            core: core.clone(),
            slot,
            outcome,
        }
    }

    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// What was done, or the error.
    pub fn result(&self) -> Result<u64, Errno> {
        match self.outcome {
            Outcome::Done(done) => Ok(done),
            Outcome::Failed(errno) => Err(errno),
        }
    }

    pub fn ticket(&self) -> Ticket {
        Ticket {
            slot: self.slot.get(),
            serial: self.flight().serial.load(Ordering::Relaxed),
        }
    }

    /// What the sender attached to the request.
    pub fn cookie(&self) -> u64 {
        self.flight().cookie.load(Ordering::Relaxed)
    }

    fn flight(&self) -> &Flight {
        self.core.flight(self.slot)
    }

    /// The data of the request's own buffer.
    pub fn data(&self) -> Option<Data<'_>> {
        let flight = self.flight();
        let has_data = flight.buffer.load(Ordering::Relaxed) != 0;
        has_data.then(|| Data::new(self.core.mapping(), flight.data()))
    }

    /// Takes the buffer out, to use it again.
    pub fn take_buffer(&mut self) -> Option<Buffer> {
        let word = self.flight().take_buffer();
        let id = delivery::buffer_of(self.core.mapping(), word)?;
        Some(Buffer::new(self.core.clone(), id))
    }

    /// Arguments of the answer, or of the request if the answer has none of its own.
    pub fn args(&self) -> [u64; ARGS] {
        let record = self.core.record(self.slot);
        if record.op.load(Ordering::Relaxed) & HAS_ARGS == 0 {
            return [0; ARGS];
        }
        std::array::from_fn(|index| record.args[index].load(Ordering::Relaxed))
    }

    /// When it was sent, accepted by each port on its way, and answered (last); 0 where it did not pass.
    pub fn stamps_ns(&self) -> [u64; STAMPS] {
        let record = self.core.record(self.slot);
        std::array::from_fn(|index| record.stamps[index].load(Ordering::Relaxed))
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        drop(self.take_buffer());
        self.core.put_slot(self.slot);
    }
}

/// Somebody else's answer that passes through us because we forwarded its request. It must be passed on.
#[derive(Debug)]
#[must_use = "pass it on"]
pub struct Returning {
    core: Rc<Core>,
    slot: Slot,
    /// Our place on the path.
    place: usize,
    passed: bool,
}

impl Returning {
    pub(super) fn new(core: &Rc<Core>, slot: Slot, place: usize) -> Self {
        Self {
            core: core.clone(),
            slot,
            place,
            passed: false,
        }
    }

    /// The serial of the request that it answers.
    pub fn serial(&self) -> u64 {
        self.core.record(self.slot).serial.load(Ordering::Relaxed)
    }

    /// 0, or the errno that it carries.
    pub fn errno(&self) -> u32 {
        self.core.record(self.slot).errno.load(Ordering::Relaxed)
    }

    pub(super) fn take_apart(&mut self) -> (Rc<Core>, Slot, usize) {
        self.passed = true;
        (self.core.clone(), self.slot, self.place)
    }
}

impl Drop for Returning {
    fn drop(&mut self) {
        assert!(
            self.passed || std::thread::panicking(),
            "an answer that passes through was dropped"
        );
    }
}

impl Core {
    /// So many more parts of a request that we hold are drafts or away.
    pub(super) fn count_parts(&self, whole: Slot, change: i32) {
        let parts = &self.flight(whole).parts_away;
        let count = parts.load(Ordering::Relaxed).saturating_add_signed(change);
        parts.store(count, Ordering::Relaxed);
    }

    /// Ends a flight: what was away is ours again. Its parent, if it has one, has one part less outside.
    pub(super) fn land(&self, slot: Slot) {
        let flight = self.flight(slot);
        if let Some(parent) = flight.parent_in(self.mapping().geometry()) {
            self.count_parts(parent, -1);
        }
        // At home it refers to nothing, so it keeps nobody's buffer (DELIVERY-3).
        self.record(slot).buffer.store(0, Ordering::Relaxed);
        flight.land();
        self.away.set(self.away.get().saturating_sub(1));
        self.count(Counter::Replies);
    }
}
