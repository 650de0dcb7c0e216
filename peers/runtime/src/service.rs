//! Services: a peer's logic behind a port, so many requests at a time.
//!
//! # Invariants
//! * **SERVE-1** Never more than `nr_ops` handlers run at once; the other requests stay in the port's inbox, where they
//!   survive our death, and none is lost (P1).
//! * **SERVE-2** Notices are handled at once, also while all handlers are busy and while the service drains (P1).
//! * **SERVE-3** A drained service holds no request: none that a handler has, and none that it left to somebody else (P2).
//! * **SERVE-4** A request costs no allocation once so many have been handled at a time before: handlers run in
//!   workers, tasks that go on to the next request.
//! * **SERVE-5** What comes before the service begins waits for it, notices as well: between the bind of a port and its
//!   service a peer that takes over has to find out what its predecessor left.
//! * **SERVE-6** What nobody waits for any more is not begun: a request whose deadline passed while it lay in the inbox is
//!   answered with TIMEDOUT. So nothing happens long after somebody was told that it may not have.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::task::{Poll, Waker};

use xseg::{Incoming, monotonic_ns};

use crate::core::Core;
use crate::station::Station;
use crate::task::Task;
use crate::tenant::Tenant;

/// The logic of a peer.
pub trait Peer: 'static {
    /// Handles a request: answers it, fails it, hands it on, or gives it to somebody who will. What it does not know it
    /// answers with [`Incoming::unsupported`]. A request that has to wait for something that others decide (a lock) is
    /// given to a task of its own, so that it leaves the count of `nr_ops` (P1).
    fn handle(&self, request: Incoming) -> impl Future<Output = ()>;

    /// Handles a notice, without waiting.
    fn notice(&self, notice: Incoming);
}

/// A service as its station sees it.
pub(crate) trait Attendant: std::fmt::Debug {
    fn request(&self, request: Incoming);
    fn notice(&self, notice: Incoming);
    fn look_whether_drained(&self);
}

/// A running service. Dropped, it goes on until the reactor ends.
#[derive(Clone, Debug)]
pub struct Service {
    admission: Rc<Admission>,
}

impl Service {
    pub(crate) fn begin<P: Peer>(
        core: &Rc<Core>,
        station: &Rc<Station>,
        nr_ops: u32,
        peer: Rc<P>,
    ) -> Self {
        let admission = Rc::new(Admission {
            station: station.clone(),
            nr_ops: nr_ops.max(1),
            running: Cell::new(0),
            draining: Cell::new(false),
            waiting: RefCell::default(),
        });
        let crew = Rc::new(Crew {
            core: Rc::downgrade(core),
            admission: admission.clone(),
            peer,
            tenant: Tenant::present(),
            idle: RefCell::default(),
        });
        let previous = station.attendant.replace(Some(Rc::new(crew)));
        assert!(previous.is_none(), "{:?} is served already", station.id());
        admission.admit();
        let attendant = station.attendant.borrow().clone();
        for notice in station.early_notices.take() {
            if let Some(attendant) = &attendant {
                attendant.notice(notice);
            }
        }
        Self { admission }
    }

    /// Stops taking requests and waits for those that were taken (P2). What comes meanwhile waits in the inbox for the
    /// next incarnation. If the future is dropped the service stays closed.
    pub async fn drain(&self) {
        self.admission.draining.set(true);
        self.admission.admit();
        std::future::poll_fn(|context| {
            if self.inflight() == 0 {
                return Poll::Ready(());
            }
            let mut waiting = self.admission.waiting.borrow_mut();
            waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Requests that were taken and are not over: their handlers run, or they are not answered yet.
    pub fn inflight(&self) -> u32 {
        self.admission.inflight()
    }
}

/// How many requests are taken.
#[derive(Debug)]
struct Admission {
    station: Rc<Station>,
    nr_ops: u32,
    /// Handlers that run.
    running: Cell<u32>,
    draining: Cell<bool>,
    /// Who waits for the service to be drained.
    waiting: RefCell<Vec<Waker>>,
}

impl Admission {
    /// The port counts what is not answered, we what is handled: it may take requests while a handler is free.
    fn admit(&self) {
        let free = !self.draining.get() && self.running.get() < self.nr_ops;
        let max = if free { u32::MAX } else { 0 };
        self.station.port().set_held_max(max);
    }

    fn inflight(&self) -> u32 {
        self.running.get().max(self.station.port().held())
    }
}

/// The workers of a service.
struct Crew<P> {
    core: std::rc::Weak<Core>,
    admission: Rc<Admission>,
    peer: Rc<P>,
    tenant: Tenant,
    idle: RefCell<Vec<Rc<Desk>>>,
}

impl<P> std::fmt::Debug for Crew<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crew")
            .field("admission", &self.admission)
            .finish_non_exhaustive()
    }
}

/// Where a worker finds its next request.
#[derive(Default)]
struct Desk {
    request: Cell<Option<Incoming>>,
    waker: Cell<Option<Waker>>,
}

impl Desk {
    async fn next(&self) -> Incoming {
        std::future::poll_fn(|context| {
            if let Some(request) = self.request.take() {
                return Poll::Ready(request);
            }
            let waker = self.waker.take();
            let waker = waker.filter(|waker| waker.will_wake(context.waker()));
            self.waker
                .set(Some(waker.unwrap_or_else(|| context.waker().clone())));
            Poll::Pending
        })
        .await
    }

    fn put(&self, request: Incoming) {
        self.request.set(Some(request));
        if let Some(waker) = self.waker.take() {
            waker.wake_by_ref();
            self.waker.set(Some(waker));
        }
    }
}

impl<P: Peer> Attendant for Rc<Crew<P>> {
    fn request(&self, request: Incoming) {
        let Some(core) = self.core.upgrade().filter(|core| !core.is_over.get()) else {
            // Only while the reactor ends; its port takes nothing then.
            request.fail(xseg::Errno::SHUTDOWN);
            return;
        };
        let deadline_ns = request.request().deadline_ns;
        if deadline_ns != 0 && monotonic_ns() >= deadline_ns {
            return request.fail(xseg::Errno::TIMEDOUT); // SERVE-6
        }
        self.admission.running.set(self.admission.running.get() + 1);
        self.admission.admit();
        let idle = self.idle.borrow_mut().pop();
        let desk = idle.unwrap_or_else(|| {
            let desk = Rc::new(Desk::default());
            let worker = work(self.clone(), desk.clone());
            self.tenant
                .within(|| drop(Task::spawn(&core.tasks, worker)));
            desk
        });
        desk.put(request);
    }

    fn notice(&self, notice: Incoming) {
        self.tenant.within(|| self.peer.notice(notice));
    }

    fn look_whether_drained(&self) {
        let admission = &self.admission;
        if admission.draining.get() && admission.inflight() == 0 {
            for waiter in admission.waiting.take() {
                waiter.wake();
            }
        }
    }
}

/// One request after the other.
async fn work<P: Peer>(crew: Rc<Crew<P>>, desk: Rc<Desk>) {
    loop {
        let request = desk.next().await;
        crew.peer.handle(request).await;
        let admission = &crew.admission;
        admission.running.set(admission.running.get() - 1);
        crew.idle.borrow_mut().push(desk.clone());
        admission.admit();
    }
}
