//! The thread that waits for streams when there is no io_uring: one for all of them.
//!
//! # Invariants
//! * **POLLER-1** A stream's operation that is given up takes no bytes and no connection from then on: its completion says
//!   that it was cancelled, or what had happened before.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::event::EventfdFlags;
use rustix::io::Errno;

use crate::kernel::{RawCall, block_all_signals, wait_for_streams};
use crate::remote::{Remote, lock};

/// Started by the first operation.
#[derive(Debug)]
pub(crate) struct Poller {
    remote: Arc<Remote>,
    running: RefCell<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    bell: OwnedFd,
    orders: Mutex<Vec<Order>>,
}

#[derive(Debug)]
enum Order {
    Add(u64, RawCall),
    Cancel(u64),
    /// Ends when nothing is left: operations are cancelled first.
    Stop,
}

impl Poller {
    pub fn new(remote: Arc<Remote>) -> Self {
        Self {
            remote,
            running: RefCell::default(),
        }
    }

    /// Does `call` when its stream is ready.
    pub fn add(&self, token: u64, call: RawCall) {
        if let Err(errno) = self.start() {
            self.remote.push_finished((token, -errno.raw_os_error()));
            return;
        }
        self.order(Order::Add(token, call));
    }

    pub fn cancel(&self, token: u64) {
        self.order(Order::Cancel(token));
    }

    pub fn stop(&self) {
        self.order(Order::Stop);
    }

    pub fn join(&self) {
        if let Some(running) = self.running.take() {
            let _ = running.thread.join(); // it cannot panic
        }
    }

    fn start(&self) -> Result<(), Errno> {
        let mut running = self.running.borrow_mut();
        if running.is_some() {
            return Ok(());
        }
        let shared = Arc::new(Shared {
            bell: rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            orders: Mutex::default(),
        });
        let (own, remote) = (shared.clone(), self.remote.clone());
        let thread = std::thread::Builder::new()
            .name("poller".into())
            .spawn(move || own.run(&remote))
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::AGAIN))?;
        *running = Some(Running { shared, thread });
        Ok(())
    }

    fn order(&self, order: Order) {
        if let Some(running) = &*self.running.borrow() {
            lock(&running.shared.orders).push(order);
            // Full means rung already.
            let _ = rustix::io::write(&running.shared.bell, &1_u64.to_ne_bytes());
        }
    }
}

impl Shared {
    fn run(&self, remote: &Remote) {
        block_all_signals();
        let mut calls: Vec<(u64, RawCall)> = Vec::new();
        let mut stops = false;
        let mut ended = Vec::new();
        loop {
            let mut count = [0; 8];
            let _ = rustix::io::read(&self.bell, &mut count); // before the orders are looked at
            for order in std::mem::take(&mut *lock(&self.orders)) {
                match order {
                    Order::Add(token, call) => calls.push((token, call)),
                    Order::Cancel(token) => {
                        if let Some(place) = calls.iter().position(|(other, _)| *other == token) {
                            calls.swap_remove(place); // POLLER-1
                            remote.push_finished((token, -Errno::CANCELED.raw_os_error()));
                        }
                    }
                    Order::Stop => stops = true,
                }
            }
            if stops && calls.is_empty() {
                return;
            }
            wait_for_streams(&self.bell, &calls, |place, result| {
                ended.push((place, result));
            });
            // From the back, so that the places before stay what they are.
            for (place, result) in ended.drain(..).rev() {
                let (token, _) = calls.swap_remove(place);
                remote.push_finished((token, result));
            }
        }
    }
}
