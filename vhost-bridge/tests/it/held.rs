//! A disk whose writes wait until they may go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use archipelago_front::{Disk, DiskFacts, Extent, MemDisk, Payload, ZeroOptions};
use archipelago_runtime::Handle;
use archipelago_vhost::server::Server;
use xseg::Errno;

/// What the test holds writes with.
#[derive(Clone, Debug, Default)]
pub struct Hold {
    pub is_held: Arc<AtomicBool>,
    /// And reads.
    pub are_reads_held: Arc<AtomicBool>,
    pub waiting: Arc<AtomicUsize>,
    pub written: Arc<AtomicUsize>,
    /// Requests that the server counts, how often that was looked at, and how many front ends there are.
    pub requests: Arc<AtomicUsize>,
    pub looks: Arc<AtomicUsize>,
    pub front_ends: Arc<AtomicUsize>,
    /// Not 0: what the disk is to be resized to.
    pub new_bytes: Arc<AtomicU64>,
    /// The server is to be drained, and has been.
    pub drains: Arc<AtomicBool>,
    /// Without waiting for answers.
    pub drains_at_once: Arc<AtomicBool>,
    pub is_drained: Arc<AtomicBool>,
}

impl Hold {
    /// Does with the server what the test says.
    pub async fn follow(self, handle: Handle, server: Server<HeldDisk>) {
        loop {
            self.requests.store(server.requests(), Ordering::SeqCst);
            self.front_ends.store(server.front_ends(), Ordering::SeqCst);
            self.looks.fetch_add(1, Ordering::SeqCst);
            match self.new_bytes.swap(0, Ordering::SeqCst) {
                0 => {}
                new_bytes => server.resize(new_bytes),
            }
            if self.drains.swap(false, Ordering::SeqCst) {
                let is_at_once = self.drains_at_once.load(Ordering::SeqCst);
                let within = Duration::from_secs(if is_at_once { 0 } else { 30 });
                server.drain(within).await;
                self.is_drained.store(true, Ordering::SeqCst);
            }
            handle.sleep(Duration::from_millis(1)).await;
        }
    }

    /// Waits until the server was looked at from now on.
    pub fn look(&self) {
        let before = self.looks.load(Ordering::SeqCst);
        while self.looks.load(Ordering::SeqCst) < before + 2 {
            std::thread::yield_now();
        }
    }
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
        if self.hold.are_reads_held.load(Ordering::SeqCst) {
            self.hold.waiting.fetch_add(1, Ordering::SeqCst);
        }
        while self.hold.are_reads_held.load(Ordering::SeqCst) {
            self.handle.sleep(Duration::from_millis(1)).await;
        }
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
