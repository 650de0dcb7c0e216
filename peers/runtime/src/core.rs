//! What a reactor is made of, behind all its handles.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use xseg::{Completion, Port, WaitError, Waiter, monotonic_ns};

use crate::error::RuntimeError;
use crate::kernel::Operations;
use crate::loans::Loans;
use crate::local;
use crate::log_levels::LogLevels;
use crate::options::ReactorOptions;
use crate::poller::Poller;
use crate::pool::Pool;
use crate::remote::{Finished, Remote};
use crate::ring_numbers::NumberTable;
use crate::station::Station;
use crate::task::Tasks;
use crate::timer::{self, Timers};
use crate::watch::Watched;

/// Shared by the reactor and its handles. Tasks hold handles: the end of the reactor breaks that circle.
#[derive(Debug)]
pub(crate) struct Core {
    /// `None` after the end.
    pub waiter: RefCell<Option<Waiter>>,
    pub has_ring: bool,
    pub stations: RefCell<Vec<Rc<Station>>>,
    pub tasks: Tasks,
    pub timers: RefCell<Timers>,
    pub operations: RefCell<Operations>,
    /// For what io_uring lacks.
    pub pool: Pool,
    /// For files, without io_uring: apart from the others, which may wait for them.
    pub files: Pool,
    pub poller: Poller,
    pub remote: Arc<Remote>,
    pub watched: Watched,
    pub loans: Loans,
    pub numbers: NumberTable,
    pub is_over: Cell<bool>,
    /// Answers what is asked of the host rather than of a peer.
    pub log_levels: RefCell<Option<Rc<dyn LogLevels>>>,
    /// Told that the segment was destroyed.
    pub destroyed: local::Notify,
    completions: RefCell<Vec<Completion>>,
    finished: RefCell<Vec<Finished>>,
}

impl Core {
    pub fn new(port: Port, options: &ReactorOptions) -> Result<Rc<Self>, RuntimeError> {
        let id = port.id();
        let mut waiter = Waiter::new(&port, &options.waiter)
            .map_err(|source| RuntimeError::Wait { port: id, source })?;
        let remote = Arc::new(Remote::new(port.segment().clone(), id));
        let core = Rc::new(Self {
            has_ring: waiter.ring().is_some(),
            waiter: RefCell::new(Some(waiter)),
            stations: RefCell::default(),
            tasks: Tasks::new(remote.clone()),
            timers: RefCell::default(),
            operations: RefCell::default(),
            pool: Pool::new(remote.clone(), options.threads_max, options.thread_idle),
            files: Pool::new(remote.clone(), options.threads_max, options.thread_idle),
            poller: Poller::new(remote.clone()),
            remote,
            watched: Watched::default(),
            loans: Loans::default(),
            numbers: NumberTable::default(),
            is_over: Cell::new(false),
            log_levels: RefCell::default(),
            destroyed: local::Notify::new(),
            completions: RefCell::default(),
            finished: RefCell::default(),
        });
        let station = Rc::new(Station::new(port, &core));
        core.stations.borrow_mut().push(station);
        Ok(core)
    }

    /// One more port that wakes this reactor.
    pub fn add_port(self: &Rc<Self>, port: Port) -> Result<Rc<Station>, RuntimeError> {
        let mut waiter = self.waiter.borrow_mut();
        let waiter = waiter.as_mut().ok_or(RuntimeError::Stopped)?;
        let mut stations = self.stations.borrow_mut();
        if port.segment().identity() != stations[0].segment().identity() {
            return Err(RuntimeError::ForeignPort { port: port.id() });
        }
        waiter.add(&port);
        let station = Rc::new(Station::new(port, self));
        stations.push(station.clone());
        Ok(station)
    }

    /// Fires the timers that are due, and gives up the calls whose deadlines have passed.
    pub fn look_at_the_clock(&self, stations: &[Rc<Station>]) -> bool {
        let Some(next_ns) = self.next_ns(stations) else {
            return false;
        };
        let now_ns = monotonic_ns();
        if next_ns > now_ns {
            return false;
        }
        let mut any = timer::fire(&self.timers, now_ns);
        for station in stations {
            any |= station.expire();
        }
        any
    }

    /// When something is due next.
    fn next_ns(&self, stations: &[Rc<Station>]) -> Option<u64> {
        let deadlines = stations.iter().filter_map(|one| one.next_deadline_ns());
        deadlines.chain(self.timers.borrow_mut().next_ns()).min()
    }

    /// Gives the kernel what is to be done and waits until there is something to do here. `sleeps`: else only looks.
    pub fn wait(
        &self,
        stations: &[Rc<Station>],
        ports: &[&Port],
        sleeps: bool,
    ) -> Result<(), WaitError> {
        let timeout = if sleeps {
            self.next_ns(stations)
                .map(|at_ns| Duration::from_nanos(at_ns.saturating_sub(monotonic_ns())))
        } else {
            Some(Duration::ZERO)
        };
        let mut completions = self.completions.take();
        let mut waiter = self.waiter.borrow_mut();
        let waited = waiter.as_mut().map(|waiter| {
            self.operations.borrow_mut().push_backlog(waiter);
            let give = |completion| completions.push(completion);
            waiter.wait_beside(ports, timeout, &mut &self.watched, give)
        });
        drop(waiter);
        for completion in completions.drain(..) {
            self.complete((completion.user_data, completion.result));
        }
        self.completions.replace(completions);
        self.take_finished();
        waited.map_or(Ok(()), |waited| waited.map(drop))
    }

    pub fn is_destroyed(&self) -> bool {
        let stations = self.stations.borrow();
        stations
            .first()
            .is_some_and(|one| one.segment().is_destroyed())
    }

    pub fn look_whether_destroyed(&self) {
        if self.is_destroyed() {
            self.destroyed.notify_all();
        }
    }

    /// What threads have finished.
    fn take_finished(&self) {
        if self.has_ring {
            return;
        }
        let mut finished = self.finished.take();
        self.remote.take_finished(&mut finished);
        for one in finished.drain(..) {
            self.complete(one);
        }
        self.finished.replace(finished);
    }

    fn complete(&self, finished: Finished) {
        let completed = self.operations.borrow_mut().complete(finished);
        drop(completed); // wakes, and drops what was given up, while nothing is borrowed
    }
}
