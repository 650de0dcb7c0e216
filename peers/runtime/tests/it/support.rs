//! What the tests have in common.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use archipelago_runtime::local::Notify;
use archipelago_runtime::{Handle, Peer, Reactor, ReactorOptions, Station};
use xseg::{
    BindOptions, CreateOptions, Geometry, Incoming, OpCode, Segment, WaitMethod, Waiter,
    WaiterOptions,
};

/// No test takes longer than this.
pub const LIMIT: Duration = Duration::from_secs(20);

/// All ways in which a reactor can sleep on this host: it may forbid io_uring, as with no locked memory on some kernels.
pub fn ways() -> Vec<WaitMethod> {
    let all = [
        WaitMethod::RingFutex,
        WaitMethod::RingHelper,
        WaitMethod::Futex,
    ];
    let segment = segment();
    let port = segment.bind_dynamic(&BindOptions::default()).unwrap();
    let is_allowed =
        |way: &WaitMethod| Waiter::new(&port, &WaiterOptions::default().method(*way)).is_ok();
    all.into_iter().filter(is_allowed).collect()
}

pub fn segment() -> Segment {
    segment_with(256, 64)
}

pub fn segment_with(requests: u32, buffers: u32) -> Segment {
    let geometry = Geometry::new(16, 8, requests)
        .unwrap()
        .with_buffers(4096, buffers)
        .unwrap();
    CreateOptions::new(geometry).create_private().unwrap()
}

pub fn reactor_with(segment: &Segment, number: u32, options: &ReactorOptions) -> Reactor {
    let port = segment.bind(number, &BindOptions::default()).unwrap();
    Reactor::new(port, options).unwrap()
}

pub fn reactor(segment: &Segment, number: u32, way: WaitMethod) -> Reactor {
    reactor_with(segment, number, &ReactorOptions::default().wait_method(way))
}

/// Runs a test to its end, or fails it when it takes too long.
pub fn run<T, F: Future<Output = T>>(reactor: Reactor, test: impl FnOnce(Handle) -> F) -> T {
    let handle = reactor.handle();
    let limited = handle.timeout(LIMIT, test(handle.clone()));
    drop(handle);
    reactor.block_on(limited).expect("it took too long")
}

/// Runs a test on a reactor of its own, in each way.
pub fn each_way<F: Future<Output = ()>>(test: impl Fn(Handle) -> F) {
    for way in ways() {
        run(reactor(&segment(), 0, way), &test);
    }
}

/// One more port.
pub fn client(handle: &Handle, segment: &Segment) -> Rc<Station> {
    let port = segment.bind_dynamic(&BindOptions::default()).unwrap();
    handle.add_port(port).unwrap()
}

/// Answers with the request's length; holds requests of other operations until it is told to let go.
#[derive(Default)]
pub struct Echo {
    pub running: Cell<u32>,
    pub most: Cell<u32>,
    pub handled: Cell<u32>,
    pub notices: Cell<u32>,
    pub let_go: Notify,
    pub lengths: RefCell<Vec<u64>>,
}

pub const HELD: OpCode = OpCode::FLUSH;
pub const AT_ONCE: OpCode = OpCode::INFO;

impl Peer for Echo {
    async fn handle(&self, request: Incoming) {
        self.running.set(self.running.get() + 1);
        self.most.set(self.most.get().max(self.running.get()));
        let asked = request.request();
        if asked.op == HELD {
            self.let_go.notified().await;
        }
        self.lengths.borrow_mut().push(asked.length);
        match asked.op {
            HELD | AT_ONCE => request.answer(asked.length),
            _ => request.unsupported(),
        }
        self.running.set(self.running.get() - 1);
        self.handled.set(self.handled.get() + 1);
    }

    fn notice(&self, notice: Incoming) {
        self.notices.set(self.notices.get() + 1);
        notice.answer(0);
    }
}

/// Sends a request of that length and returns what was answered.
pub async fn ask(station: &Station, op: OpCode, to: &Station, length: u64) -> u64 {
    let mut draft = station.draft(op).await.unwrap();
    draft.set_extent(0, length);
    let reply = station.call(draft, to.id()).await.unwrap();
    reply.result().unwrap()
}
