//! A front of disks that remember, wait, fail and lie.
//!
//! FRONT-1 to FRONT-5, FLOW-1; and whatever is asked in whatever order, a front of a disk is a vector of bytes.

use std::cell::{Cell, RefCell};

use archipelago_runtime::local::{Notify, Semaphore};
use archipelago_runtime::{LentBytes, LentMemory, Reactor, ReactorOptions};
use proptest::prelude::*;
use xseg::{BindOptions, CreateOptions, Geometry};

use super::*;
use crate::extent::Extent;
use crate::facts::Features;
use crate::memory::MemDisk;

const PIECE: u32 = 4096;
const OPTIONS: FrontOptions = FrontOptions {
    requests_max: 8,
    bytes_max: 64 << 10,
    piece_bytes_max: PIECE,
};

/// Runs it on a reactor of its own.
fn on_a_reactor<T>(test: impl AsyncFnOnce(Handle) -> T) -> T {
    let geometry = Geometry::new(1, 1, 8).unwrap();
    let segment = CreateOptions::new(geometry).create_private().unwrap();
    let port = segment.bind(0, &BindOptions::default()).unwrap();
    let reactor = Reactor::new(port, &ReactorOptions::default()).unwrap();
    let handle = reactor.handle();
    reactor.block_on(test(handle))
}

/// The client's memory.
#[derive(Debug, Default)]
struct Bytes(RefCell<Vec<u8>>);

impl Bytes {
    fn of(bytes: Vec<u8>) -> Rc<Self> {
        Rc::new(Self(RefCell::new(bytes)))
    }
}

impl Carrier for Bytes {
    async fn bring(&self, from: u64, mut place: Payload) -> Result<Payload, Errno> {
        let bytes = self.0.borrow();
        let part = &bytes[from as usize..][..place.len_bytes()];
        place.fill(0, part).map_err(|error| error.errno())?;
        Ok(place)
    }

    async fn hand(&self, from: u64, payload: Payload) -> Result<(), Errno> {
        let mut read = Vec::new();
        payload
            .append_to(&mut read)
            .map_err(|error| error.errno())?;
        self.0.borrow_mut()[from as usize..][..read.len()].copy_from_slice(&read);
        Ok(())
    }
}

/// A disk that remembers what it was asked, and lets nothing through before it may.
#[derive(Debug)]
struct Probe {
    disk: MemDisk,
    log: RefCell<Vec<String>>,
    is_open: Cell<bool>,
    opened: Notify,
    inside: Cell<usize>,
    most_inside: Cell<usize>,
    fails_at: Option<u64>,
    is_short: bool,
    /// Buffers that there are: taken for a place, given back by its write.
    rooms: Semaphore,
}

impl Probe {
    fn new() -> Self {
        Self {
            disk: MemDisk::new(1 << 20),
            log: RefCell::default(),
            is_open: Cell::new(true),
            opened: Notify::new(),
            inside: Cell::new(0),
            most_inside: Cell::new(0),
            fails_at: None,
            is_short: false,
            rooms: Semaphore::new(1000),
        }
    }

    async fn pass(&self, what: String, at: u64) -> Result<(), Errno> {
        self.inside.set(self.inside.get() + 1);
        let most = self.most_inside.get().max(self.inside.get());
        self.most_inside.set(most);
        while !self.is_open.get() {
            self.opened.notified().await;
        }
        self.inside.set(self.inside.get() - 1);
        self.log.borrow_mut().push(what);
        match self.fails_at == Some(at) {
            true => Err(Errno::NOSPC),
            false => Ok(()),
        }
    }
}

/// The test keeps one end.
#[derive(Clone, Debug)]
struct Shown(Rc<Probe>);

impl Disk for Shown {
    fn facts(&self) -> DiskFacts {
        self.0.disk.facts()
    }

    async fn room(&self, len_bytes: u32) -> Result<Payload, Errno> {
        self.0.rooms.acquire(1).await.forget();
        self.0.disk.room(len_bytes).await
    }

    async fn read(&self, offset: u64, len_bytes: u32) -> Result<Payload, Errno> {
        self.0.pass(format!("read {offset}"), offset).await?;
        let shorter = if self.0.is_short { 512 } else { 0 };
        self.0.disk.read(offset, len_bytes - shorter).await
    }

    async fn write(&self, offset: u64, payload: Payload, fua: bool) -> Result<(), Errno> {
        let what = format!("write {offset}{}", if fua { " fua" } else { "" });
        let passed = self.0.pass(what, offset).await;
        self.0.rooms.add(1);
        passed?;
        self.0.disk.write(offset, payload, fua).await
    }

    async fn flush(&self) -> Result<(), Errno> {
        self.0.pass("flush".into(), u64::MAX).await
    }

