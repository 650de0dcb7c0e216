//! The server as its owner sees it.
//!
//! # Invariants
//! * **SERVER-1** A drain refuses what is new with ESHUTDOWN and answers what is in flight, then closes (P2, F89).

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use archipelago_front::{DiskName, Disks, Flow, Orphans};
use archipelago_runtime::local::{Gate, Notify, Semaphore};
use archipelago_runtime::{Handle, Task};

use super::accept;
use super::budget::Budget;
use super::connection::{self, Export, Live};
use super::exposure::{self, ListenError};
use super::greeting;
use super::hall::{Hall, Place};
use super::link::Link;
use super::options::{OptionsError, ServerOptions};
use crate::handshake::Security;

/// How long a TCP client is silent until its machine is asked whether it is there, how often, and how many questions without
/// an answer mean that it is not.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_COUNT: u32 = 8;

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
    /// Answers that may be on their way out of an export's buffers at a time.
    pub sending: Rc<Semaphore>,
    pub budget: Rc<Budget>,
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
        let budget = Budget::new(options.memory_max, options.connections_max);
        let sending = Rc::new(Semaphore::new(options.sending_max));
        let shared = Rc::new(Shared {
            receiving,
            sending,
            budget,
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

    /// Takes connections from a socket that listens ([`crate::bind_unix`], [`crate::bind_tcp`], or [`crate::activated`]).
    /// One that other machines can reach is refused if there is no certificate (EXPOSURE-1).
    pub fn listen(&self, listener: OwnedFd) -> Result<(), ListenError> {
        let security = exposure::security(&listener, &self.shared.options)?;
        let accepting = accept::accept(self.shared.clone(), listener, security);
        let task = self.shared.handle.spawn(accepting);
        self.shared.listeners.borrow_mut().push(task);
        Ok(())
    }

    /// Serves a connection that somebody else has taken, on the same condition.
    pub fn connect(&self, socket: OwnedFd) -> Result<(), ListenError> {
        let security = exposure::security(&socket, &self.shared.options)?;
        self.shared.begin(socket, security, None);
        Ok(())
    }

    /// Connections at this moment, those in the handshake and those whose last requests are being finished included.
    pub fn connections(&self) -> usize {
        self.shared.connections.inside()
    }

    /// Requests in flight at this moment.
    pub fn requests(&self) -> usize {
        let live = self.shared.live.borrow();
        let exports = live.values().filter_map(|live| live.export.as_ref());
        exports.map(|export| export.flow.in_flight()).sum()
    }

    /// An export has another size now. Those who are connected to it may use all of it, and no more; the protocol has no word by which
    /// to tell them.
    pub fn resized(&self, name: &DiskName, size_bytes: u64) {
        let live = self.shared.live.borrow();
        let exports = live.values().filter_map(|live| live.export.as_ref());
        for export in exports.filter(|export| export.name == *name) {
            export.size_bytes.set(size_bytes);
        }
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
            for export in live.iter().filter_map(|live| live.export.as_ref()) {
                export.flow.empty().await;
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

/// Only TCP has these: answers are sent as soon as they are there, and a client whose machine vanished is noticed after a
/// few minutes, however idle it was.
fn tune(socket: &OwnedFd) {
    use rustix::net::sockopt;
    let _ = sockopt::set_tcp_nodelay(socket, true);
    let _ = sockopt::set_socket_keepalive(socket, true);
    let _ = sockopt::set_tcp_keepidle(socket, KEEPALIVE_IDLE);
    let _ = sockopt::set_tcp_keepintvl(socket, KEEPALIVE_INTERVAL);
    let _ = sockopt::set_tcp_keepcnt(socket, KEEPALIVE_COUNT);
}

impl<X: Disks> Shared<X> {
    /// Waits until one more connection may be had (ACCEPT-1).
    pub async fn room_for_one(&self) {
        while self.connections.inside() >= self.options.connections_max {
            self.left.notified().await;
        }
    }

    /// Waits until `name` may be opened: nothing goes on that a client had asked for who is gone, or who has hung up and whose
    /// connection has yet to read that (ORPHAN-1).
    pub async fn settled(&self, name: &DiskName) {
        loop {
            self.orphans.settled(name.as_str()).await;
            let is_in_the_way = |live: &Live| {
                let export = live.export.as_ref();
                export.is_some_and(|export| export.name == *name) && live.is_left()
            };
            if !self.live.borrow().values().any(is_in_the_way) {
                return;
            }
            self.left.notified().await;
        }
    }

    pub fn begin(self: &Rc<Self>, socket: OwnedFd, security: Security, hall: Option<&Rc<Hall>>) {
        let number = self.numbers.replace(self.numbers.get() + 1);
        tune(&socket);
        let socket = Rc::new(socket);
        let inside = self.connections.enter();
        let place = hall.map(|hall| hall.enter(number, self.handle.now_ns()));
        let live = Live {
            network: socket.clone(),
            socket: socket.clone(),
            export: None,
        };
        self.live.borrow_mut().insert(number, live);
        let shared = self.clone();
        self.handle.spawn(async move {
            let mut link = Link::plain(socket);
            shared.run(&mut link, number, (security, place)).await;
            link.finish(&shared.handle).await;
            shared.live.borrow_mut().remove(&number);
            drop(inside);
            shared.left.notify_all();
        });
    }

    /// From now on the connection's bytes pass through another socket.
    pub fn moved(&self, number: u64, socket: &Rc<OwnedFd>) {
        if let Some(live) = self.live.borrow_mut().get_mut(&number) {
            live.socket = socket.clone();
        }
    }

    /// Somebody who has named no export yet.
    pub fn send_away(&self, number: u64) {
        if let Some(live) = self.live.borrow().get(&number) {
            tracing::warn!(connection = number, "a silent client makes room for others");
            let _ = rustix::net::shutdown(&live.network, rustix::net::Shutdown::Both); // or it has gone by itself
        }
    }

    async fn run(
        self: &Rc<Self>,
        link: &mut Link,
        number: u64,
        arrived: (Security, Option<Place>),
    ) {
        let greeted = match greeting::greet(self, link, number, arrived).await {
            Ok(greeted) => greeted,
            Err(error) => {
                tracing::debug!(connection = number, %error, "no export was chosen");
                return;
            }
        };
        let export = greeted.0.name.clone();
        tracing::info!(connection = number, %export, "connected");
        let chosen = Export {
            name: export.clone(),
            flow: Flow::new(self.options.requests_max, self.options.bytes_max),
            size_bytes: Rc::new(Cell::new(greeted.0.facts.size_bytes)),
        };
        if let Some(live) = self.live.borrow_mut().get_mut(&number) {
            live.export = Some(chosen.clone());
        }
        let end = connection::serve(self, link.socket(), chosen, number, greeted).await;
        tracing::info!(connection = number, %export, %end, "disconnected");
    }
}
