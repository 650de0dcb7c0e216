//! A store in memory behind a port, slow at times, with a count of what it was asked.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use archipelago_runtime::{Handle, Peer, local::Notify};
use archipelago_store::MemStore;
use archipelago_store::peer::StorePeer;
use xseg::{Errno, Incoming, OpCode};

use crate::world::Random;

pub struct Blocker {
    inner: StorePeer<MemStore>,
    handle: Handle,
    random: Random,
    pub delay_us: Cell<u64>,
    /// Nothing is done until it is released.
    is_held: Cell<bool>,
    released: Notify,
    pub failing: Cell<Option<(OpCode, Errno)>>,
    pub asked: RefCell<BTreeMap<u16, u64>>,
}

impl Blocker {
    pub fn new(handle: &Handle, store: MemStore, seed: u64) -> Self {
        Self {
            inner: StorePeer::new(handle, store),
            handle: handle.clone(),
            random: Random::new(seed),
            delay_us: Cell::new(0),
            is_held: Cell::new(false),
            released: Notify::new(),
            failing: Cell::new(None),
            asked: RefCell::default(),
        }
    }

    pub fn hold(&self, is_held: bool) {
        self.is_held.set(is_held);
        self.released.notify_all();
    }

    pub fn count_of(&self, op: OpCode) -> u64 {
        self.asked.borrow().get(&op.0).copied().unwrap_or(0)
    }
}

impl Peer for Blocker {
    async fn handle(&self, request: Incoming) {
        let op = request.request().op;
        *self.asked.borrow_mut().entry(op.0).or_default() += 1;
        let longest = self.delay_us.get();
        if longest > 0 {
            let us = self.random.below(longest + 1);
            self.handle.sleep(Duration::from_micros(us)).await;
        }
        while self.is_held.get() {
            self.released.notified().await;
        }
        match self.failing.get() {
            Some((failing, errno)) if failing == op => request.fail(errno),
            _ => self.inner.handle(request).await,
        }
    }

    fn notice(&self, notice: Incoming) {
        notice.unsupported();
    }
}