    async fn trim(&self, offset: u64, len_bytes: u64, fua: bool) -> Result<(), Errno> {
        self.0.disk.trim(offset, len_bytes, fua).await
    }

    async fn write_zeroes(
        &self,
        offset: u64,
        len_bytes: u64,
        options: ZeroOptions,
    ) -> Result<(), Errno> {
        self.0.disk.write_zeroes(offset, len_bytes, options).await
    }

    async fn block_status(&self, _: u64, _: u64) -> Result<Vec<Extent>, Errno> {
        Err(Errno::OPNOTSUPP)
    }

    async fn cache(&self, _: u64, _: u64) -> Result<(), Errno> {
        Err(Errno::OPNOTSUPP)
    }
}

fn write(offset: u64, len_bytes: u64, fua: bool) -> Request {
    Request {
        command: Command::Write { fua },
        offset,
        len_bytes,
    }
}

fn read(offset: u64, len_bytes: u64) -> Request {
    Request {
        command: Command::Read,
        offset,
        len_bytes,
    }
}

/// FRONT-2
#[test]
fn a_durable_write_is_one_piece_that_is_durable_or_pieces_and_a_flush_behind_them() {
    on_a_reactor(async |handle| {
        let probe = Rc::new(Probe::new());
        let front = Front::new(&handle, Shown(probe.clone()), &OPTIONS);
        let carrier = Bytes::of(vec![7; 3 * PIECE as usize]);
        let one = front.perform(write(0, 512, true), carrier.clone());
        assert_eq!(one.await, Ok(()));
        assert_eq!(probe.log.take(), ["write 0 fua"]);
        let long = front.perform(write(0, 3 * u64::from(PIECE), true), carrier.clone());
        assert_eq!(long.await, Ok(()));
        let mut log = probe.log.take();
        assert_eq!(log.pop().as_deref(), Some("flush"));
        log.sort();
        assert_eq!(log, ["write 0", "write 4096", "write 8192"]);
        let plain = front.perform(write(0, 2 * u64::from(PIECE), false), carrier);
        assert_eq!(plain.await, Ok(()));
        assert!(!probe.log.take().contains(&"flush".to_owned()));
    });
}

/// FRONT-1
#[test]
fn one_failed_piece_fails_the_request_after_all_others_are_done() {
    on_a_reactor(async |handle| {
        for fails_at in [0, 4096, 8192] {
            let probe = Rc::new(Probe {
                fails_at: Some(fails_at),
                ..Probe::new()
            });
            let front = Front::new(&handle, Shown(probe.clone()), &OPTIONS);
            let carrier = Bytes::of(vec![7; 3 * PIECE as usize]);
            let request = write(0, 3 * u64::from(PIECE), true);
            let done = front.perform(request, carrier).await;
            assert_eq!(done, Err(Errno::NOSPC));
            assert_eq!(probe.log.borrow().len(), 3, "{:?}", probe.log);
            assert_eq!(front.in_flight(), 0);
        }
    });
}

/// FRONT-3
#[test]
fn a_long_write_needs_no_more_than_one_buffer() {
    on_a_reactor(async |handle| {
        let probe = Rc::new(Probe {
            rooms: Semaphore::new(1),
            ..Probe::new()
        });
        let front = Front::new(&handle, Shown(probe.clone()), &OPTIONS);
        let both = [0, 1].map(|number: u64| {
            let front = front.clone();
            let carrier = Bytes::of(vec![number as u8 + 1; 4 * PIECE as usize]);
            let len_bytes = 4 * u64::from(PIECE);
            let request = write(number * len_bytes, len_bytes, true);
            handle.spawn(async move { front.perform(request, carrier).await })
        });
        for task in both {
            let done = handle.timeout(Duration::from_secs(60), task).await;
            assert_eq!(done.expect("it waits for nobody"), Ok(()));
        }
        assert_eq!(probe.disk.get(7 * 4096, 4096), vec![2; 4096]);
    });
}

/// FRONT-4
#[test]
fn a_short_read_is_an_error() {
    on_a_reactor(async |handle| {
        let probe = Rc::new(Probe {
            is_short: true,
            ..Probe::new()
        });
        let front = Front::new(&handle, Shown(probe), &OPTIONS);
        let carrier = Bytes::of(vec![7; 4096]);
        assert_eq!(front.perform(read(0, 4096), carrier).await, Err(Errno::IO));
    });
}

/// FLOW-1
/// FRONT-5
#[test]
fn a_request_is_judged_by_the_size_of_the_moment() {
    on_a_reactor(async |handle| {
        let disk = MemDisk::with(64 << 10, Features::ALL);
        let front = Front::new(&handle, disk, &OPTIONS);
        let ask = async |offset| {
            let bytes = Bytes::of(vec![0; 4096]);
            front.perform(read(offset, 4096), bytes).await
        };
        assert_eq!(ask(32 << 10).await, Ok(()));
        front.resized(32 << 10);
        assert_eq!(ask(32 << 10).await, Err(Errno::INVAL));
        assert_eq!(ask(28 << 10).await, Ok(()));
        front.resized(64 << 10);
        assert_eq!(ask(60 << 10).await, Ok(()));
        assert_eq!(front.facts().size_bytes, 64 << 10);
    });
}

