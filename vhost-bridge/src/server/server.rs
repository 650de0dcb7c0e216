//! A disk, served over a socket.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use archipelago_front::{Disk, Front};
use archipelago_runtime::Handle;
use rustix::io::Errno;

use super::connection::Connection;
use super::error::ConnectionError;
use super::link::Link;
use super::options::ServerOptions;
use super::ring::Shared;
use crate::request::{Config, offered};
use crate::session::Offer;

/// A device for one disk: one front end at a time.
#[derive(Debug)]
pub struct Server<D> {
    shared: Rc<Shared<D>>,
    offer: Offer,
}

impl<D: Disk> Server<D> {
    pub fn new(handle: &Handle, disk: D, options: &ServerOptions) -> Self {
        let facts = disk.facts();
        Self {
            shared: Rc::new(Shared {
                handle: handle.clone(),
                front: Front::new(handle, disk, &options.front),
                serial: options.serial.clone(),
            }),
            offer: Offer {
                features: offered(&facts),
                config: Config::new(&facts, options.queues),
            },
        }
    }

    /// Serves one front end after the other (VHOST-1). Ends only when the listener fails.
    pub async fn serve(&self, listener: &Rc<OwnedFd>) -> Result<(), Errno> {
        loop {
            let socket = self.shared.handle.accept(listener).await?;
            match self.serve_connection(socket).await {
                Ok(()) => tracing::debug!("a front end has left"),
                Err(error) => tracing::warn!(%error, "a front end's connection was ended"),
            }
        }
    }

    /// Serves one front end, until it leaves or makes no sense; nothing of it is in flight afterwards.
    pub async fn serve_connection(&self, socket: OwnedFd) -> Result<(), ConnectionError> {
        let link = Link::new(&self.shared.handle, socket);
        Connection::new(&self.shared, self.offer, link)
            .serve()
            .await
    }
}
