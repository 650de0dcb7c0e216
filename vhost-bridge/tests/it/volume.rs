//! A composer of one volume in memory, on a thread and in a segment that outlive the bridges that ask it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use archipelago_front::{Disk, MemDisk};
use archipelago_runtime::{Handle, Peer, Reactor, ReactorOptions};
use tempfile::TempDir;
use xseg::{
    BindOptions, CreateOptions, Errno, Geometry, Incoming, JoinOptions, OpCode, Place, Segment,
};

pub const BRIDGE: u32 = 0;
pub const COMPOSER: u32 = 1;
pub const NAME: &str = "disk";
pub const VOLUME_BYTES: u64 = 96 << 20;
/// A reader is told of no more than this, so that its requests are cut.
pub const PIECE_BYTES: u32 = 64 << 10;

/// What the test sees of the composer, and says to it.
#[derive(Debug, Default)]
pub struct Seen {
    /// Writes wait.
    pub is_held: AtomicBool,
    /// Writes that have come, and that were answered.
    pub writes: AtomicUsize,
    pub answered: AtomicUsize,
    pub flushes: AtomicUsize,
    pub discards: AtomicUsize,
    pub opens: AtomicUsize,
    /// Writes that had come when the volume was last opened: those of whoever asked before.
    pub before_open: AtomicUsize,
    pub closes: AtomicUsize,
    is_over: AtomicBool,
}

impl Seen {
    pub fn count(counter: &AtomicUsize) -> usize {
        counter.load(Ordering::SeqCst)
    }

    /// Waits until so many more writes have come.
    pub fn wait_for_writes(&self, count: usize) {
        let before = Self::count(&self.writes);
        while Self::count(&self.writes) < before + count {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The segment and the composer; both end with this.
pub struct Volume {
    pub directory: TempDir,
    pub place: Place,
    pub seen: Arc<Seen>,
    composer: Option<JoinHandle<()>>,
}

impl Volume {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let geometry = Geometry::new(4, 4, 256).unwrap();
        let geometry = geometry.with_buffers(4096, 32).unwrap();
        let geometry = geometry.with_buffers(PIECE_BYTES.into(), 32).unwrap();
        let place = Place::within(directory.path(), "segment").unwrap();
        let segment = CreateOptions::new(geometry).create(&place).unwrap();
        let seen = Arc::new(Seen::default());
        let theirs = seen.clone();
        let (is_bound, bound) = channel();
        let composer = std::thread::spawn(move || compose(&segment, &theirs, &is_bound));
        bound.recv().unwrap(); // whoever asks finds somebody there
        Self {
            directory,
            place,
            seen,
            composer: Some(composer),
        }
    }

    pub fn socket(&self) -> std::path::PathBuf {
        self.directory.path().join("vhost.sock")
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        self.seen.is_over.store(true, Ordering::SeqCst);
        let ended = self.composer.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking());
        let _ = Segment::destroy(&self.place, &JoinOptions::new(), true); // the directory goes as well
    }
}

/// The segment that a path names.
pub fn join(path: &Path) -> Segment {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap();
    let place = Place::within(path.parent().unwrap(), name).unwrap();
    JoinOptions::new().join(&place).unwrap()
}

fn compose(segment: &Segment, seen: &Arc<Seen>, is_bound: &Sender<()>) {
    let port = segment.bind(COMPOSER, &BindOptions::default()).unwrap();
    let reactor = Reactor::new(port, &ReactorOptions::default()).unwrap();
    let handle = reactor.handle();
    let composer = Composer {
        handle: handle.clone(),
        disk: MemDisk::new(VOLUME_BYTES),
        seen: seen.clone(),
        open: RefCell::default(),
    };
    handle.serve(&handle.station(), 128, std::rc::Rc::new(composer));
    is_bound.send(()).unwrap();
    reactor.block_on(async {
        while !seen.is_over.load(Ordering::SeqCst) {
            handle.sleep(Duration::from_millis(5)).await;
        }
    });
}

struct Composer {
    handle: Handle,
    disk: MemDisk,
    seen: Arc<Seen>,
    /// OPENs that are held, those of the dead too.
    open: RefCell<BTreeMap<u64, Incoming>>,
}

impl Drop for Composer {
    fn drop(&mut self) {
        for open in std::mem::take(self.open.get_mut()).into_values() {
            open.fail(Errno::SHUTDOWN);
        }
    }
}

impl Composer {
    async fn write(&self, request: Incoming) {
        self.seen.writes.fetch_add(1, Ordering::SeqCst);
        while self.seen.is_held.load(Ordering::SeqCst) {
            self.handle.sleep(Duration::from_millis(1)).await;
        }
        let asked = request.request();
        let mut bytes = vec![0; asked.length as usize];
        let data = request.data().expect("it came with a buffer");
        data.read(0, &mut bytes).unwrap();
        self.disk.put(asked.offset, &bytes);
        self.seen.answered.fetch_add(1, Ordering::SeqCst);
        request.answer(asked.length);
    }

    fn read(&self, request: Incoming) {
        let asked = request.request();
        let bytes = self.disk.get(asked.offset, asked.length as usize);
        let data = request.data().expect("it came with a buffer");
        data.write(0, &bytes).unwrap();
        request.answer(asked.length);
    }
}

impl Peer for Composer {
    async fn handle(&self, mut request: Incoming) {
        let asked = request.request();
        match asked.op {
            OpCode::OPEN => {
                self.open.borrow_mut().insert(asked.handle, request);
                let writes = Seen::count(&self.seen.writes);
                self.seen.before_open.store(writes, Ordering::SeqCst);
                self.seen.opens.fetch_add(1, Ordering::SeqCst);
            }
            OpCode::CLOSE => {
                let open = self.open.borrow_mut().remove(&asked.handle);
                open.expect("it was opened").answer(0);
                self.seen.closes.fetch_add(1, Ordering::SeqCst);
                request.answer(1);
            }
            OpCode::INFO if request.target().as_str() == Some(NAME) => {
                let mut args = request.args();
                args[..3].copy_from_slice(&[VOLUME_BYTES, 0, 4096]);
                request.set_answer_args(args);
                request.answer(0);
            }
            OpCode::INFO => request.fail(Errno::NOENT),
            OpCode::READ => self.read(request),
            OpCode::WRITE => self.write(request).await,
            OpCode::DISCARD | OpCode::WRITE_ZEROES => {
                self.seen.discards.fetch_add(1, Ordering::SeqCst);
                let trimmed = self.disk.trim(asked.offset, asked.length, false).await;
                trimmed.unwrap();
                request.answer(asked.length);
            }
            OpCode::FLUSH => {
                self.seen.flushes.fetch_add(1, Ordering::SeqCst);
                request.answer(0);
            }
            _ => request.unsupported(),
        }
    }

    fn notice(&self, notice: Incoming) {
        notice.unsupported();
    }
}
