//! The data of requests: between the character device, which has them, and the buffers in which payloads travel (W1); or lent, where
//! the driver has registered them in the ring, so that a file is read into them, and written from them, without a copy.
//!
//! # Invariants
//! * **CARRIER-1** What is lent is the driver's until the tag's result is committed, and that is when the loans are over (LOAN-3).

use std::cell::Cell;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use archipelago_front::{Carrier, Payload};
use archipelago_runtime::local::{Gate, GateGuard};
use archipelago_runtime::{Lender, LentMemory};
use rustix::io::pread;
use xseg::{Data, Errno};

use crate::abi::copy_offset;
use crate::kernel::Buffers;

/// The data of the request that one tag of a queue stands for.
#[derive(Debug)]
pub struct TagCarrier {
    pub device: Rc<OwnedFd>,
    pub queue: u16,
    pub tag: u16,
    /// Of a device without user copy.
    pub buffers: Option<Rc<Buffers>>,
    /// Of a device with registered memory.
    pub registered: Option<Registered>,
}

/// The memory of a tag's requests, in the ring.
#[derive(Debug)]
pub struct Registered {
    pub number: u16,
    /// Has the present request's the number?
    pub is_there: Cell<bool>,
    /// Nobody waits here: who lends waits for the end of the loan (LOAN-3), and the driver for all that uses its memory.
    inside: Gate,
}

impl Registered {
    pub fn new(number: u16) -> Self {
        Self {
            number,
            is_there: Cell::new(false),
            inside: Gate::new(),
        }
    }
}

/// What is copied at a time between two buffers: it stays in the cache meanwhile.
const CHUNK_BYTES: usize = 64 << 10;

impl TagCarrier {
    fn fill(&self, buffers: &Buffers, from: u64, mut place: Payload) -> Result<Payload, Errno> {
        let len_bytes = place.len_bytes();
        let mut chunk = vec![0; len_bytes.min(CHUNK_BYTES)];
        for at in (0..len_bytes).step_by(CHUNK_BYTES) {
            let chunk = &mut chunk[..CHUNK_BYTES.min(len_bytes - at)];
            buffers.read(self.tag, from + at as u64, chunk)?;
            place.fill(at, chunk).map_err(|error| error.errno())?;
        }
        Ok(place)
    }
}

impl Carrier for TagCarrier {
    async fn bring(&self, from: u64, place: Payload) -> Result<Payload, Errno> {
        if let Some(buffers) = &self.buffers {
            return self.fill(buffers, from, place);
        }
        let (mut memory, shape) = place.into_receiving(0).ok_or(Errno::INVAL)?;
        let at = copy_offset(self.queue, self.tag, from);
        let copied = memory.read_now(self.device.as_fd(), at);
        let copied = whole(copied, memory.len());
        let payload = shape.restore(memory);
        copied.map(|()| payload)
    }

    async fn hand(&self, from: u64, payload: Payload) -> Result<(), Errno> {
        if let Some(buffers) = &self.buffers {
            let mut bytes = Vec::with_capacity(payload.len_bytes());
            let copied = payload.append_to(&mut bytes);
            copied.map_err(|error| error.errno())?;
            return buffers.write(self.tag, from, &bytes);
        }
        let (mut memory, _keeper) = payload.into_memory();
        let at = copy_offset(self.queue, self.tag, from);
        let copied = memory.write_now(self.device.as_fd(), at);
        whole(copied, memory.len())
    }

    fn lend(self: Rc<Self>, from: u64, len_bytes: u32) -> Option<LentMemory> {
        let registered = self.registered.as_ref()?;
        let number = registered.is_there.get().then_some(registered.number)?;
        let lender = Rc::new(LentTag {
            carrier: self,
            from,
        });
        let len = len_bytes as usize;
        Some(LentMemory::registered(number, from, len, lender))
    }

