//! Between guest memory and payloads each byte is moved once at the most (W1): from descriptors into the buffer that travels, and out
//! of it. Those who share our reactor are lent the memory itself, and what they read or write there is not moved at all; another
//! process has the segment mapped, and no guest's memory.

use std::ops::Range;
use std::rc::Rc;

use archipelago_front::{Bytes, BytesMut, Carrier, Payload};
use archipelago_runtime::local::GateGuard;
use archipelago_runtime::{Lender, LentMemory};
use xseg::{Data, Errno};

use super::hold::Hold;
use crate::guest::Ram;
use crate::queue::{GuestMemory, MemoryFault};
use crate::request::Parts;

/// Where a request's bytes are.
#[derive(Debug)]
pub struct GuestCarrier {
    ram: Rc<Ram>,
    data: Parts,
    hold: Rc<Hold>,
}

/// Memory that went away meanwhile fails the request: what was copied of it is written nowhere (GUEST-4).
fn fault(_: MemoryFault) -> Errno {
    Errno::FAULT
}

impl GuestCarrier {
    pub fn new(ram: &Rc<Ram>, data: Parts, hold: &Rc<Hold>) -> Self {
        Self {
            ram: ram.clone(),
            data,
            hold: hold.clone(),
        }
    }

    /// Writes as many of these bytes as there is room for.
    pub fn put(&self, bytes: &[u8]) -> Result<(), Errno> {
        let room = usize::try_from(self.data.len_bytes()).unwrap_or(usize::MAX);
        self.each(0, room.min(bytes.len()), |at, range| {
            self.ram.write(at, &bytes[range]).map_err(fault)
        })
    }

    /// What the guest has, to a buffer of the segment.
    fn give(&self, from: u64, data: Data<'_>) -> Result<(), Errno> {
        self.each(from, data.len() as usize, |at, range| {
            let part = data.part(range.start as u64, range.len() as u64);
            let part = part.map_err(|error| error.errno())?;
            self.ram.read_to(at, part).map_err(fault)
        })
    }

    /// From a buffer of the segment.
    fn take(&self, from: u64, data: Data<'_>) -> Result<(), Errno> {
        self.each(from, data.len() as usize, |at, range| {
            let part = data.part(range.start as u64, range.len() as u64);
            let part = part.map_err(|error| error.errno())?;
            self.ram.write_from(at, part).map_err(fault)
        })
    }

    /// Calls `work` with each piece: where the guest has it, and its range in the payload.
    fn each(
        &self,
        from: u64,
        len_bytes: usize,
        mut work: impl FnMut(u64, Range<usize>) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        if self.hold.is_cut() {
            return Err(Errno::IO); // VHOST-6; nobody is answered
        }
        let mut done = 0;
        for part in self.data.range(from, len_bytes as u64) {
            let until = done + part.len_bytes as usize;
            work(part.at, done..until)?;
            done = until;
        }
        if done == len_bytes {
            Ok(())
        } else {
            Err(Errno::FAULT)
        }
    }
}

impl Carrier for GuestCarrier {
    async fn bring(&self, from: u64, mut place: Payload) -> Result<Payload, Errno> {
        let (ram, len_bytes) = (&*self.ram, place.len_bytes());
        match place.bytes_mut().ok_or(Errno::INVAL)? {
            BytesMut::Memory(bytes) => self.each(from, len_bytes, |at, range| {
                ram.read(at, &mut bytes[range]).map_err(fault)
            }),
            BytesMut::Segment(data) => self.give(from, data),
        }?;
        Ok(place)
    }

    fn lend(self: Rc<Self>, from: u64, len_bytes: u32) -> Option<LentMemory> {
        let (ram, carrier) = (self.ram.clone(), self.clone());
        let parts = self.data.range(from, len_bytes.into());
        let ranges = parts.map(|part| (part.at, u64::from(part.len_bytes)));
        let memory = ram.lend(ranges, Rc::new(LentParts { carrier, from }))?;
        (memory.len() == len_bytes as usize).then_some(memory)
    }

    async fn hand_parts(
        &self,
        from: u64,
        payload: Payload,
        parts: Vec<Range<u64>>,
    ) -> Result<(), Errno> {
        let Some(Bytes::Segment(data)) = payload.bytes() else {
            return Err(Errno::IO);
        };
        parts.into_iter().try_for_each(|part| {
            let len_bytes = part.end - part.start;
            let data = data.part(part.start, len_bytes);
            self.take(from + part.start, data.map_err(|error| error.errno())?)
        })
    }

    async fn hand(&self, from: u64, payload: Payload) -> Result<(), Errno> {
        let (ram, len_bytes) = (&*self.ram, payload.len_bytes());
        match payload.bytes().ok_or(Errno::IO)? {
            Bytes::Memory(bytes) => self.each(from, len_bytes, |at, range| {
                ram.write(at, &bytes[range]).map_err(fault)
            }),
            Bytes::Segment(data) => self.take(from, data),
            Bytes::Zeroes => self.each(from, len_bytes, |at, range| {
                ram.zero(at, range.len() as u64).map_err(fault)
            }),
        }
    }
}

/// Bytes of a request, from one on, in the guest's memory.
#[derive(Debug)]
struct LentParts {
    carrier: Rc<GuestCarrier>,
    from: u64,
}

impl Lender for LentParts {
    fn enter(&self) -> Option<GateGuard> {
        self.carrier.hold.enter()
    }

    fn is_there(&self) -> bool {
        true // the memory's own lender knows
    }

    fn read(&self, from: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        let carrier = &self.carrier;
        carrier.each(self.from + from, bytes.len(), |at, range| {
            carrier.ram.read(at, &mut bytes[range]).map_err(fault)
        })
    }

    fn read_to(&self, from: u64, data: Data<'_>) -> Result<(), Errno> {
        self.carrier.give(self.from + from, data)
    }
}
