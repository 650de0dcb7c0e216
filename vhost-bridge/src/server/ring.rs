//! A ring at work: chains in, completions out.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use archipelago_front::{Command, Disk, Request};
use archipelago_runtime::Watch;
use archipelago_runtime::local::{Gate, GateGuard, Notify};

use super::carrier::GuestCarrier;
use super::error::RingError;
use super::shared::Shared;
use super::signals::Signals;
use super::turns::Turn;
use crate::guest::Ram;
use crate::inflight::Inflight;
use crate::message::RingAddresses;
use crate::queue::{GuestMemory, Layout, SplitQueue};
use crate::request::{BlockRequest, DeviceFeatures, Job, Parts, Status};
use crate::session::RingSetup;

const ID_BYTES: usize = 20;

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
    /// It is in the queue for a turn.
    is_waiting: Cell<bool>,
    /// The reactor looks at it, so the guest need not kick.
    is_watched: Cell<bool>,
    /// The reactor has seen something in it.
    seen: Notify,
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
        let mut work = Work {
            ram: ram.clone(),
            queue: SplitQueue::new(&**ram, layout, features.queue, setup.next_available)?,
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
            is_waiting: Cell::new(false),
            is_watched: Cell::new(false),
            seen: Notify::new(),
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

    /// Takes all that there is, as far as there are turns.
    pub fn take_all(self: &Rc<Self>) {
        while self.may_take() {
            if !self.shared.turns.has_room() {
                if !self.is_waiting.replace(true) {
                    self.shared.turns.wait(self);
                }
                return;
            }
            match self.take() {
                Ok(Some(request)) => self.begin(request),
                Ok(None) => return self.be_watched(),
                Err(error) => self.break_down(&error),
            }
        }
    }

    /// There is nothing more, and the guest is not asked to tell as long as the reactor is awake (VHOST-10).
    fn be_watched(self: &Rc<Self>) {
        if !self.is_watched.replace(true) {
            let own: Weak<Self> = Rc::downgrade(self);
            self.shared.handle.watch(own);
        }
    }

    /// Waits until the reactor has seen something in the ring.
    pub async fn seen(&self) {
        self.seen.notified().await;
    }

    /// There is a turn for this ring.
    pub fn go_on_after_waiting(self: &Rc<Self>) {
        self.is_waiting.set(false);
        self.take_all();
    }

    /// Has somebody to find out what the guest puts there? Else whoever lets the ring go on takes it.
    fn is_open(&self) -> bool {
        self.may_take() && !self.shared.hold.is_cut() && !self.is_waiting.get()
    }

    /// Wakes who takes chains. A ring that makes no sense is for them, too.
    fn tell(&self, has_news: Result<bool, RingError>) -> bool {
        let has_news = has_news.unwrap_or(true);
        if has_news {
            self.seen.notify_one();
        }
        has_news
    }

    fn may_take(&self) -> bool {
        let is_resting = self.is_paused.get() || self.shared.turns.is_closed();
        self.is_enabled.get() && !is_resting && !self.is_broken.get()
    }

    /// `None`: there is nothing more.
    fn take(&self) -> Result<Option<BlockRequest>, RingError> {
        let mut work = self.work.borrow_mut();
        let Work {
            ram,
            queue,
            inflight,
        } = &mut *work;
        let Some(chain) = queue.pop(&**ram)? else {
            return Ok(None);
        };
        let request = BlockRequest::parse(&**ram, chain, &self.features)?;
        // Only what makes sense: the rest would break the next connection's ring as well.
        if let Some((memory, inflight)) = inflight {
            inflight.begin(&**memory, request.head)?;
        }
        Ok(Some(request))
    }

    fn begin(self: &Rc<Self>, request: BlockRequest) {
        let (ring, inside) = (self.clone(), self.inside.enter());
        let turn = self.shared.turns.take();
        let work = async move { ring.perform(request, inside, turn).await };
        drop(self.shared.handle.spawn(work));
    }

    async fn perform(self: Rc<Self>, request: BlockRequest, inside: GateGuard, turn: Turn) {
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
        drop(inside);
        self.shared.turns.give_back(turn);
    }

    async fn do_job(&self, ram: &Rc<Ram>, job: Job, data: Parts) -> Status {
        let front = &self.shared.front;
        let result = match job {
            Job::Carry(request) => {
                let carrier = Rc::new(GuestCarrier::new(ram, data, &self.shared.hold));
                front.perform(request, carrier).await
            }
            Job::Do(requests) => {
                let judge = |request: &Request| request.judge(&front.facts());
                let mut result = requests.iter().try_for_each(judge);
                for request in requests {
                    if result.is_ok() {
                        let carrier = GuestCarrier::new(ram, Parts::default(), &self.shared.hold);
                        result = front.perform(request, Rc::new(carrier)).await;
                    }
                }
                result
            }
            Job::Identify => {
                let mut id = [0; ID_BYTES];
                let serial = self.shared.serial.bytes();
                id.iter_mut().zip(serial).for_each(|(to, from)| *to = from);
                let carrier = GuestCarrier::new(ram, data, &self.shared.hold);
                carrier.put(&id)
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
        if self.shared.hold.is_cut() {
            return Ok(()); // it stays in the in-flight region, as after a death (VHOST-6)
        }
        // Also in a ring that is broken: what made sense is answered.
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

    /// The front end has stopped the ring: nothing of it is done again (INFLIGHT-4).
    pub fn forget(&self) {
        if self.shared.hold.is_cut() {
            return; // it will never hear that its ring has stopped
        }
        let work = self.work.borrow();
        if let Some((memory, inflight)) = &work.inflight
            && let Err(error) = inflight.forget(&**memory)
        {
            tracing::debug!(ring = self.index, %error, "an in-flight region that cannot be written");
        }
    }

    pub fn is_broken(&self) -> bool {
        self.is_broken.get()
    }

    pub fn enable(self: &Rc<Self>, is_enabled: bool) {
        self.is_enabled.set(is_enabled);
        self.take_all();
    }

    /// Takes nothing more.
    pub fn rest(&self) {
        self.is_paused.set(true);
    }

    /// Takes nothing more, and waits until all that was taken is done (VHOST-2).
    pub async fn pause(&self) {
        self.rest();
        self.inside.empty().await;
    }

    /// Goes on after a pause, in other memory. If the ring is not in it, it rests until it is in some that comes later: memory grows by
    /// the removal of one region, and another one in its place (VHOST-9).
    pub fn go_on(self: &Rc<Self>, ram: &Rc<Ram>) {
        match self.move_to(ram) {
            Ok(()) => {
                self.is_paused.set(false);
                self.take_all();
            }
            Err(error) => {
                tracing::debug!(ring = self.index, %error, "a ring rests until its memory is there again");
            }
        }
    }

    fn move_to(&self, ram: &Rc<Ram>) -> Result<(), RingError> {
        let mut work = self.work.borrow_mut();
        work.ram = ram.clone(); // in any case: the other one is not ours any more
        let size = work.queue.layout().size();
        let layout = layout(ram, size, &self.addresses)?;
        work.queue.move_to(layout)?;
        Ok(())
    }

    pub fn next_available(&self) -> u16 {
        self.work.borrow().queue.next_available()
    }
}

impl<D: Disk> Watch for Ring<D> {
    fn look(&self) -> bool {
        if !self.is_open() {
            return false;
        }
        let work = self.work.borrow();
        let has_news = work.queue.has_more(&*work.ram);
        drop(work);
        self.tell(has_news.map_err(RingError::from))
    }

    fn listen(&self) -> bool {
        if !self.is_open() {
            self.is_watched.set(false);
            return false;
        }
        let mut work = self.work.borrow_mut();
        let Work { ram, queue, .. } = &mut *work;
        let has_news = queue.listen(&**ram);
        drop(work);
        let has_news = self.tell(has_news.map_err(RingError::from));
        self.is_watched.set(has_news);
        has_news
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
