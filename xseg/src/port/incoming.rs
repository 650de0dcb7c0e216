//! A request that was accepted: it must be answered, or handed on.

use std::rc::Rc;

use super::buffer::Data;
use super::core::Core;
use super::draft::HAS_ARGS;
use crate::delivery;
use crate::error::Corruption;
use crate::geometry::{DataRange, Slot};
use crate::layout::{ARGS, LaneKind, NAME_BYTES_MAX, PATH_MAX, RequestRecord};
use crate::name::PortId;
use crate::op::OpCode;
use crate::sync::{AtomicU64, Ordering};

/// What a request says: this process's own copy, fetched once and checked.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    pub op: OpCode,
    pub flags: u32,
    pub offset: u64,
    pub length: u64,
    pub handle: u64,
    /// When its sender gives up, on the monotonic clock; 0 is never.
    pub deadline_ns: u64,
    /// Names the request on all its way.
    pub serial: u64,
    /// Whom it is meant for: another port than ours if we were put in between.
    pub destination: PortId,
    /// Our dead predecessor may have begun it (S6): see [`crate::Redo`].
    pub redelivered: bool,
}

/// An accepted request.
///
/// Dropping it unanswered is a bug of the peer and panics: a lost request is a VM that hangs.
#[derive(Debug)]
#[must_use = "answer it, fail it, or hand it on"]
pub struct Incoming {
    pub(super) core: Rc<Core>,
    slot: Slot,
    /// Where our copy of it is kept.
    copy: u32,
    pub(super) depth: u8,
    has_args: bool,
    /// Notices are not counted (P1).
    counted: bool,
    settled: bool,
}

/// Our copy of an accepted request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copied {
    request: Request,
    data: Option<DataRange>,
}

/// The copies of what a port holds. Grows to the most that it ever held at once.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    all: Vec<Copied>,
    free: Vec<u32>,
}

impl Copies {
    fn put(&mut self, copied: Copied) -> u32 {
        if let Some(index) = self.free.pop() {
            self.all[index as usize] = copied;
            return index;
        }
        self.all.push(copied);
        self.all.len() as u32 - 1
    }
}

/// A name from a request, copied.
#[derive(Clone, Copy)]
pub struct NameText {
    bytes: [u8; 256],
    len: usize,
}

impl NameText {
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// As text; what is no UTF-8 is `None`.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.as_bytes()).ok()
    }
}

impl std::fmt::Debug for NameText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        String::from_utf8_lossy(self.as_bytes()).fmt(f)
    }
}

impl Incoming {
    /// Reads a record that this port holds. On damaged words the request is answered with EUCLEAN, if that is
    /// possible at all, and the damage reported.
    pub(super) fn read(
        core: &Rc<Core>,
        slot: Slot,
        kind: LaneKind,
        redelivered: bool,
    ) -> Result<Self, Corruption> {
        let record = core.record(slot);
        let op = record.op.load(Ordering::Relaxed);
        let depth = record.depth.load(Ordering::Relaxed);
        let data = read_data(core, record);
        let copied = Copied {
            request: read_request(core, record, redelivered),
            data: data.unwrap_or(None),
        };
        let counted = kind == LaneKind::Requests;
        core.held.set(core.held.get() + u32::from(counted));
        core.flight(slot).parts_away.store(0, Ordering::Relaxed);
        let mut incoming = Self {
            core: core.clone(),
            slot,
            copy: core.copies.borrow_mut().put(copied),
            depth: depth.min(PATH_MAX as u32) as u8,
            has_args: op & HAS_ARGS != 0,
            counted,
            settled: false,
        };
        let damage = |field, value| Corruption {
            port: core.me.port,
            field,
            value,
        };
        if depth == 0 || depth as usize > PATH_MAX {
            incoming.give_up();
            return Err(damage("request path depth", u64::from(depth)));
        }
        if let Err(value) = data {
            incoming.fail(rustix::io::Errno::UCLEAN);
            return Err(damage("request data", value));
        }
        Ok(incoming)
    }

    /// What it says.
    #[inline]
    pub fn request(&self) -> Request {
        self.copied().request
    }

    #[inline]
    pub(super) fn op(&self) -> OpCode {
        self.core.copies.borrow().all[self.copy as usize].request.op
    }

    #[inline]
    fn copied(&self) -> Copied {
        self.core.copies.borrow().all[self.copy as usize]
    }

