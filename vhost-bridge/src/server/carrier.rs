//! Between guest memory and payloads, each byte is moved once (W1): from descriptors into the buffer that travels, and out of it.
//!
//! Not fewer times: whoever does the I/O may be another process, which has the segment mapped and no guest's memory. And by the
//! processor: io_uring moves nothing from memory to memory.

use std::cell::Cell;
use std::rc::Rc;

use archipelago_front::{Bytes, BytesMut, Carrier, Payload};
use xseg::Errno;

use crate::guest::Ram;
use crate::queue::{GuestMemory, MemoryFault};
use crate::request::Parts;

/// Where a request's bytes are.
#[derive(Debug)]
pub struct GuestCarrier {
    ram: Rc<Ram>,
    data: Parts,
    /// The guest has its memory back.
    is_cut: Rc<Cell<bool>>,
}

/// Memory that went away meanwhile fails the request: what was read of it is written nowhere (GUEST-4).
fn fault(_: MemoryFault) -> Errno {
    Errno::FAULT
}

impl GuestCarrier {
    pub fn new(ram: &Rc<Ram>, data: Parts, is_cut: &Rc<Cell<bool>>) -> Self {
        Self {
            ram: ram.clone(),
            data,
            is_cut: is_cut.clone(),
        }
    }

    /// Writes as many of these bytes as there is room for.
    pub fn put(&self, bytes: &[u8]) -> Result<(), Errno> {
        let room = usize::try_from(self.data.len_bytes()).unwrap_or(usize::MAX);
        self.each(0, room.min(bytes.len()), |at, range| {
            self.ram.write(at, &bytes[range]).map_err(fault)
        })
    }

    /// Calls `work` with each piece: where the guest has it, and its range in the payload.
    fn each(
        &self,
        from: u64,
        len_bytes: usize,
        mut work: impl FnMut(u64, std::ops::Range<usize>) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        if self.is_cut.get() {
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
            BytesMut::Segment(data) => self.each(from, len_bytes, |at, range| {
                let part = data.part(range.start as u64, range.len() as u64);
                let part = part.map_err(|error| error.errno())?;
                ram.read_to(at, part).map_err(fault)
            }),
        }?;
        Ok(place)
    }

    async fn hand(&self, from: u64, payload: Payload) -> Result<(), Errno> {
        let (ram, len_bytes) = (&*self.ram, payload.len_bytes());
        match payload.bytes().ok_or(Errno::IO)? {
            Bytes::Memory(bytes) => self.each(from, len_bytes, |at, range| {
                ram.write(at, &bytes[range]).map_err(fault)
            }),
            Bytes::Segment(data) => self.each(from, len_bytes, |at, range| {
                let part = data.part(range.start as u64, range.len() as u64);
                let part = part.map_err(|error| error.errno())?;
                ram.write_from(at, part).map_err(fault)
            }),
            Bytes::Zeroes => self.each(from, len_bytes, |at, range| {
                ram.zero(at, range.len() as u64).map_err(fault)
            }),
        }
    }
}
