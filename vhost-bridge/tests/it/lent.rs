//! A disk that reads into the guest's memory, and writes from it: nothing is copied but what it says is elsewhere.

use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use archipelago_front::{
    Disk, DiskFacts, Extent, Features, FrontOptions, MemDisk, Payload, ZeroOptions,
};
use archipelago_runtime::{Handle, LentMemory, Reactor, ReactorOptions};
use archipelago_vhost::server::{Server, ServerOptions};
use rustix::fs::ftruncate;
use xseg::{BindOptions, CreateOptions, Errno, Geometry};

use crate::driver::{Guest, IN, Link, OUT};

const DISK_BYTES: u64 = 4 << 20;
const PIECE_BYTES: u32 = 64 << 10;
/// Enough for a loan.
const LEN: usize = 20 << 10;

/// What the test says to the disk, and sees of it.
#[derive(Clone, Debug, Default)]
struct Told {
    is_held: Arc<AtomicBool>,
    /// Requests by which memory was lent.
    lent: Arc<AtomicUsize>,
    events: Arc<Mutex<Vec<&'static str>>>,
}

impl Told {
    fn note(&self, event: &'static str) {
        self.events.lock().unwrap().push(event);
    }
}

/// A file. Of what is read the first half goes to lent memory, the second one to a buffer.
struct LentDisk {
    handle: Handle,
    file: Rc<OwnedFd>,
    /// For what is not lent.
    short: MemDisk,
    told: Told,
}

impl Disk for LentDisk {
    fn facts(&self) -> DiskFacts {
        DiskFacts {
            size_bytes: DISK_BYTES,
            features: Features::ALL,
            description: String::new(),
        }
    }

    fn takes_loans(&self) -> bool {
        true
    }

    async fn read_lent(
        &self,
        offset: u64,
        memory: LentMemory,
    ) -> Result<(Payload, Vec<Range<u64>>), Errno> {
        self.told.lent.fetch_add(1, Ordering::SeqCst);
        let len_bytes = memory.len();
        let station = self.handle.station();
        let buffer = station.buffer(PIECE_BYTES.into()).await.unwrap();
        let loan = self.handle.lend(buffer.data(), memory).unwrap();
        let half = len_bytes as u64 / 2;
        let part = |from, len| buffer.data().part(from, len).unwrap();
        let lent = self.handle.lent(part(0, half)).unwrap();
        lent.begin_anew();
        let memory = lent.memory().ok_or(Errno::CANCELED)?;
        while self.told.is_held.load(Ordering::SeqCst) {
            self.handle.sleep(Duration::from_millis(1)).await;
        }
        let (read, memory) = self.handle.read_full_at(&self.file, offset, memory).await;
        self.told.note("read");
        drop(memory);
        if read == Ok(half as usize) {
            lent.land();
        }
        let rest = vec![0; len_bytes - half as usize].into();
        let (_, rest) = self
            .handle
            .read_full_at(&self.file, offset + half, rest)
            .await;
        let rest = rest.into_bytes().unwrap();
        part(half, rest.len() as u64).write(0, &rest).unwrap();
        let in_buffer = loan.end().await?;
        read.map(|_| (Payload::Buffer { buffer, len_bytes }, in_buffer))
    }

    async fn write_lent(&self, offset: u64, memory: LentMemory, _: bool) -> Result<(), Errno> {
        self.told.lent.fetch_add(1, Ordering::SeqCst);
        let len = memory.len() as u64;
        let station = self.handle.station();
        let buffer = station.buffer(PIECE_BYTES.into()).await.unwrap();
        let loan = self.handle.lend(buffer.data(), memory).unwrap();
        let lent = self
            .handle
            .lent(buffer.data().part(0, len).unwrap())
            .unwrap();
        let memory = lent.memory().ok_or(Errno::CANCELED)?;
        let (written, memory) = self.handle.write_all_at(&self.file, offset, memory).await;
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
    async fn cache(&self, _: u64, _: u64) -> Result<(), Errno> {
        Ok(())
    }
}

/// A file of the disk's size, in which each byte tells where it is.
fn numbers() -> File {
    let mut file = tempfile::tempfile().unwrap();
    let bytes: Vec<u8> = (0..DISK_BYTES)
        .map(|at| (at * 7 + at / 256) as u8)
        .collect();
    file.write_all(&bytes).unwrap();
    file
}

/// Serves the file while `guest` runs, and drains the server at once if `drains` is set.
fn serve(
    told: &Told,
    file: &File,
    drains: &Arc<AtomicBool>,
    guest: impl FnOnce(&Path) + Send + 'static,
) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vhost.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let geometry = Geometry::new(1, 1, 8).unwrap();
    let geometry = geometry.with_buffers(PIECE_BYTES.into(), 8).unwrap();
    let segment = CreateOptions::new(geometry).create_private().unwrap();
    let port = segment.bind(0, &BindOptions::default()).unwrap();
    let reactor = Reactor::new(port, &ReactorOptions::default()).unwrap();
    let handle = reactor.handle();
    let options = ServerOptions {
        queues: 2,
        serial: "lent".to_owned(),
        front: FrontOptions {
            requests_max: 4,
            bytes_max: 1 << 20,
            piece_bytes_max: PIECE_BYTES,
        },
    };
    let disk = LentDisk {
        handle: handle.clone(),
        file: Rc::new(file.try_clone().unwrap().into()),
        short: MemDisk::new(DISK_BYTES),
        told: told.clone(),
    };
    let server = Server::new(&handle, disk, &options).unwrap();
    server.listen(listener.into());
    let (drains, own) = (drains.clone(), handle.clone());
    drop(handle.spawn(async move {
        while !drains.load(Ordering::SeqCst) {
            own.sleep(Duration::from_millis(1)).await;
        }
        server.drain(Duration::ZERO).await;
    }));
    reactor.block_on(async { handle.blocking(move || guest(&path)).await });
}

