//! An export whose requests are done when the test says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use archipelago_front::{
    Disk, DiskFacts, DiskName, Disks, Extent, Listed, MemDisk, OpenRefusal, Payload, ZeroOptions,
};
use archipelago_runtime::Handle;
use xseg::Errno;

/// What the test holds in its hand.
#[derive(Clone, Debug, Default)]
pub struct Tap {
    shared: Arc<TapShared>,
}

#[derive(Debug, Default)]
struct TapShared {
    open: AtomicBool,
    begun: AtomicUsize,
    done: AtomicUsize,
    opened: AtomicUsize,
}

impl Tap {
    /// Lets requests through, those that wait and those that come.
    pub fn open(&self) {
        self.shared.open.store(true, Ordering::SeqCst);
    }

    pub fn begun(&self) -> usize {
        self.shared.begun.load(Ordering::SeqCst)
    }

    pub fn done(&self) -> usize {
        self.shared.done.load(Ordering::SeqCst)
    }

    /// How often an export was opened.
    pub fn opened(&self) -> usize {
        self.shared.opened.load(Ordering::SeqCst)
    }

    /// Waits until so many requests were begun.
    pub fn wait_begun(&self, count: usize) {
        while self.begun() < count {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub fn wait_done(&self, count: usize) {
        while self.done() < count {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[derive(Clone, Debug)]
pub struct SlowExports {
    pub handle: Handle,
    pub tap: Tap,
    pub disk: MemDisk,
}

impl Disks for SlowExports {
    type Disk = SlowExport;

    async fn list(&self) -> Result<Vec<Listed>, Errno> {
        Err(Errno::IO)
    }

    async fn open(&self, _name: &DiskName) -> Result<SlowExport, OpenRefusal> {
        self.tap.shared.opened.fetch_add(1, Ordering::SeqCst);
        Ok(SlowExport(self.clone()))
    }
}

#[derive(Debug)]
pub struct SlowExport(SlowExports);

impl SlowExport {
    async fn wait(&self) {
        let tap = &self.0.tap.shared;
        tap.begun.fetch_add(1, Ordering::SeqCst);
        while !tap.open.load(Ordering::SeqCst) {
            self.0.handle.sleep(Duration::from_millis(1)).await;
        }
        tap.done.fetch_add(1, Ordering::SeqCst);
    }
}

impl Disk for SlowExport {
    fn facts(&self) -> DiskFacts {
        self.0.disk.facts()
    }

    async fn room(&self, len_bytes: u32) -> Result<Payload, Errno> {
        self.0.disk.room(len_bytes).await
    }

    async fn read(&self, offset: u64, len_bytes: u32) -> Result<Payload, Errno> {
        self.wait().await;
        self.0.disk.read(offset, len_bytes).await
    }

    async fn write(&self, offset: u64, payload: Payload, fua: bool) -> Result<(), Errno> {
        self.wait().await;
        self.0.disk.write(offset, payload, fua).await
    }

    async fn flush(&self) -> Result<(), Errno> {
        self.wait().await;
        Ok(())
    }

    async fn trim(&self, _offset: u64, _len_bytes: u64, _fua: bool) -> Result<(), Errno> {
        Err(Errno::IO)
    }

    async fn write_zeroes(
        &self,
        _offset: u64,
        _len_bytes: u64,
        _options: ZeroOptions,
    ) -> Result<(), Errno> {
        Err(Errno::NOSPC)
    }

    async fn block_status(&self, _offset: u64, _len_bytes: u64) -> Result<Vec<Extent>, Errno> {
        Ok(Vec::new())
    }

    async fn cache(&self, _offset: u64, _len_bytes: u64) -> Result<(), Errno> {
        Err(Errno::OPNOTSUPP)
    }
}
