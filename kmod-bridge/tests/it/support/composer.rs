//! A composer of one volume, in memory, which can be told to be wrong.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use archipelago_front::{MemDisk, SegmentDisks, SegmentPlaces};
use archipelago_protocol::{BLOCK_STATUS, Extent, ListAnswer, ListCall, VolumeInfo};
use archipelago_runtime::{Handle, Peer, Station};
use xseg::{BindOptions, Errno, Incoming, OpCode, flags};

/// At exactly these offsets, which no program asks for, an answer is not what it should be.
pub const SHORT_AT: u64 = (1 << 20) + 1001;
pub const FAILS_AT: u64 = (1 << 20) + 1003;
pub const FULL_AT: u64 = (1 << 20) + 1007;
/// Volumes of names that begin so have bytes of their own.
const OWN: &str = "volume-";
/// Of just this length, which no program asks for, nothing is read.
pub const FAILS_LENGTH: u64 = 1009;

/// What was asked of it.
#[derive(Debug, Default)]
pub struct Asked {
    pub durable: AtomicU64,
    pub flushes: AtomicU64,
    pub zeroes: AtomicU64,
    pub discards: AtomicU64,
    pub statuses: AtomicU64,
    /// Uses that began, and those that ended.
    pub opens: AtomicU64,
    pub closes: AtomicU64,
    /// So many of the next OPENs are answered as a composer does that leaves.
    pub leaves: AtomicU64,
}

struct Composer {
    handle: Handle,
    station: Rc<Station>,
    /// Of all volumes that have none of their own.
    disk: MemDisk,
    /// Of `volume-0`, `volume-1` and so on, made when they are asked for.
    own: RefCell<BTreeMap<String, MemDisk>>,
    size: u64,
    asked: Arc<Asked>,
    status_extents_max: usize,
    names: RefCell<Vec<String>>,
    /// OPENs that are held.
    open: RefCell<BTreeMap<u64, Incoming>>,
    has_left: Cell<bool>,
}

/// Exports of a segment whose port 1 is such a composer; it is mapper as well.
pub fn compose(handle: &Handle, size: u64, asked: Arc<Asked>) -> SegmentDisks {
    let station = handle.station();
    let port = station.segment().bind(1, &BindOptions::default()).unwrap();
    let composer = handle.add_port(port).unwrap();
    let names = ["disk", "frozen"].map(str::to_owned).to_vec();
    handle.serve(
        &composer,
        64,
        Rc::new(Composer {
            handle: handle.clone(),
            station: composer.clone(),
            disk: MemDisk::new(size),
            own: RefCell::default(),
            size,
            asked,
            status_extents_max: 3,
            names: RefCell::new(names),
            open: RefCell::default(),
            has_left: Cell::new(false),
        }),
    );
    let places = SegmentPlaces {
        composer: composer.id(),
        mappers: vec![composer.id()],
        call_timeout: Duration::from_secs(10),
    };
    SegmentDisks::new(handle, station, places)
}

impl Drop for Composer {
    fn drop(&mut self) {
        for open in std::mem::take(self.open.get_mut()).into_values() {
            open.fail(Errno::SHUTDOWN);
        }
    }
}

impl Composer {
    fn disk(&self, request: &Incoming) -> MemDisk {
        let name = request.target();
        let name = name.as_str().unwrap_or("");
        if !name.starts_with(OWN) {
            return self.disk.clone();
        }
        let mut own = self.own.borrow_mut();
        let disk = own.entry(name.to_owned());
        disk.or_insert_with(|| MemDisk::new(self.size)).clone()
    }

    async fn io(&self, request: Incoming) {
        let asked = request.request();
        // As one that asks a mapper: a buffer of its own, at a time when clients could have taken all.
        self.handle.sleep(Duration::from_micros(500)).await;
        let own = self.station.room(asked.length, asked.length).await;
        drop(own.expect("the composer runs"));
        let data = request.data().expect("it came with a buffer");
        assert_eq!(data.len(), asked.length);
        assert!(asked.offset + asked.length <= self.size);
        match asked.offset {
            SHORT_AT => return request.answer(asked.length - 1),
            FAILS_AT => return request.fail(Errno::IO),
            _ if asked.length == FAILS_LENGTH => return request.fail(Errno::IO),
            FULL_AT if asked.op == OpCode::WRITE => return request.fail(Errno::DQUOT),
            _ => {}
        }
        if asked.op == OpCode::READ {
            let bytes = self.disk(&request).get(asked.offset, asked.length as usize);
            data.write(0, &bytes).unwrap();
        } else {
            let mut bytes = vec![0; asked.length as usize];
            data.read(0, &mut bytes).unwrap();
            self.disk(&request).put(asked.offset, &bytes);
            self.note_durable(&request);
        }
        request.answer(asked.length);
    }

