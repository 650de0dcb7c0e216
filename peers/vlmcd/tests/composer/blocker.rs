//! A store in memory behind a port, slow at times, with a count of what it was asked.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use archipelago_runtime::{Borrowed, Handle, Peer, local::Notify};
use archipelago_store::peer::StorePeer;
use archipelago_store::{MemStore, ObjectName, Scope, Store};
use xseg::{Errno, Incoming, OpCode, flags};

use crate::world::Random;

pub struct Blocker {
    inner: StorePeer<MemStore>,
    store: MemStore,
    handle: Handle,
    random: Random,
    pub delay_us: Cell<u64>,
    /// Nothing is done until it is released.
    is_held: Cell<bool>,
    released: Notify,
    pub failing: Cell<Option<(OpCode, Errno)>>,
    pub asked: RefCell<BTreeMap<u16, u64>>,
    /// Reads that landed in lent memory, and writes that came out of it.
    pub lent: Cell<(u64, u64)>,
}

impl Blocker {
    pub fn new(handle: &Handle, store: MemStore, seed: u64) -> Self {
        Self {
            inner: StorePeer::new(handle, store.clone()),
            store,
            handle: handle.clone(),
            random: Random::new(seed),
            delay_us: Cell::new(0),
            is_held: Cell::new(false),
            released: Notify::new(),
            failing: Cell::new(None),
            asked: RefCell::default(),
            lent: Cell::default(),
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

impl Blocker {
    /// By way of a file: only the kernel writes to what is lent.
    async fn read_lent(&self, request: Incoming, lent: &Borrowed) {
        let said = request.request();
        let name = ObjectName::new(request.target().as_bytes()).unwrap();
        let mut bytes = vec![0; said.length as usize];
        match self.store.read(&name, said.offset, &mut bytes).await {
            Ok(count) if count == bytes.len() => {}
            Ok(count) => return request.answer(count as u64),
            Err(error) => return request.fail(error.errno()),
        }
        let file: Rc<OwnedFd> = Rc::new(tempfile::tempfile().unwrap().into());
        let (written, _) = self.handle.write_all_at(&file, 0, bytes.into()).await;
        written.unwrap();
        let memory = lent.memory().expect("whoever asked waits");
        let (read, _) = self.handle.read_full_at(&file, 0, memory).await;
        assert_eq!(read, Ok(said.length as usize));
        lent.land();
        let (landed, written) = self.lent.get();
        self.lent.set((landed + 1, written));
        request.answer(said.length);
    }

    async fn write_lent(&self, request: Incoming, lent: &Borrowed) {
        let said = request.request();
        let name = ObjectName::new(request.target().as_bytes()).unwrap();
        let mut bytes = vec![0; said.length as usize];
        lent.read(0, &mut bytes).unwrap();
        let (landed, before) = self.lent.get();
        self.lent.set((landed, before + 1));
        let scope = Scope(said.handle);
        match self.store.write(scope, &name, said.offset, &bytes).await {
            Ok(()) => request.answer(said.length),
            Err(error) => request.fail(error.errno()),
        }
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
        let lent = request.data().and_then(|data| self.handle.lent(data));
        match (self.failing.get(), lent) {
            (Some((failing, errno)), _) if failing == op => request.fail(errno),
            (_, Some(lent))
                if op == OpCode::READ && lent.is_known() && self.random.below(2) == 0 =>
            {
                self.read_lent(request, &lent).await;
            }
            (_, Some(lent))
                if op == OpCode::WRITE && request.request().flags & flags::LENT != 0 =>
            {
                self.write_lent(request, &lent).await;
            }
            _ => self.inner.handle(request).await,
        }
    }

    fn notice(&self, notice: Incoming) {
        notice.unsupported();
    }
}