#[test]
fn what_is_beyond_the_limits_waits_and_is_done_then() {
    on_a_reactor(async |handle| {
        let probe = Rc::new(Probe::new());
        probe.is_open.set(false);
        let options = FrontOptions {
            requests_max: 3,
            ..OPTIONS
        };
        let front = Front::new(&handle, Shown(probe.clone()), &options);
        let asked = (0..10).map(|number| {
            let front = front.clone();
            let carrier = Bytes::of(vec![number; 4096]);
            handle.spawn(async move {
                let offset = u64::from(number) * 4096;
                front.perform(write(offset, 4096, false), carrier).await
            })
        });
        let asked: Vec<_> = asked.collect();
        while front.in_flight() < 3 {
            handle.yield_now().await;
        }
        assert!(!front.settled(Duration::from_millis(20)).await);
        assert_eq!((front.in_flight(), probe.inside.get()), (3, 3));
        probe.is_open.set(true);
        probe.opened.notify_all();
        for task in asked {
            assert_eq!(task.await, Ok(()));
        }
        assert!(front.settled(Duration::from_secs(60)).await);
        assert_eq!(probe.most_inside.get(), 3);
        assert_eq!(probe.disk.get(9 * 4096, 4096), vec![9; 4096]);
    });
}

/// A client whose memory can be lent.
#[derive(Debug)]
struct Owner {
    own: LentBytes,
    copied: Cell<usize>,
    handed: RefCell<Vec<Range<u64>>>,
}

impl Owner {
    fn new(len: usize) -> Rc<Self> {
        Rc::new(Self {
            own: LentBytes::new(len),
            copied: Cell::new(0),
            handed: RefCell::default(),
        })
    }
}

impl Carrier for Owner {
    async fn bring(&self, _: u64, place: Payload) -> Result<Payload, Errno> {
        self.copied.set(self.copied.get() + place.len_bytes());
        Ok(place)
    }

    async fn hand(&self, _: u64, payload: Payload) -> Result<(), Errno> {
        self.copied.set(self.copied.get() + payload.len_bytes());
        Ok(())
    }

    fn lend(self: Rc<Self>, from: u64, len_bytes: u32) -> Option<LentMemory> {
        let from = from as usize;
        let half = from + len_bytes as usize / 2;
        Some(
            self.own
                .lend(&[from..half, half..from + len_bytes as usize]),
        )
    }

    async fn hand_parts(&self, from: u64, _: Payload, parts: Vec<Range<u64>>) -> Result<(), Errno> {
        let parts = parts
            .into_iter()
            .map(|part| from + part.start..from + part.end);
        self.handed.borrow_mut().extend(parts);
        Ok(())
    }
}

/// A disk that keeps what it was lent until it may go on.
#[derive(Debug)]
struct Taker {
    disk: MemDisk,
    lent: RefCell<Vec<usize>>,
    is_open: Cell<bool>,
    opened: Notify,
}

#[derive(Clone, Debug)]
struct Takes(Rc<Taker>);

impl Takes {
    async fn take(&self, memory: LentMemory) {
        self.0.lent.borrow_mut().push(memory.len());
        while !self.0.is_open.get() {
            self.0.opened.notified().await;
        }
    }
}

impl Disk for Takes {
    fn facts(&self) -> DiskFacts {
        self.0.disk.facts()
    }

    fn takes_loans(&self) -> bool {
        true
    }

    async fn read_lent(
        &self,
        _: u64,
        memory: LentMemory,
    ) -> Result<(Payload, Vec<Range<u64>>), Errno> {
        let len_bytes = memory.len();
        self.take(memory).await;
        let tail = len_bytes as u64 - 100..len_bytes as u64;
        Ok((
            Payload::Zeroes { len_bytes },
            std::iter::once(tail).collect(),
        ))
    }

    async fn write_lent(&self, _: u64, memory: LentMemory, _: bool) -> Result<(), Errno> {
        self.take(memory).await;
        Ok(())
    }

    async fn room(&self, len_bytes: u32) -> Result<Payload, Errno> {
        self.0.disk.room(len_bytes).await
    }

    async fn read(&self, offset: u64, len_bytes: u32) -> Result<Payload, Errno> {
        self.0.disk.read(offset, len_bytes).await
    }

    async fn write(&self, offset: u64, payload: Payload, fua: bool) -> Result<(), Errno> {
        self.0.disk.write(offset, payload, fua).await
    }

