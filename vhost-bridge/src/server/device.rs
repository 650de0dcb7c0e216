//! What a connection has: memory, rings, an in-flight region.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use archipelago_front::Disk;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};

use super::channel::Channel;
use super::error::{ConnectionError, RingError};
use super::foreign::Foreign;
use super::ring::Ring;
use super::running::Running;
use super::shared::Shared;
use super::signals::Signals;
use crate::guest::Ram;
use crate::inflight::Inflight;
use crate::message::{ConfigRange, InflightFacts, Region};
use crate::request::DeviceFeatures;
use crate::session::{Action, RingSetup};

/// The device, as one front end sees it.
#[derive(Debug)]
pub struct Device<D: Disk> {
    shared: Rc<Shared<D>>,
    ram: Rc<Ram>,
    /// With the size of the rings that it is for.
    region: Option<(Rc<Ram>, u16)>,
    rings: Vec<Option<Running<D>>>,
    signals: Vec<Rc<Signals>>,
    /// As the configuration was when the front end came.
    version: u64,
    channel: Option<Channel<D>>,
    /// A ring has, at least once.
    has_started: bool,
    /// The front end was asked to look at the configuration.
    is_told: bool,
}

/// What comes of an action, if the answer needs it.
#[derive(Debug)]
pub enum Outcome {
    Nothing,
    /// Where a ring stopped; `None`: it had not started.
    Stopped(u16, Option<u16>),
    Inflight(InflightFacts, OwnedFd),
    Config(ConfigRange),
}

impl<D: Disk> Device<D> {
    pub fn new(shared: &Rc<Shared<D>>) -> Self {
        let queues = shared.queues;
        let signals = |_| Rc::new(Signals::new(&shared.handle, &shared.elsewhere));
        Self {
            shared: shared.clone(),
            ram: Rc::default(),
            region: None,
            rings: (0..queues).map(|_| None).collect(),
            signals: (0..queues).map(signals).collect(),
            version: shared.version.get(),
            channel: None,
            has_started: false,
            is_told: false,
        }
    }

    /// Indices are of rings that there are, and descriptors as many as the message has: the session has seen to both.
    pub async fn apply(
        &mut self,
        action: Action,
        features: DeviceFeatures,
        fds: Vec<Foreign>,
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
                let kick = first_event(fds)?;
                let running = self.rings[usize::from(index)].as_mut();
                if let (Some(running), Some(kick)) = (running, kick) {
                    running.kicked_by(&self.shared.handle, kick);
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
                signals.set_call(first_event(fds)?);
                signals.call(); // VHOST-4
            }
            Action::Err(index) => self.signals[usize::from(index)].set_err(first_event(fds)?),
            Action::MakeInflight(facts) => return make_region(&facts),
            Action::TakeInflight(facts) => {
                if let Some(fd) = first {
                    self.take_region(&facts, fd.as_fd())?;
                }
            }
            Action::TellConfig(mut range) => {
                let config = self.shared.config();
                range.bytes = config.range(range.offset, range.bytes.len());
                return Ok(Outcome::Config(range));
            }
            Action::TakeChannel => {
                let socket = fds.into_iter().next().map(Foreign::into_socket);
                let channel = |socket| Channel::new(&self.shared, socket, self.version);
                self.channel = socket.transpose()?.map(channel);
                self.tell_once();
            }
            Action::StopAll => {
                self.rest();
                for index in 0..self.rings.len() {
                    self.stop(index as u16).await;
                }
            }
        }
        Ok(Outcome::Nothing)
    }

    fn take_region(
        &mut self,
        facts: &InflightFacts,
        fd: BorrowedFd<'_>,
    ) -> Result<(), ConnectionError> {
        let region = Region {
            guest_at: 0,
            len_bytes: facts.len_bytes,
            user_at: 0,
            file_offset: facts.file_offset,
        };
        let memory = Ram::new().with(region, fd)?;
        self.region = Some((Rc::new(memory), facts.queue_size));
        Ok(())
    }

    fn start(
        &mut self,
        index: u16,
        setup: &RingSetup,
        features: DeviceFeatures,
        fds: Vec<Foreign>,
    ) -> Result<(), ConnectionError> {
        let kick = first_event(fds)?.ok_or(RingError::KickEnded)?;
        let signals = &self.signals[usize::from(index)];
        let region = self.region.as_ref();
        let place = (index, setup);
        let ring = Ring::start(&self.shared, place, features, signals, &self.ram, region);
        let ring = ring.inspect_err(|_| signals.err())?;
        let running = Running::new(&self.shared.handle, ring, kick);
        self.rings[usize::from(index)] = Some(running);
        self.has_started = true;
        self.tell_once();
        Ok(())
    }

    /// VHOST-7: while nobody was connected the disk may have got another size, and a front end that looked long ago does not ask
    /// again by itself. While its rings rest it would not listen.
    fn tell_once(&mut self) {
        if let Some(channel) = &self.channel
            && self.has_started
            && !std::mem::replace(&mut self.is_told, true)
        {
            channel.tell();
        }
    }

    /// All rings take nothing more from now on. Before one is waited for: others would go on meanwhile, in memory that their front end
    /// believes to be free (VHOST-2).
    fn rest(&self) {
        for running in self.rings.iter().flatten() {
            running.ring.rest();
        }
    }

    async fn stop(&mut self, index: u16) -> Outcome {
        let Some(running) = self.rings[usize::from(index)].take() else {
            return Outcome::Stopped(index, None);
        };
        let ring = running.stop().await; // VHOST-2
        ring.forget();
        Outcome::Stopped(index, Some(ring.next_available()))
    }

    /// Takes nothing more, and waits for what was taken (VHOST-1). What could not be answered stays in the in-flight region.
    pub async fn stop_all(&mut self) {
        self.rest();
        for running in self.rings.iter_mut().filter_map(Option::take) {
            running.stop().await;
        }
    }

    /// Other memory from now on: with nothing in flight (VHOST-2).
    async fn exchange(&mut self, ram: Ram) {
        self.rest();
        for running in self.rings.iter().flatten() {
            running.ring.pause().await;
        }
        self.ram = Rc::new(ram);
        for running in self.rings.iter().flatten() {
            running.ring.go_on(&self.ram);
        }
    }
}

fn first_event(fds: Vec<Foreign>) -> Result<Option<OwnedFd>, ConnectionError> {
    let first = fds.into_iter().next();
    first.map(Foreign::into_event).transpose()
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
