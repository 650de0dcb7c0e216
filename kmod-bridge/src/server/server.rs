//! The server as its owner sees it.
//!
//! # Invariants
//! * **SERVER-1** A drain refuses what is new with ESHUTDOWN and answers what is in flight, then closes (P2, F89).

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use archipelago_front::{Disks, Flow};
use archipelago_runtime::local::{Gate, Notify, Semaphore};
use archipelago_runtime::{Handle, Task};

use super::accept;
use super::connection::{self, Live};
use super::greeting;
use super::options::{OptionsError, ServerOptions};
use super::orphans::Orphans;

/// An NBD server on a reactor. Clones are the same server.
#[derive(Debug)]
pub struct Server<X: Disks> {
    shared: Rc<Shared<X>>,
}

#[derive(Debug)]
pub(super) struct Shared<X> {
    pub handle: Handle,
    pub exports: X,
    pub options: ServerOptions,
    pub draining: Cell<bool>,
    pub orphans: Orphans,
    pub receiving: Rc<Semaphore>,
    listeners: RefCell<Vec<Task<()>>>,
    live: RefCell<BTreeMap<u64, Live>>,
    connections: Gate,
    left: Notify,
    numbers: Cell<u64>,
}

impl<X: Disks> Clone for Server<X> {
    fn clone(&self) -> Self {
        let shared = self.shared.clone();
        Self { shared }
    }
}

impl<X: Disks> Server<X> {
    pub fn new(handle: &Handle, exports: X, options: ServerOptions) -> Result<Self, OptionsError> {
        options.check()?;
        let receiving = Rc::new(Semaphore::new(options.receiving_max));
        let shared = Rc::new(Shared {
            receiving,
            handle: handle.clone(),
            exports,
            options,
            draining: Cell::new(false),
            orphans: Orphans::default(),
            listeners: RefCell::default(),
            live: RefCell::default(),
            connections: Gate::new(),
            left: Notify::new(),
            numbers: Cell::new(1),
        });
        Ok(Self { shared })
    }

    /// Takes connections from a socket that listens ([`crate::bind_unix`], [`crate::bind_tcp`], or systemd's).
    pub fn listen(&self, listener: OwnedFd) {
        let accepting = accept::accept(self.shared.clone(), listener);
        let task = self.shared.handle.spawn(accepting);
        self.shared.listeners.borrow_mut().push(task);
    }

    /// Serves a connection that somebody else has taken.
    pub fn connect(&self, socket: OwnedFd) {
        self.shared.begin(socket);
    }

    /// Connections at this moment, those in the handshake and those whose last requests are being finished included.
    pub fn connections(&self) -> usize {
        self.shared.connections.inside()
    }

    /// Requests in flight at this moment.
    pub fn requests(&self) -> usize {
        let live = self.shared.live.borrow();
        let flows = live.values().filter_map(|live| live.flow.as_ref());
        flows.map(|flow| flow.in_flight()).sum()
    }

    /// Takes no more connections and no more requests, waits until all that are in flight were answered, but not longer
    /// than `within`, closes all connections, and waits for what they had begun (SERVER-1).
    pub async fn drain(&self, within: Duration) {
        let shared = &self.shared;
        shared.draining.set(true);
        for listener in shared.listeners.take() {
            listener.abort();
        }
        let live: Vec<Live> = shared.live.borrow().values().cloned().collect();
        let answered = async {
            for flow in live.iter().filter_map(|live| live.flow.as_ref()) {
                flow.empty().await;
            }
        };
        if shared.handle.timeout(within, answered).await.is_err() {
            tracing::warn!("clients that do not take their answers are disconnected");
        }
        for live in shared.live.borrow().values() {
            live.shut();
        }
        shared.connections.empty().await;
    }
}

impl<X: Disks> Shared<X> {
    /// Waits until one more connection may be had (ACCEPT-1).
    pub async fn room_for_one(&self) {
        while self.connections.inside() >= self.options.connections_max {
            self.left.notified().await;
        }
    }

    pub fn begin(self: &Rc<Self>, socket: OwnedFd) {
        let number = self.numbers.replace(self.numbers.get() + 1);
        // Only TCP has these: answers are sent as soon as they are there, and a client whose machine vanished is noticed.
        let _ = rustix::net::sockopt::set_tcp_nodelay(&socket, true);
        let _ = rustix::net::sockopt::set_socket_keepalive(&socket, true);
        let socket = Rc::new(socket);
        let inside = self.connections.enter();
        let live = Live {
            socket: socket.clone(),
            flow: None,
        };
        self.live.borrow_mut().insert(number, live);
        let shared = self.clone();
        self.handle.spawn(async move {
            shared.run(&socket, number).await;
            shared.live.borrow_mut().remove(&number);
            drop((socket, inside));
            shared.left.notify_all();
        });
    }

    async fn run(self: &Rc<Self>, socket: &Rc<OwnedFd>, number: u64) {
        let greeted = match greeting::greet(self, socket).await {
            Ok(greeted) => greeted,
            Err(error) => {
                tracing::debug!(connection = number, %error, "no export was chosen");
                return;
            }
        };
        let export = greeted.0.name.clone();
        tracing::info!(connection = number, %export, "connected");
        let flow = Flow::new(self.options.requests_max, self.options.bytes_max);
        if let Some(live) = self.live.borrow_mut().get_mut(&number) {
            live.flow = Some(flow.clone());
        }
        let end = connection::serve(self, socket, flow, number, greeted).await;
        tracing::info!(connection = number, %export, %end, "disconnected");
    }
}
