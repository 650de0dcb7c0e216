//! A request that is being written.

use std::rc::Rc;

use super::buffer::{Buffer, Data};
use super::core::Core;
use super::handle::Ticket;
use super::incoming::Incoming;
use crate::delivery;
use crate::error::RequestError;
use crate::geometry::{DataRange, Slot};
use crate::layout::{ARGS, LaneKind, NAME_BYTES_MAX, RequestRecord};
use crate::name::PortId;
use crate::op::OpCode;
use crate::segment::Flight;
use crate::stats::Counter;
use crate::sync::{AtomicU64, Ordering};

/// Set in the record's operation word when arguments or an operation id were written.
pub(super) const HAS_ARGS: u32 = 1 << 16;

/// A request that nobody else knows yet. Dropped, it was never there.
#[derive(Debug)]
pub struct Draft {
    core: Rc<Core>,
    slot: Slot,
    sent: bool,
}

/// A draft that could not be sent, given back whole.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Refused {
    pub error: RequestError,
    pub draft: Draft,
}

impl Draft {
    pub(super) fn begin(core: &Rc<Core>, op: OpCode) -> Result<Self, RequestError> {
        let owned = core.requests.borrow().owned();
        if core.away.get() >= core.owned_max {
            core.count(Counter::Exhausted);
            return Err(RequestError::PortLimit { owned });
        }
        let Some(slot) = core.take_slot() else {
            core.count(Counter::Exhausted);
            let total = core.mapping().geometry().requests();
            return Err(RequestError::NoRequests { total });
        };
        let record = core.record(slot);
        // Relaxed throughout the draft: published by the push.
        for word in [
            &record.offset,
            &record.length,
            &record.handle,
            &record.data_at,
            &record.data_len,
            &record.done,
            &record.deadline_ns,
        ] {
            word.store(0, Ordering::Relaxed);
        }
        for stamp in &record.stamps {
            stamp.store(0, Ordering::Relaxed);
        }
        record.op.store(u32::from(op.0), Ordering::Relaxed);
        record.flags.store(0, Ordering::Relaxed);
        record.errno.store(0, Ordering::Relaxed);
        record.name_lens.store(0, Ordering::Relaxed);
        record.buffer.store(0, Ordering::Relaxed);
        core.flight(slot).clear();
        Ok(Self {
            core: core.clone(),
            slot,
            sent: false,
        })
    }

    fn record(&self) -> &RequestRecord {
        self.core.record(self.slot)
    }

    fn flight(&self) -> &Flight {
        self.core.flight(self.slot)
    }

    pub fn set_flags(&mut self, flags: u32) {
        self.record().flags.store(flags, Ordering::Relaxed);
    }

    /// What part of the target: offset and length in bytes.
    pub fn set_extent(&mut self, offset: u64, length: u64) {
        self.record().offset.store(offset, Ordering::Relaxed);
        self.record().length.store(length, Ordering::Relaxed);
    }

    /// A target by number, where both sides have agreed on one.
    pub fn set_handle(&mut self, handle: u64) {
        self.record().handle.store(handle, Ordering::Relaxed);
    }

    /// A target by name.
    pub fn set_target(&mut self, name: &[u8]) -> Result<(), RequestError> {
        let lens = self.record().name_lens.load(Ordering::Relaxed) & 0xffff_0000;
        write_name(&self.record().target, name)?;
        self.record()
            .name_lens
            .store(lens | name.len() as u32, Ordering::Relaxed);
        Ok(())
    }

    /// The second name that some operations have: a snapshot, a new name, a source.
    pub fn set_snapshot(&mut self, name: &[u8]) -> Result<(), RequestError> {
        let lens = self.record().name_lens.load(Ordering::Relaxed) & 0xffff;
        write_name(&self.record().snapshot, name)?;
        self.record()
            .name_lens
            .store(lens | (name.len() as u32) << 16, Ordering::Relaxed);
        Ok(())
    }