    async fn hand_parts(
        &self,
        from: u64,
        payload: Payload,
        parts: Vec<Range<u64>>,
    ) -> Result<(), Errno> {
        let (mut memory, _keeper) = payload.into_memory();
        parts.into_iter().try_for_each(|part| {
            let at = copy_offset(self.queue, self.tag, from + part.start);
            let range = part.start as usize..part.end as usize; // of a request: at most 32 MiB
            let len = range.len();
            whole(memory.write_part_now(range, self.device.as_fd(), at), len)
        })
    }
}

/// Bytes of a tag's request, from one on.
#[derive(Debug)]
struct LentTag {
    carrier: Rc<TagCarrier>,
    from: u64,
}

impl Lender for LentTag {
    fn enter(&self) -> Option<GateGuard> {
        let registered = self.carrier.registered.as_ref()?;
        Some(registered.inside.enter())
    }

    fn is_there(&self) -> bool {
        true // CARRIER-1
    }

    fn read(&self, from: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        let TagCarrier { queue, tag, .. } = *self.carrier;
        let at = copy_offset(queue, tag, self.from + from);
        let len = bytes.len();
        whole(pread(&*self.carrier.device, bytes, at), len)
    }

    fn read_to(&self, from: u64, data: Data<'_>) -> Result<(), Errno> {
        let mut chunk = vec![0; CHUNK_BYTES.min(data.len() as usize)];
        for at in (0..data.len()).step_by(CHUNK_BYTES) {
            let left = usize::try_from(data.len() - at).unwrap_or(usize::MAX);
            let chunk = &mut chunk[..CHUNK_BYTES.min(left)];
            self.read(from + at, chunk)?;
            data.write(at, chunk).map_err(|error| error.errno())?;
        }
        Ok(())
    }
}

