//! What a connection has: memory, rings, an in-flight region.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use archipelago_front::Disk;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};

use super::error::{ConnectionError, RingError};
use super::ring::{Ring, Shared};
use super::running::Running;
use super::signals::{Signals, make_nonblocking};
use crate::guest::Ram;
use crate::inflight::Inflight;
use crate::message::{InflightFacts, Region};
use crate::request::DeviceFeatures;
use crate::session::{Action, RingSetup};

/// The device, as one front end sees it.
#[derive(Debug)]
pub struct Device<D> {
    shared: Rc<Shared<D>>,
    ram: Rc<Ram>,
    /// With the size of the rings that it is for.
    region: Option<(Rc<Ram>, u16)>,
    rings: Vec<Option<Running<D>>>,
    signals: Vec<Rc<Signals>>,
}

/// What comes of an action, if the answer needs it.
#[derive(Debug)]
pub enum Outcome {
    Nothing,
    /// Where a ring stopped; `None`: it had not started.
    Stopped(u16, Option<u16>),
    Inflight(InflightFacts, OwnedFd),
}

impl<D: Disk> Device<D> {
    pub fn new(shared: &Rc<Shared<D>>, queues: u16) -> Self {
        Self {
            shared: shared.clone(),
            ram: Rc::default(),
            region: None,
            rings: (0..queues).map(|_| None).collect(),
            signals: (0..queues).map(|_| Rc::default()).collect(),
        }
    }

    /// Indices are of rings that there are, and descriptors as many as the message has: the session has seen to both.
    pub async fn apply(
        &mut self,
        action: Action,
        features: DeviceFeatures,
        fds: Vec<OwnedFd>,
    ) -> Result<Outcome, ConnectionError> {
        let first = fds.first();
        match action {
            Action::Nothing => {}
            Action::SetMemory(regions) => {
                let mut ram = Ram::new();
                for (region, fd) in regions.iter().zip(&fds) {
                    ram = ram.with(*region, fd.as_fd())?;
                }
                self.exchange(ram).await;
            }
            Action::AddMemory(region) => {
                if let Some(fd) = first {
                    let ram = self.ram.with(region, fd.as_fd())?;
                    self.exchange(ram).await;
                }
            }
            Action::RemoveMemory(region) => {
                let ram = self.ram.without(&region)?;
                self.exchange(ram).await;
            }
            Action::Start(index, setup) => self.start(index, &setup, features, fds)?,
            Action::Kick(index) => {
                let running = self.rings[usize::from(index)].take();
                if let (Some(running), Some(kick)) = (running, fds.into_iter().next()) {
                    let running = running.kicked_by(&self.shared.handle, kick)?;
                    self.rings[usize::from(index)] = Some(running);
                }
            }
            Action::Stop(index) => return Ok(self.stop(index).await),
            Action::Enable(index, is_enabled) => {
                if let Some(running) = &self.rings[usize::from(index)] {
                    running.ring.enable(is_enabled);
                }
            }
            Action::Call(index) => {
                let signals = &self.signals[usize::from(index)];
                signals.set_call(nonblocking(fds)?);
                signals.call(); // VHOST-4
            }
            Action::Err(index) => self.signals[usize::from(index)].set_err(nonblocking(fds)?),
            Action::MakeInflight(facts) => return make_region(&facts),
            Action::TakeInflight(facts) => {
                if let Some(fd) = first {
                    let region = Region {
                        guest_at: 0,
                        len_bytes: facts.len_bytes,
                        user_at: 0,
                        file_offset: facts.file_offset,
                    };
                    let memory = Ram::new().with(region, fd.as_fd())?;
                    self.region = Some((Rc::new(memory), facts.queue_size));
                }
            }
            Action::StopAll => self.stop_all().await,
        }
        Ok(Outcome::Nothing)
    }

    fn start(
        &mut self,
        index: u16,
        setup: &RingSetup,
        features: DeviceFeatures,
        fds: Vec<OwnedFd>,
    ) -> Result<(), ConnectionError> {
        let signals = &self.signals[usize::from(index)];
        let region = self.region.as_ref();
        let place = (index, setup);
        let ring = Ring::start(&self.shared, place, features, signals, &self.ram, region);
        let ring = ring.inspect_err(|_| signals.err())?;
        let kick = fds.into_iter().next().ok_or(RingError::KickEnded)?;
        let running = Running::new(&self.shared.handle, ring, kick)?;
        self.rings[usize::from(index)] = Some(running);
        Ok(())
    }

    async fn stop(&mut self, index: u16) -> Outcome {
        let Some(running) = self.rings[usize::from(index)].take() else {
            return Outcome::Stopped(index, None);
        };
        let ring = running.stop().await; // VHOST-2
        Outcome::Stopped(index, Some(ring.next_available()))
    }

    /// Takes nothing more, and waits for what was taken (VHOST-1).
    pub async fn stop_all(&mut self) {
        for index in 0..self.rings.len() {
            self.stop(index as u16).await;
        }
    }

    /// Other memory from now on: with nothing in flight (VHOST-2).
    async fn exchange(&mut self, ram: Ram) {
        for running in self.rings.iter().flatten() {
            running.ring.pause().await;
        }
        self.ram = Rc::new(ram);
        for running in self.rings.iter().flatten() {
            running.ring.go_on(&self.ram);
        }
    }
}

fn nonblocking(fds: Vec<OwnedFd>) -> Result<Option<OwnedFd>, ConnectionError> {
    let fd = fds.into_iter().next();
    if let Some(fd) = &fd {
        make_nonblocking(fd).map_err(ConnectionError::Descriptor)?;
    }
    Ok(fd)
}

/// A new region, which the front end keeps for us.
fn make_region(facts: &InflightFacts) -> Result<Outcome, ConnectionError> {
    let len_bytes = Inflight::len_bytes(facts.queues, facts.queue_size);
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = memfd_create("in-flight", flags).map_err(ConnectionError::Descriptor)?;
    ftruncate(&fd, len_bytes).map_err(ConnectionError::Descriptor)?;
    // A file that shrinks while it is mapped ends the process by a bus error: this one cannot.
    let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    fcntl_add_seals(&fd, seals).map_err(ConnectionError::Descriptor)?;
    let facts = InflightFacts {
        len_bytes,
        file_offset: 0,
        ..*facts
    };
    Ok(Outcome::Inflight(facts, fd))
}
