//! A disk whose writes wait until they may go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use archipelago_front::{Disk, DiskFacts, Extent, MemDisk, Payload, ZeroOptions};
use archipelago_runtime::Handle;
use xseg::Errno;

/// What the test holds writes with.
#[derive(Clone, Debug, Default)]
pub struct Hold {
    pub is_held: Arc<AtomicBool>,
    pub waiting: Arc<AtomicUsize>,
    pub written: Arc<AtomicUsize>,
}

pub struct HeldDisk {
    pub handle: Handle,
    pub disk: MemDisk,
    pub hold: Hold,
}

impl Disk for HeldDisk {
    fn facts(&self) -> DiskFacts {
        self.disk.facts()
    }
    async fn room(&self, len_bytes: u32) -> Result<Payload, Errno> {
        self.disk.room(len_bytes).await
    }
    async fn read(&self, offset: u64, len_bytes: u32) -> Result<Payload, Errno> {
        self.disk.read(offset, len_bytes).await
    }
    async fn write(&self, offset: u64, payload: Payload, fua: bool) -> Result<(), Errno> {
        self.hold.waiting.fetch_add(1, Ordering::SeqCst);
        while self.hold.is_held.load(Ordering::SeqCst) {
            self.handle.sleep(Duration::from_millis(1)).await;
        }
        self.hold.written.fetch_add(1, Ordering::SeqCst);
        self.disk.write(offset, payload, fua).await
    }
    async fn flush(&self) -> Result<(), Errno> {
        self.disk.flush().await
    }
    async fn trim(&self, offset: u64, len_bytes: u64, fua: bool) -> Result<(), Errno> {
        self.disk.trim(offset, len_bytes, fua).await
    }
    async fn write_zeroes(
        &self,
        offset: u64,
        len_bytes: u64,
        options: ZeroOptions,
    ) -> Result<(), Errno> {
        self.disk.write_zeroes(offset, len_bytes, options).await
    }
    async fn block_status(&self, offset: u64, len_bytes: u64) -> Result<Vec<Extent>, Errno> {
        self.disk.block_status(offset, len_bytes).await
    }
    async fn cache(&self, offset: u64, len_bytes: u64) -> Result<(), Errno> {
        self.disk.cache(offset, len_bytes).await
    }
}
