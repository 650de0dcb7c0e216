//! The disk behind the device: short requests go to memory, long ones are lent and go to a file.

use std::cell::Cell;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use anyhow::Context;
use archipelago_front::{Disk, DiskFacts, Extent, MemDisk, Payload, ZeroOptions};
use archipelago_runtime::{Handle, LentMemory};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use xseg::{Buffer, Errno};

/// The longest piece of a request, and the size of a buffer.
pub const PIECE_BYTES: u32 = 32 << 10;
pub const BUFFERS: u32 = 16;

/// A disk that takes loans: of what is read a part lands in the memory that was lent, and the rest is told.
#[derive(Debug)]
pub struct FuzzedDisk {
    handle: Handle,
    short: MemDisk,
    long: Rc<OwnedFd>,
    lent: Rc<Cell<u64>>,
}

impl FuzzedDisk {
    /// `lent` counts the requests for which memory was lent.
    pub fn new(handle: &Handle, size_bytes: u64, lent: &Rc<Cell<u64>>) -> anyhow::Result<Self> {
        let file = memfd_create("disk", MemfdFlags::CLOEXEC).context("a disk's file")?;
        ftruncate(&file, size_bytes)?;
        Ok(Self {
            handle: handle.clone(),
            short: MemDisk::new(size_bytes),
            long: Rc::new(file),
            lent: lent.clone(),
        })
    }

    async fn buffer(&self) -> Result<Buffer, Errno> {
        let buffer = self.handle.station().buffer(PIECE_BYTES.into()).await;
        buffer.map_err(|_| Errno::NOBUFS)
    }

    fn count(&self) -> u64 {
        self.lent.set(self.lent.get() + 1);
        self.lent.get()
    }
}

impl Disk for FuzzedDisk {
    fn facts(&self) -> DiskFacts {
        self.short.facts()
    }

    fn takes_loans(&self) -> bool {
        true
    }

    async fn read_lent(
        &self,
        offset: u64,
        memory: LentMemory,
    ) -> Result<(Payload, Vec<Range<u64>>), Errno> {
        let number = self.count();
        let len_bytes = memory.len();
        let buffer = self.buffer().await?;
        let loan = self
            .handle
            .lend(buffer.data(), memory)
            .ok_or(Errno::NOBUFS)?;
        // All of it, a half, or nothing.
        let lands = len_bytes as u64 / 2 * (number % 3);
        let part = |from, len| buffer.data().part(from, len).map_err(|_| Errno::INVAL);
        let mut read = Ok(0);
        if lands > 0 {
            let lent = self.handle.lent(part(0, lands)?).ok_or(Errno::CANCELED)?;
            lent.begin_anew();
            let memory = lent.memory().ok_or(Errno::CANCELED)?;
            self.handle.yield_now().await;
            let (outcome, memory) = self.handle.read_full_at(&self.long, offset, memory).await;
            drop(memory);
            if outcome == Ok(lands as usize) {
                lent.land();
            }
            read = outcome;
        }
        let rest = len_bytes as u64 - lands;
        if rest > 0 {
            part(lands, rest)?
                .write(0, &vec![number as u8; rest as usize])
                .map_err(|_| Errno::INVAL)?;
        }
        let in_buffer = loan.end().await?;
        read.map(|_| (Payload::Buffer { buffer, len_bytes }, in_buffer))
    }

    async fn write_lent(&self, offset: u64, memory: LentMemory, _: bool) -> Result<(), Errno> {
        self.count();
        let len = memory.len() as u64;
        let buffer = self.buffer().await?;
        let loan = self
            .handle
            .lend(buffer.data(), memory)
            .ok_or(Errno::NOBUFS)?;
        let part = buffer.data().part(0, len).map_err(|_| Errno::INVAL)?;
        let lent = self.handle.lent(part).ok_or(Errno::CANCELED)?;
        let memory = lent.memory().ok_or(Errno::CANCELED)?;
        self.handle.yield_now().await;
        let (written, memory) = self.handle.write_all_at(&self.long, offset, memory).await;
        drop(memory);
        loan.end().await?;
        written
    }

    async fn room(&self, len_bytes: u32) -> Result<Payload, Errno> {
        self.short.room(len_bytes).await
    }

    async fn read(&self, offset: u64, len_bytes: u32) -> Result<Payload, Errno> {
        self.short.read(offset, len_bytes).await
    }

    async fn write(&self, offset: u64, payload: Payload, fua: bool) -> Result<(), Errno> {
        self.short.write(offset, payload, fua).await
    }

    async fn flush(&self) -> Result<(), Errno> {
        self.short.flush().await
    }

    async fn trim(&self, offset: u64, len_bytes: u64, fua: bool) -> Result<(), Errno> {
        self.short.trim(offset, len_bytes, fua).await
    }

    async fn write_zeroes(
        &self,
        offset: u64,
        len_bytes: u64,
        options: ZeroOptions,
    ) -> Result<(), Errno> {
        self.short.write_zeroes(offset, len_bytes, options).await
    }

    async fn block_status(&self, offset: u64, len_bytes: u64) -> Result<Vec<Extent>, Errno> {
        self.short.block_status(offset, len_bytes).await
    }

    async fn cache(&self, offset: u64, len_bytes: u64) -> Result<(), Errno> {
        self.short.cache(offset, len_bytes).await
    }
}
