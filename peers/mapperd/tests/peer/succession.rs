//! A mapper whose predecessor died with requests under way.

use std::cell::{Cell, RefCell};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use archipelago_mapperd::{Options, Places, Running};
use archipelago_protocol::ListCall;
use archipelago_runtime::local::Notify;
use archipelago_runtime::{Handle, Peer, Reactor, ReactorOptions};
use archipelago_store::peer::StorePeer;
use archipelago_store::{LockOwner, MemStore};
use xseg::{
    BindOptions, CreateOptions, Geometry, Incoming, JoinOptions, OpCode, Place, Segment, Takeover,
};

const MAPS: u32 = 0;
const DATA: u32 = 1;
const MAPPER: u32 = 2;
const CLIENT: u32 = 3;
const CALL_BYTES: u64 = 64 << 10;
const LATE: &[u8] = b"name/late";

/// Names the segment to a mapper in a process of its own.
const PLACE: &str = "MAPPERD_TEST_SEGMENT";

/// Not a test of anything by itself: the process that another kills. It asks for a deletion, and lives on.
#[test]
fn a_mapper_in_a_process_of_its_own() {
    let Ok(path) = std::env::var(PLACE) else {
        return;
    };
    let path = Path::new(&path);
    let name = path.file_name().and_then(|name| name.to_str()).unwrap();
    let place = Place::within(path.parent().unwrap(), name).unwrap();
    let segment = JoinOptions::new().join(&place).unwrap();
    let port = segment.bind(MAPPER, &BindOptions::default()).unwrap();
    let maps = segment.geometry().port(MAPS).unwrap();
    let mut draft = port.draft(OpCode::DELETE).unwrap();
    draft.set_target(LATE).unwrap();
    let _ticket = draft.send(maps).unwrap();
    println!("\nready");
    std::thread::sleep(Duration::from_secs(600));
}

fn begin(segment: &Segment) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("succession::a_mapper_in_a_process_of_its_own")
        .env(PLACE, segment.place().path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    let is_ready = said.lines().any(|line| line.unwrap() == "ready");
    assert!(is_ready, "it ends before it has asked");
    child
}

/// A store that keeps what the dead mapper asked for until it is let go.
struct SlowStore {
    store: StorePeer<MemStore>,
    let_go: Notify,
    has_gone: Cell<bool>,
    /// What came in before that.
    early: RefCell<Vec<OpCode>>,
}

impl Peer for SlowStore {
    async fn handle(&self, request: Incoming) {
        if request.target().as_bytes() == LATE {
            self.let_go.notified().await;
            self.has_gone.set(true);
            return request.answer(0);
        }
        if !self.has_gone.get() {
            self.early.borrow_mut().push(request.request().op);
        }
        self.store.handle(request).await;
    }

    fn notice(&self, notice: Incoming) {
        self.store.notice(notice);
    }
}

async fn list(handle: &Handle, client: &Rc<archipelago_runtime::Station>) -> bool {
    let mapper = client.segment().geometry().port(MAPPER).unwrap();
    let text = serde_json::to_vec(&ListCall::default()).unwrap();
    let buffer = client.buffer(CALL_BYTES).await.unwrap();
    buffer.data().write(0, &text).unwrap();
    let mut draft = client.draft(OpCode::LIST).await.unwrap();
    draft.attach(buffer, CALL_BYTES).unwrap();
    draft.set_extent(0, text.len() as u64);
    draft.set_deadline_ns(handle.after_ns(Duration::from_secs(60)));
    let reply = client.call(draft, mapper).await.unwrap();
    reply.result().is_ok()
}

/// PREDECESSOR-1, S7: what the dead one asked for is ended before anything new is begun.
#[test]
fn a_mapper_asks_for_nothing_while_a_blocker_works_for_its_predecessor() {
    let geometry = Geometry::new(4, 4, 64).unwrap();
    let geometry = geometry.with_buffers(CALL_BYTES, 16).unwrap();
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let name = format!("succession-{}", std::process::id());
    let place = Place::within(directory, &name).unwrap();
    let segment = CreateOptions::new(geometry).create(&place).unwrap();
    let port = segment.bind(MAPS, &BindOptions::default()).unwrap();
    let mut dead = begin(&segment);
    dead.kill().unwrap();
    dead.wait().unwrap();
    let reactor = Reactor::new(port, &ReactorOptions::default()).unwrap();
    let handle = reactor.handle();
    let bind = |number| {
        let takeover = Takeover::AfterDeath(Duration::from_secs(60));
        let options = BindOptions::default().takeover(takeover);
        let port = segment.bind(number, &options).unwrap();
        handle.add_port(port).unwrap()
    };
    let (data, mapper, client) = (bind(DATA), bind(MAPPER), bind(CLIENT));
    let maps = Rc::new(SlowStore {
        store: StorePeer::new(&handle, MemStore::new()),
        let_go: Notify::new(),
        has_gone: Cell::new(false),
        early: RefCell::default(),
    });
    handle.serve(&handle.station(), 64, maps.clone());
    let objects = Rc::new(StorePeer::new(&handle, MemStore::new()));
    handle.serve(&data, 64, objects);
    let options = Options {
        places: Places {
            maps: geometry.port(MAPS).unwrap(),
            data: geometry.port(DATA).unwrap(),
            composers: Vec::new(),
            owner: LockOwner {
                node: "here".into(),
                deployment: "this".into(),
            },
            recall_timeout: Duration::from_secs(1),
        },
        nr_ops: 16,
        trash_ttl: Duration::ZERO,
        pages_max: 16,
    };
    let running = Running::start(&handle, &mapper, options).unwrap();
    reactor.block_on(async {
        let own = handle.clone();
        let listed = handle.spawn(async move { list(&own, &client).await });
        handle.sleep(Duration::from_millis(100)).await;
        assert_eq!(*maps.early.borrow(), []);
        maps.let_go.notify_one();
        assert!(listed.await);
        running.stop().await;
    });
    assert_eq!(*maps.early.borrow(), []);
    Segment::destroy(&place, &JoinOptions::new(), true).unwrap();
}
