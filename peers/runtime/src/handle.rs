//! What tasks ask of their reactor.

use std::future::Future;
use std::os::fd::AsFd;
use std::rc::{Rc, Weak};
use std::task::Poll;
use std::time::Duration;

use xseg::{Port, monotonic_ns};

use crate::core::Core;
use crate::error::{Elapsed, RuntimeError};
use crate::kernel::EventBell;
use crate::log_levels::LogLevels;
use crate::pool::Blocking;
use crate::service::{Peer, Service};
use crate::station::Station;
use crate::task::Task;
use crate::timer::{self, Sleep};
use crate::watch::Watch;

/// A reactor's handle: cheap to clone, and bound to its thread.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(crate) core: Rc<Core>,
}

impl Handle {
    pub(crate) fn new(core: Rc<Core>) -> Self {
        Self { core }
    }

    /// Runs `future` beside the others. After the reactor's end it is dropped at once.
    pub fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Task<T> {
        Task::spawn(&self.core.tasks, future)
    }

    /// How many tasks there are, those of services included.
    pub fn tasks(&self) -> usize {
        self.core.tasks.count()
    }

    /// The monotonic clock in nanoseconds, as in [`xseg::Draft::set_deadline_ns`].
    pub fn now_ns(&self) -> u64 {
        monotonic_ns()
    }

    /// The time that lies so far ahead: a deadline.
    pub fn after_ns(&self, duration: Duration) -> u64 {
        timer::ahead_ns(duration)
    }

    /// Done after `duration`.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until_ns(timer::ahead_ns(duration))
    }

    /// Done when the monotonic clock says so.
    pub fn sleep_until_ns(&self, at_ns: u64) -> Sleep {
        Sleep::until(self.core.clone(), at_ns)
    }

    /// Awaits `future` for so long, and drops it then.
    pub fn timeout<F: Future>(
        &self,
        duration: Duration,
        future: F,
    ) -> impl Future<Output = Result<F::Output, Elapsed>> + use<F> {
        self.timeout_at_ns(timer::ahead_ns(duration), future)
    }

    /// Awaits `future` until then, and drops it.
    pub fn timeout_at_ns<F: Future>(
        &self,
        at_ns: u64,
        future: F,
    ) -> impl Future<Output = Result<F::Output, Elapsed>> + use<F> {
        timer::within(self.core.clone(), at_ns, future)
    }

    /// Lets the others run: done in the next round.
    pub async fn yield_now(&self) {
        let mut yielded = false;
        std::future::poll_fn(|context| {
            if yielded {
                return Poll::Ready(());
            }
            yielded = true;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// The station of the port that the reactor was made with.
    ///
    /// # Panics
    /// After the reactor's end.
    pub fn station(&self) -> Rc<Station> {
        let stations = self.core.stations.borrow();
        stations
            .first()
            .expect("a reactor has a port until its end")
            .clone()
    }

    /// One more port of the same segment for this reactor.
    pub fn add_port(&self, port: Port) -> Result<Rc<Station>, RuntimeError> {
        self.core.add_port(port)
    }

    /// Waits until somebody destroys the segment: peers end then, for nobody new will come.
    pub async fn destroyed(&self) {
        while !self.core.is_destroyed() {
            self.core.destroyed.notified().await;
        }
    }

    /// Has `peer` handle the requests that come to `station`, at most `nr_ops` at a time (P1; 0 counts as 1).
    ///
    /// # Panics
    /// If the station is served already.
    pub fn serve<P: Peer>(&self, station: &Rc<Station>, nr_ops: u32, peer: Rc<P>) -> Service {
        Service::begin(&self.core, station, nr_ops, peer)
    }

    /// Signals to an eventfd of somebody who is not trusted, without waiting. `None`: io_uring is not to be had.
    pub fn event_bell(&self, event: impl AsFd) -> Option<EventBell> {
        let bell = self.core.has_ring.then(|| EventBell::new(event));
        bell.and_then(|bell| {
            bell.inspect_err(|error| tracing::debug!(%error, "no ring for an eventfd"))
                .ok()
        })
    }

    /// Looks at `one` from now on, until it was asked to listen (WATCH-2) or is gone.
    pub fn watch(&self, one: Weak<dyn Watch>) {
        self.core.watched.add(one);
    }

    /// Has `levels` answer who asks about, or changes, what the roles behind this reactor's ports log.
    pub fn answer_log_levels(&self, levels: Rc<dyn LogLevels>) {
        self.core.log_levels.replace(Some(levels));
    }

    /// Calls `work` on a thread that may block: for what io_uring lacks. If the future is dropped, work that was not
    /// begun yet is not done; work that was goes on, and the reactor's end waits for it (S6).
    pub fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Blocking<T> {
        self.core.pool.call(work)
    }
}
