use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use archipelago_front::{Disk, Front};
use archipelago_runtime::Handle;
use archipelago_runtime::local::{Gate, Notify};

use super::elsewhere::Elsewhere;
use super::hold::Hold;
use super::turns::Turns;
use crate::request::Config;

/// What all connections and rings of a device have.
#[derive(Debug)]
pub struct Shared<D> {
    pub handle: Handle,
    pub front: Front<D>,
    pub serial: String,
    /// Feature bits that are offered.
    pub features: u64,
    pub queues: u16,
    pub turns: Turns<D>,
    /// The front end's socket, if there is one.
    pub current: RefCell<Option<Rc<OwnedFd>>>,
    /// Who is connected, until the last of its requests is done.
    pub connections: Gate,
    /// How often the configuration has changed.
    pub version: Cell<u64>,
    pub changed: Notify,
    /// For what may wait for ever.
    pub elsewhere: Rc<Elsewhere>,
    pub hold: Rc<Hold>,
}

impl<D: Disk> Shared<D> {
    /// As it is now: the disk may be resized.
    pub fn config(&self) -> Config {
        Config::new(&self.front.facts(), self.queues)
    }
}
