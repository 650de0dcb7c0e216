//! A ring at work: chains in, completions out.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use archipelago_front::{Command, Disk, Front};
use archipelago_runtime::Handle;
use archipelago_runtime::local::{Gate, GateGuard};
use xseg::Errno;

use super::carrier::GuestCarrier;
use super::error::RingError;
use super::signals::Signals;
use crate::guest::Ram;
use crate::inflight::Inflight;
use crate::message::RingAddresses;
use crate::queue::{GuestMemory, Layout, SplitQueue};
use crate::request::{BlockRequest, DeviceFeatures, Job, Parts, Status};
use crate::session::RingSetup;

const ID_BYTES: usize = 20;

/// What all rings of a device have.
#[derive(Debug)]
pub struct Shared<D> {
    pub handle: Handle,
    pub front: Front<D>,
    pub serial: String,
}

/// A ring, from its start until its stop.
#[derive(Debug)]
pub struct Ring<D> {
    shared: Rc<Shared<D>>,
    index: u16,
    features: DeviceFeatures,
    signals: Rc<Signals>,
    addresses: RingAddresses,
    work: RefCell<Work>,
    is_enabled: Cell<bool>,
    is_paused: Cell<bool>,
    is_broken: Cell<bool>,
    inside: Gate,
}

#[derive(Debug)]
struct Work {
    ram: Rc<Ram>,
    queue: SplitQueue,
    inflight: Option<(Rc<Ram>, Inflight)>,
}

impl<D: Disk> Ring<D> {
    /// What a predecessor had in flight is done again at once.
    pub fn start(
        shared: &Rc<Shared<D>>,
        (index, setup): (u16, &RingSetup),
        features: DeviceFeatures,
        signals: &Rc<Signals>,
        ram: &Rc<Ram>,
        region: Option<&(Rc<Ram>, u16)>,
    ) -> Result<Rc<Self>, RingError> {
        let addresses = setup.addresses;
        let layout = layout(ram, setup.size, &addresses)?;
        let queue = SplitQueue::new(&**ram, layout, features.queue, setup.next_available)?;
        let mut work = Work {
            ram: ram.clone(),
            queue,
            inflight: None,
        };
        let mut again = Vec::new();
        if let Some((memory, region_size)) = region {
            let used = work.queue.next_used();
            let place = (index, *region_size);
            let (inflight, recovered) = Inflight::open(&**memory, place, &layout, used)?;
            again = recovered.heads;
            if !again.is_empty() {
                work.queue.go_on_at(recovered.next_available);
            }
            work.inflight = Some((memory.clone(), inflight));
        }
        let ring = Rc::new(Self {
            shared: shared.clone(),
            index,
            features,
            signals: signals.clone(),
            addresses,
            work: RefCell::new(work),
            is_enabled: Cell::new(setup.is_enabled),
            is_paused: Cell::new(false),
            is_broken: Cell::new(false),
            inside: Gate::new(),
        });
        let requests: Result<Vec<BlockRequest>, RingError> =
            again.iter().map(|head| ring.take_again(*head)).collect();
        for request in requests? {
            ring.begin(request);
        }
        ring.signals.call(); // VHOST-4
        Ok(ring)
    }

    fn take_again(&self, head: u16) -> Result<BlockRequest, RingError> {
        let mut work = self.work.borrow_mut();
        let Work { ram, queue, .. } = &mut *work;
        let chain = queue.take(&**ram, head)?;
        Ok(BlockRequest::parse(&**ram, chain, &self.features)?)
    }

    /// Takes all that there is.
    pub fn take_all(self: &Rc<Self>) {
        while self.may_take() {
            match self.take() {
                Ok(Some(request)) => self.begin(request),
                Ok(None) => return,
                Err(error) => self.break_down(&error),
            }
        }
    }

    fn may_take(&self) -> bool {
        self.is_enabled.get() && !self.is_paused.get() && !self.is_broken.get()
    }

    /// `None`: there is nothing more, and a kick will come when there is.
    fn take(&self) -> Result<Option<BlockRequest>, RingError> {
        let mut work = self.work.borrow_mut();
        let Work {
            ram,
            queue,
            inflight,
        } = &mut *work;
        loop {
            if let Some(chain) = queue.pop(&**ram)? {
                if let Some((memory, inflight)) = inflight {
                    inflight.begin(&**memory, chain.head)?;
                }
                return Ok(Some(BlockRequest::parse(&**ram, chain, &self.features)?));
            }
            if !queue.listen(&**ram)? {
                return Ok(None);
            }
        }
    }