    /// The request's data, if it has any.
    pub fn data(&self) -> Option<Data<'_>> {
        self.data_range()
            .map(|range| Data::new(self.core.mapping(), range))
    }

    #[inline]
    pub(super) fn data_range(&self) -> Option<DataRange> {
        self.copied().data
    }

    /// The name of its target.
    pub fn target(&self) -> NameText {
        let lens = self.record().name_lens.load(Ordering::Relaxed);
        read_name(&self.record().target, (lens & 0xffff) as usize)
    }

    /// The second name, of those operations that have one.
    pub fn snapshot(&self) -> NameText {
        let lens = self.record().name_lens.load(Ordering::Relaxed);
        read_name(&self.record().snapshot, (lens >> 16) as usize)
    }

    pub fn args(&self) -> [u64; ARGS] {
        if !self.has_args {
            return [0; ARGS];
        }
        std::array::from_fn(|index| self.record().args[index].load(Ordering::Relaxed))
    }

    pub fn operation_id(&self) -> [u64; 2] {
        if !self.has_args {
            return [0; 2];
        }
        std::array::from_fn(|index| self.record().op_id[index].load(Ordering::Relaxed))
    }

    /// Is anybody left to whom its answer could go? Who is gone never comes back: the next one at its port is another.
    pub fn has_asker(&self) -> bool {
        delivery::has_way_back(self.core.mapping(), self.slot, usize::from(self.depth))
    }

    /// For a cancellation: does it mean that request of ours?
    pub fn cancels(&self, other: &Self) -> bool {
        let [slot, serial, ..] = self.args();
        self.op() == OpCode::CANCEL
            && u64::from(other.slot.get()) == slot
            && other.request().serial == serial
    }

    /// How many parts of it ([`super::Draft::view`]) are drafts or away. It can be answered when there are none.
    pub fn parts_away(&self) -> u32 {
        self.core
            .flight(self.slot)
            .parts_away
            .load(Ordering::Relaxed)
    }

    pub(super) fn record(&self) -> &RequestRecord {
        self.core.record(self.slot)
    }

    pub(super) fn slot(&self) -> Slot {
        self.slot
    }

    pub(super) fn slot_on(&self, core: &Rc<Core>) -> Slot {
        assert!(
            Rc::ptr_eq(&self.core, core),
            "a part travels through the port that holds the whole"
        );
        self.slot
    }

    /// It is answered, or somebody else's.
    pub(super) fn settle(&mut self) {
        assert_eq!(
            self.parts_away(),
            0,
            "answered while parts of it are drafts or away"
        );
        self.settled = true;
        self.core.copies.borrow_mut().free.push(self.copy);
        self.core
            .held
            .set(self.core.held.get() - u32::from(self.counted));
    }

    /// There is no way back: the record is freed.
    fn give_up(&mut self) {
        self.settle();
        delivery::free_orphan(self.core.mapping(), self.slot);
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        assert!(
            self.settled || std::thread::panicking(),
            "request {} ({}) was dropped unanswered",
            self.request().serial,
            self.request().op
        );
    }
}

fn read_request(core: &Core, record: &RequestRecord, redelivered: bool) -> Request {
    let word = |word: &AtomicU64| word.load(Ordering::Relaxed); // acquired with the claim
    let destination = record.destination.load(Ordering::Relaxed);
    let destination = core.mapping().geometry().port(destination);
    Request {
        op: OpCode(record.op.load(Ordering::Relaxed) as u16),
        flags: record.flags.load(Ordering::Relaxed),
        offset: word(&record.offset),
        length: word(&record.length),
        handle: word(&record.handle),
        deadline_ns: word(&record.deadline_ns),
        serial: word(&record.serial),
        destination: destination.unwrap_or(core.me.port),
        redelivered,
    }
}

fn read_data(core: &Core, record: &RequestRecord) -> Result<Option<DataRange>, u64> {
    let word = record.buffer.load(Ordering::Relaxed);
    if word == 0 {
        return Ok(None);
    }
    let at = record.data_at.load(Ordering::Relaxed);
    let len = record.data_len.load(Ordering::Relaxed);
    let mapping = core.mapping();
    let buffer = delivery::buffer_of(mapping, word).ok_or(u64::from(word))?;
    let range = mapping.geometry().data_range(buffer, at, len).ok_or(at)?;
    Ok(Some(range))
}

pub(crate) fn read_name(words: &[AtomicU64; 32], len: usize) -> NameText {
    let mut name = NameText {
        bytes: [0; 256],
        len: len.min(NAME_BYTES_MAX),
    };
    let used = name.len.div_ceil(8);
    for (chunk, word) in name.bytes.chunks_mut(8).zip(words).take(used) {
        chunk.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
    }
    name
}