    fn note_durable(&self, request: &Incoming) {
        let durable = u64::from(request.request().flags & flags::FUA != 0);
        self.asked.durable.fetch_add(durable, Ordering::SeqCst);
    }

    async fn zero(&self, request: Incoming) {
        use archipelago_front::Disk;
        let asked = request.request();
        assert!(request.data().is_none());
        let counter = match asked.op {
            OpCode::DISCARD => &self.asked.discards,
            _ => &self.asked.zeroes,
        };
        counter.fetch_add(1, Ordering::SeqCst);
        self.note_durable(&request);
        let disk = self.disk(&request);
        let trimmed = disk.trim(asked.offset, asked.length, false).await;
        trimmed.unwrap();
        request.answer(asked.length);
    }

    async fn status(&self, request: Incoming) {
        use archipelago_front::Disk;
        self.asked.statuses.fetch_add(1, Ordering::SeqCst);
        let asked = request.request();
        let disk = self.disk(&request);
        let told = disk.block_status(asked.offset, asked.length).await;
        let told: Vec<_> = told.unwrap();
        let told = told.iter().filter(|extent| extent.len_bytes > 0);
        let mut bytes = Vec::new();
        let mut count = 0;
        for extent in told.take(self.status_extents_max) {
            let extent = Extent {
                bytes: extent.len_bytes,
                is_hole: extent.hole,
            };
            extent.write(&mut bytes);
            count += 1;
        }
        request.data().unwrap().write(0, &bytes).unwrap();
        request.answer(count);
    }

    /// One volume a page.
    fn list(&self, request: Incoming) {
        let data = request.data().unwrap();
        let mut call = vec![0; request.request().length as usize];
        data.read(0, &mut call).unwrap();
        let call: ListCall = serde_json::from_slice(&call).unwrap();
        let names = self.names.borrow();
        let next = match call.after {
            None => 0,
            Some(after) => names.iter().position(|name| *name == after).unwrap() + 1,
        };
        let answer = ListAnswer {
            volumes: vec![VolumeInfo {
                name: names[next].clone(),
                id: String::new(),
                size: self.size,
                is_snapshot: next > 0,
                object_bytes: 0,
                grain_bytes: 0,
                parent: None,
                created: 0,
                lock: None,
                is_open: false,
            }],
            damaged: Vec::new(),
            more: next + 1 < names.len(),
        };
        let text = serde_json::to_vec(&answer).unwrap();
        data.write(0, &text).unwrap();
        request.answer(text.len() as u64);
    }

    fn info(&self, mut request: Incoming) {
        let is_opened = self
            .open
            .borrow()
            .values()
            .any(|open| open.target().as_bytes() == request.target().as_bytes());
        assert!(is_opened || self.has_left.get(), "USING-1");
        let (name, volume) = (request.target(), request.snapshot());
        let read_only = match (name.as_str(), volume.as_str()) {
            (Some("disk"), Some("")) => 0,
            (Some(name), Some("")) if name.starts_with(OWN) => 0,
            (Some("frozen"), Some("" | "disk")) => 1,
            (Some("busy"), _) => return request.fail(Errno::BUSY),
            _ => return request.fail(Errno::NOENT),
        };
        let mut args = request.args();
        args[..3].copy_from_slice(&[self.size, read_only, 4096]);
        request.set_answer_args(args);
        request.answer(0);
    }
}

impl Peer for Composer {
    async fn handle(&self, request: Incoming) {
        match request.request().op {
            OpCode::OPEN => {
                if self.asked.leaves.load(Ordering::SeqCst) > 0 {
                    self.asked.leaves.fetch_sub(1, Ordering::SeqCst);
                    self.has_left.set(true);
                    return request.fail(Errno::SHUTDOWN);
                }
                let number = request.request().handle;
                let former = self.open.borrow_mut().insert(number, request);
                assert!(former.is_none());
                self.asked.opens.fetch_add(1, Ordering::SeqCst);
            }
            OpCode::CLOSE => {
                let open = self.open.borrow_mut().remove(&request.request().handle);
                open.expect("it was opened").answer(0);
                self.asked.closes.fetch_add(1, Ordering::SeqCst);
                request.answer(1);
            }
            OpCode::INFO => self.info(request),
            OpCode::LIST => self.list(request),
            OpCode::READ | OpCode::WRITE => self.io(request).await,
            OpCode::DISCARD | OpCode::WRITE_ZEROES => self.zero(request).await,
            OpCode::FLUSH => {
                self.asked.flushes.fetch_add(1, Ordering::SeqCst);
                request.answer(0);
            }
            BLOCK_STATUS => self.status(request).await,
            _ => request.unsupported(),
        }
    }

    fn notice(&self, notice: Incoming) {
        notice.unsupported();
    }
}
