//! A request costs no allocation once as many have been under way before: counted, by an allocator that counts.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends with the first thing that is not as it should be"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::rc::Rc;

use archipelago_runtime::{Peer, Reactor, ReactorOptions, Station};
use xseg::{BindOptions, CreateOptions, Geometry, Incoming, OpCode};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: the system's allocator does all the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: our caller keeps the same promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: our caller keeps the same promises.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

struct Echo;

impl Peer for Echo {
    async fn handle(&self, request: Incoming) {
        request.answer(1);
    }

    fn notice(&self, notice: Incoming) {
        notice.unsupported();
    }
}

async fn ask(client: &Station, server: &Station, count: u32) {
    for _ in 0..count {
        let mut draft = client.draft(OpCode::INFO).await.unwrap();
        draft.set_deadline_ns(u64::MAX / 2);
        let reply = client.call(draft, server.id()).await.unwrap();
        assert_eq!(reply.result(), Ok(1));
    }
}

#[test]
fn a_call_and_its_handler_allocate_nothing_in_the_steady_state() {
    // SERVE-4
    let segment = CreateOptions::new(Geometry::new(4, 2, 64).unwrap())
        .create_private()
        .unwrap();
    let port = segment.bind(0, &BindOptions::default()).unwrap();
    let reactor = Reactor::new(port, &ReactorOptions::default()).unwrap();
    let handle = reactor.handle();
    let client = handle
        .add_port(segment.bind(1, &BindOptions::default()).unwrap())
        .unwrap();
    let server = handle.station();
    let _service = handle.serve(&server, 8, Rc::new(Echo));
    let allocated = reactor.block_on(async move {
        let mut spent = 0;
        for round in 0..2 {
            let callers: Vec<_> = (0..8)
                .map(|_| {
                    let (client, server) = (client.clone(), server.clone());
                    handle.spawn(async move { ask(&client, &server, 100).await })
                })
                .collect();
            let before = ALLOCATIONS.with(Cell::get);
            for caller in callers {
                caller.await;
            }
            if round == 1 {
                spent = ALLOCATIONS.with(Cell::get) - before;
            }
        }
        spent
    });
    assert_eq!(allocated, 0, "in 800 calls");
}
