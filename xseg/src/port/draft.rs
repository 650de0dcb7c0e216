//! A request that is being written.

use std::rc::Rc;

use super::buffer::{Buffer, Data};
use super::core::Core;
use super::handle::Ticket;
use super::incoming::Incoming;
use crate::delivery;
use crate::error::RequestError;
use crate::geometry::{DataRange, Slot};
use crate::layout::{ARGS, LaneKind, NAME_BYTES_MAX};
use crate::name::{Life, PortId};
use crate::op::OpCode;
use crate::stats::Counter;
use crate::sync::{AtomicU64, Ordering};

/// Set in the record's operation word when arguments or an operation id were written.
pub(super) const HAS_ARGS: u32 = 1 << 16;

/// A request that nobody else knows yet. Dropped, it was never there.
#[derive(Debug)]
pub struct Draft {
    core: Rc<Core>,
    slot: Option<Slot>,
    buffer: Option<Buffer>,
    parent: Option<Slot>,
    data: Option<DataRange>,
    cookie: u64,
    deadline_ns: u64,
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
        Ok(Self {
            core: core.clone(),
            slot: Some(slot),
            buffer: None,
            parent: None,
            data: None,
            cookie: 0,
            deadline_ns: 0,
        })
    }

    fn slot(&self) -> Slot {
        self.slot.expect("a draft has its record until it is sent")
    }

    fn record(&self) -> &crate::layout::RequestRecord {
        self.core.record(self.slot())
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
        self.cookie = cookie;
    }

    /// When the sender gives up, on the monotonic clock ([`crate::monotonic_ns`]).
    pub fn set_deadline_ns(&mut self, at_ns: u64) {
        self.deadline_ns = at_ns;
        self.record().deadline_ns.store(at_ns, Ordering::Relaxed);
    }

    /// Gives the request a buffer, `len` bytes of which are its data.
    pub fn attach(&mut self, buffer: Buffer, len: u64) -> Result<(), RequestError> {
        let part = buffer.data().part(0, len)?.range();
        self.buffer = Some(buffer);
        self.data = Some(part);
        self.parent = None;
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
        self.data = Some(data.part(from, len).ok_or(outside(data.len()))?);
        self.parent = Some(whole.slot_on(&self.core));
        self.buffer = None;
        Ok(())
    }

    /// The data as attached.
    pub fn data(&self) -> Option<Data<'_>> {
        self.data.map(|range| Data::new(self.core.mapping(), range))
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
        match delivery::life_of(mapping, to) {
            Life::Bound { .. } | Life::Vacant { .. } => Ok(()),
            Life::Free { .. } => Err(RequestError::Unbound { port: to }),
        }
    }

    fn depart(mut self, to: PortId) -> Ticket {
        let core = self.core.clone();
        let slot = self
            .slot
            .take()
            .expect("a draft has its record until it is sent");
        let record = core.record(slot);
        let flight = core.flight(slot);
        let op = OpCode(record.op.load(Ordering::Relaxed) as u16);
        let kind = if op.is_notice() {
            LaneKind::Notices
        } else {
            LaneKind::Requests
        };
        let hop = delivery::next_hop(core.mapping(), core.me.port, to);
        core.mapping().port(hop).lane(kind).prefetch_for_push();
        let buffer = self.buffer.take().map(Buffer::detach);
        self.write_data(record, &core, buffer.map(|id| id.get()));
        let serial = core.next_serial();
        record.serial.store(serial, Ordering::Relaxed);
        record.depth.store(1, Ordering::Relaxed);
        record.path[0].store(core.me.pack(), Ordering::Relaxed);
        record.destination.store(to.get(), Ordering::Relaxed);
        core.stamp(record, 0, core.clock.now_ns());
        if let Some(parent) = self.parent {
            core.flight(parent)
                .parts_away
                .fetch_add(1, Ordering::Relaxed);
        }
        flight.serial.store(serial, Ordering::Relaxed);
        flight.cookie.store(self.cookie, Ordering::Relaxed);
        flight
            .buffer
            .store(buffer.map_or(0, |id| id.get() + 1), Ordering::Relaxed);
        flight.parent.store(
            self.parent.map_or(0, |slot| slot.get() + 1),
            Ordering::Relaxed,
        );
        flight.to.store(to.get(), Ordering::Relaxed);
        flight.depart(core.me);
        if self.deadline_ns != 0 {
            core.deadlines
                .borrow_mut()
                .push(self.deadline_ns, slot.get(), serial);
        }
        core.away.set(core.away.get() + 1);
        core.count(Counter::Sent);
        core.send(slot, kind, hop);
        Ticket {
            slot: slot.get(),
            serial,
        }
    }

    /// The buffer word names the buffer that the bytes lie in, ours or the one of the request we are a part of.
    fn write_data(&self, record: &crate::layout::RequestRecord, core: &Core, own: Option<u32>) {
        let Some(range) = self.data else {
            return;
        };
        let word = match (own, self.parent) {
            (Some(id), _) => id + 1,
            (None, Some(parent)) => core.record(parent).buffer.load(Ordering::Relaxed),
            (None, None) => 0,
        };
        record.buffer.store(word, Ordering::Relaxed);
        record.data_at.store(range.at(), Ordering::Relaxed);
        record.data_len.store(range.len(), Ordering::Relaxed);
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            self.core.put_slot(slot); // it names no buffer yet: that is written when it departs
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