    /// Arguments of the operation.
    pub fn set_args(&mut self, args: [u64; ARGS]) {
        self.mark_args();
        for (word, value) in self.record().args.iter().zip(args) {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// 128 bits that name a changing operation, so that a redo of it is recognised.
    pub fn set_operation_id(&mut self, id: [u64; 2]) {
        self.mark_args();
        for (word, value) in self.record().op_id.iter().zip(id) {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// Arguments and operation id go together: what was not written is zero, not an earlier request's.
    fn mark_args(&self) {
        let record = self.record();
        let op = record.op.load(Ordering::Relaxed);
        if op & HAS_ARGS == 0 {
            record.op.store(op | HAS_ARGS, Ordering::Relaxed);
            for word in record.args.iter().chain(&record.op_id) {
                word.store(0, Ordering::Relaxed);
            }
        }
    }

    /// A number of the sender's own that comes back with the answer; it never leaves this process.
    pub fn set_cookie(&mut self, cookie: u64) {
        self.flight().cookie.store(cookie, Ordering::Relaxed);
    }

    /// When the sender gives up, on the monotonic clock ([`crate::monotonic_ns`]).
    pub fn set_deadline_ns(&mut self, at_ns: u64) {
        self.flight().deadline_ns.store(at_ns, Ordering::Relaxed);
        self.record().deadline_ns.store(at_ns, Ordering::Relaxed);
    }

    /// Gives the request a buffer, `len` bytes of which are its data.
    pub fn attach(&mut self, buffer: Buffer, len: u64) -> Result<(), RequestError> {
        let part = buffer.data().part(0, len)?.range();
        assert!(
            buffer.is_of(&self.core),
            "a buffer travels through the port that took it"
        );
        self.drop_data();
        let id = buffer.detach();
        self.flight().buffer.store(id.get() + 1, Ordering::Relaxed);
        self.remember(part);
        Ok(())
    }

    /// Makes the request a part of one that we hold: its data are bytes of that one's buffer, and nothing is
    /// copied. That one cannot be answered before this one has been.
    pub fn view(&mut self, whole: &Incoming, from: u64, len: u64) -> Result<(), RequestError> {
        let outside = |available| RequestError::OutsideData {
            from,
            len,
            available,
        };
        let data = whole.data_range().ok_or(outside(0))?;
        let part = data.part(from, len).ok_or(outside(data.len()))?;
        let parent = whole.slot_on(&self.core);
        self.drop_data();
        self.flight()
            .parent
            .store(parent.get() + 1, Ordering::Relaxed);
        self.core.count_parts(parent, 1);
        self.remember(part);
        Ok(())
    }

    fn remember(&self, data: DataRange) {
        self.flight().data_at.store(data.at(), Ordering::Relaxed);
        self.flight().data_len.store(data.len(), Ordering::Relaxed);
    }

    /// Neither a buffer nor a view any more.
    fn drop_data(&self) {
        if let Some(parent) = self.flight().parent_in(self.core.mapping().geometry()) {
            self.flight().parent.store(0, Ordering::Relaxed);
            self.core.count_parts(parent, -1);
        }
        let word = self.flight().take_buffer();
        if let Some(buffer) = delivery::buffer_of(self.core.mapping(), word) {
            self.core.put_buffer(buffer);
        }
    }

    /// The data as attached.
    pub fn data(&self) -> Option<Data<'_>> {
        let flight = self.flight();
        let has_data = flight.buffer.load(Ordering::Relaxed) != 0
            || flight.parent.load(Ordering::Relaxed) != 0;
        has_data.then(|| Data::new(self.core.mapping(), flight.data()))
    }

    /// Sends the request. If it cannot be sent it is dropped, and what it had goes back to the port.
    pub fn send(self, to: PortId) -> Result<Ticket, RequestError> {
        self.try_send(to).map_err(|refused| refused.error)
    }

    /// Sends the request, or gives it back whole.
    pub fn try_send(self, to: PortId) -> Result<Ticket, Box<Refused>> {
        if let Err(error) = self.check(to) {
            return Err(Box::new(Refused { error, draft: self }));
        }
        Ok(self.depart(to))
    }

    fn check(&self, to: PortId) -> Result<(), RequestError> {
        let mapping = self.core.mapping();
        if mapping.geometry().port(to.get()).is_none() {
            return Err(RequestError::NoSuchPort {
                port: to.get(),
                last: mapping.geometry().ports() - 1,
            });
        }
        if self.core.shared.is_destroyed() {
            return Err(RequestError::Destroyed);
        }
        if !delivery::life_of(mapping, to).admits() {
            return Err(RequestError::Unbound { port: to });
        }
        Ok(())
    }

    fn depart(mut self, to: PortId) -> Ticket {
        self.sent = true;
        let (core, slot) = (&self.core, self.slot);
        let (record, flight) = (self.record(), self.flight());
        let op = OpCode(record.op.load(Ordering::Relaxed) as u16);
        let kind = if op.is_notice() {
            LaneKind::Notices
        } else {
            LaneKind::Requests
        };
        let hop = delivery::next_hop(core.mapping(), core.me.port, to);
        core.mapping().port(hop).lane(kind).prefetch_for_push();
        self.write_data();
        let serial = core.next_serial();
        record.serial.store(serial, Ordering::Relaxed);
        record.depth.store(1, Ordering::Relaxed);
        record.path[0].store(core.me.pack(), Ordering::Relaxed);
        record.destination.store(to.get(), Ordering::Relaxed);
        core.stamp(record, 0, core.clock.now_ns());
        flight.serial.store(serial, Ordering::Relaxed);
        flight.to.store(to.get(), Ordering::Relaxed);
        flight.depart(core.me);
        let deadline_ns = flight.deadline_ns.load(Ordering::Relaxed);
        if deadline_ns != 0 {
            let mut deadlines = core.deadlines.borrow_mut();
            deadlines.push(deadline_ns, slot.get(), serial);
        }
        core.away.set(core.away.get() + 1);
        core.count(Counter::Sent);
        core.send(slot, kind, hop);
        Ticket {
            slot: slot.get(),
            serial,
        }
    }

    /// The buffer word names the buffer that the bytes lie in: ours, or the one of the request that this is a part of.
    fn write_data(&self) {
        let (record, flight) = (self.record(), self.flight());
        let own = flight.buffer.load(Ordering::Relaxed);
        let word = match flight.parent_in(self.core.mapping().geometry()) {
            Some(parent) => self.core.record(parent).buffer.load(Ordering::Relaxed),
            None if own != 0 => own,
            None => return,
        };
        record.buffer.store(word, Ordering::Relaxed);
        let data = flight.data();
        record.data_at.store(data.at(), Ordering::Relaxed);
        record.data_len.store(data.len(), Ordering::Relaxed);
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.sent {
            self.drop_data();
            self.core.put_slot(self.slot); // it names no buffer yet: that is written when it departs
        }
    }
}

fn write_name(words: &[AtomicU64; 32], name: &[u8]) -> Result<(), RequestError> {
    if name.len() > NAME_BYTES_MAX {
        return Err(RequestError::NameTooLong {
            len: name.len(),
            max: NAME_BYTES_MAX,
        });
    }
    for (word, chunk) in words.iter().zip(name.chunks(8)) {
        let mut bytes = [0; 8];
        bytes[..chunk.len()].copy_from_slice(chunk);
        word.store(u64::from_ne_bytes(bytes), Ordering::Relaxed);
    }
    Ok(())
}
