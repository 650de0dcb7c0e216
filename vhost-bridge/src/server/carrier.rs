use std::rc::Rc;

use archipelago_front::{Carrier, Payload};
use xseg::Errno;

use crate::guest::Ram;
use crate::request::Parts;

/// What is copied at a time: it stays in the cache between the two copies.
const CHUNK_BYTES: usize = 16 << 10;

/// Moves bytes between guest memory and payloads.
#[derive(Debug)]
pub struct GuestCarrier {
    ram: Rc<Ram>,
    data: Parts,
}

impl GuestCarrier {
    pub fn new(ram: Rc<Ram>, data: Parts) -> Self {
        Self { ram, data }
    }
}

impl Carrier for GuestCarrier {
    async fn bring(&self, from: u64, mut place: Payload) -> Result<Payload, Errno> {
        let len_bytes = place.len_bytes();
        let mut chunk = vec![0; len_bytes.min(CHUNK_BYTES)];
        let mut done = 0;
        while done < len_bytes {
            let len = CHUNK_BYTES.min(len_bytes - done);
            let chunk = &mut chunk[..len];
            let read = self.data.read(&*self.ram, from + done as u64, chunk);
            if read != Ok(len) {
                return Err(Errno::FAULT);
            }
            place.fill(done, chunk).map_err(|error| error.errno())?;
            done += len;
        }
        Ok(place)
    }

    async fn hand(&self, from: u64, payload: Payload) -> Result<(), Errno> {
        let mut bytes = Vec::new();
        let copied = payload.append_to(&mut bytes);
        copied.map_err(|error| error.errno())?;
        match self.data.write(&*self.ram, from, &bytes) {
            Ok(len) if len == bytes.len() => Ok(()),
            _ => Err(Errno::FAULT),
        }
    }
}