#[test]
fn what_is_read_and_written_is_the_same_wherever_it_lands() {
    let (told, file) = (Told::default(), numbers());
    let own = file.try_clone().unwrap();
    serve(&told, &file, &Arc::default(), move |path| {
        let mut guest = Guest::new();
        let link = guest.connect(path);
        let before = guest.all();
        let read = guest.read(&link, 3, LEN as u32);
        let mut wanted = vec![0; LEN];
        own.read_exact_at(&mut wanted, 3 * 512).unwrap();
        assert!(read == wanted);
        // And nothing beside: the request itself, and what it is answered with.
        let changed = guest.all();
        let is_own = |at: usize| at < 0x3000 || (512 << 10..(512 << 10) + 0x8000).contains(&at);
        let beside = (0..1 << 20).filter(|at| !is_own(*at));
        assert!(beside.into_iter().all(|at| before[at] == changed[at]));
        let bytes: Vec<u8> = (0..LEN).map(|at| (at / 3) as u8).collect();
        assert_eq!(guest.perform(&link, OUT, 1024, &bytes, 0), 0);
        let mut there = vec![0; LEN];
        own.read_exact_at(&mut there, 1024 * 512).unwrap();
        assert!(there == bytes);
        assert!(guest.read(&link, 1024, LEN as u32) == bytes);
        // What is short is copied as ever.
        assert_eq!(guest.perform(&link, OUT, 0, &[5; 4096], 0), 0);
        assert_eq!(guest.read(&link, 0, 4096), [5; 4096]);
    });
    assert_eq!(told.lent.load(Ordering::SeqCst), 3);
}

/// The guest's first region begins at 0, and is the file's first half.
const LOW: u64 = 0x2_0000;
/// Its second one is far away.
const HIGH: u64 = 1 << 30;
const HALF: u64 = 512 << 10;

/// Where the file has what the guest has there.
fn file_at(at: u64) -> u64 {
    if at < HALF { at } else { at - HIGH + HALF }
}

/// A request with its header and status in low memory, and its data wherever the test says.
fn submit(guest: &mut Guest, link: &Link, kind: u32, sector: u64, data: &[(u64, u32)]) {
    let (header, status) = (0x1_0000, 0x1_0800);
    let mut bytes = kind.to_le_bytes().to_vec();
    bytes.extend([0; 4]);
    bytes.extend(sector.to_le_bytes());
    guest.put(header, &bytes);
    guest.put(status, &[0xff]);
    let writable = if kind == IN { 2 } else { 0 };
    guest.describe(0, header, 16, 1, 1);
    for (index, (at, len_bytes)) in (1..).zip(data) {
        guest.describe(index, *at, *len_bytes, 1 | writable, index + 1);
    }
    guest.describe(data.len() as u16 + 1, status, 1, 2, 0);
    guest.offer(0);
    rustix::io::write(&link.kick, &1u64.to_ne_bytes()).unwrap();
}

fn status(guest: &Guest) -> u8 {
    guest.load(0x1_0800) as u8
}