    fn begin(self: &Rc<Self>, request: BlockRequest) {
        let (ring, inside) = (self.clone(), self.inside.enter());
        let work = async move { ring.perform(request, inside).await };
        drop(self.shared.handle.spawn(work));
    }

    async fn perform(self: Rc<Self>, request: BlockRequest, _inside: GateGuard) {
        let ram = self.work.borrow().ram.clone();
        let BlockRequest {
            head,
            job,
            data,
            status_at,
        } = request;
        let is_read = match &job {
            Job::Carry(request) => request.command == Command::Read,
            Job::Identify => true,
            Job::Do(_) | Job::Refuse(_) => false,
        };
        let data_bytes = if is_read { data.len_bytes() } else { 0 };
        let status = self.do_job(&ram, job, data).await;
        let written_bytes = u32::try_from(data_bytes + 1).unwrap_or(u32::MAX);
        let completed = self.complete(&ram, head, (status_at, status), written_bytes);
        if let Err(error) = completed {
            self.break_down(&error);
        }
    }

    async fn do_job(&self, ram: &Rc<Ram>, job: Job, data: Parts) -> Status {
        let front = &self.shared.front;
        let result = match job {
            Job::Carry(request) => {
                let carrier = Rc::new(GuestCarrier::new(ram.clone(), data));
                front.perform(request, carrier).await
            }
            Job::Do(requests) => {
                let facts = front.facts();
                let mut result = requests.iter().try_for_each(|request| request.judge(facts));
                for request in requests {
                    if result.is_ok() {
                        let carrier = GuestCarrier::new(ram.clone(), Parts::default());
                        result = front.perform(request, Rc::new(carrier)).await;
                    }
                }
                result
            }
            Job::Identify => {
                let mut id = [0; ID_BYTES];
                let serial = self.shared.serial.bytes();
                id.iter_mut().zip(serial).for_each(|(to, from)| *to = from);
                let written = data.write(&**ram, 0, &id);
                written.map(drop).map_err(|_| Errno::FAULT)
            }
            Job::Refuse(status) => return status,
        };
        Status::of(result)
    }

    fn complete(
        &self,
        ram: &Ram,
        head: u16,
        (status_at, status): (u64, Status),
        written_bytes: u32,
    ) -> Result<(), RingError> {
        if self.is_broken.get() {
            return Ok(());
        }
        ram.write(status_at, &[status as u8])?;
        let mut work = self.work.borrow_mut();
        let Work {
            queue, inflight, ..
        } = &mut *work;
        if let Some((memory, inflight)) = inflight {
            inflight.ending(&**memory, head)?;
        }
        let wants_to_know = queue.push(ram, head, written_bytes)?;
        if let Some((memory, inflight)) = inflight {
            inflight.ended(&**memory, head, queue.next_used())?;
        }
        if wants_to_know {
            self.signals.call();
        }
        Ok(())
    }

    /// VHOST-3
    pub fn break_down(&self, error: &RingError) {
        if !self.is_broken.replace(true) {
            tracing::warn!(ring = self.index, %error, "a guest's ring makes no sense: it is left alone");
            self.signals.err();
        }
    }

    pub fn is_broken(&self) -> bool {
        self.is_broken.get()
    }

    pub fn enable(self: &Rc<Self>, is_enabled: bool) {
        self.is_enabled.set(is_enabled);
        self.take_all();
    }

    /// Takes nothing more, and waits until all that was taken is done (VHOST-2).
    pub async fn pause(&self) {
        self.is_paused.set(true);
        self.inside.empty().await;
    }

    /// Goes on after a pause, in other memory.
    pub fn go_on(self: &Rc<Self>, ram: &Rc<Ram>) {
        let moved = self.move_to(ram);
        if let Err(error) = moved {
            self.break_down(&error);
        }
        self.is_paused.set(false);
        self.take_all();
    }

    fn move_to(&self, ram: &Rc<Ram>) -> Result<(), RingError> {
        let mut work = self.work.borrow_mut();
        let size = work.queue.layout().size();
        let layout = layout(ram, size, &self.addresses)?;
        work.queue.move_to(layout)?;
        work.ram = ram.clone();
        Ok(())
    }

    pub fn next_available(&self) -> u16 {
        self.work.borrow().queue.next_available()
    }
}

fn layout(ram: &Ram, size: u16, addresses: &RingAddresses) -> Result<Layout, RingError> {
    let places = [
        ram.guest_address(addresses.descriptors)?,
        ram.guest_address(addresses.available)?,
        ram.guest_address(addresses.used)?,
    ];
    Ok(Layout::new(ram, size.into(), places)?)
}