    async fn flush(&self) -> Result<(), Errno> {
        Ok(())
    }

    async fn trim(&self, _: u64, _: u64, _: bool) -> Result<(), Errno> {
        Ok(())
    }

    async fn write_zeroes(&self, _: u64, _: u64, _: ZeroOptions) -> Result<(), Errno> {
        Ok(())
    }

    async fn block_status(&self, _: u64, _: u64) -> Result<Vec<Extent>, Errno> {
        Err(Errno::OPNOTSUPP)
    }

    async fn cache(&self, _: u64, _: u64) -> Result<(), Errno> {
        Err(Errno::OPNOTSUPP)
    }
}

/// FRONT-6
#[test]
fn memory_is_lent_until_the_disk_gives_it_back_and_what_is_short_is_copied() {
    on_a_reactor(async |handle| {
        let taker = Rc::new(Taker {
            disk: MemDisk::new(1 << 20),
            lent: RefCell::default(),
            is_open: Cell::new(false),
            opened: Notify::new(),
        });
        let options = FrontOptions {
            bytes_max: 1 << 20,
            piece_bytes_max: 64 << 10,
            ..OPTIONS
        };
        let front = Front::new(&handle, Takes(taker.clone()), &options);
        // Pieces of 64 KiB, 64 KiB and 4 KiB.
        let len = 132 << 10;
        let owner = Owner::new(len);
        for request in [write(0, len as u64, true), read(0, len as u64)] {
            taker.is_open.set(false);
            let (own, carrier) = (front.clone(), owner.clone());
            let asked = handle.spawn(async move { own.perform(request, carrier).await });
            while taker.lent.borrow().len() < 2 {
                handle.yield_now().await;
            }
            for _ in 0..10 {
                handle.yield_now().await;
            }
            assert_eq!(front.in_flight(), 1);
            taker.is_open.set(true);
            taker.opened.notify_all();
            assert_eq!(asked.await, Ok(()));
            assert_eq!(taker.lent.take(), [64 << 10; 2]);
            assert_eq!(owner.copied.take(), 4 << 10);
        }
        let piece = 64_u64 << 10;
        let tails = [piece - 100..piece, 2 * piece - 100..2 * piece];
        assert_eq!(*owner.handed.borrow(), tails);
    });
}

#[derive(Clone, Debug)]
enum Step {
    Write(u64, u64, u8, bool),
    Read(u64, u64),
    Discard(u64, u64),
    Zero(u64, u64, bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let sector = 0..128_u64;
    let step = prop_oneof![
        (sector.clone(), sector.clone(), any::<u8>(), any::<bool>())
            .prop_map(|(at, len, value, fua)| Step::Write(at, len, value, fua)),
        (sector.clone(), sector.clone()).prop_map(|(at, len)| Step::Read(at, len)),
        (sector.clone(), sector.clone()).prop_map(|(at, len)| Step::Discard(at, len)),
        (sector.clone(), sector, any::<bool>())
            .prop_map(|(at, len, unmap)| Step::Zero(at, len, unmap)),
    ];
    proptest::collection::vec(step, 1..40)
}

const DISK_BYTES: usize = 128 * 512;

async fn run(front: &Front<MemDisk>, model: &mut [u8], step: Step) {
    let (at, len) = match step {
        Step::Write(at, len, ..)
        | Step::Read(at, len)
        | Step::Discard(at, len)
        | Step::Zero(at, len, _) => (at as usize * 512, len as usize * 512),
    };
    let (value, command) = match step {
        Step::Write(_, _, value, fua) => (Some(value), Command::Write { fua }),
        Step::Read(..) => (None, Command::Read),
        Step::Discard(..) => (Some(0), Command::Discard),
        Step::Zero(_, _, unmap) => (Some(0), Command::WriteZeroes { unmap, fua: true }),
    };
    let carrier = Bytes::of(vec![value.unwrap_or(0xa5); len]);
    let request = Request {
        command,
        offset: at as u64,
        len_bytes: len as u64,
    };
    let done = front.perform(request, carrier.clone()).await;
    if at + len > DISK_BYTES {
        assert_eq!(done, Err(Errno::INVAL));
        return;
    }
    assert_eq!(done, Ok(()));
    match value {
        Some(value) => model[at..at + len].fill(value),
        None => assert_eq!(*carrier.0.borrow(), model[at..at + len]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_front_of_a_disk_is_a_vector_of_bytes(steps in steps()) {
        on_a_reactor(async |handle| {
            let disk = MemDisk::with(DISK_BYTES as u64, Features::ALL);
            let front = Front::new(&handle, disk.clone(), &OPTIONS);
            let mut model = vec![0; DISK_BYTES];
            for step in steps {
                run(&front, &mut model, step).await;
            }
            assert_eq!(disk.get(0, DISK_BYTES), model);
        });
    }
}