#[test]
fn data_in_many_places_of_two_regions_are_one_request() {
    let (told, file) = (Told::default(), numbers());
    let own = file.try_clone().unwrap();
    serve(&told, &file, &Arc::default(), move |path| {
        let mut guest = Guest::new();
        let link = guest.connect(path);
        // The third one goes to the end of its region.
        let data = [
            (LOW + 3, 5000),
            (HIGH + 0x3_0000, 4096),
            (HALF - 1000, 1000),
            (HIGH, 700),
            (LOW + 0x1_0000, 9684),
        ];
        assert_eq!(data.iter().map(|(_, len)| len).sum::<u32>(), LEN as u32);
        submit(&mut guest, &link, IN, 7, &data);
        guest.reap(&link);
        assert_eq!(status(&guest), 0);
        let mut wanted = vec![0; LEN];
        own.read_exact_at(&mut wanted, 7 * 512).unwrap();
        let there = |guest: &Guest| -> Vec<u8> {
            let parts = data.iter().map(|(at, len)| {
                let mut part = vec![0; *len as usize];
                rustix::io::pread(&guest.memory, &mut part, file_at(*at)).unwrap();
                part
            });
            parts.collect::<Vec<_>>().concat()
        };
        assert!(there(&guest) == wanted);
        for (at, len) in data {
            guest.put(file_at(at), &vec![(at >> 3) as u8; len as usize]);
        }
        submit(&mut guest, &link, OUT, 512, &data);
        guest.reap(&link);
        assert_eq!(status(&guest), 0);
        own.read_exact_at(&mut wanted, 512 * 512).unwrap();
        assert!(there(&guest) == wanted);
    });
    assert_eq!(told.lent.load(Ordering::SeqCst), 2);
}

/// LOAN-4, GUEST-4: an access of ours has put an empty page where the guest's was missing, and the kernel takes it for the guest's. The
/// status has a place: the request fails.
#[test]
fn nothing_is_believed_of_a_region_of_which_a_page_was_missing() {
    let (told, file) = (Told::default(), numbers());
    let own = told.clone();
    told.is_held.store(true, Ordering::SeqCst);
    serve(&told, &file, &Arc::default(), move |path| {
        let mut guest = Guest::new();
        let link = guest.connect(path);
        submit(&mut guest, &link, IN, 0, &[(HIGH, LEN as u32)]);
        while own.lent.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        // Another request of the same guest reaches for what is missing then: it is copied, for it is short.
        ftruncate(&guest.memory, HALF).unwrap();
        let (header, status_at) = (0x1_1000, 0x1_1800);
        let mut bytes = OUT.to_le_bytes().to_vec();
        bytes.extend([0; 12]);
        guest.put(header, &bytes);
        guest.describe(10, header, 16, 1, 11);
        guest.describe(11, HIGH, 4096, 1, 12);
        guest.describe(12, status_at, 1, 2, 0);
        guest.offer(10);
        rustix::io::write(&link.kick, &1u64.to_ne_bytes()).unwrap();
        guest.reap(&link);
        assert_eq!(guest.load(status_at) as u8, 1, "an error");
        own.is_held.store(false, Ordering::SeqCst);
        guest.reap(&link);
        assert_eq!(status(&guest), 1, "LOAN-4");
    });
}

/// GUEST-4: the kernel refuses to touch memory that is gone, and nothing else happens.
#[test]
fn lent_memory_that_goes_away_is_an_error_of_the_request() {
    let (told, file) = (Told::default(), numbers());
    let own = told.clone();
    told.is_held.store(true, Ordering::SeqCst);
    serve(&told, &file, &Arc::default(), move |path| {
        let mut guest = Guest::new();
        let link = guest.connect(path);
        guest.submit(&link, 0, IN, 0, &[], LEN as u32);
        while own.lent.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        ftruncate(&guest.memory, 512 << 10).unwrap();
        own.is_held.store(false, Ordering::SeqCst);
        // Its status has no place any more: the ring is left alone, and its driver told (VHOST-3).
        crate::driver::wait(&link.err);
        let mut other = Guest::new();
        drop(link);
        let link = other.connect(path);
        assert_eq!(other.perform(&link, OUT, 0, &[5; 4096], 0), 0);
    });
}

/// VHOST-6: the connection ends when the kernel has done with what was lent, and nothing is lent after that.
#[test]
fn a_guest_is_not_disconnected_while_the_kernel_has_its_memory() {
    let (told, file) = (Told::default(), numbers());
    told.is_held.store(true, Ordering::SeqCst);
    let drains: Arc<AtomicBool> = Arc::default();
    let (own, drain) = (told.clone(), drains.clone());
    serve(&told, &file, &drains, move |path| {
        let mut guest = Guest::new();
        let link = guest.connect(path);
        guest.submit(&link, 0, IN, 0, &[], LEN as u32);
        while own.lent.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        drain.store(true, Ordering::SeqCst);
        let later = own.clone();
        let releasing = thread::spawn(move || {
            thread::sleep(Duration::from_millis(100)); // long enough to be too early
            later.is_held.store(false, Ordering::SeqCst);
        });
        assert!(link.receive().is_none());
        own.note("disconnected");
        releasing.join().unwrap();
    });
    assert_eq!(*told.events.lock().unwrap(), ["read", "disconnected"]);
}
