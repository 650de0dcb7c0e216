//! A disk, served over sockets.

use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use archipelago_front::{Disk, Front};
use archipelago_runtime::local::{Gate, Notify};
use archipelago_runtime::{Handle, Task};

use super::accept;
use super::options::{OptionsError, ServerOptions};
use super::shared::Shared;
use super::turns::Turns;
use crate::request::offered;

/// A device for one disk: one front end at a time. Clones are the same device.
///
/// The disk is open before there is a front end, and stays so between two of them. A front end asks for features and size first, and
/// stands still until it knows; one that comes back after a while expects the disk that it left, with what it has in flight, and
/// nobody may have taken or shrunk it meanwhile; and whoever maps a volume wants to hear at once that it cannot be.
#[derive(Debug)]
pub struct Server<D> {
    shared: Rc<Shared<D>>,
    listeners: Rc<RefCell<Vec<Task<()>>>>,
}

impl<D> Clone for Server<D> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            listeners: self.listeners.clone(),
        }
    }
}

impl<D: Disk> Server<D> {
    pub fn new(handle: &Handle, disk: D, options: &ServerOptions) -> Result<Self, OptionsError> {
        options.check()?;
        let features = offered(&disk.facts());
        let shared = Shared {
            handle: handle.clone(),
            front: Front::new(handle, disk, &options.front),
            serial: options.serial.clone(),
            features,
            queues: options.queues,
            turns: Turns::new(options.front.requests_max),
            current: RefCell::default(),
            connections: Gate::new(),
            version: Cell::new(0),
            changed: Notify::new(),
            elsewhere: Rc::default(),
            hold: Rc::default(),
        };
        Ok(Self {
            shared: Rc::new(shared),
            listeners: Rc::default(),
        })
    }

    /// Takes front ends from a socket that listens, until [`Server::drain`].
    pub fn listen(&self, listener: OwnedFd) {
        let accepting = accept::accept(self.shared.clone(), listener);
        let task = self.shared.handle.spawn(accepting);
        self.listeners.borrow_mut().push(task);
    }

    /// Serves a front end whose connection somebody else has taken, if there is no other one.
    pub fn connect(&self, socket: OwnedFd) {
        let shared = self.shared.clone();
        let admitted = async move { accept::admit(&shared, socket).await };
        drop(self.shared.handle.spawn(admitted));
    }

    /// Front ends at this moment: 1, also while the last requests of one that has left are being finished, or 0.
    pub fn front_ends(&self) -> usize {
        self.shared.connections.inside()
    }

    /// Requests in flight at this moment.
    pub fn requests(&self) -> usize {
        self.shared.turns.taken()
    }

    /// The disk has another size from now on, and the guest is told (VHOST-7).
    pub fn resize(&self, size_bytes: u64) {
        let shared = &self.shared;
        if shared.front.facts().size_bytes != size_bytes {
            shared.front.resized(size_bytes);
            shared.version.set(shared.version.get() + 1);
            shared.changed.notify_all();
        }
    }

    /// Takes no more front ends and nothing more out of rings, waits until all that was taken is answered, but not longer than
    /// `within`, ends the connection, and waits for what it had begun (VHOST-6). What was not answered by then never is: the guest's
    /// memory is its own again, and the next server does it once more, as after a death. What the kernel does in that memory is waited for, however long.
    pub async fn drain(&self, within: Duration) {
        let shared = &self.shared;
        for listener in self.listeners.take() {
            listener.abort();
        }
        shared.turns.close();
        let answered = shared.turns.empty();
        if shared.handle.timeout(within, answered).await.is_err() {
            tracing::warn!("a guest is disconnected with requests in flight");
            shared.hold.cut().await;
        }
        if let Some(socket) = &*shared.current.borrow() {
            // If the other side was quicker there is nothing left to shut.
            let _ = rustix::net::shutdown(socket, rustix::net::Shutdown::Both);
        }
        shared.connections.empty().await;
    }
}