/// Half a copy is none.
fn whole(copied: Result<usize, rustix::io::Errno>, len: usize) -> Result<(), Errno> {
    match copied {
        Ok(count) if count == len => Ok(()),
        Ok(_) => Err(Errno::IO),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use archipelago_runtime::{Reactor, ReactorOptions};
    use xseg::{BindOptions, CreateOptions, Geometry};

    use super::*;

    /// A file stands for the character device, whose data are far behind its beginning.
    fn carrier(file: &std::fs::File) -> TagCarrier {
        TagCarrier {
            device: Rc::new(file.try_clone().unwrap().into()),
            queue: 0,
            tag: 3,
            buffers: None,
            registered: None,
        }
    }

    fn now<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => done,
            Poll::Pending => panic!("it waits"),
        }
    }

    #[test]
    fn data_go_straight_into_a_buffer_of_the_segment_and_out_of_it() {
        let geometry = Geometry::new(2, 1, 8).unwrap();
        let geometry = geometry.with_buffers(4096, 4).unwrap();
        let segment = CreateOptions::new(geometry).create_private().unwrap();
        let port = segment.bind(0, &BindOptions::default()).unwrap();
        let reactor = Reactor::new(port, &ReactorOptions::default()).unwrap();
        let handle = reactor.handle();
        let buffer = reactor.block_on(async move { handle.station().buffer(4096).await });
        let place = Payload::Buffer {
            buffer: buffer.unwrap(),
            len_bytes: 1024,
        };
        let file = tempfile::tempfile().unwrap();
        let carrier = carrier(&file);
        let at = copy_offset(0, 3, 512);
        file.write_all_at(&[7; 2048], at).unwrap();
        let filled = now(carrier.bring(512, place)).unwrap();
        assert!(filled.holds_buffer() && filled.len_bytes() == 1024);
        now(carrier.hand(8192, filled)).unwrap();
        let mut bytes = [0; 1536];
        file.write_all_at(&[9; 1536], copy_offset(0, 3, 8192) + 1024)
            .unwrap();
        file.read_exact_at(&mut bytes, copy_offset(0, 3, 8192))
            .unwrap();
        assert_eq!(bytes[..1024], [7; 1024]);
        assert_eq!(bytes[1024..], [9; 512]);
    }

    #[test]
    fn half_a_copy_is_an_error_and_zeroes_are_written() {
        let file = tempfile::tempfile().unwrap();
        let carrier = carrier(&file);
        let at = copy_offset(0, 3, 0);
        file.write_all_at(&[7; 100], at).unwrap();
        let cut = now(carrier.bring(0, Payload::Bytes(vec![0; 512])));
        assert_eq!(cut.err(), Some(Errno::IO));
        let zeroes = Payload::Zeroes { len_bytes: 512 };
        now(carrier.hand(0, zeroes)).unwrap();
        let mut bytes = [1; 512];
        file.read_exact_at(&mut bytes, at).unwrap();
        assert_eq!(bytes, [0; 512]);
    }

    #[test]
    fn what_is_lent_is_copied_where_it_did_not_land_and_by_those_who_cannot_use_it() {
        // CARRIER-1
        let geometry = Geometry::new(2, 1, 8).unwrap();
        let geometry = geometry.with_buffers(128 << 10, 4).unwrap();
        let segment = CreateOptions::new(geometry).create_private().unwrap();
        let port = segment.bind(0, &BindOptions::default()).unwrap();
        let reactor = Reactor::new(port, &ReactorOptions::default()).unwrap();
        let handle = reactor.handle();
        let buffer = reactor.block_on(async move { handle.station().buffer(128 << 10).await });
        let buffer = buffer.unwrap();
        let file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = (0..100_u32 << 10).map(|at| (at / 700) as u8).collect();
        file.write_all_at(&bytes, copy_offset(0, 3, 4096)).unwrap();
        let carrier = Rc::new(TagCarrier {
            registered: Some(Registered::new(7)),
            ..carrier(&file)
        });
        assert!(carrier.clone().lend(4096, 100 << 10).is_none(), "not yet");
        let registered = carrier.registered.as_ref().unwrap();
        registered.is_there.set(true);
        let memory = carrier.clone().lend(4096, 100 << 10).unwrap();
        assert_eq!(memory.len(), 100 << 10);

        let lent = LentTag {
            carrier: carrier.clone(),
            from: 4096,
        };
        let data = buffer.data().part(0, 90 << 10).unwrap();
        lent.read_to(10 << 10, data).unwrap();
        let mut copied = vec![0; 90 << 10];
        data.read(0, &mut copied).unwrap();
        assert_eq!(copied, bytes[10 << 10..]);
        assert_eq!(lent.read(90 << 10, &mut [0; 16 << 10]), Err(Errno::IO));

        let payload = Payload::Buffer {
            buffer,
            len_bytes: 90 << 10,
        };
        let parts = vec![0..1000, 80_000..81_000];
        now(carrier.hand_parts(1 << 20, payload, parts)).unwrap();
        let mut handed = vec![1; 81_000];
        file.read_exact_at(&mut handed, copy_offset(0, 3, 1 << 20))
            .unwrap();
        assert_eq!(handed[..1000], copied[..1000]);
        assert_eq!(handed[1000..80_000], [0; 79_000]);
        assert_eq!(handed[80_000..], copied[80_000..81_000]);
    }

    #[test]
    fn without_user_copy_data_go_through_the_tags_buffer() {
        let file = tempfile::tempfile().unwrap();
        let buffers = Rc::new(Buffers::new(4, 256 << 10).unwrap());
        let carrier = TagCarrier {
            buffers: Some(buffers.clone()),
            ..carrier(&file)
        };
        let pattern: Vec<u8> = (0..200_u32 << 10).map(|at| (at / 1000) as u8).collect();
        buffers.write(3, 512, &pattern).unwrap();
        let place = Payload::Bytes(vec![0; pattern.len()]);
        let filled = now(carrier.bring(512, place)).unwrap();
        now(carrier.hand(4096, filled)).unwrap();
        let mut bytes = vec![0; pattern.len()];
        buffers.read(3, 4096, &mut bytes).unwrap();
        assert_eq!(bytes, pattern);
        let beyond = now(carrier.hand(0, Payload::Bytes(vec![0; 300 << 10])));
        assert_eq!(beyond, Err(Errno::FAULT));
    }
}
